"""Delivers one message to one address, in a process of its own: `python -m engine.messages.deliver_worker`.

The order comes as JSON on standard input (an address in an argument would show in `ps`), the answer is one word of JSON. A process,
because apprise's import and a mail server that hangs would both hold up the engine, and because a process can be ended.
"""

from __future__ import annotations

import json
import logging
import os
import sys

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


def deliver(url: str, subject: str, body: str) -> str:
    """ "" when it was taken, else why not, in one of a few fixed phrases."""
    import apprise

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(heard)
    sender = apprise.Apprise()
    if not sender.add(url):
        return "not an address that apprise knows"
    if sender.notify(title=subject, body=body, body_format=apprise.NotifyFormat.TEXT):
        return ""
    return next((phrase for sign, phrase in _CAUSES if sign in heard.words), "not accepted")


def main() -> int:
    answer = os.dup(1)
    sink = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # nothing that a library prints gets out
        os.dup2(sink, descriptor)
    try:
        order = json.load(sys.stdin)
        why = deliver(order["url"], order["subject"], order["body"])
    except Exception as error:
        why = type(error).__name__
    os.write(answer, json.dumps({"why": why}).encode())
    return 0 if not why else 1


if __name__ == "__main__":
    sys.exit(main())
