"""`rollout analyze quality`, `draft-gold` and `mark-gold`: keywords against people's own choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.context import CliContext
from console.output import FILE, Failed, readable, say, say_result, verb, write_chunks, wrote
from engine.text import clean_line, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.extraction.keywords import Budget
    from engine.quality.gold import GoldFile
    from engine.store.documents import Document

METHODS = ("llm", "frequency")
NAMED = 3  # ids in a sentence


@click.command("quality")
@click.option("--gold", type=FILE, required=True, help='JSON lines {"id": ..., "keywords": [...]}.')
@click.option(
    "--method",
    type=click.Choice(["both", *METHODS]),
    default="both",
    show_default=True,
    help="Which keywords to measure.",
)
@click.argument("folder", type=FILE, required=False)
@verb
def quality(context: CliContext, gold: Path, method: str, folder: Path | None) -> None:
    """Measure either method against a gold file: precision, recall, F1 with 95 % intervals.

    With FOLDER, frequency keywords are computed from its files, whose ids are their paths in it; otherwise they come
    from the store. LLM keywords, served or shadow, come from the store: load the documents first (rollout load --method
    llm FOLDER).
    """
    from engine.quality import gold as judged

    file = _read_gold(gold)
    keywords = _keywords(context, [row.id for row in file.rows], METHODS if method == "both" else (method,), folder)
    measurements = [judged.measured(name, file.rows, of) for name, of in keywords.items()]
    if not any(one.figures for one in measurements):
        raise Failed(
            f"No document of {gold} has keywords here: none of its ids, such as {clean_line(file.rows[0].id, 80)!r}, "
            f"is the id of a document in {folder or 'the store'}. An id is the document's path: `rollout analyze "
            "draft-gold` writes them."
        )
    apart = judged.difference(file.rows, keywords["llm"], keywords["frequency"]) if len(keywords) == 2 else None
    lines = [judged.sentence(one) for one in measurements]
    if apart is not None:
        lines.append(
            f"LLM less frequency, F1@10, same documents: {100 * apart.low:+.1f} to {100 * apart.high:+.1f} points."
        )
    if any(0 < one.documents < judged.FEW_DOCUMENTS for one in measurements):
        lines.append(f"Fewer than {judged.FEW_DOCUMENTS} documents: the intervals are wide. Aim for 50.")
    absent = {name: [row.id for row in file.rows if row.id not in of] for name, of in keywords.items()}
    missing = {name: len(ids) for name, ids in absent.items() if ids}
    answer = {
        "gold": str(gold),
        "gold_documents": len(file.rows),
        "methods": [judged.as_json(one) for one in measurements],
        "difference_f1_10": None if apart is None else {"low": round(apart.low, 4), "high": round(apart.high, 4)},
        "missing": missing,
        "missing_ids": absent,
        "without_keywords": list(file.without_keywords),
        "not_done": list(file.not_done),
    }
    say_result(answer, "\n".join([*lines, *_not_counted(file, absent, folder)]))


def _read_gold(gold: Path) -> GoldFile:
    from engine.quality.gold import read_gold

    with readable(gold, "The console's help page Quality (?) describes how to build one."):
        return read_gold(gold.read_bytes(), str(gold))


def _not_counted(file: GoldFile, absent: Mapping[str, Sequence[str]], folder: Path | None) -> list[str]:
    """A sentence for each reason why documents do not count. `absent`: ids without keywords, by method."""
    lines = [_without_keywords(name, ids, len(file.rows), folder) for name, ids in absent.items() if ids]
    if empty := file.without_keywords:
        lines.append(f"Not counted: {counted(len(empty), 'document')} without gold keywords ({_some(empty)}).")
    if unfinished := file.not_done:
        lines.append(
            f"Not counted: {counted(len(unfinished), 'document')} not marked as done ({_some(unfinished)}): finish "
            "with `rollout analyze mark-gold`."
        )
    return lines


def _without_keywords(method: str, ids: Sequence[str], documents: int, folder: Path | None) -> str:
    name, way = ("LLM", "`rollout load --method llm FOLDER`") if method == "llm" else (method, "load them")
    if method == "frequency" and folder is not None:
        way = f"they aren't in {folder}"
    return f"Not counted: {counted(len(ids), 'document')} of {documents} without {name} keywords ({_some(ids)}): {way}."


def _some(ids: Sequence[str]) -> str:
    """The first few, as text."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(clean_line(name, 80) for name in ids[:NAMED]) + more


@click.command("draft-gold")
@click.option("--output", type=FILE, required=True, help="The file to write.")
@click.option(
    "--documents", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, spread evenly."
)
@click.argument("folder", type=FILE)
@verb
def draft_gold(context: CliContext, output: Path, documents: int, folder: Path) -> None:
    """Write proposals by both methods for people to turn into a gold file: delete what is wrong, add what is missing.

    The proposals of both methods are mixed in an order that favours neither.
    """
    from console.tables import as_lines
    from engine.quality.gold import draft

    if output.exists():
        raise Failed(f"{output} exists and may hold someone's edits; choose another name.")
    texts = _texts(folder)
    names = sorted(texts)
    step = max(1, len(names) // documents)
    chosen = names[::step][:documents]
    if not chosen:
        raise Failed(f"{folder} has no readable document. `rollout load --help` lists what can be read.")
    keywords_by = _keywords(context, chosen, METHODS, folder)
    proposals = {name: [keywords_by[method].get(name, ()) for method in METHODS] for name in chosen}
    write_chunks(output, as_lines({"id": name, "keywords": draft(both, name)} for name, both in proposals.items()))
    with_llm = sum(name in keywords_by["llm"] for name in chosen)
    load = f"load it first (rollout load --method llm {folder})"
    favours = f" A document without LLM proposals favours the frequency method: {load}."
    if with_llm == len(chosen):
        favours = ""
    wrote(
        output,
        f"Wrote {counted(len(chosen), 'document')} to {output}, {with_llm} with LLM proposals.{favours} Mark the right "
        f"ones: rollout analyze mark-gold --draft {output} --gold gold.jsonl {folder}",
    )


@click.command("mark-gold")
@click.option("--draft", type=FILE, required=True, help="What draft-gold wrote.")
@click.option("--gold", type=FILE, required=True, help="The gold file to write or continue.")
@click.argument("folder", type=FILE)
@verb
def mark_gold(context: CliContext, draft: Path, gold: Path, folder: Path) -> None:
    """Mark on a screen which proposed keywords are right, and add the missing ones.

    Shows each document of FOLDER next to the draft's proposals. The gold file is saved after each key; leave and
    come back at any time.
    """
    from console import themes
    from console.marking.app import Marking
    from console.terminal import escape
    from engine.files import write_whole
    from engine.quality.marking import Marked, gold_lines, started

    with readable(draft, "`rollout analyze draft-gold` writes a draft."):
        known = gold.read_bytes() if gold.exists() else b""
        documents = started(draft.read_bytes(), str(draft), known, str(gold))

    def save(marked: tuple[Marked, ...]) -> str:
        try:
            write_whole(gold, gold_lines(marked).encode())
        except OSError as error:
            return f"NOT SAVED: {gold} cannot be written: {error.strerror}."
        return ""

    texts = _texts(folder)
    if why := escape.unusable():
        raise Failed(why)
    display = context.display
    with escape.left_as_found():
        app = Marking(documents, texts, save, themes.choose(display.theme), display.ascii_only or escape.ascii_only())
        app.run(mouse=False)
    body = {"gold": str(gold), "done": app.done, "documents": len(documents)}
    rest = "" if app.done < len(documents) else f"\nMeasure with `rollout analyze quality --gold {gold}`."
    say(body, f"{app.done} of {len(documents)} documents are done in {gold}.{rest}")


def _texts(folder: Path) -> dict[str, str]:
    """The folder's texts by id, which is the path in the folder."""
    from console.upload import inputs, sources
    from console.upload.root import id_under, root_of

    if not folder.is_dir():
        raise Failed(f"{folder} is not a folder. Give the one whose documents the draft was made from.")
    root = root_of((str(folder),)) or folder
    texts_by_id = {}
    for path in inputs.files((str(folder),)):
        for source in sources.documents(path, id_under(root, path)):
            if source.text:
                texts_by_id[source.id] = source.text
    return texts_by_id


def _keywords(
    context: CliContext, names: list[str], methods: tuple[str, ...], folder: Path | None
) -> dict[str, Mapping[str, tuple[str, ...]]]:
    """Keywords by method and document, where known."""
    known = stored(context, names) if "llm" in methods or folder is None else {}
    keywords_by: dict[str, Mapping[str, tuple[str, ...]]] = {}
    if "llm" in methods:
        by_llm = {name: d.llm if d.llm is not None else d.shadow for name, d in known.items()}
        keywords_by["llm"] = {name: keywords for name, keywords in by_llm.items() if keywords is not None}
    if "frequency" in methods:
        keywords_by["frequency"] = (
            _computed(context, names, folder) if folder else {name: d.frequency for name, d in known.items()}
        )
    return keywords_by


def _computed(context: CliContext, names: list[str], folder: Path) -> dict[str, tuple[str, ...]]:
    from engine.extraction.frequency import extract
    from engine.parsing import parse
    from engine.routing.admission import admitted

    budget, texts = _budget(context), _texts(folder)
    return {name: extract(parse(admitted(texts[name]), name), budget=budget).ranked for name in names if name in texts}


def _budget(context: CliContext) -> Budget:
    from engine.extraction.keywords import Budget

    plan = context.plan_or_none
    return Budget(plan.llm.max_total, plan.llm.max_descriptive, plan.llm.max_technical) if plan else Budget()


def stored(context: CliContext, names: Sequence[str]) -> dict[str, Document]:
    """The store's documents; {} without a store."""
    from engine.store import documents
    from engine.store.folder import StoreError

    try:
        rows = context.reader.read(lambda conn: [documents.get(conn, name) for name in names])
    except (Failed, StoreError):
        return {}
    return {d.id: d for d in rows if d is not None}
