"""A process beside the engine that reads documents: parts of batches in, keywords out.

It has the connected socket whose number is its argument, and nothing else of the engine: no store, no percentage, no
network. It ends when the engine closes the socket, or is killed.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from engine import garbage
from engine.decoding import msgpack_decoder
from engine.extraction.keywords import Budget, Keywords
from engine.routing.reading import ReadDocument, UnreadDocument, prepare, read_all

NICE = 10  # below the engine: readers use what it leaves of each core
LENGTH = 4  # bytes before each message


class ReadRequest(Struct, frozen=True, array_like=True):
    budget: Budget
    documents: list[UnreadDocument]


Read = tuple[str, str, Keywords, float, str]  # of a document: all but its text, which the engine has

_requests = msgpack_decoder(ReadRequest)
_answers = msgpack_decoder(list[Read])


def framed(message: object) -> bytes:
    """A message with its length before it."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH, "big") + body


def read_documents(body: bytes, asked: Sequence[UnreadDocument]) -> list[ReadDocument]:
    """The answer to a request for these."""
    return [ReadDocument(text, *read) for (_, text, _), read in zip(asked, _answers.decode(body), strict=True)]


def serve(engine: socket.socket) -> None:
    """Answer each request in turn until the engine closes the socket."""
    with engine, engine.makefile("rb") as incoming:
        while len(head := incoming.read(LENGTH)) == LENGTH:
            request = _requests.decode(incoming.read(int.from_bytes(head, "big")))
            documents = read_all(request.documents, request.budget)
            answer: list[Read] = [(one.title, one.other, one.plain, one.ms, one.fault) for one in documents]
            engine.sendall(framed(answer))


def main() -> None:
    os.nice(NICE)
    prepare()
    garbage.collect_seldom()
    try:
        serve(socket.socket(fileno=int(sys.argv[1])))
    except (OSError, msgspec.DecodeError):  # the engine has ended
        os._exit(1)


if __name__ == "__main__":
    main()
