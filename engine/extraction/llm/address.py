"""The address of an LLM server as people write it, and the API addresses derived from it."""

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
    """`root`: scheme, host and path without the API's part; `prefix`: what precedes /chat/completions; `query` with its
    "?"."""

    root: str
    prefix: str
    query: str = ""
    user: str = ""
    guessed: bool = False  # the user did not write /v1

    def to(self, path: str) -> str:
        """The URL of an API path: "/v1/..." follows the prefix, any other path follows the root."""
        return (self.prefix + path[3:] if path.startswith("/v1/") else self.root + path) + self.query

    def bare(self) -> Address:
        """The same address without the guessed /v1, which some gateways do not have."""
        return replace(self, prefix=self.root, guessed=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The parts that must not be shown: the user, the password, keys in the query."""
        values = [value for name, value in parse_qsl(self.query[1:]) if _SECRET.search(name)]
        return tuple(value for value in (self.user, self.user.partition(":")[2], *values) if value)


def address(url: str, api: str) -> Address:
    """Parse an address. Drops what people paste after the API's part; keeps a gateway's path (`/gw/api`) and a query
    (`?api-version=...`)."""
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
    if path == "/api":  # Ollama's; the other API has no such path
        path = ""
    root = host + _VERSION.sub("", path)
    if whole or _VERSION.search(path) or re.search(r"/openai(?:/|$)", path):
        return Address(root, host + path, query, user)
    return Address(host + path, host + path + "/v1", query, user, guessed=True)
