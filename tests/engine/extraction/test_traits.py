"""Each trait of a candidate separately; what the code of the trees may contain."""

from __future__ import annotations

import math
from typing import get_type_hints

import pytest

from engine.extraction import trees
from engine.extraction.candidates import phrases
from engine.extraction.frequency import extract
from engine.extraction.ranking import LONG, ROMANCE, ROMANCE_LONG, SHORT, romance_weights, weights
from engine.extraction.tokens import tokenise
from engine.extraction.traits import (
    Candidate,
    Context,
    Fields,
    Traits,
    candidate,
    candidates,
    context,
    is_fragment,
    is_name,
    is_weak,
    scores,
)
from tests.bench.train_ranking import loaded, source

NOTHING = Traits._make([0.0] * len(Traits._fields))


def one(text: str, *, at: int = 0, last: int | None = None, alone: int = 1, within: int = 0) -> Candidate:
    words = tuple(text.lower().split())
    return candidate(words, text, at, at if last is None else last, alone, within)


@pytest.mark.parametrize(
    ("result", "trait", "value"),
    [
        (one("index"), "one", 1.0),
        (one("inverted index"), "two", 1.0),
        (one("inverted index"), "one", 0.0),
        (one("queue", alone=1), "alone", 0.0),
        (one("queue", alone=0, within=3), "part", 1.0),
        (one("queue", at=10, last=60), "spread", 0.5),
        (one("Ada Lovelace", at=3), "name", 1.0),
        (one("Ada Lovelace"), "name", 0.0),  # any sentence begins with a capital
        (one("method"), "general_alone", 1.0),
        (one("search method"), "general_last", 1.0),
        (one("large number"), "empty_last", 1.0),
        (one("global cache"), "adjective_first", 1.0),
        (one("global cache"), "soft_first", 1.0),
        (one("clustering tree"), "participle_first", 1.0),
        (one("network increase"), "verb_last", 1.0),
        (one("section 1"), "number", 1.0),
        (one("max_tokens"), "identifier_alone", 1.0),
        (one("hash method"), "weight", 0.5),
    ],
)
def test_each_trait_is_read_from_the_candidate(result: Candidate, trait: str, value: float) -> None:
    assert scores([result], 100, NOTHING._replace(**{trait: 1.0})) == pytest.approx([value])


def test_weights_lie_between_those_of_short_and_long_texts() -> None:
    assert weights(10) == SHORT
    assert weights(5_000) == LONG
    assert min(SHORT.late, LONG.late) < weights(250).late < max(SHORT.late, LONG.late)


def test_a_score_is_the_sum_of_traits_times_weights() -> None:
    by = NOTHING._replace(two=1.5, late=-0.5)
    assert scores([one("inverted index", at=20)], 100, by) == pytest.approx([1.5 - 0.5 * math.log(2)])


def known(text: str) -> dict[str, Context]:
    read = phrases(tokenise(text))
    rivals, _ = candidates(read.spans, english=True)
    best = [(0.0, rival.at, rival.text, rival) for rival in rivals]
    seen = map(Context._make, context(best, best, read.spans, read.kinds))
    return dict(zip([rival.text for rival in rivals], seen, strict=True))


def test_context_counts_what_is_beside_a_candidate() -> None:
    seen = known("The hash index is fast. A bitmap index is small, and the bitmap cache is warm.")
    assert seen["hash index"].headed == 3  # hash index, bitmap index, index
    assert seen["bitmap index"].rarest == 2
    assert seen["bitmap index"].late > seen["hash index"].late > 0
    assert seen["hash index"].before != seen["hash index"].after


def test_trees_become_code_as_they_are_fitted_and_hold_nothing_but_traits_and_numbers() -> None:
    code = source({"sum": [["size", 1.5, 0.25, ["alone", 2, -1, 4]], ["size", 1.5, 0, 0], 0.5]})
    assert code.count("size <= 1") == 1, "a question of several trees is asked once"
    logit = loaded(code)["sum"]
    of = Context._make([0] * len(Context._fields))
    assert logit(*of._replace(size=1)) == pytest.approx(0.75)
    assert logit(*of._replace(size=2, alone=2)) == pytest.approx(-0.5)
    assert logit(*of._replace(size=2, alone=3)) == pytest.approx(4.5)
    for unfit in (["__import__('os')", 1, 0, 0], "size", ["size", "1", 0, 0]):
        with pytest.raises((KeyError, TypeError, ValueError)):
            source({"sum": [unfit]})


def test_the_fields_of_a_candidate_are_those_of_a_context_in_its_order() -> None:
    assert Fields.__args__ == tuple(get_type_hints(Context).values())


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("The scheduler uses Redis, and the scheduler uses threads.", "uses"),
        ("Peers form a ring; the peers form groups of five.", "form"),
        ("All copies bear a serial number, and copies bear a date.", "bear"),
        ("The system mines open answers for topics every night.", "mines"),
        ("We describe an approach that captures common access patterns.", "captures"),
        ("Earlier work takes a lock, which blocks writers.", "blocks"),
        ("The results show that replication helps.", "show"),
        ("The controller automates failover of the primary.", "automates"),
        ("C# runs on Linux. C# runs in a container; C# runs everywhere.", "runs"),
        ("git rebase moves commits onto another base. git rebase moves them again.", "moves"),
        ("The scheduler polls every minute, and the scheduler polls each queue.", "polls"),
        ("nginx proxies requests to the backend.", "proxies"),
        ("Postgres locks rows during an update.", "locks"),
        ("A cache can shorten the delay, and operators herald a new era.", "shorten"),
        ("The nodes will scan every shard at night.", "scan"),
        ("It tightens bounds on skew for all replicas.", "tightens"),
        ("We describe tools to model complex systems.", "model"),
        ("Tools help to store and transfer large files.", "transfer"),
        ("Authors control the copyright of a page.", "control"),
        ("Operators often join groups of experts; people usually use laptops.", "join"),
        ("We map the network into zones, which lead to shorter routes.", "lead"),
        ("Peers re-elect leaders, and leaders self-adapt to load.", "self-adapt"),
        ("Filters detect and store scripts.", "store"),
        ("Moths extrude their scales.", "extrude"),
        ("The gateway is cheap, and offers vary; we offer different limits, or support online learning.", "support"),
        ("The probe is able to image biological tissue.", "image"),
        ("The tax impacts publishers, and a tax impacts publisher's revenue.", "impacts"),
        ("Our results support the claim.", "support"),
        ("They quickly patched 2 gateways.", "patched"),
        ("The gulls foraging off the reef were ringed.", "foraging"),
        ("A control problem subject to noise is hard, and so are networks subject to loss.", "subject"),
    ],
)
def test_a_clause_is_not_a_keyword(text: str, clause: str) -> None:
    assert not [keyword for keyword in extract(text).ranked if clause in keyword.lower().split()]


def test_a_noun_after_a_to_that_is_a_preposition_stays() -> None:
    keywords = extract(
        "Access to model parameters is free. The IT industry pays, and access control lists hold."
    ).ranked
    assert {"model parameters", "access control lists"} <= set(keywords)
    assert any("industry" in keyword for keyword in keywords)


@pytest.mark.parametrize(
    "term", ["model checking", "message passing", "job scheduling", "decision making", "error handling"]
)
def test_a_gerund_that_is_a_term_is_whole(term: str) -> None:
    assert (
        term
        in extract(
            f"This note is about {term}. In practice {term} is slow, as the figures of the clusters prove."
        ).ranked
    )


def test_a_plural_that_is_seldom_a_verb_stays_in_its_phrase() -> None:
    keywords = extract("Dirty reads and phantom reads come from IP ranges. The test runs are slow; test runs are many.")
    assert {"phantom reads", "IP ranges", "test runs"} <= set(keywords.ranked)


def test_an_introduction_is_not_part_of_the_phrase_after_it() -> None:
    keywords = extract(
        "In theory cache eviction is fair. By default cache eviction is off. In practice nobody checks it."
    )
    assert "cache eviction" in keywords.ranked
    assert not [keyword for keyword in keywords.ranked if {"theory", "default", "practice"} & set(keyword.split())]


def test_short_texts_have_trees_of_their_own_and_a_share_of_those_of_long_texts() -> None:
    few = [Context._make([0] * len(Context._fields))]
    known = few * (trees.FEW + 1)
    short, long = trees.logits(known, 50), trees.logits(known, 5_000)
    assert short == [trees.short(*known[0]) + trees.FLOOR * trees.long(*known[0])] * len(known)
    assert long == [trees.long(*known[0])] * len(known)
    assert trees.logits(few, 50) == [trees.short(*few[0])]
    assert min(short[0], long[0]) < trees.logits(known, 300)[0] < max(short[0], long[0])


def test_a_general_word_is_not_a_keyword_unless_the_text_is_about_it() -> None:
    prose = (
        "The ability of the replica to serve stale reads depends on the write quorum and the clock skew. The details of vector clocks, "
        "read repair, hinted handoff, gossip rounds, Merkle trees and anti-entropy sessions follow below, with the partition "
        "tolerance, the tombstone compaction and the consistency levels of each query."
    )
    keywords = extract(prose).ranked
    assert len(keywords) >= 8
    assert not {"ability", "details", "detail"} & set(keywords)
    spans = [(("ability",), "ability", at) for at in range(9)] + [((f"n{at}",), f"n{at}", at) for at in range(9, 700)]
    assert "ability" in [one.text for one in candidates(spans[:400], english=True)[0]]
    assert "ability" not in [one.text for one in candidates(spans, english=True)[0]], "9 times among 700 phrases"
    assert "schedule" in extract(" ".join(f"The schedule {n} waits for a tape drive." for n in "abcdefghijkl")).ranked


@pytest.mark.parametrize(
    ("text", "noun", "adjective"),
    [
        (
            "Der Dienst liest eine große Datei und eine große Tabelle. Die Datei ist im Verzeichnis der Sicherung.",
            "datei",
            "gross",
        ),
        (
            "Los parámetros regionales del sistema y los formatos regionales de la fecha están en los parámetros del equipo.",
            "parametr",
            "regional",
        ),
    ],
)
def test_an_adjective_that_two_phrases_share_is_not_a_candidate(text: str, noun: str, adjective: str) -> None:
    read = phrases(tokenise(text))
    rivals, _ = candidates(read.spans, english=False, language=read.language)
    shared = {rival.words for rival in rivals}

    assert (noun,) in shared
    assert (adjective,) not in shared


def test_a_long_romance_text_is_ranked_by_what_recurs_as_a_long_english_one_is() -> None:
    between = romance_weights(900)

    assert romance_weights(300) == ROMANCE
    assert romance_weights(2_000) == ROMANCE_LONG
    assert ROMANCE.occurs < between.occurs < ROMANCE_LONG.occurs


def test_an_adjective_and_a_general_noun_once_are_weak_and_a_name_is_not() -> None:
    assert is_weak(one("senior official"))
    assert not is_weak(one("senior official", alone=2))
    assert not is_weak(one("Red Cross"))
    assert not is_weak(one("federal reserve"))


def test_a_surname_alone_is_the_full_name_unless_several_people_have_it() -> None:
    def read(text: str) -> list[str]:
        return [text for _, text, _ in phrases(tokenise(text)).spans]

    assert read("The mayor met Alice Oakes, and Oakes agreed with the board.") == [
        "mayor",
        "Alice Oakes",
        "Alice Oakes",
        "board",
    ]
    assert read("The mayor met Alice Oakes and Robert Oakes, and Oakes agreed.")[-1] == "Oakes"


def test_a_part_that_occurs_only_inside_one_longer_phrase_is_a_fragment() -> None:
    whole = one("hazel airlines flight", alone=1, within=2)

    assert is_fragment(one("airlines flight", alone=0, within=3), [whole])
    assert not is_fragment(one("airlines flight", alone=0, within=4), [whole, one("other airlines flight")])
    assert not is_fragment(one("hazel flight", alone=0, within=3), [whole]), "no part of it"


def test_capitals_that_end_before_the_phrase_does_are_a_name() -> None:
    flight, sea = one("Hazel Airlines flight", alone=1), one("South Hazel Sea", alone=1)
    name = one("hazel airlines", alone=0, within=2)

    assert is_name(name, [flight, one("Hazel Airlines staff")])
    assert not is_name(name, [flight, one("hazel airlines staff")]), "not always a name"
    assert not is_name(one("airlines flight", alone=0), [flight])
    assert not is_name(one("south hazel", alone=0), [sea]), "the name goes on"
    assert not is_name(one("hazel", alone=0), [flight]), "one word"


def test_a_name_is_a_keyword_beside_the_phrases_that_begin_with_it() -> None:
    news = (
        "Hazel Airlines said it had lost flight H2. The Hazel Airlines flight left Oakham on time. A second Hazel "
        "Airlines flight was turned back over the bay. Relatives of the passengers met Hazel Airlines staff. "
    )
    filler = "A pilot boat and a tide gauge are near the customs house, and divers saw a dry dock in the estuary. "
    keywords = extract(news + filler).ranked

    assert "hazel airlines" in keywords, keywords
    assert not {"airlines flight", "airlines staff"} & set(keywords), keywords


def test_of_phrases_that_outrank_the_whole_only_the_whole_is_a_keyword() -> None:
    text = "Crown Acorn Holdings fell. Buy Crown Acorn Holdings today, said Crown Acorn Holdings Inc. of Oakham. " * 3
    filler = "".join(
        f"The pilot of boat {n} saw a tide gauge near harbour wall {n} of the customs house. " for n in range(40)
    )
    keywords = extract(text + filler).ranked

    assert "crown acorn holdings" in keywords
    assert not {"crown acorn", "acorn holdings"} & set(keywords), keywords
