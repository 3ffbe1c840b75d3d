"""The report matches the store: figures by stage, incidents with their times, decisions with evidence, people's words as text."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec.structs import replace

from engine.plan.model import Action
from engine.report import RolloutReport, gather, html, incidents, markdown, summary
from engine.report.model import IncidentMoment
from engine.rollout.control import act, roll_back, set_ceiling
from engine.rollout.state import ENGINE
from tests.engine.report.history import ALICE, DAY, HOSTILE, History, whole

VOID = {"meta", "br", "img", "hr", "link", "input"}


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    made = whole()
    yield made
    made.conn.close()


@pytest.fixture(scope="module")
def story(history: History) -> RolloutReport:
    return gather(history.conn, history.plan)


@pytest.fixture(scope="module")
def page(story: RolloutReport) -> str:
    return html(story)


# -- the story ---------------------------------------------------------------------------------------------------------


def test_each_stage_has_the_figures_that_were_stored(story: RolloutReport) -> None:
    canary, limited = story.stages[2], story.stages[3]
    # the incident's 24 failures of 120 and then 1 of 400
    assert canary.error_rate.value == pytest.approx(25 / 520)
    assert (canary.error_rate.good, limited.error_rate.good) == (False, True)
    assert limited.error_rate.words == "0.25 % (1 of 400, at most 1.18 %)"
    assert limited.latency.value == pytest.approx(800.0)
    assert limited.cache.words == "33.3 % (200 of 600)"
    assert (limited.documents, limited.llm_documents) == (1000, 599)


def test_what_was_extracted_once_stable_is_in_every_sum_and_has_its_column() -> None:
    made = whole()
    before = gather(made.conn, made.plan)
    assert before.after is not None
    assert before.after.documents == 0
    made.wait(DAY)
    made.documents(100, failed=3)
    made.tell("restore", "restored", {"since": made.at, "documents": 100})
    after = gather(made.conn, made.plan)
    made.conn.close()
    assert after.after is not None
    assert after.after.error_rate.words.startswith("3 % (3 of 100")
    assert (after.after.waited_s, after.after.error_rate.good) == (0.0, False)
    total = sum(s.documents for s in after.measured)
    assert f"{total:,} documents extracted" in after.summary[0]
    assert f">{total:,}<" in html(after)
    assert "| Stage 5 (Full Rollout, 100 %) | Stable (after it was declared, 100 %) |" in markdown(after)
    assert dict(after.verdicts[-1].evidence)["since"].endswith("Z")


def test_a_report_is_of_one_moment_though_an_engine_writes_meanwhile(history: History, tmp_path: Path) -> None:
    stored = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    history.conn.backup(stored)
    stored.execute("PRAGMA journal_mode=WAL")
    (count,) = stored.execute("SELECT count(*) FROM decision").fetchone()
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)

    def forget(sql: str) -> None:
        if "FROM live" in sql:  # read after the log was
            other.execute("DELETE FROM rollup")

    stored.set_trace_callback(forget)
    answer = gather(stored, history.plan)
    assert answer.appendix.decisions == count
    assert answer.stages[2].documents > 0
    assert not stored.in_transaction
    other.close()
    stored.close()


def test_a_hold_and_the_rollback_after_it_are_one_incident(story: RolloutReport) -> None:
    (incident,) = story.incidents
    rows = [IncidentMoment(float(at), "seen", f"moment {at}") for at in range(6)]
    hold = replace(incident, rev=47, percent_to=1000, decided=2.0, happened=tuple(rows))
    rollback = replace(incident, rev=49, decided=4.0, happened=tuple(rows[:2] + rows[3:]))  # without the hold itself
    assert (hold.change, rollback.change) == ("held at 10 %", "10 % to 0 %")
    joined = incidents._within(hold, rollback)
    assert (joined.within, joined.happened) == (49, ())
    both = replace(story, incidents=(joined, rollback))
    assert summary._incident_words(both.incidents).startswith("1 incident, detected by a trigger; the rollback")
    alone_words = "1 incident, detected by a trigger; the rollback took effect after 40 ms."
    assert summary._incident_words(story.incidents) == alone_words
    assert "### Part of 1: " in markdown(both)
    shown = html(both)
    assert "Its moments are listed with" in shown
    assert ">Part of 1: " in shown  # the count, the numbers in the drawing and the headings are the same
    assert ">2. " not in shown
    apart = replace(rollback, happened=tuple(rows[4:]))
    assert incidents._within(hold, apart) == hold
    alone = replace(hold, happened=(rows[2],))
    assert incidents._within(alone, rollback) == alone, "nothing connects the two"


def test_an_incident_has_its_time_to_detect_to_decide_and_to_take_effect(story: RolloutReport) -> None:
    (incident,) = story.incidents
    assert (incident.trigger, incident.percent_from, incident.percent_to) == ("error_critical", 1000, 0)
    assert incident.detect_s == pytest.approx(180.0)  # the first failure to the first breach
    assert incident.decide_s == pytest.approx(300.0)
    assert incident.effect_s == pytest.approx(0.04)
    assert incident.cause.startswith("a full disk")


def test_incidents_are_counted_by_who_found_them() -> None:
    """An engine that finds its armed file removed rolls back without a trigger, and no trigger is credited with it."""
    h = History()
    for _ in range(3):
        h.up("a rollback is tried", ("all",))
    h.decide(roll_back(h.plan, h.state, h.ask(ALICE, "bad words"), 2))
    h.wait(60)
    h.decide(roll_back(h.plan, h.state, h.ask(ENGINE, "the armed file was removed")))
    down, removed = (replace(incident, within=None) for incident in gather(h.conn, h.plan).incidents)
    assert summary._incident_words((down,)) == "1 incident, detected by a person."
    assert summary._incident_words((removed,)) == "1 incident, detected by the engine."
    assert summary._incident_words((down, removed)) == "2 incidents, detected 1 by the engine, 1 by people."
    fired = replace(removed, trigger="error_high")
    assert summary._incident_words((down, fired)) == "2 incidents, detected 1 by triggers, 1 by people."
    assert summary._incident_words((fired, fired)) == "2 incidents, detected by triggers."
    h.conn.close()


def test_the_headline_is_of_what_is_in_force() -> None:
    h = History()
    for _ in range(3):
        h.up("a ceiling is tried", ("all",))
    h.decide(set_ceiling(h.state, h.ask(ALICE, "budget"), 500, h.state.epoch, ""))  # type: ignore[arg-type]
    assert "Limited Rollout at 5 % (the ceiling; 25 % decided), since" in gather(h.conn, h.plan).headline
    h.conn.close()


def test_bake_and_waiting_for_people_are_apart(story: RolloutReport) -> None:
    canary = story.stages[2]
    assert canary.visits == 2
    full = story.stages[5]
    assert full.baked_s == pytest.approx(7 * DAY)
    total = full.baked_s + full.figures_s + full.held_s + full.waited_s
    assert total == pytest.approx(full.spent_s)
    preparation = story.stages[0]
    assert (preparation.baked_s, preparation.waited_s) == (pytest.approx(DAY), pytest.approx(DAY / 2))


def test_an_override_is_prominent_with_its_reason_and_what_was_missing(story: RolloutReport) -> None:
    (override,) = story.overrides
    assert override.reason.startswith("the drill was done manually")
    assert "rollback_works" in dict(override.evidence)["missing"]


def test_the_same_store_gives_the_same_report(history: History, story: RolloutReport, page: str) -> None:
    again = gather(history.conn, history.plan)
    assert again == story
    assert html(again) == page


def test_a_store_in_which_nothing_happened_has_a_report_too() -> None:
    empty = History()
    result = gather(empty.conn, empty.plan)
    assert result.headline == "Nothing has been decided yet."
    assert "# Staged Rollout Plan" in markdown(result)
    assert "</html>" in html(result)
    for text in (markdown(result), html(result)):  # it claims nothing of gates, stages and times that were not there
        assert "1970" not in text
        assert "None: no gate has been passed yet." in text
        assert "The rollout has not begun: the log is empty." in text
    assert "| Complaints | not entered |" in markdown(result)
    empty.conn.close()


def test_a_hold_s_cost_is_until_the_hold_and_a_rate_s_axis_ends_at_100_percent() -> None:
    h = History()
    h.up("a hold is tried", ("all",))
    h.up("a hold is tried", ("all",))
    for second in range(0, 600, 60):
        h.documents(5, failed=5, at=h.at + second)
    h.wait(600)
    reading = {"value": 1.0, "held_s": 300.0, "for_s": 300.0}
    h.decide(act(h.plan, h.state, Action.pause, h.ask(ENGINE, "error_critical"), "errors", {"reading": reading}))
    result = gather(h.conn, h.plan)
    (held,) = result.incidents
    assert held.percent_to == held.percent_from == 1000
    assert "until promotion was held, 50 of 50 LLM calls failed" in held.cost
    assert ">100 %<" in html(result)
    assert ">200 %<" not in html(result)
    h.conn.close()


def test_the_plan_s_review_headings_ask_for_what_is_not_written_yet() -> None:
    empty = History()
    text = markdown(gather(empty.conn, empty.plan))
    for heading in ("What Went Well", "What Could Be Improved", "Lessons Learned", "Action Items"):
        assert f"### {heading}\n\n*Nothing written yet." in text
    empty.conn.close()


# -- as Markdown -------------------------------------------------------------------------------------------------------


def shown_by(tokens: Sequence[Token]) -> Iterator[str]:
    """Each text that a reader of rendered Markdown sees."""
    for token in tokens:
        yield from shown_by(token.children or ())
        if token.type in ("text", "code_inline", "fence", "text_special"):
            yield token.content


def words_of(texts: Iterable[str]) -> Counter[str]:
    return Counter(re.findall(r"\w+", " ".join(texts).lower()))


def test_markdown_has_the_plan_s_table(story: RolloutReport) -> None:
    (head,) = (line for line in markdown(story).splitlines() if line.startswith("| Metric |"))
    assert [cell.strip() for cell in head.strip("|").split("|")][1:3] == [
        "Stage 2 (Canary Rollout, 10 %)",
        "Stage 3 (Limited Rollout, 25 %)",
    ]


def test_markdown_says_all_that_the_html_says(story: RolloutReport) -> None:
    first = replace(story.verdicts[0], reason="One line.\n# and another")  # one that its sentence does not have
    story = replace(story, verdicts=(first, *story.verdicts[1:]))
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(story))
    shown = words_of(shown_by(tokens))
    page = Reader()
    page.feed(html(story))
    for name, texts in page.sections.items():
        assert words_of(texts) - shown == Counter(), name
    assert {moment for moment in page.moments if moment not in markdown(story)} == set()


def test_no_text_acts_as_markup_in_markdown(story: RolloutReport) -> None:
    text = markdown(story)
    assert "\x1b" not in text
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inside = {child.type for token in tokens for child in token.children or ()}
    assert {token.type for token in tokens if token.type.startswith("html")} == set()
    assert inside <= {"text", "text_special", "softbreak", "code_inline"} | {
        f"{kind}_{end}" for kind in ("strong", "em") for end in ("open", "close")
    }
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert not [heading for heading in headings if heading.startswith("not a heading")]
    shown = "".join(shown_by(tokens))
    assert shown.count(HOSTILE.replace("\x1b", "·")) >= 4  # a reason, a signature, a lesson, a subject


# -- as HTML -----------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Checks nesting, and collects what matters."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.moments: set[str] = set()
        self.sections: defaultdict[str, list[str]] = defaultdict(
            list
        )  # without times, and without what only the page needs

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.moments |= {value or "" for name, value in attrs if name == "datetime"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if not {"svg", "time", "caption", "summary"} & set(self.open):
            name = next((a["aria-labelledby"] for tag, a in reversed(self.tags) if tag == "section"), None)
            if name is not None:  # within the report, not the page's contents
                self.sections[name].append(data)


@pytest.fixture(scope="module")
def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_html_needs_nothing_from_anywhere(read: Reader, page: str) -> None:
    names = {tag for tag, _ in read.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style")]
        assert (attributes.get("href") or "#").startswith("#")
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "@import" not in page


def test_hostile_texts_are_shown_as_they_are(read: Reader, page: str) -> None:
    shown = "".join(read.texts)
    visible = HOSTILE.replace("\x1b", "·")
    assert shown.count(visible) >= 4  # a reason, a signature, a lesson, a subject
    assert "\x1b" not in page


def test_every_link_has_a_target_and_every_id_is_unique(read: Reader) -> None:
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in read.tags:
        if (href := attributes.get("href")) is not None:
            assert href.removeprefix("#") in ids


def test_tables_have_headers_and_drawings_describe_what_they_show(read: Reader) -> None:
    names = [tag for tag, _ in read.tags]
    assert names.count("svg") >= 5
    assert names.count("desc") == names.count("svg")
    for at, (tag, attributes) in enumerate(read.tags):
        if tag == "svg":
            assert (attributes["role"], names[at + 1], names[at + 2]) == ("img", "title", "desc")
            assert attributes["aria-label"]
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    assert names.count("caption") == names.count("table") > 3


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def chromium(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    quiet = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}",
    )  # fmt: skip
    assert CHROMIUM is not None
    return subprocess.run(
        [CHROMIUM, *quiet, *options],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path)},
    )


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_a_browser_shows_it_whole_and_prints_it(tmp_path: Path, page: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    pdf = tmp_path / "report.pdf"
    dom = chromium(tmp_path, "--dump-dom", file.as_uri()).stdout
    assert dom.count("<svg") == page.count("<svg")
    assert dom.count("<tr") == page.count("<tr")
    assert "<script" not in dom  # and a browser saw no tag where the text has one
    assert "<img" not in dom
    chromium(tmp_path, f"--print-to-pdf={pdf}", "--no-pdf-header-footer", file.as_uri())
    printed = pdf.read_bytes()
    assert printed.startswith(b"%PDF")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 40
