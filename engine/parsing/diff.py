"""Patches: what precedes them, and the changed lines as the program or text they are."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from engine.parsing import plain, source
from engine.parsing.model import Format, Raw
from engine.patterns import pattern

MARK = pattern(r"^(?:diff --git |--- \S[^\n]*\n\+\+\+ \S|Index: \S[^\n]*\n=+\n)", re.M)
_FILE = pattern(r"^(?:diff --git \S+ b/|\+\+\+ (?:b/)?|Index: )([^\s]{1,300})", re.M)
# what git writes between the message and the patch
_COUNTED = pattern(r"^(?:---| \S[^\n|]{0,200} \| +(?:\d+ ?[-+]*|Bin [^\n]*)| \d+ files? changed[^\n]*)[ \t]*$", re.M)
_HEADER = pattern(
    r"diff --git |index [0-9a-f]{4,}|--- |\+\+\+ |@@ |Index: |={10,}|(?:new|deleted) file mode |(?:old|new) mode "
    r"|similarity index |rename |copy |Binary files |\\ No newline|GIT binary patch"
)


def without_counts(message: str) -> str:
    """The text before a patch, without the number of lines that change in each file."""
    return _COUNTED.sub("", message)


def parse(text: str) -> Raw:
    begun = MARK.search(text)
    at = begun.start() if begun else 0
    files = list(dict.fromkeys(file for file in _FILE.findall(text) if file != "/dev/null"))
    patch = text[at:].partition("\n-- \n")[0]  # git signs with its version
    lines = "\n".join(line[1:] for line in patch.split("\n") if not _HEADER.match(line))
    suffix = PurePosixPath(files[0]).suffix.lower() if files else ""
    message = without_counts(text[:at])
    about = plain.parse(message) if message.strip() else None
    is_program = not suffix or suffix in source.SUFFIXES
    read = source.parse(lines, suffix) if is_program else plain.parse(lines)
    title = about.title if about else ", ".join(files[:3])
    return Raw(Format.DIFF, [*(about.blocks if about else ()), *read.blocks], title)
