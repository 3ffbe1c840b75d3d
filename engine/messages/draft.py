"""A message of the plan with current facts filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from engine.plan.model import Message
from engine.text import clean_block, clean_line

ESCALATION = "escalation"  # the id of the message about an alarm that no one took
_BRACES = re.compile(r"\{\{|\}\}|\{(\w+)\}")


class Draft(Struct, frozen=True):
    """A message ready to send."""

    message: str
    audience: str
    subject: str
    body: str


def render(message: Message, facts: Mapping[str, str]) -> Draft:
    """Fill in the template. An unknown fact becomes "(name unknown)". Braces inside a fact are not expanded."""

    def fill(text: str) -> str:
        def one(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            return facts.get(match[1], f"({match[1]} unknown)")

        return _BRACES.sub(one, text)

    body = "\n".join(line.rstrip() for line in clean_block(fill(message.body), 20_000).strip().split("\n"))
    return Draft(message.id, message.audience, clean_line(fill(message.subject), 200), body)
