"""Delivers one message to one address, in a process of its own: `python -m engine.messages.deliver_worker`.

The order comes as JSON on standard input (an address in an argument would show in `ps`). A process, because apprise's import and a
mail server that hangs would both hold up the engine, and because a process can be ended.

An address may name several recipients (`mailto://...?to=a,b`). Each is delivered to on its own: one that is refused must not repeat
the message to the others. The answer is a line of JSON for each that took it, `{"took": mark}`, and a last one, `{"why": ...}`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

# what may be said of a failure: no text of a library or a server leaves this process, for it may quote the address
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
)  # the names apprise's plugins have for them


def deliver(order: dict[str, Any], took: Callable[[str], None]) -> str:
    """ "" when every recipient has it, else why not, in one of a few fixed phrases. `took` hears of each that has, as it does."""
    import apprise

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(heard)
    service = apprise.Apprise.instantiate(order["url"])
    if service is None:
        return "not an address that apprise knows"
    if "format=" not in order["url"].lower():  # a mail of HTML alone is what filters take for spam, and pagers cut
        service.notify_format = apprise.NotifyFormat.TEXT
    refused = []
    every = [*_each(service)]
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


def _each(service: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each recipient of an address: its name, and what makes it the only one. The address as a whole where it has one or none."""
    lists = [name for name in RECIPIENTS if isinstance(getattr(service, name, None), list | tuple | set)]
    several = [name for name in lists if len(getattr(service, name)) > 1]
    if len(several) != 1 or any(getattr(service, name) for name in lists if name != several[0]):
        yield "", lambda: None
        return
    attribute = several[0]
    kind = type(getattr(service, attribute))
    for one in sorted(getattr(service, attribute), key=repr):
        yield repr(one), lambda one=one: setattr(service, attribute, kind([one]))  # type: ignore[misc]


def mark_of(url: str, recipient: str, salt: str) -> str:
    """32 bits that tell a message's recipients apart and say nothing about them."""
    return hashlib.blake2b(f"{url}\0{recipient}".encode(), key=salt.encode()[:64], digest_size=4).hexdigest()


def main() -> int:
    answer = os.dup(1)
    sink = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # nothing that a library prints gets out
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
