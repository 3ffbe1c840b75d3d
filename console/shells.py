"""Where the shells' words are not click's: bash breaks a word at `=` and `:`, zsh and fish replace `--for=st` whole."""

from __future__ import annotations

import os
from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

BREAKS = "=:"  # of bash's COMP_WORDBREAKS, those that our values have: stage=2, an id with a colon


class Bash(BashComplete):
    """Reads the line instead of bash's words, and answers with what follows the last break."""

    # a script that an open shell took from an older version passes no line
    source_template = BashComplete.source_template.replace(
        "$(env ", '$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" ', 1
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE")
        if line is None:
            return super().get_completion_args()
        words = split_arg_string(line)
        typed = words.pop() if not line[-1:].isspace() else ""
        return words[1:], typed

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        found = super().get_completions(args, incomplete)
        typed = incomplete.partition("=")[2] if _has_value(incomplete) else incomplete
        breaks = set(BREAKS) & set(os.environ.get("COMP_WORDBREAKS", ""))
        cut = max((typed.rfind(sign) + 1 for sign in breaks), default=0)
        for item in found:
            if item.type == "plain" and not item.value.startswith("-"):
                item.value = item.value[cut:]
        return found


class _WholeWord(ShellComplete):
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        found = super().get_completions(args, incomplete)
        if _has_value(incomplete):
            option = incomplete.partition("=")[0]
            for item in found:
                if item.type == "plain":
                    item.value = f"{option}={item.value}"
        return found


class Zsh(_WholeWord, ZshComplete):
    pass


class Fish(_WholeWord, FishComplete):
    pass


def _has_value(word: str) -> bool:
    return word.startswith("--") and "=" in word


def use() -> None:
    """Have click take these in place of its own."""
    for kind in (Bash, Zsh, Fish):
        add_completion_class(kind)
