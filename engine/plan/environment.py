"""What the engine reads from its environment: the plan's three variables (limits set at start) and its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.plan.model import Plan
from engine.text import clean_line

PERCENTAGE = "XZE_KEYWORD_EXTRACTION_ROLLOUT_PERCENTAGE"
AB_TEST = "XZE_KEYWORD_EXTRACTION_AB_TEST"
METRICS = "XZE_KEYWORD_EXTRACTION_METRICS"

_PERCENT = re.compile(r"(?a:\d{1,3}(\.\d{1,2})?)")
_YES_NO = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class EnvironmentProblem(ValueError):
    """An environment variable is unusable. The sentence names it, and never shows the value of a secret."""


@dataclass(frozen=True)
class Ceiling:
    """The limits that the environment sets; None where it sets none."""

    percent_bp: int | None = None
    ab_test: bool | None = None
    metrics: bool | None = None

    @property
    def may_test(self) -> bool:
        """Whether an A/B test may be declared. It is computed from metrics, so it needs both."""
        return self.ab_test is not False and self.measures

    @property
    def measures(self) -> bool:
        """Whether the engine records more than safety requires."""
        return self.metrics is not False

    @property
    def no_test(self) -> str:
        """Why no A/B test may be declared; "" when one may."""
        if self.metrics is False:
            return (
                f"{METRICS}=false: search quality is not measured, no A/B test is declared, and triggers keep "
                "evidence only when their verdict changes"
            )
        return f"{AB_TEST}=false: no A/B test is declared" if self.ab_test is False else ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the variables prevent, one sentence each."""
        most = f"{(self.percent_bp or 0) / 100:g}"
        cap = f"{PERCENTAGE}={most}: at most {most} % of documents go to the LLM" if self.percent_bp is not None else ""
        return tuple(sentence for sentence in (cap, self.no_test) if sentence)


NO_LIMIT = Ceiling()


def environment(plan: Plan, stage_number: int, percent_bp: int, limits: Ceiling = NO_LIMIT) -> list[str]:
    """The `export` lines for a stage at a percentage (not always the stage's own: see `halve`). `limits` may turn the
    test and the metrics off.

    Past the last stage (*stable*, or a stage that the plan no longer has) nothing is tested.
    """
    ab_test = stage_number < plan.stable and plan.stage(stage_number).ab_test and limits.may_test
    return [
        f"export {PERCENTAGE}={percent_bp / 100:g}",
        f"export {AB_TEST}={'true' if ab_test else 'false'}",
        f"export {METRICS}={'true' if limits.measures else 'false'}",
    ]


def ceiling(environ: Mapping[str, str]) -> Ceiling:
    """The limits set by the three variables. EnvironmentProblem lists each unreadable one, one sentence per line."""
    problems: list[str] = []
    percent_bp = None
    if PERCENTAGE in environ:
        text = environ[PERCENTAGE].strip()
        if _PERCENT.fullmatch(text) and float(text) <= 100:
            percent_bp = round(float(text) * 100)
        else:
            problems.append(
                f'{PERCENTAGE}="{clean_line(text, 60)}" is not a percentage; '
                "set a number from 0 to 100 such as 10 or 12.5, without %, or unset it"
            )
    switches: dict[str, bool | None] = {AB_TEST: None, METRICS: None}
    for name in switches:
        if name in environ:
            switches[name] = _YES_NO.get(environ[name].strip().lower())
            if switches[name] is None:
                shown = clean_line(environ[name], 60)
                problems.append(f'{name}="{shown}" is neither true nor false; set it to one of them, or unset it')
    if problems:
        raise EnvironmentProblem("\n".join(problems))
    return Ceiling(percent_bp, switches[AB_TEST], switches[METRICS])


def secret(environ: Mapping[str, str], name: str) -> str:
    """The API key or token in the variable `name`; "" if unset. EnvironmentProblem if an HTTP header cannot carry it.

    Surrounding white space is stripped: an EnvironmentFile, a file with Windows line endings and copy-paste all leave
    some.
    """
    value = environ.get(name, "").strip() if name else ""
    for place, character in enumerate(value, 1):
        if not "!" <= character <= "~":
            raise EnvironmentProblem(
                f"{name} cannot be sent in an HTTP header: its character {place} of {len(value)} is "
                f"{_kind(character)}. Copy the key again, without quotes, spaces or line breaks in it."
            )
    return value


def _kind(character: str) -> str:
    """Names what is wrong with a character of a secret without showing it."""
    if character in "\r\n":
        return "a line break"
    if character.isspace():
        return "white space"
    return "not ASCII" if ord(character) > 127 else "a control character"
