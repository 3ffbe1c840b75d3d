"""Where messages go: apprise URLs, each for all messages or some audiences. They are secrets; no sentence contains
one.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.plan.model import Notify
from engine.text import clean_line

_START = r"(?:[a-z0-9_,-]+=)?[A-Za-z][A-Za-z0-9+.-]*://"
_COMMAS = re.compile(rf",+(?=$|{_START})")
_TAGGED = re.compile(r"(?P<tags>[a-z0-9_,-]+)=(?P<url>[A-Za-z][A-Za-z0-9+.-]*://\S+)")


@dataclass(frozen=True)
class Destination:
    """One apprise URL. `tags`: audiences or message ids; none means all. Its repr shows no URL."""

    url: str = field(repr=False)
    tags: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """ "mailto", "slack": the part that may be shown."""
        return clean_line(self.url.partition("://")[0], 20)

    def takes(self, message: str, audience: str) -> bool:
        return not self.tags or bool(self.tags & {message, audience})

    def mark(self, salt: str) -> str:
        """16 bits that distinguish a message's addresses and reveal nothing about the URL."""
        return hashlib.blake2b(self.url.encode(), key=salt.encode()[:64], digest_size=2).hexdigest()


def are_given(notify: Notify, environ: Mapping[str, str]) -> bool:
    """Whether somewhere to send was named at all, usable or not."""
    return bool(notify.urls_file or environ.get(notify.urls_env, "").split())


def addresses(notify: Notify, environ: Mapping[str, str]) -> tuple[list[Destination], str]:
    """(addresses, problem as a sentence). The problem never contains a URL."""
    words = environ.get(notify.urls_env, "").split()
    trouble = ""
    if notify.urls_file:
        path = Path(os.path.expanduser(notify.urls_file))  # Path.expanduser raises where there is no such home
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                trouble = f"{path} is readable by others (mode {mode:o}) and ignored until you run chmod 600 on it"
            else:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                words += [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            trouble = f"{clean_line(str(path))} cannot be read: {getattr(error, 'strerror', None) or error}"
    destinations: list[Destination] = []
    for number, word in enumerate((part for line in words for part in _apart(line)), 1):
        address = _address(word)
        if address is None:
            trouble = trouble or f"address {number} is not an apprise URL: write kind://... or audience=kind://..."
        else:
            destinations.append(address)
    if not destinations and not trouble:
        trouble = f"nowhere to send: put apprise URLs into {notify.urls_env} or [notify] urls_file"
    return destinations, trouble


def _apart(word: str) -> list[str]:
    """The addresses in a word: a comma at its end, or between two, is not part of an address; one between tags is."""
    parts, start = [], 0
    while cut := _COMMAS.search(word, max(start, word.find("://", start))):
        parts.append(word[start : cut.start()])
        start = cut.end()
    return [part for part in (*parts, word[start:]) if part]


def _address(word: str) -> Destination | None:
    tagged = _TAGGED.fullmatch(word)
    if tagged is not None:
        return Destination(tagged["url"], frozenset(tagged["tags"].split(",")))
    return Destination(word) if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://\S", word) else None
