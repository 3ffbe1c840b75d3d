"""Removes a pool's secrets from everything that may be shown, logged or stored.

A service may echo the key it refuses, a proxy the header it dislikes, a library the value it cannot send. Text from a
server or a library passes through here before any other code sees it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

MARK = "(secret)"
SHORTEST = 6  # a shorter one is a dummy ("none", "x") that occurs in ordinary words


class Redactor:
    """Knows each secret in every form in which it is sent."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST:
                forms |= _forms(secret)
        self._texts = sorted(forms, key=len, reverse=True)  # longest first, since one may be part of another
        self._bytes = [form.encode() for form in self._texts]

    def text(self, words: str) -> str:
        for form in self._texts:
            if form in words:
                words = words.replace(form, MARK)
        return words

    def body(self, data: bytes) -> bytes:
        for form in self._bytes:
            if form in data:
                data = data.replace(form, MARK.encode())
        return data


def _forms(secret: str) -> set[str]:
    """A secret literally, as Python, JSON and URLs quote it, and in base64."""
    return {
        secret,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode().rstrip("="),
    }
