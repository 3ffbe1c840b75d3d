"""When calls to a service leave and end, by the kernel's time stamps: a busy machine delays neither.

    with Wire(port) as wire:      # as root, on Linux; `inside`: the name of a network namespace
        wire.calls                # {"posted": last request, "ended": last end of an open call by its client}, CLOCK_MONOTONIC

The packets are read later by a thread of this process; the time in them is that of the kernel's network code.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ETH_P_IP, SO_ATTACH_FILTER, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 0x0800, 26, 33, 35
SETTLE_S = 0.1
CALLS = (b"POST /api/chat", b"POST /api/generate", b"POST /v1/chat")  # not /api/show, which uses no model


@contextlib.contextmanager
def _namespace(name: str) -> Iterator[None]:
    """This thread is inside the network namespace."""
    if not name:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before, Path(f"/var/run/netns/{name}").open() as there:
        assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            libc.setns(before.fileno(), 0)


def _filter(port: int) -> bytes:
    """Classic BPF for Ethernet: `ip and tcp port PORT`."""
    program = [
        (0x28, 0, 0, 12), (0x15, 0, 10, ETH_P_IP), (0x30, 0, 0, 23), (0x15, 0, 8, socket.IPPROTO_TCP),
        (0x28, 0, 0, 20), (0x45, 6, 0, 0x1FFF), (0xB1, 0, 0, 14), (0x48, 0, 0, 14), (0x15, 2, 0, port),
        (0x48, 0, 0, 16), (0x15, 0, 1, port), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
    ]  # fmt: skip
    return b"".join(struct.pack("HBBI", *step) for step in program)


class Wire:
    def __init__(self, port: int, interface: str = "lo", inside: str = "") -> None:
        with _namespace(inside):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        program = ctypes.create_string_buffer(_filter(port))
        steps = len(program) // 8
        self._socket.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", steps, ctypes.addressof(program))
        )
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((interface, ETH_P_IP))
        self._port = port
        self._offset = time.monotonic() - time.time()
        self._open: set[tuple[bytes, int]] = set()  # clients with a call under way
        self.posted = self.ended = 0.0
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def calls(self) -> dict[str, float]:
        """After the packets that have been received by now."""
        time.sleep(SETTLE_S)
        return {"posted": self.posted, "ended": self.ended, "open": len(self._open)}

    def _read(self) -> None:
        while True:
            try:
                packet, extra, _, _ = self._socket.recvmsg(65_536, 64)
            except OSError:
                return
            stamp = next((data for level, kind, data in extra if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)))
            seconds, nanoseconds = struct.unpack("qq", stamp)
            self._note(packet, seconds + nanoseconds / 1e9 + self._offset)

    def _note(self, packet: bytes, at: float) -> None:
        head = 14 + 4 * (packet[14] & 15)
        source, target = struct.unpack_from("!HH", packet, head)
        length = struct.unpack_from("!H", packet, 16)[0] - (head - 14) - 4 * (packet[head + 12] >> 4)
        ends = packet[head + 13] & 0b101  # FIN, RST
        payload = packet[head + 4 * (packet[head + 12] >> 4) :][:length]
        if target == self._port:
            client = (packet[26:30], source)
            if payload.startswith(CALLS):
                self.posted = max(self.posted, at)
                self._open.add(client)
            if ends and client in self._open:
                self.ended = max(self.ended, at)
                self._open.discard(client)
        elif length > 0:
            self._open.discard((packet[30:34], target))

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
