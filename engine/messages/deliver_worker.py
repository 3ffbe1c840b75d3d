"""Delivers one message to one address, in a process of its own: `python -m engine.messages.deliver_worker`.

The order arrives as JSON on standard input (an address among the arguments would show in `ps`). It is a process because
importing apprise or a hanging mail server would block the engine, and because a process can be killed.

An address may name several recipients (`mailto://...?to=a,b`). Each gets its own delivery, so that a refusal by one
does not repeat the message to the others. The answer is one JSON line per success, `{"took": mark}`, then `{"why":
...}`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

# The only texts reported for a failure: a library's or server's own text may quote the address, so it stays here.
_CAUSES = (
    ("refused", "connection refused"),
    ("timed out", "no answer in time"),
    ("timeout", "no answer in time"),
    ("name or service not known", "unknown host"),
    ("name resolution", "unknown host"),
    ("authentication", "authentication failed"),
    ("535", "authentication failed"),
    ("certificate", "certificate not accepted"),
    ("unauthorized", "not authorized"),
    ("error=401", "not authorized"),
    ("error=403", "forbidden"),
    ("error=404", "not found"),
    ("error=429", "too many messages"),
    ("error=5", "the server had an error"),
    ("closed", "connection closed"),
    ("reset", "connection closed"),
)


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.words = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.words += " " + record.getMessage().lower()


RECIPIENTS = (
    "targets",
    "channels",
    "topics",
    "rooms",
    "phone",
    "groups",
    "users",
)  # attribute names used by apprise's plugins


def deliver(order: dict[str, Any], took: Callable[[str], None]) -> str:
    """ "" if every recipient took it, otherwise why not, in fixed phrases. Calls `took` with each recipient's mark."""
    import apprise

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(heard)
    service = apprise.Apprise.instantiate(order["url"])
    if service is None:
        return "not an address apprise supports"
    if "format=" not in order["url"].lower():  # spam filters dislike HTML-only mail, and pagers cut it
        service.notify_format = apprise.NotifyFormat.TEXT
    refused = []
    every = [*_recipients(service)]
    for number, (name, choose) in enumerate(every, 1):
        mark = mark_of(order["url"], name, order.get("salt", ""))
        if mark in order.get("skip", ()):
            continue
        choose()
        heard.words = ""
        sender = apprise.Apprise()
        sender.add(service)
        if sender.notify(
            title=order["subject"],
            body=order["body"],
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=apprise.NotifyType(order.get("type", "info")),
        ):
            took(mark)
            continue
        why = next((phrase for sign, phrase in _CAUSES if sign in heard.words), "not accepted")
        refused.append(why if len(every) == 1 else f"recipient {number} of {len(every)}: {why}")
    return "; ".join(refused)


def _recipients(service: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each recipient of an address: its name, and a call that selects only it. One nameless entry if it has one or
    none.
    """
    lists = [name for name in RECIPIENTS if isinstance(getattr(service, name, None), list | tuple | set)]
    several = [name for name in lists if len(getattr(service, name)) > 1]
    if len(several) != 1 or any(getattr(service, name) for name in lists if name != several[0]):
        yield "", lambda: None
        return
    attribute = several[0]
    kind = type(getattr(service, attribute))
    for one in sorted(getattr(service, attribute), key=repr):
        yield repr(one), partial(setattr, service, attribute, kind([one]))


def mark_of(url: str, recipient: str, salt: str) -> str:
    """32 bits that distinguish a message's recipients and reveal nothing about them."""
    return hashlib.blake2b(f"{url}\0{recipient}".encode(), key=salt.encode()[:64], digest_size=4).hexdigest()


def main() -> int:
    answer = os.dup(1)
    sink = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # discard whatever a library prints
        os.dup2(sink, descriptor)

    def say(**words: str) -> None:
        os.write(answer, json.dumps(words).encode() + b"\n")

    try:
        why = deliver(json.load(sys.stdin), lambda mark: say(took=mark))
    except Exception as error:
        why = type(error).__name__
    say(why=why)
    return 0 if not why else 1


if __name__ == "__main__":
    sys.exit(main())
