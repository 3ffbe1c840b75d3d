"""Patches: what precedes them, and the changed lines as the program they are."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from engine.parsing import plain, source
from engine.parsing.model import Format, Raw

MARK = re.compile(r"^(?:diff --git |--- \S[^\n]*\n\+\+\+ \S|Index: \S[^\n]*\n=+\n)", re.M)
_FILE = re.compile(r"^(?:diff --git \S+ b/|\+\+\+ (?:b/)?|Index: )([^\s]{1,300})", re.M)
_HEADER = re.compile(
    r"diff --git |index [0-9a-f]{4,}|--- |\+\+\+ |@@ |Index: |={10,}|(?:new|deleted) file mode |(?:old|new) mode "
    r"|similarity index |rename |copy |Binary files |\\ No newline|GIT binary patch"
)


def parse(text: str) -> Raw:
    begun = MARK.search(text)
    at = begun.start() if begun else 0
    files = list(dict.fromkeys(file for file in _FILE.findall(text) if file != "/dev/null"))
    code = [line[1:] for line in text[at:].split("\n") if not _HEADER.match(line)]
    suffix = PurePosixPath(files[0]).suffix.lower() if files else ""
    about = plain.parse(text[:at]) if text[:at].strip() else None
    read = source.parse("\n".join(code), suffix if suffix in source.SUFFIXES else "")
    title = about.title if about else ", ".join(files[:3])
    return Raw(Format.DIFF, [*(about.blocks if about else ()), *read.blocks], title)
