"""Limits on a listener's connections and unread bytes, and on how long a client may take over its request.

The engine's two listeners share one event loop and one descriptor table, so no client may fill either: at the cap, the
connection that has waited longest without a request is closed. Deadlines end connections that never send a whole
request.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import resource
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.server.renewals import Renewals
from engine.server.request_names import request_name
from engine.server.request_target import plain_form
from engine.server.turns import Turns

HEADERS_S = 10.0  # from the first byte, or from the connection, to the end of the headers
BODY_S = 60.0  # from there to the end of the body
TAKEN_S = 30.0  # an answer the client does not read for this long is abandoned
IDLE_S = 30  # between two requests
HEAD_BYTES = 16 * 1024  # of a request's line and headers
READ_BYTES = 32 * 1024  # read in one step: parsing it must not delay a rollback
SMALL_BODY = 64 * 1024  # every connection may hold this much without asking
TCP_BYTES = 128 << 20  # total of larger bodies
UNIX_BYTES = 384 << 20
MOST_FILES = 65_536
SPARE_FILES = 256  # for the store, the LLM service's connections, commands
ACCEPTED_AT_ONCE = 2  # connections accepted in one turn of the loop: each delays a rollback by half a millisecond
WAITING = 1024  # connections that may wait in the kernel
TINY, TINIES = 16, 2000  # more chunks than this, smaller than that on average, are an attack on the parser
SO_PEERGROUPS = 59

Phase = Literal["request", "body", "answer", "idle"]


class ConnectionBudget:
    """The connections, and bytes of large bodies, that one listener may hold. Not for several event loops."""

    def __init__(self, connections: int, body_bytes: int) -> None:
        self.connections = connections
        self.body_bytes = body_bytes
        self.held = 0  # bytes of large bodies
        self.refused = 0
        self._open: dict[Connection, None] = {}  # oldest first

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: Connection) -> bool:
        """False when every place is taken by a request that is being served."""
        if len(self._open) >= self.connections and not self._evict():
            self.refused += 1
            return False
        self._open[connection] = None
        return True

    def leave(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def _evict(self) -> bool:
        """Close the connection that has held a place longest without a whole request."""
        for phase in ("request", "idle", "body"):
            for connection in self._open:
                if connection.phase == phase:
                    self.leave(connection)
                    connection.transport.abort()
                    return True
        return False

    def cut(self) -> None:
        """Close every connection, whatever it is doing."""
        for connection in tuple(self._open):
            connection.transport.abort()

    def take(self, size: int) -> bool:
        """Reserve this many more bytes for a large body; release them with `give`."""
        if self.held + size > self.body_bytes:
            return False
        self.held += size
        return True

    def give(self, size: int) -> None:
        self.held -= size


class Connection(H11Protocol):
    """Any client of the engine. `admits` inspects the transport and returns "" or a sentence that refuses it. Requests
    that `renewals` answers do not reach the application; the others wait for their turn if there are `turns`."""

    def __init__(
        self,
        *given: Any,
        budget: ConnectionBudget,
        admits: Callable[[Any], str] = lambda transport: "",
        renewals: Renewals | None = None,
        turns: Turns | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*given, **more)
        self.conn = _Parser(h11.SERVER)
        self.budget = budget
        self._admits = admits
        self._renewals = renewals
        self._turns = turns
        self._waits_for_turn = False
        self._begun = b""  # of a renewal or a watch: its head arrived without its body
        self._awaited: Callable[[], None] | None = None  # ends the waiting of a watch
        self.phase: Phase = "request"
        self._deadline: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.max_size = READ_BYTES
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            pid, uid, _ = peer(sock)
            self.client = (f"uid:{uid}", pid)
        if why := self._admits(transport):
            self._refuse(403, "peer", why)
        elif not self.budget.enter(self):
            self._refuse(503, "busy", "Every connection is in use. Try again in a moment.")
        else:
            self._wait_for("request")
            if sock is not None:
                self._read_at_once(sock.fileno())

    def _read_at_once(self, descriptor: int) -> None:
        """Read the request that came with the connection, as that of every rollback does: the transport begins to read
        a turn of the loop later, and under load documents are in that turn."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except OSError:  # nothing has come yet; an end, or an error that lasts, the transport sees too
            return
        if data:
            self.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.budget.leave(self)
        if self._awaited is not None:
            self._awaited()
        for timer in (self._deadline, self._untaken):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._awaited is not None:
            self.transport.abort()  # no worker sends more before the answer
            return
        if self._renewals is not None:
            data, self._begun = self._begun + data, b""
            if self._is_between_requests and self._renews(self._renewals, data):
                return
        super().data_received(data)
        self._follow("request")

    def handle_events(self) -> None:
        """A request's body is read as it comes; the next request is begun when it is its turn."""
        if self._turns is None or self.conn.their_state is not h11.IDLE or not self.conn.trailing_data[0]:
            super().handle_events()
        elif not self._waits_for_turn:
            self._waits_for_turn = True
            if not self._turns.take(self._handle_next):
                self.flow.pause_reading()

    def _handle_next(self) -> None:
        self._waits_for_turn = False
        if not self.transport.is_closing():
            self.flow.resume_reading()
            super().handle_events()
            self._follow("request")

    @property
    def _is_between_requests(self) -> bool:
        conn = self.conn
        return conn.our_state is h11.IDLE and conn.their_state is h11.IDLE and not conn.trailing_data[0]

    def _renews(self, renewals: Renewals, data: bytes) -> bool:
        """Whether this was, or may become, a renewal or a watch."""
        length = renewals.length(data)
        if length is None or self.transport.is_closing():
            return False
        if len(data) < length:
            self._begun = data
            self._wait_for("body")
            return True
        before, self.phase = self.phase, "answer"
        leave = renewals.answer(data, self._answered)
        if leave is None:
            self.phase = before
            return False
        self._unset_keepalive_if_required()
        if self.phase == "answer":  # of a watch: the answer comes later
            self._awaited = leave
            self._drop_deadline()
        return True

    def _answered(self, answer: bytes) -> None:
        self._awaited = None
        if not self.transport.is_closing():
            self.transport.write(answer)
        self._drop_deadline()  # each has one of its own
        self._wait_for("idle")

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._follow("idle")

    def _follow(self, between: Phase) -> None:
        state = self.conn.their_state
        self._wait_for("body" if state is h11.SEND_BODY else between if state is h11.IDLE else "answer")

    def _wait_for(self, phase: Phase) -> None:
        if phase == self.phase and self._deadline is not None:
            return  # an occasional byte does not extend the deadline
        self.phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
        limits = {
            "request": HEADERS_S,
            "body": BODY_S + 1.0,
            "idle": IDLE_S + 1.0,
        }  # a body's handler answers before this
        limit = limits.get(phase)
        self._deadline = self.loop.call_later(limit, self._late) if limit else None

    def _late(self) -> None:
        if self._waits_for_turn:  # the engine is late, not the client
            self._deadline = self.loop.call_later(1.0, self._late)
        elif self.phase == "request":
            self._refuse(408, "slow", f"No request came within {HEADERS_S:g} s.")
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._untaken = self.loop.call_later(TAKEN_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._untaken is not None:
            self._untaken.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer without a log line, since a client that sends garbage could fill the disk."""
        if isinstance(self.conn, _Parser) and self.conn.too_long:
            self._refuse(431, "size", f"The request's line and headers are larger than {HEAD_BYTES // 1024} KB.")
        else:
            self._refuse(400, "http", "This is not valid HTTP.")

    def _unsupported_upgrade_warning(self) -> None:
        """No log line either: the request is answered as if it had not asked for another protocol."""

    def shutdown(self) -> None:
        if self.phase == "answer" and not self.flow.write_paused:  # who does not read is not waited for
            super().shutdown()
        else:
            self.transport.abort()

    def _refuse(self, status: int, code: str, sentence: str) -> None:
        """Bypasses the application, which never sees the request; sends nothing once it has begun to answer."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(refusal(status, code, sentence, self._request_name()))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _request_name(self) -> str:
        """The name of the request being read, if its headers have arrived; otherwise a new one."""
        begun = self.cycle is not None and not self.cycle.response_complete
        return request_name(self.cycle.scope["headers"] if begun else ())


class _Parser(h11.Connection):
    """Refuses a request with two readings, and a body in tiny chunks: the loop pays a thousand times what the sender
    does. The head of a whole answer goes out with its body, in one call of the kernel."""

    def __init__(self, role: type[h11.SERVER]) -> None:
        super().__init__(role, max_incomplete_event_size=HEAD_BYTES)
        self._pieces = self._bytes = 0
        self._head = b""
        self.too_long = False

    def send(self, event: Any) -> Any:
        output = super().send(event)
        if type(event) is h11.Response and any(name == b"content-length" for name, _ in event.headers):
            self._head = output or b""
            return b""
        if self._head and output is not None:
            output, self._head = self._head + output, b""
        return output

    def next_event(self) -> Any:
        before_body = self.their_state is h11.IDLE
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.too_long = before_body and error.error_status_hint == 431
            raise
        if type(event) is h11.Data:
            self._pieces += 1
            self._bytes += len(event.data)
            if self._pieces > TINIES and self._bytes < TINY * self._pieces:
                raise h11.RemoteProtocolError("the body comes in tiny chunks")
        elif type(event) is h11.Request:
            self._pieces = self._bytes = 0
            return plain_form(event)
        return event


def refusal(status: int, code: str, sentence: str, name: str) -> bytes:
    """A whole HTTP answer after which the connection closes. `name` is the request's."""
    body = msgspec.json.encode({"ok": False, "error": sentence, "sentence": sentence, "code": code})
    again = "retry-after: 5\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: "
        f"{len(body)}\r\nx-request-id: {name}\r\n{again}connection: close\r\n\r\n"
    )
    return head.encode() + body


def peer(sock: socket.socket) -> tuple[int, int, int]:
    """pid, uid and gid of the process at the other end of a unix socket, as the kernel reports them."""
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid


def peer_groups(sock: socket.socket) -> frozenset[int]:
    """All groups of that process; those of its user when the kernel cannot list them, as with very many."""
    _, uid, gid = peer(sock)
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
    except OSError:
        try:
            return frozenset(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
        except KeyError:
            return frozenset([gid])
    return frozenset([*struct.unpack(f"{len(raw) // 4}I", raw), gid])


def outsider(folder: Path, sock: socket.socket) -> str:
    """Why this client may not use the store's socket; "" for root, the engine's user, the store's owner and its group.

    The modes of the folder and the socket already enforce this; the check still holds if they are changed.
    """
    _, uid, _ = peer(sock)
    try:
        status = os.stat(folder)
    except OSError:
        return ""  # the folder is gone: a client that got this far may still roll back
    if uid in (0, os.geteuid(), status.st_uid):
        return ""
    if status.st_mode & stat.S_IWGRP and status.st_gid in peer_groups(sock):
        return ""
    return f"uid {uid} has no access to the store in {folder}: run this as its owner, or as a member of [store] group."


def connection_budgets() -> tuple[ConnectionBudget, ConnectionBudget]:
    """What TCP and the unix socket may hold, given the number of descriptors this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    files = MOST_FILES if soft == resource.RLIM_INFINITY else soft
    unix = max(32, min(256, files // 8))
    tcp = max(32, min(1024, files - SPARE_FILES - unix - 64))
    return ConnectionBudget(tcp, TCP_BYTES), ConnectionBudget(unix, UNIX_BYTES)
