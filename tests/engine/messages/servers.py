"""A mail server, an HTTP server and a server that never answers, on loopback: what messages are sent to in tests."""

from __future__ import annotations

import email
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from tests.machine import free_port


class Mailbox:
    """What arrived, in order."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.refuses: set[str] = set()
        self.is_busy = False  # takes nothing for now

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.is_busy:
            return "451 try again later"
        self.mails.append(email.message_from_bytes(envelope.content))
        return "250 OK"

    def text(self, at: int = -1) -> str:
        """The plain text of a mail."""
        for part in self.mails[at].walk():
            if part.get_content_type() == "text/plain":
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                return payload.decode()
        raise AssertionError("no plain text in it")


class Mail:
    """A running mail server and its address for apprise."""

    def __init__(self, port: int = 0) -> None:
        self.box = Mailbox()
        self.port = port or free_port()
        self._controller = Controller(self.box, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    @property
    def url(self) -> str:
        return mail_url(self.port)

    def stop(self) -> None:
        self._controller.stop()


def mail_url(port: int) -> str:
    return f"mailto://127.0.0.1:{port}?from=rollout@example.org&to=team@example.org&format=text"


@contextmanager
def mail_server(port: int = 0) -> Iterator[Mail]:
    server = Mail(port)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def http_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(apprise address, bodies that were posted)."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/", posted
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def deaf_server() -> Iterator[int]:
    """A port that accepts connections and never sends a byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
