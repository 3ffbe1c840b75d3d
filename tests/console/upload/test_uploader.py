"""How many documents a load has on their way at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from console.upload.sources import Source
from console.upload.uploader import LEAST, MOST, MOST_CHARS, TOGETHER_CHARS, Answer, BoundedUploader, UploadRefused
from tests.machine import patience


class Engine:
    """Answers after 2 ms, and counts how many documents were there at once; by its clock each took `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at_once = self.most = self.ticks = 0
        self.requests: list[int] = []  # documents of each
        self._lock = threading.Lock()

    def clock(self) -> float:
        self.ticks += 1
        return self.ticks * self.seconds

    def extract(self, sources: Sequence[Source]) -> list[Answer | UploadRefused]:
        with self._lock:
            self.requests.append(len(sources))
            self.at_once += len(sources)
            self.most = max(self.most, self.at_once)
        time.sleep(0.002)
        with self._lock:
            self.at_once -= len(sources)
        return [
            UploadRefused("not this one") if source.id == "bad" else Answer({"id": source.id}) for source in sources
        ]


def carried(engine: Engine, sources: Iterable[Source], together: int = 1) -> dict[str, object]:
    crew, ends = BoundedUploader(engine.extract, together, engine.clock), {}
    for source in sources:
        crew.send(source)
        ends.update({done.id: end for done, end in crew.ends(until_room=True)})
    ends.update({done.id: end for done, end in crew.ends()})
    crew.stop()
    return ends


def short(count: int) -> list[Source]:
    return [Source(str(n), text="short") for n in range(count)]


def test_every_document_is_reported_once_and_a_refused_one_with_its_reason() -> None:
    ends = carried(Engine(0.001), [*short(200), Source("bad", text="x")])

    assert len(ends) == 201
    assert str(ends["bad"]) == "not this one"


def test_a_document_that_has_ended_is_reported_though_there_is_room_for_more() -> None:
    """A pipe may bring the next one in an hour."""
    crew = BoundedUploader(Engine(0.001).extract)
    crew.send(Source("first", text="short"))
    assert any(list(crew.ends(until_room=True)) or time.sleep(0.01) for _ in patience(10.0))
    crew.stop()


def test_many_documents_are_in_flight_where_answers_come_soon() -> None:
    engine = Engine(0.001)
    carried(engine, short(600))
    assert LEAST < engine.most <= MOST


def test_few_documents_are_in_flight_where_each_waits_long_so_that_none_times_out() -> None:
    engine = Engine(60.0)
    carried(engine, short(100))
    assert engine.most <= LEAST


def test_few_long_documents_are_in_flight_so_that_a_rollback_gets_its_turn() -> None:
    engine = Engine(0.001)
    carried(engine, [Source(str(n), text="x" * (MOST_CHARS // 10)) for n in range(150)])
    assert engine.most <= 10


def test_documents_that_share_requests_are_each_reported_once() -> None:
    engine = Engine(0.001)

    ends = carried(engine, [*short(120), Source("bad", text="x"), *(Source(f"{n}b", text="x") for n in range(4))], 50)

    assert sorted(engine.requests) == [25, 50, 50]
    assert (len(ends), str(ends["bad"]), ends["3b"]) == (125, "not this one", {"id": "3b"})


def test_long_documents_share_a_request_only_up_to_a_size() -> None:
    engine = Engine(0.001)
    carried(engine, [Source(str(n), text="x" * (TOGETHER_CHARS // 3)) for n in range(7)], 50)
    assert sorted(engine.requests) == [1, 3, 3]

    carried(engine, [Source("long", text="x" * 10 * TOGETHER_CHARS), *short(2)], 50)
    assert engine.requests[-2:] == [1, 2]
