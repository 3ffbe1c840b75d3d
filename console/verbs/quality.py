"""`rollout analyze quality` and `draft-gold`: keywords against what people say they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.context import CliContext, Failed, json_option, say, wrote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.extraction.keywords import Budget
    from engine.store.documents import Document

METHODS = ("llm", "frequency")


@click.command("quality")
@click.option(
    "--gold", type=click.Path(path_type=Path), required=True, help='JSON lines {"id": ..., "keywords": [...]}.'
)
@click.option("--method", type=click.Choice(["both", *METHODS]), default="both", show_default=True)
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@json_option
@click.pass_obj
def quality(context: CliContext, gold: Path, method: str, folder: Path | None, as_json: bool) -> None:
    """Measure either method against a gold file: precision, recall, F1 with 95 % intervals.

    With FOLDER, frequency keywords are computed from its files, whose ids are their paths in it; without it they come from the store. LLM
    keywords come from the store, served or shadow: load the documents first (rollout load --method llm FOLDER).
    """
    from engine.quality import gold as judged

    try:
        rows = judged.read_gold(gold.read_bytes(), str(gold))
    except OSError as error:
        raise Failed(
            f"{gold} cannot be read: {error.strerror}. The console's help page Quality (?) says how to build one."
        ) from None
    except ValueError as error:
        raise Failed(str(error)) from None
    keywords = _keywords(context, [row.id for row in rows], METHODS if method == "both" else (method,), folder)
    found = [judged.measured(name, rows, of) for name, of in keywords.items()]
    if not any(one.figures for one in found):
        raise Failed(
            f"None of the {len(rows)} documents of {gold} has keywords here. Its ids must be the documents' ids; {_first(rows[0].id)}"
        )
    apart = judged.difference(rows, keywords["llm"], keywords["frequency"]) if len(keywords) == 2 else None
    lines = [judged.sentence(one) for one in found]
    if apart is not None:
        lines.append(
            f"LLM less frequency, F1@10, same documents: {100 * apart.low:+.1f} to {100 * apart.high:+.1f} points."
        )
    short = [one for one in found if 0 < one.documents < judged.FEW_DOCUMENTS]
    if short:
        lines.append(f"Fewer than {judged.FEW_DOCUMENTS} documents: the intervals are rough. 50 is a good number.")
    missing = {one.method: len(rows) - one.documents for one in found if one.documents < len(rows)}
    for name, count in missing.items():
        way = "rollout load --method llm FOLDER" if name == "llm" else "give their FOLDER, or load them"
        lines.append(f"{count} of {len(rows)} gold documents have no {name} keywords here and are not counted: {way}.")
    body = {
        "gold": str(gold),
        "gold_documents": len(rows),
        "methods": [judged.as_json(one) for one in found],
        "difference_f1_10": None if apart is None else {"low": round(apart.low, 4), "high": round(apart.high, 4)},
        "missing": missing,
    }
    say(body, "\n".join(lines), as_json)


def _first(name: str) -> str:
    return f"the first is {name!r}."


@click.command("draft-gold")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option(
    "--documents", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, spread evenly."
)
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def draft_gold(context: CliContext, output: Path, documents: int, folder: Path, as_json: bool) -> None:
    """Write proposals by both methods for people to turn into a gold file: delete what is wrong, add what is missing.

    The proposals of both methods are mixed in an order that favours neither.
    """
    from engine.quality.gold import draft

    if output.exists():
        raise Failed(f"{output} exists; choose another name, so that nobody's choices are lost.")
    texts = _texts(folder)
    names = sorted(texts)
    step = max(1, len(names) // documents)
    chosen = names[::step][:documents]
    if not chosen:
        raise Failed(f"{folder} has no document that can be read.")
    found = _keywords(context, chosen, METHODS, folder)
    lines = [
        json.dumps(
            {"id": name, "keywords": draft([found["llm"].get(name, ()), found["frequency"].get(name, ())], name)},
            ensure_ascii=False,
        )
        for name in chosen
    ]
    try:
        output.write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise Failed(f"{output} cannot be written: {error.strerror}.") from None
    with_llm = sum(name in found["llm"] for name in chosen)
    wrote(
        output,
        f"Wrote {len(chosen)} documents to {output}, {with_llm} with LLM proposals. Edit each line: delete wrong keywords, add missing ones.",
        as_json,
    )


def _texts(folder: Path) -> dict[str, str]:
    """The folder's documents by id: the path in the folder."""
    from console.upload import sources
    from console.upload.root import id_under, root_of

    if not folder.is_dir():
        raise Failed(f"{folder} is not a folder.")
    root = root_of((str(folder),)) or folder
    found = {}
    for path in sources.files((str(folder),)):
        for source in sources.documents(path, id_under(root, path)):
            if source.text:
                found[source.id] = source.text
    return found


def _keywords(
    context: CliContext, names: list[str], methods: tuple[str, ...], folder: Path | None
) -> dict[str, Mapping[str, tuple[str, ...]]]:
    """By method, then by document; only what is known."""
    stored = _stored(context, names) if "llm" in methods or folder is None else {}
    found: dict[str, Mapping[str, tuple[str, ...]]] = {}
    if "llm" in methods:
        by_llm = {name: d.llm if d.llm is not None else d.shadow for name, d in stored.items()}
        found["llm"] = {name: keywords for name, keywords in by_llm.items() if keywords is not None}
    if "frequency" in methods:
        found["frequency"] = (
            _computed(context, names, folder) if folder else {name: d.frequency for name, d in stored.items()}
        )
    return found


def _computed(context: CliContext, names: list[str], folder: Path) -> dict[str, tuple[str, ...]]:
    from engine.extraction.frequency import extract
    from engine.parsing import parse

    budget, texts = _budget(context), _texts(folder)
    return {name: extract(parse(texts[name], name), budget=budget).ranked for name in names if name in texts}


def _budget(context: CliContext) -> Budget:
    from engine.extraction.keywords import Budget

    plan = context.plan_or_none
    return Budget(plan.llm.max_total, plan.llm.max_descriptive, plan.llm.max_technical) if plan else Budget()


def _stored(context: CliContext, names: list[str]) -> dict[str, Document]:
    """The store's documents; none where there is no store."""
    from engine.store import documents
    from engine.store.folder import StoreError

    try:
        found = context.reader.read(lambda conn: [documents.get(conn, name) for name in names])
    except (Failed, StoreError):
        return {}
    return {d.id: d for d in found if d is not None}
