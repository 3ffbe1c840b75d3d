"""Change logs: what was changed, without the headings and verbs that all of them share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.parsing.lists import either, lists
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

_LISTS = lists("changelog")
_TITLE = pattern(
    r"\b(?:change[ -]?logs?|changes|release notes?|history|what'?s new|news|releases|release history"
    r"|version history|upgrade notes|changements|änderungen|journal des modifications)\b",
    re.I,
)
_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DATE = (  # Tue Jan 17 18:53:00 CET 2023; 18 January 2023; Sep 14, 2026
    rf"(?:(?:{_DAY}),? )?(?:\d{{1,2}}\.? (?:{_MONTH})|(?:{_MONTH}) +\d{{1,2}}),?"
    r"(?: [\d:]{5,8})?(?: [A-Z]{2,5})? \d{4}"
)
_VERSION = pattern(
    r"^\W{0,4}(?:(?:version|release|released|v|ver\.?|unreleased|next|upcoming|[\w.@/-]{1,40})\W{0,3}\s?)?(?:v"
    r"|r)?\d+(?:\.\d+|\.x){1,3}[\w.+-]{0,20}\b.{0,60}$"
    r"|^\W{0,3}(?:new|changes|what'?s new) in (?:version |release )?v?\d+(?:\.\d+){0,3}\b.{0,40}$"
    rf"|^\W{{0,3}}{_DATE}\b.{{0,60}}$"
    r"|^\W{0,3}(?:unreleased|next|upcoming|main|master|head|version \d+|\d{4}-\d\d-\d\d)\b.{0,50}$",
    re.I,
)
_KIND = pattern(rf"^\W{{0,6}}(?:{either(_LISTS['of_kinds'])}\s+){{0,2}}{either(_LISTS['kinds'])}\W{{0,6}}$", re.I)
_VERB = pattern(
    r"^(?:(?:feat|fix|chore|docs?|perf|refactor|test|build|ci|style|revert|deps)(?:\([\w@/.,* -]{1,40}\))?!?:\s*)?"
    r"(?:\W{0,3}(?:#\d{1,6}|GH-?\d{1,6}|bpo-\d+|gh-\d+|bug ?#?\d+|issue ?#?\d+|PR ?#?\d+)\W{1,3}){0,2}"
    r"(?:[*_]{0,2}\[?(?:breaking|security|fixed|new|feature|bugfix|bug|change|api|major|minor|internal"
    r"|enhancement)(?:\][*_]{0,2}:?\s+|[*_]{0,2}:\s+))?"
    r"(?:(?:also|now|properly|correctly|no longer|don't|do not|a|an|the)\s+){0,2}"
    rf"(?:{either(_LISTS['verbs'])}\b[:\s]+){{0,2}}",
    re.I,
)
_UPKEEP = pattern(either(_LISTS["upkeep"]), re.I)
_NAME = r"[A-ZÀ-Þ][\w.'’-]*[a-zß-ÿ'’.]"
_PERSON = rf"{_NAME}(?: (?:(?:van|von|de|der|da|di|la|le)\s)?{_NAME}){{1,3}}"
_PEOPLE = rf"{_PERSON}(?:(?:,? and |, ?| & ){_PERSON}){{0,8}}"
_BY = pattern(rf"\s*[(*\[_]{{1,2}}(?:{_PEOPLE}|by {_PEOPLE}|thanks,? {_PEOPLE})[)*\]_]{{1,2}}\s*\.?\s*$")
# People credited for a change: names after such words, wherever they are.
_CREDIT = pattern(
    r"[\s,;.(]*\b(?i:thanks?(?: you)?,?(?: (?:to|go to|for the \w+ to))?"
    r"|(?:patch|fix|report|contribution|pr|work|idea)(?:e?s)? (?:from|by|of|to)"
    r"|(?:reported|contributed|submitted|suggested|found|spotted|noticed|provided|written|discovered"
    r"|implemented|proposed|requested|pointed out|fixed|added|credits?) (?:by|to)|courtesy of|by|from|via)"
    rf" {_PEOPLE}(?:\s*<[^<>\s]{{3,80}}>)?(?: (?:from|of|at) (?:[A-Z][\w.&-]*,? ?){{1,5}})?\)?(?=[\s.,;)]|$)"
)
# Words that every entry may have.
_BULLET = pattern(r"[*+•o-] +")
_FIX = pattern(
    r"\b(?:from )?upstream(?:'s)?\b(?: (?:commits?|changes|releases?|patch(?:es)?)\b)?:?\s*"
    r"|\b(?:(?:bug[ -]?)?fix(?:es|ed|ing)?\b:?\s*|(?:see (?:the )?)?(?:full )?change ?logs?\b)",
    re.I,
)
_REFERENCE = pattern(
    r"`[0-9a-f]{7,40}`"
    r"|^\W{0,3}\[*`?[0-9a-f]{7,40}`?\]*\s*-?\s*"
    r"|\s*\((?:[^()]{0,60}?(?:#\d+|GH-?\d+|\b[0-9a-f]{7,40}\b|pull request|issue|closes:? )[^()]{0,80})\)"
    r"|\[(?:#\d+|[0-9a-f]{7,40})\]|(?<!\w)(?:#|GH-|bpo-|gh-|PR-)\d{1,6}\b|\b[0-9a-f]{8,40}\b"
    r"|\s*(?:\b(?:by|thanks(?: to)?|via|from|reported by|patch by|contributed by)\s+"
    r"|[-–—(]\s*)(?:\[?@[\w-]{1,39}\]?(?:\([^()]{0,80}\))?(?:,? (?:and )?)?){1,6}(?:!\s*-|\s+in\s*)?\)?"
    r"|\(?\b(?:closes|fixes|resolves|refs?|see):? (?:#\d+[, ]*)+\)?",
    re.I,
)


def is_changelog(title: str, blocks: Sequence[Block]) -> bool:
    """Whether the title says so and two headings are versions, or most headings are versions or kinds of change."""
    heads = [block.text for block in blocks if block.kind == "heading"]
    versions = sum(1 for head in heads if _VERSION.match(head))
    kinds = sum(1 for head in heads if _KIND.match(head))
    if _TITLE.search(title) or (heads and _TITLE.search(heads[0])):
        return versions >= 1 or kinds >= 2
    return versions >= 2 and 2 * (versions + kinds) >= len(heads)


def is_kind(heading: str) -> bool:
    """Whether a heading names a kind of change or a version."""
    return _KIND.match(heading) is not None or _VERSION.match(heading) is not None


def content(blocks: Sequence[Block]) -> list[Block]:
    """Items without verbs and references, and headings that name a subject."""
    kept: list[Block] = []
    for block in blocks:
        if block.kind == "heading":
            if not (_VERSION.match(block.text) or _KIND.match(block.text)):
                kept.append(block)
        elif block.kind in ("text", "item"):
            if block.kind == "text" and (
                (_VERSION.match(block.text) and len(block.text) < 100) or _KIND.match(block.text)
            ):
                continue
            text = change(block.text)
            if text:
                kept.append(block._replace(text=text))
        elif block.kind == "code":
            kept.append(block)
    return kept


def entries(blocks: Sequence[Block]) -> list[Block]:
    """The blocks of a change log without markup: each line with a bullet is an entry, one with a version a heading."""
    made: list[Block] = []
    for line in "\n".join(block.text for block in blocks).split("\n"):
        bare = line.strip()
        if bullet := _BULLET.match(bare):
            made.append(Block("item", bare[bullet.end() :]))
        elif len(bare) < 100 and _VERSION.match(bare):
            made.append(Block("heading", bare, 2))
        elif bare and made and made[-1].kind == "item":
            made[-1] = made[-1]._replace(text=f"{made[-1].text} {bare}")
        elif bare:
            made.append(Block("text", bare))
    return made


def change(text: str) -> str:
    """The change as a topic: "crash of the parser on empty input" of "Fix crash of the parser on empty input (#12)"."""
    bare = _REFERENCE.sub("", text).strip()
    if any(map(str.isupper, bare[1:])) and len(bare) < 4000:
        bare = _CREDIT.sub("", _BY.sub("", bare))
    if _UPKEEP.fullmatch(bare.strip("._* ")):
        return ""
    verb = _VERB.match(bare) if len(bare) < 2000 else None
    return _FIX.sub("", bare[verb.end() :] if verb else bare).strip()


# -- Debian's and GNU's ------------------------------------------------------------------------------------------------

DEBIAN = pattern(r"^([a-z0-9][a-z0-9+.-]+) \(([^()\s]+)\)(?: [\w-]+)+; *\w+=", re.M)
GNU = pattern(
    r"^(?:19|20)\d\d-\d\d-\d\d[ \t]+\S.{1,60}<[^<>\s]{3,80}>[ \t]*$"
    r"|^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} [ \d]\d .{5,40}<?\S+@\S+>?[ \t]*$",
    re.M,
)
DATED = pattern(rf"^{_DATE}(?::|,| -)[ \t]*[A-Z][\w.-]{{1,30}}(?: [A-Z][\w.-]{{1,30}})?[ \t]*$", re.I | re.M)
GIT = pattern(r"commit [0-9a-f]{7,40}(?: \(.{1,200}\))?[ \t]*\n(?:\w{1,12}: .*\n){1,6}\s*\n {4}")
_GIT_NEXT = pattern(r"^commit [0-9a-f]{7,40}\b", re.M)
_GIT_FIELD = pattern(
    r"^(?:Author|AuthorDate|Commit|CommitDate|Date|Merge|Reflog|Refs|index|diff|[-+@]).*"
    r"|^ \S.{0,200} \| +(?:\d+ ?[-+]*|Bin .*)$|^ \d+ files? changed.*|^ +(?:create|delete|rename) mode? .*"
    r"|^ {4}[A-Z][\w-]{1,30}-by: .*|^ {4}(?:Cc|Change-Id|Fixes|Closes|Refs?|Bug|Link|See|Issue|PR)-?\w*: .*"
    r"|^[MADRC]\d*\t.*"
)
_MERGE = pattern(r"Merge (?:branch|pull request|remote-tracking branch|tag|commit)\b")
_SIGNED = pattern(r"^ -- .{3,120}$")
_ENTRY = pattern(r"^[ \t]+(?:[*+-]|\[)[ \t]?(.*)$")
_FILES = pattern(r"^[\w./*,{} +-]{1,120}(?:\([^()]{0,200}\))?(?:, [\w./-]+(?: \([^()]{0,100}\))?)*:\s*")


def parse(text: str) -> Raw:
    """The entries of a Debian, GNU or Git change log. Its title is the package's name, if it has one."""
    if GIT.match(text.lstrip()):
        return _of_git(text)
    match = DEBIAN.search(text[:4000])
    blocks: list[Block] = []
    entry: list[str] = []

    def flush() -> None:
        if entry:
            words = " ".join(entry)
            blocks.append(Block("item", words if match else _FILES.sub("", words)))
        entry.clear()

    for line in text.split("\n"):
        bare = line.strip()
        if (
            not bare
            or _SIGNED.match(line)
            or (line[0] not in " \t" and (DEBIAN.match(line) or GNU.match(line) or DATED.match(line)))
        ):
            flush()
        elif started := _ENTRY.match(line):
            flush()
            if not (bare.startswith("[") and bare.endswith("]")):  # [ Jane Doe ]
                entry.append(started[1])
        elif line[0] in " \t":
            entry.append(bare)
        else:
            flush()
            blocks.append(Block("text", bare))
    flush()
    return Raw(Format.CHANGELOG, content(blocks), f"{match[1]} changelog" if match else "")


def _of_git(text: str) -> Raw:
    """The messages of commits, as `git log` prints them."""
    blocks: list[Block] = []
    for commit in _GIT_NEXT.split(text):
        lines = [line for line in commit.split("\n") if line.startswith("    ") or not line.strip()]
        message = "\n".join(line.strip() for line in lines if not _GIT_FIELD.match(line)).strip()
        subject, _, rest = message.partition("\n\n")
        if _MERGE.match(subject):  # says which branches, not what changed
            subject = ""
        blocks += [Block("item", part.strip()) for part in (subject, *rest.split("\n\n")) if part.strip()]
    return Raw(Format.CHANGELOG, content(blocks))
