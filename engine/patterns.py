"""Regular expressions that are compiled with their first use: most processes read few of the formats that the parsers
know, and compiling what finds their marks takes longer than importing them."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class LatePattern:
    """Behaves as the compiled expression. Its methods become its own with the first use, so that later uses cost no
    more than those of a compiled one."""

    def __init__(self, expression: str | bytes, flags: int) -> None:
        self._expression = expression
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self._expression, self._flags)
        self.__dict__ |= {known: getattr(compiled, known) for known in dir(compiled) if not known.startswith("_")}
        return getattr(compiled, name)


def pattern(expression: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    return cast("re.Pattern[AnyStr]", LatePattern(expression, flags))
