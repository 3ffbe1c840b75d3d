"""The HTTP connection to an engine's socket. `http.client` takes a tenth of a console's start, so this is imported with
the first exchange."""

from __future__ import annotations

import http.client
import socket

from engine.store.folder import Folder


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, folder: Folder, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._folder = folder

    def connect(self) -> None:
        self.sock: socket.socket = self._folder.connect(float(self.timeout or 10.0))

    def exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body. OSError where no whole answer comes, ValueError where it is not HTTP."""
        try:
            self.request(method, path, body, headers)
            response = self.getresponse()
            return response.status, response.read()
        except ConnectionError:  # http.client's RemoteDisconnected is one
            raise
        except http.client.IncompleteRead as error:
            raise ConnectionAbortedError("the answer ended early") from error
        except http.client.HTTPException as error:
            raise ValueError(f"the answer is not HTTP: {type(error).__name__}") from error
