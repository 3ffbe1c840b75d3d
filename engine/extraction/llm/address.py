"""The address of an LLM server as people write it, and the addresses of its API that follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

from engine.extraction.llm.http import split_user

_PASTED = re.compile(r"/(?:chat/completions|completions|models|chat|generate|tags)$")
_VERSION = re.compile(r"/v\d+\w*$")
_SECRET = re.compile(r"key|token|secret|sig|password|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """`root`: scheme, host and path without the API's part; `prefix`: what stands before /chat/completions; `query` with its "?"."""

    root: str
    prefix: str
    query: str = ""
    user: str = ""
    guessed: bool = False  # nobody wrote the /v1

    def to(self, path: str) -> str:
        """Where a path of the API is: "/v1/..." behind the prefix, any other behind the root."""
        return (self.prefix + path[3:] if path.startswith("/v1/") else self.root + path) + self.query

    def bare(self) -> Address:
        """The same without the /v1 that was guessed: some gateways have none."""
        return replace(self, prefix=self.root, guessed=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it must not be shown: the user, the password, keys in the query."""
        values = [value for name, value in parse_qsl(self.query[1:]) if _SECRET.search(name)]
        return tuple(value for value in (self.user, self.user.partition(":")[2], *values) if value)


def address(url: str, api: str) -> Address:
    """What people paste behind the API's part is taken off; a path of a gateway (`/gw/api`) and a query (`?api-version=...`) stay."""
    plain, user = split_user(url.strip())
    parts = urlsplit(plain)
    query = f"?{parts.query}" if parts.query else ""
    host = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    whole = path.endswith("/chat/completions")
    path = _PASTED.sub("", path)
    if api == "ollama":
        root = host + re.sub(r"/(?:api|v1)$", "", path)
        return Address(root, root + "/v1", query, user)
    if path == "/api":  # Ollama's, which the other API does not have
        path = ""
    root = host + _VERSION.sub("", path)
    if whole or _VERSION.search(path) or re.search(r"/openai(?:/|$)", path):
        return Address(root, host + path, query, user)
    return Address(host + path, host + path + "/v1", query, user, guessed=True)
