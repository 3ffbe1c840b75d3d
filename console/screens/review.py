"""Quality review: a seeded sample of LLM documents, both methods' keywords side by side, judged with single keys.

In a blind sample the lists are A and B in a random order; keys refer to a side, and the engine maps it back to the
method. No screen reveals the methods before the reviewer has judged the whole sample, and then only in totals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from msgspec.structs import replace
from textual.binding import BindingType

from console import explain
from console.screens.ask import QuestionDialog
from console.screens.fetching import FetchingPage
from console.screens.page import Hint, key
from console.screens.review_marks import SIDES, UnsentMarks
from console.upload.referenced import text_of
from console.widgets import blocks
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas, Span, wrapped
from console.widgets.reviewed import FLAW_KEYS, together
from console.widgets.unreviewed import unreviewed
from engine.client.client import Reply
from engine.quality import review
from engine.quality.compare import DocumentComparison, ExportRow, KeywordStats, compare
from engine.quality.review import Better, Flaw, Sample, SampledDocument, Side, StoredJudgement
from engine.store import documents
from engine.store.documents import Document
from engine.text import rate_percent
from engine.view.model import View

LATEST = 80  # documents listed before a sample is drawn

UNSAVED = "marks not saved: a b e saves them"
GONE = "The text is no longer in the store."


class Review(FetchingPage):
    NUMBER: ClassVar[int] = 5
    TITLE: ClassVar[str] = "Quality review"
    ABOUT: ClassVar[str] = "judge a sample of LLM keywords; the verdict is evidence in the gate"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("d", "draw(False)", "draw a sample (20 or 50, as the stage asks)"),
        key("D", "draw(True)", "draw a blind sample: the lists don't show their method"),
        key("a", "better('left')", "the left list is better; next document"),
        key("b", "better('right')", "the right list is better; next"),
        key("e", "better('same')", "the lists are equally good; next"),
        key("r", "flaw('relevant')", "mark: not relevant (again: relevant)"),
        key("i", "flaw('grounded')", "mark: something is invented"),
        key("n", "flaw('count')", "mark: the wrong number, not 10 to 15"),
        key("tab", "turn", "blind: switch to the other list"),
        key("j,right,l", "step(1)", "next document"),
        key("k,left,h", "step(-1)", "previous document"),
        key("space,pagedown,down", "scroll(1)", "scroll down"),
        key("pageup,up", "scroll(-1)", "scroll up"),
        key("f", "flawed", "next document you marked as bad"),
        key("v", "verdict", "the reviewers' combined result, and back"),
        key("m", "measure", "measure search quality now"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sample: Sample | None = None
        self.latest: list[Document] = []  # before a sample is drawn
        self.judged: tuple[StoredJudgement, ...] = ()
        self.at = 0
        self.document: Document | None = None
        self.compared: DocumentComparison | None = None
        self.textless = ""  # why the document shows no text
        self.marks = UnsentMarks()
        self.side: Side = "first"  # the list that r, i and n mark
        self.top = 0  # first visible line of the text
        self.page_rows = 5
        self.summing = False
        self.beat = 0  # incremented on every judgement or draw
        self._placed = 0  # the sample whose starting position is known

    # -- the subject ---------------------------------------------------------------------------------------------------

    @property
    def shown(self) -> SampledDocument | None:
        return self.sample.documents[self.at] if self.sample and self.at < len(self.sample.documents) else None

    @property
    def mine(self) -> dict[str, StoredJudgement]:
        return {j.document: j for j in self.judged if j.reviewer == self.console.who}

    @property
    def done(self) -> bool:
        return self.sample is not None and len(self.mine) >= len(self.sample.documents)

    @property
    def left(self) -> Side:
        """The left side: the first list when blind, else the LLM's."""
        if self.sample is None or self.shown is None or self.sample.blind:
            return "first"
        return "first" if self.shown.first == "llm" else "second"

    @property
    def right(self) -> Side:
        return "second" if self.left == "first" else "first"

    def hints(self) -> tuple[Hint, ...]:
        if self.sample is None:
            return (
                ("d", "draw a sample", "draw(False)"),
                ("D", "draw one, blind", "draw(True)"),
                ("m", "measure search quality", "measure"),
            )
        if self.summing:
            return (
                ("v", "back to the documents", "verdict"),
                *((("f", "next bad one", "flawed"),) if self._flawed else ()),
                ("d", "draw", "draw(False)"),
                ("D", "blind", "draw(True)"),
            )
        better: tuple[Hint, ...] = (
            ("a", "LLM better" if not self.sample.blind else "A", "better('left')"),
            ("b", "frequency" if not self.sample.blind else "B", "better('right')"),
            ("e", "equal", "better('same')"),
        )
        turn: tuple[Hint, ...] = (("tab", "list", "turn"),) if self.sample.blind else ()
        return (
            *better,
            ("r i n", "flaws", ""),
            *turn,
            ("j k", "move", ""),
            ("space", "text", "scroll(1)"),
            ("v", "results", "verdict"),
        )

    def explained(self) -> list[explain.Explained]:
        return explain.judgement(self.sample is not None and not self.summing)

    # -- reading -------------------------------------------------------------------------------------------------------

    def wanted(self) -> Any:
        v = self.snapshot.view
        if v is None:
            return None
        return (v.stage, v.entered_at, self.beat, self.at, int(v.at // max(5.0, 5 * v.speed)) if self.summing else 0)

    def fetch(self, wanted: Any) -> Callable[[], None]:
        stage, since, _, at, _ = wanted
        sample, judged = self.console.link.reader.read(lambda conn: review.latest(conn, stage, since))
        if sample is not None and sample.id != self._placed:
            mine = {j.document for j in judged if j.reviewer == self.console.who}
            at = next((i for i, one in enumerate(sample.documents) if one.document not in mine), 0)
        document, compared, why = None, None, ""
        if sample is not None and at < len(sample.documents):
            one = sample.documents[at]
            document = self.console.link.reader.read(lambda conn: documents.get(conn, one.document))
            text, why = text_of(document) if document is not None else ("", GONE)
            if document is not None:
                document = replace(document, text=text)
            rows = [ExportRow(side, one.document, "", text) for side in (one.llm, one.frequency)]
            compared = compare(rows[:1], rows[1:]).documents[0]

        latest = self.console.link.reader.documents("", LATEST, "llm") if sample is None else []

        def put() -> None:
            self.latest = latest
            fresh = sample is not None and sample.id != self._placed
            self.sample, self.judged = sample, judged
            if fresh or at == self.at:
                moved = fresh or self.document is None or document is None or self.document.id != document.id
                self.at, self.document, self.compared, self.textless = at, document, compared, why
                if moved:
                    self._open()
            if fresh and sample is not None:
                self._placed = sample.id
                self.summing = self.done

        return put

    def _open(self) -> None:
        """Show a document with its marks, given earlier or counted by the machine."""
        self.top, self.side = 0, self.left
        if self.sample is not None and self.shown is not None:
            self.marks.open(self.sample, self.shown, self.mine.get(self.shown.document))

    @property
    def marks_are_shown(self) -> bool:
        """Whether the marks on screen are of the document that is to be shown."""
        sample, shown = self.sample, self.shown
        return sample is not None and shown is not None and self.marks.are_of(sample, shown.document)

    # -- painting ------------------------------------------------------------------------------------------------------

    def paint(self, c: Canvas, v: View, y: int) -> None:
        if self.trouble:
            c.block(1, y + 1, c.width - 2, 3, self.trouble, "bad")
        elif self.sample is None:
            self._nothing(c, v, y)
        elif self.summing:
            together(c, self.area(c, y), self.sample, review.summary(self.judged), self.done)
        else:
            self._document(c, y)

    def _nothing(self, c: Canvas, v: View, y: int) -> None:
        stages = self.console.plan.stages
        sampling = stages[min(v.stage, len(stages) - 1)].sampling
        unreviewed(c, self.area(c, y), v, sampling, self.latest, self.acts)

    def _document(self, c: Canvas, y: int) -> None:
        sample, shown = self.sample, self.shown
        if sample is None or shown is None:
            return
        area = self.area(c, y)
        self._progress(c, area.y, sample, self.mine.get(shown.document))
        c.put(area.x, area.y + 1, shown.title or shown.document, "strong", area.width)
        frame = blocks.frame_rows(c)
        halves = blocks.beside(area, (1, 1), 1 if frame == 2 else 2)
        width = blocks.inside(c, halves[0]).width
        longest = max(len(wrapped(", ".join(shown.side(side)), width)) for side in (self.left, self.right))
        room = area.height - 3  # for progress, title and marks
        lists = max(3, min(longest + frame, room - frame - 3))  # keywords first: the text can scroll
        top = area.y + 2
        self._text(c, Area(area.x, top, area.width, room - lists), shown)
        for half, side, name in zip(halves, (self.left, self.right), ("A", "B"), strict=True):
            self._list(c, Area(half.x, top + room - lists, half.width, lists), shown, side, name)
        if self.marks_are_shown:
            self._marks(c, area.y + area.height - 1)

    def _progress(self, c: Canvas, y: int, sample: Sample, known: StoredJudgement | None) -> None:
        many = len(sample.documents)
        x = c.put(1, y, f"{self.at + 1}/{many} ", "strong")
        blocks.meter(c, x, y, 10, len(self.mine) / many, "accent")
        end = c.width - 1
        if known is not None:
            unsaved = self.marks_are_shown and self.marks.differ_from(known)
            summary = UNSAVED if unsaved else self._summary(known)
            end = c.right(end, y, summary, "ok" if (known.marks.good or sample.blind) and not unsaved else "warn")
        how = "blind" if sample.blind else "open"
        drawn = f"{len(self.mine)} judged by you · {how}, drawn by {sample.actor}, seed {sample.seed}"
        c.put(x + 11, y, drawn, "dim", end - x - 13)

    def _summary(self, known: StoredJudgement) -> str:
        marks = known.marks
        if self.sample is not None and self.sample.blind:
            side = {"first": "A better", "second": "B better", "same": "equal"}[marks.better]
            return f"your answer: {side}"
        return f"your verdict: {'good' if marks.good else 'not good'}"

    def _text(self, c: Canvas, area: Area, shown: SampledDocument) -> None:
        fetched = self.marks_are_shown  # else the text is that of the document before
        text = self.document.text if fetched and self.document is not None else ""
        inner = blocks.inside(c, area)
        lines = [line for part in text.splitlines() for line in wrapped(part.rstrip(), inner.width)]
        self.page_rows = max(1, inner.height - 1)
        self.top = blocks.scrolled(c, area, shown.document, lines, self.top)
        if fetched and not text:
            c.block(inner.x, inner.y, inner.width, inner.height, self.textless or GONE, "warn")

    def _list(self, c: Canvas, area: Area, shown: SampledDocument, side: Side, name: str) -> None:
        keywords = shown.side(side)
        if self.sample is not None and not self.sample.blind:
            name = "LLM" if side == self.left else "frequency"
        grounding = self._automatic(side)
        facts = [f"{len(keywords)} keywords"]
        if grounding is not None and grounding.grounded is not None:
            facts.append(f"{rate_percent(grounding.grounded, 0)} grounded")
        if grounding is not None and grounding.duplicates:
            facts.append(f"{grounding.duplicates} twice")
        compared = self._comparison
        if side == self.right and compared is not None and compared.overlap is not None:
            facts.append(f"{rate_percent(compared.overlap, 0)} alike")
        while len(name) + len(", ".join(facts)) + 9 > area.width and len(facts) > 1:
            facts.pop()
        inner = blocks.panel(c, area, name, ", ".join(facts), "dim")
        c.block(inner.x, inner.y, inner.width, inner.height, ", ".join(keywords) or "no keywords", "text")

    @property
    def _comparison(self) -> DocumentComparison | None:
        """Of the document shown; None until it is read."""
        return self.compared if self.marks_are_shown else None

    def _automatic(self, side: Side) -> KeywordStats | None:
        compared, shown = self._comparison, self.shown
        if compared is None or shown is None:
            return None
        return compared.llm if (shown.first == "llm") == (side == "first") else compared.frequency

    def _marks(self, c: Canvas, y: int) -> None:
        blind = self.sample is not None and self.sample.blind
        name = f"list {'A' if self.side == self.left else 'B'}: " if blind else "LLM's: "
        parts: list[Span] = [(name, "head")]
        for letter, flaw, good, bad in FLAW_KEYS:
            flawed = flaw in self.marks.of(self.side)
            parts += [
                (f"{letter} ", "key"),
                (f"✖ {bad}" if flawed else f"✔ {good}", "bad" if flawed else "ok"),
                ("   ", "text"),
            ]
        c.spans(1, y, parts)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def action_step(self, by: int) -> None:
        if self.sample is None:
            return
        self.summing = False
        self.at = max(0, min(len(self.sample.documents) - 1, self.at + by))
        self.refreshed()

    @property
    def _flawed(self) -> list[int]:
        """Documents whose LLM list this reviewer marked as bad. Empty when blind, because it would reveal the
        methods."""
        if self.sample is None or self.sample.blind:
            return []
        mine = self.mine
        return [
            i
            for i, one in enumerate(self.sample.documents)
            if one.document in mine and not mine[one.document].marks.good
        ]

    def action_flawed(self) -> None:
        flawed = self._flawed
        if not flawed:
            self.console.say("You haven't marked any document in this sample as bad.", "caution")
            return
        self.at = next((i for i in flawed if i > self.at or (self.summing and i >= self.at)), flawed[0])
        self.summing = False
        self.refreshed()

    def action_scroll(self, pages: int) -> None:
        self.top = max(0, self.top + pages * self.page_rows)
        self.repaint()

    def action_verdict(self) -> None:
        self.summing = not self.summing
        self.beat += 1
        self.refreshed()

    def action_turn(self) -> None:
        if self.sample is not None and self.sample.blind:
            self.side = self.right if self.side == self.left else self.left
            self.repaint()

    def action_flaw(self, flaw: Flaw) -> None:
        if self.marks_are_shown and not self.summing:
            self.marks.turn(self.side, flaw)
            self.repaint()

    def action_draw(self, blind: bool) -> None:
        def drawn(reply: Reply) -> None:
            if reply.ok:
                self.summing, self.at = False, 0
                self.beat += 1
                self.refreshed()

        def go() -> None:
            self.console.act("sample", drawn, blind=blind)

        if self.sample is None or self.done:
            go()
            return
        facts = [
            f"You have judged {len(self.mine)} of {len(self.sample.documents)} in this sample. Your "
            "judgements are kept and count."
        ]
        self.console.push_screen(
            QuestionDialog("Draw another sample?", facts, "draw", "continue with this sample"),
            lambda yes: go() if yes is not None else None,
        )

    def action_better(self, which: str) -> None:
        sample, shown = self.sample, self.shown
        if sample is None or shown is None:
            self.console.say("Draw a sample first: d.", "caution")
            return
        if self.summing or not self.marks_are_shown:
            return
        better: Better = "same" if which == "same" else self.left if which == "left" else self.right
        sides = SIDES if sample.blind else (self.left,)
        flaws = {side: sorted(self.marks.of(side)) for side in sides if self.marks.of(side)}
        at, changed = self.at, shown.document in self.mine

        def judged(reply: Reply) -> None:
            if not reply.ok:
                return
            self.marks.sent(sample, shown.document)
            self.beat += 1
            after = self._after(at, changed)
            self.at, self.summing = (at, True) if after is None else (after, False)
            self.refreshed()

        self.console.act("judge", judged, sample=sample.id, document=shown.document, better=better, flaws=flaws)

    def _after(self, at: int, changed: bool) -> int | None:
        """Where a judgement of document `at` leads: the next one that is not judged, from the start again after the
        last; once all are, the next one after a change of one, else the results (None)."""
        sample = self.sample
        if sample is None:
            return None
        judged = self.marks.sent_of(sample) | self.mine.keys()
        many = len(sample.documents)
        left = [i for i in (*range(at + 1, many), *range(at)) if sample.documents[i].document not in judged]
        return next(iter(left), at + 1 if changed and at + 1 < many else None)

    def action_measure(self) -> None:
        self.console.act("measure")
