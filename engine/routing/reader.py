"""A process beside the engine that reads documents: parts of batches in, keywords out.

It has the connected socket whose number is its argument, and nothing else of the engine: no store, no percentage, no
network. It ends when the engine closes the socket, or is killed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

import msgspec
from msgspec import Struct

from engine.extraction.keywords import Budget
from engine.routing.reading import ReadDocument, UnreadDocument, read_all

NICE = 10  # below the engine: readers use what it leaves of each core
LENGTH = 4  # bytes before each message


class ReadRequest(Struct, frozen=True, array_like=True):
    budget: Budget
    documents: list[UnreadDocument]


_requests = msgspec.msgpack.Decoder(ReadRequest)
_answers = msgspec.msgpack.Decoder(list[ReadDocument])


def framed(message: object) -> bytes:
    """A message with its length before it."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH, "big") + body


def read_documents(body: bytes | memoryview) -> list[ReadDocument]:
    return _answers.decode(body)


def serve(engine: socket.socket) -> None:
    """Answer each request in turn until the engine closes the socket."""
    with engine, engine.makefile("rb") as incoming:
        while len(head := incoming.read(LENGTH)) == LENGTH:
            request = _requests.decode(incoming.read(int.from_bytes(head, "big")))
            engine.sendall(framed(read_all(request.documents, request.budget)))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the engine's terminal; the engine closes the socket
    os.nice(NICE)
    try:
        serve(socket.socket(fileno=int(sys.argv[1])))
    except (OSError, msgspec.DecodeError):  # the engine has ended
        os._exit(1)


if __name__ == "__main__":
    main()
