"""One window per server: what is lent never sums to more than it, and it learns from every worker."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cluster.window_shares import TURN_S, WindowShares, WindowUse
from engine.extraction.llm.concurrency import Window

URL = "http://llm"


def test_a_window_is_shared_equally_and_what_one_does_not_want_goes_to_others() -> None:
    window = Window(64, limit=8)
    lender = WindowShares(lambda: {URL: window}, lambda: 0, lambda: 0.0)
    assert lender.settle("a", [WindowUse(URL, wanted=50)]) == {URL: 8}, "alone, all of it"
    lender.settle("b", [WindowUse(URL, wanted=2)])
    assert lender.settle("a", [WindowUse(URL, wanted=50)]) == {URL: 6}
    assert lender.settle("b", [WindowUse(URL, wanted=2)]) == {URL: 2}
    lender.end(lambda worker: worker == "b")
    assert window.in_flight == 2
    assert lender.settle("b", [WindowUse(URL, wanted=50)]) == {URL: 8}


def test_documents_that_someone_waits_for_come_first() -> None:
    waiting = [0]
    window = Window(64, limit=8)
    lender = WindowShares(lambda: {URL: window}, lambda: waiting[0], lambda: 0.0)
    assert lender.settle("a", [WindowUse(URL, wanted=50)]) == {URL: 8}
    waiting[0] = 3
    assert lender.settle("a", [WindowUse(URL, wanted=50)]) == {URL: 5}
    waiting[0] = 100
    assert lender.settle("a", [WindowUse(URL, wanted=50)]) == {URL: 4}, "but a back-fill never stops"


def test_the_window_learns_from_workers_and_grows() -> None:
    now = [0.0]
    window = Window(64)
    lender = WindowShares(lambda: {URL: window}, lambda: 0, lambda: now[0])
    shares = {"a": 0, "b": 0}
    for _ in range(60):  # a server on which nothing ever waits
        for name in shares:
            now[0] += 0.15
            shares[name] = lender.settle(name, [WindowUse(URL, 100, [(0.1, 0.1)] * shares[name] * 3)])[URL]
            assert sum(shares.values()) <= window.limit + shares[name]
    assert window.limit >= 32


def test_calls_sent_before_all_places_of_a_size_were_lent_do_not_make_it_larger() -> None:
    """A report that comes late holds many answers of the size before. They used to grow the window several times."""
    now = [0.0]
    window = Window(64)
    lender = WindowShares(lambda: {URL: window}, lambda: 0, lambda: now[0])
    lender.settle("a", [WindowUse(URL, 100)])
    now[0] = 1.0
    lender.settle("a", [WindowUse(URL, 100, [(0.1, 0.1 * n) for n in range(1, 10)] * 10)])
    grown = window.limit
    assert grown > 2
    now[0] = 1.5
    lender.settle("a", [WindowUse(URL, 100, [(0.1, 0.6)] * 100)])
    assert window.limit == grown, "sent 0.1 s before this size was lent"
    lender.settle("a", [WindowUse(URL, 100, [(0.1, 0.2)] * grown)])
    assert window.limit > grown


def test_a_place_whose_call_is_still_in_flight_is_not_lent_again() -> None:
    window = Window(64, limit=8)
    lender = WindowShares(lambda: {URL: window}, lambda: 0, lambda: 0.0)
    assert lender.settle("a", [WindowUse(URL, 50)]) == {URL: 8}
    assert lender.settle("b", [WindowUse(URL, 50)]) == {URL: 0}
    assert lender.settle("a", [WindowUse(URL, 50, in_flight=8)]) == {URL: 4}, "it starts no more than that"
    assert lender.settle("b", [WindowUse(URL, 50)]) == {URL: 0}, "and its calls have not ended"
    lender.settle("a", [WindowUse(URL, 50, in_flight=5)])
    assert lender.settle("b", [WindowUse(URL, 50)]) == {URL: 3}
    lender.settle("a", [WindowUse(URL, 50, in_flight=4)])
    assert lender.settle("b", [WindowUse(URL, 50)]) == {URL: 4}


def test_places_that_do_not_suffice_stay_with_the_same_workers_for_a_while_and_then_go_to_others() -> None:
    now, had = [0.0], []
    window = Window(64, limit=2)
    lender = WindowShares(lambda: {URL: window}, lambda: 0, lambda: now[0])
    for second in range(200):
        now[0] = float(second)
        shares = {name: lender.settle(name, [WindowUse(URL, 50)])[URL] for name in "abcdefgh"}
        shares = {name: lender.settle(name, [WindowUse(URL, 50)])[URL] for name in shares}
        assert sum(shares.values()) == 2
        had.append({name for name in shares if shares[name]})
    assert set().union(*had) == set("abcdefgh")
    assert sum(before != after for before, after in pairwise(had)) <= 200 / TURN_S


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.integers(0, 5), st.integers(0, 2), st.integers(0, 2)),
        max_size=60,
    )
)
def test_whatever_workers_report_places_are_neither_lost_nor_lent_twice(
    reports: list[tuple[str, int, int, int, int]],
) -> None:
    window = Window(16, limit=4)
    lender = WindowShares(lambda: {URL: window}, lambda: 0, lambda: 0.0)
    shares: dict[str, int] = {}
    for name, wanted, answers, late, busy in reports:
        before = window.limit
        shares[name] = lender.settle(name, [WindowUse(URL, wanted, [(0.1, 0.1)] * answers, late, busy)])[URL]
        assert window.in_flight == sum(shares.values())
        assert shares[name] <= max(before, window.limit)
    lender.end(lambda worker: False)
    assert window.in_flight == 0
