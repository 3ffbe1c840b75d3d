"""rollout.toml -> Plan, or all its mistakes at once, each with file, line, place, what is wrong and what is allowed."""

from __future__ import annotations

import hashlib
import re
import stat
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engine.plan.checks import RULES
from engine.plan.locate import NAME, is_lost
from engine.plan.model import Plan
from engine.plan.positions import Path as Place
from engine.plan.positions import dotted, find_places
from engine.plan.problems import PlanError, PlanProblem
from engine.plan.validate import build

__all__ = ["PlanError", "PlanProblem", "default_plan_text", "load_plan", "parse_plan"]

_DEFAULT = Path(__file__).with_name("default.toml")
_LARGEST = 1024 * 1024
_BOOLEAN = re.compile(r"=\s*(?:True|False|TRUE|FALSE)\b")
_QUOTED = re.compile(r"'([^']*)'")
_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")


def load_plan(path: str | Path) -> Plan:
    """The plan in the file at `path`. PlanError lists everything wrong with it."""
    source = str(path)
    data = _bytes(path, source)
    return replace(parse_plan(_decoded(data, source), source), digest=hashlib.sha256(data).hexdigest())


def plan_text(path: str | Path) -> str:
    """The text of the file at `path`, valid or not. PlanError if there is none."""
    return _decoded(_bytes(path, str(path)), str(path))


def _bytes(path: str | Path, source: str) -> bytes:
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise _whole(source, "this is not a file; give the path of a rollout.toml")
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        lost = "the file is gone, and the store beside it ran with it; put it back"
        remedy = lost if is_lost(Path(path)) else "there is no such file; `rollout init` writes one"
        raise _whole(source, remedy) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _whole(source, f"it cannot be read ({reason}); check the path and who may read it") from None
    if len(data) > _LARGEST:
        raise _whole(source, "the file is larger than 1 MiB; that is not a rollout.toml")
    return data


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise PlanError(source, [PlanProblem("", line, message)]) from None


def parse_plan(text: str, source: str = NAME) -> Plan:
    """The plan in `text`; `source` names it in messages. PlanError lists everything wrong with it."""
    try:
        return replace(_parsed(text), source=source)
    except _Mistakes as error:
        raise PlanError(source, error.problems) from None


class _Mistakes(Exception):
    def __init__(self, problems: list[PlanProblem]) -> None:
        super().__init__()
        self.problems = problems


@lru_cache(maxsize=4)  # a start reads its plan twice, and reading the default one takes 10 ms
def _parsed(text: str) -> Plan:
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise _Mistakes([_of_all("lists or tables are nested too deep")]) from None
    except ValueError as error:
        raise _Mistakes([_syntax(str(error), text)]) from None
    one_url = _one_url(data)
    mistakes: list[tuple[Place, str]] = []

    def report(place: Place, message: str) -> None:
        # A consequence of a mistake already reported at the same place does not get a second line.
        if all(place != other[: len(place)] and other != place[: len(other)] for other, _ in mistakes):
            mistakes.append((place, message))

    plan = build(Plan, data, (), report)
    for rule in RULES:
        for place, message in rule(plan):
            report(place, message)
    if mistakes:
        if one_url:
            mistakes = [
                (("llm", "url") if place[:2] == ("llm", "urls") else place, message) for place, message in mistakes
            ]
        places = find_places(text)
        problems = [PlanProblem(dotted(place), places.line(place), message) for place, message in mistakes]
        raise _Mistakes(sorted(problems, key=lambda problem: problem.line or 0))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return replace(plan, digest=digest, text=text)


def default_plan_text() -> str:
    """The plan that ships with the product, as commented TOML."""
    return _DEFAULT.read_text("utf-8")


def _whole(source: str, message: str) -> PlanError:
    return PlanError(source, [_of_all(message)])


def _of_all(message: str) -> PlanProblem:
    return PlanProblem("", None, message)


def _syntax(error: str, text: str) -> PlanProblem:
    at = _AT_LINE.search(error)
    line = None if at is None else int(at[1] or text.count("\n") + 1)
    reason = _AT_LINE.sub("", error)
    if "Cannot overwrite" in reason:
        reason = "this key appears twice in its table; remove one"
    elif line and "Invalid value" in reason and _BOOLEAN.search(text.split("\n")[line - 1]):
        reason = "write true or false, in small letters and without quotes"
    elif "Invalid value" in reason:
        reason = 'this is not a value; put text in straight quotes, such as name = "Canary"'
    elif "Invalid statement" in reason or "Expected '=' after a key" in reason:
        reason = "a line here is a [table], key = value or a # comment"
    elif "Cannot declare" in reason:
        name = ".".join(_QUOTED.findall(reason))
        reason = f"the table {name} appears twice, or a key already has its name"
    elif "Expected newline or end of document" in reason:
        reason = "something follows the value; a number has no unit and no comma, and each key a line of its own"
    elif "Illegal character '\\n'" in reason or "Unterminated string" in reason:
        reason = "a text has no closing quote"
    return PlanProblem("", line, f"not valid TOML: {reason}")


def _one_url(data: dict[str, Any]) -> bool:
    """`url = "..."` under [llm] is shorthand for `urls` with one entry; True if the file uses it."""
    llm = data.get("llm")
    if not isinstance(llm, dict) or "url" not in llm or "urls" in llm:
        return False
    llm["urls"] = [llm.pop("url")]
    return True
