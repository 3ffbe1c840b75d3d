"""Whatever a model writes, the parser gives two bounded lists of strings, or the reason it cannot; it never raises."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.extraction.frequency import extract
from engine.extraction.grounding import Ground
from engine.extraction.keywords import Budget
from engine.extraction.llm import placeholders
from engine.extraction.llm.answer import MOST_ITEMS, parse
from engine.extraction.llm.failure import ErrorKind
from engine.extraction.llm.judge import PieceEvidence, PieceKeywords, judge, merged
from engine.extraction.llm.protocol import ModelReply
from engine.plan.model import Llm

words = st.text(min_size=1, max_size=30)
lists = st.lists(words, max_size=12)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=12), inner, max_size=6),
    max_leaves=20,
)
DOCUMENT = "The gateway retries failed requests with backoff; max_connections bounds the pool of tokio workers."


@given(
    lists,
    lists,
    st.sampled_from(["", "```json\n", "Sure! Here it is:\n", "\n\n"]),
    st.sampled_from(["", "\n```", " Done."]),
)
def test_what_was_asked_for_is_read_whole_with_or_without_words_around_it(
    descriptive: list[str], technical: list[str], before: str, after: str
) -> None:
    text = before + json.dumps({"descriptive": descriptive, "technical": technical}) + after
    proposal = parse(text)
    assert proposal.flaw == "" or not "".join(descriptive + technical).strip()
    wanted = [[word for word in listed if word.strip()] for listed in (descriptive, technical)]
    assert [list(proposal.descriptive), list(proposal.technical)] == wanted


@given(lists, lists, st.booleans(), st.data())
def test_of_a_cut_answer_every_complete_item_is_saved_and_no_other(
    descriptive: list[str], technical: list[str], ascii_only: bool, data: st.DataObject
) -> None:
    whole = json.dumps({"descriptive": descriptive, "technical": technical}, ensure_ascii=ascii_only)
    cut = data.draw(st.integers(0, len(whole) - 1))
    proposal = parse(whole[:cut])
    assert proposal.flaw or (cut == len(whole) - 1 and descriptive and technical)
    descriptive, technical = ([word for word in listed if word.strip()] for listed in (descriptive, technical))
    assert list(proposal.descriptive) == descriptive[: len(proposal.descriptive)]
    assert list(proposal.technical) == technical[: len(proposal.technical)]
    if cut > whole.index('], "technical": ['):  # within a string the quotes are escaped
        assert list(proposal.descriptive) == descriptive


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")) | anything.map(json.dumps))
def test_nothing_that_a_model_writes_raises(text: str) -> None:
    proposal = parse(text)
    for item in (*proposal.descriptive, *proposal.technical):
        assert isinstance(item, str)
    assert proposal.count or proposal.flaw or "[" in text


@given(anything)
def test_items_of_any_other_kind_cost_no_keyword_and_do_not_raise(value: object) -> None:
    proposal = parse(json.dumps({"descriptive": [value, "gateway"], "technical": value}))
    assert "gateway" in proposal.descriptive
    if isinstance(value, int | float | None):
        assert proposal.descriptive == ("gateway",)
        assert proposal.strange >= 1


@pytest.mark.parametrize(
    "text",
    [
        '{"descriptive": ' + "[" * 100_000,
        "{" * 100_000,
        '{"descriptive": ["' + "\\" * 100_000,
        '{"descriptive": ["' + "x" * 1_000_000,
        json.dumps({"descriptive": ["word"] * 10_000, "technical": ["w" * 5_000] * 40}),
        '"descriptive": [' * 20_000,
        '{"descriptive": ["a' + '", "a' * 60_000,
    ],
)
def test_an_answer_made_to_hurt_costs_little_and_stays_bounded(text: str) -> None:
    began = time.process_time()
    proposal = parse(text)
    assert time.process_time() - began < 0.5
    assert len(proposal.descriptive) <= MOST_ITEMS
    assert len(proposal.technical) <= MOST_ITEMS


@given(anything.map(json.dumps) | st.text(max_size=200))
def test_what_is_judged_usable_is_within_the_limits_and_in_the_document(text: str) -> None:
    verdict = judge(ModelReply(text), PieceEvidence(DOCUMENT))
    keywords = merged([verdict], Llm(urls=("http://a",), model="m"))
    assert verdict.flaw is not None or len(keywords) > 0
    assert len(keywords) <= 15
    assert set(keywords.technical) <= set(keywords.ranked)
    assert all(Ground(DOCUMENT).supports(keyword) for keyword in keywords.ranked)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (ModelReply(""), ErrorKind.empty),
        (ModelReply(" \n\t"), ErrorKind.empty),
        (ModelReply('{"descriptive": [], "technical": []}'), ErrorKind.no_keywords),
        (ModelReply('{"descriptive": ["the", "42", "it is"], "technical": []}'), ErrorKind.unfit),
        (ModelReply('{"descriptive": ["moonlight"], "technical": []}'), ErrorKind.ungrounded),
        (ModelReply("gateway, requests, backoff", "the answer was cut", ErrorKind.cut), ErrorKind.cut),
        (ModelReply('{"descriptive": ["gateway"'), ErrorKind.cut),
        (ModelReply('{"descriptive": ["gate'), ErrorKind.cut),
        (ModelReply('{"answer": 42}'), ErrorKind.shape),
    ],
)
def test_each_useless_answer_has_its_kind(reply: ModelReply, kind: ErrorKind) -> None:
    flaw = judge(reply, PieceEvidence(DOCUMENT)).flaw
    assert flaw is not None
    assert flaw.kind is kind


def test_both_lists_share_the_ranking_and_a_keyword_in_both_is_technical() -> None:
    by_name = {"descriptive": ["failed requests", "pools", "backoff"], "technical": ["tokio", "pool"]}
    keywords = merged(
        [judge(ModelReply(json.dumps(by_name)), PieceEvidence(DOCUMENT))], Llm(urls=("http://a",), model="m")
    )
    assert keywords.ranked == ("failed requests", "tokio", "backoff", "pool")
    assert keywords.technical == ("tokio", "pool")


def test_many_ideas_and_few_names_are_ranked_by_weight_and_not_in_turn() -> None:
    ideas = tuple(f"idea {letter}" for letter in "abcdefghijkl")
    piece = PieceKeywords(ideas, ("kafka", "etcd"), 14, 0, None)
    result = merged([piece], Llm(urls=("http://127.0.0.1:1",), model="m"))
    assert len(result.ranked) == 14
    assert result.ranked[:3] == ideas[:3]
    assert result.ranked.index("kafka") == 3
    assert result.ranked.index("etcd") == 10


def test_a_document_without_names_has_the_whole_budget_of_ideas() -> None:
    ideas = tuple(f"idea {letter}" for letter in "abcdefghijklmnopq")
    assert (
        merged([PieceKeywords(ideas, (), 17, 0, None)], Llm(urls=("http://127.0.0.1:1",), model="m")).ranked
        == ideas[:15]
    )


def test_both_methods_have_one_budget() -> None:
    text = (
        "Deep queues, warm caches, cold starts, slow disks, hot shards, dead letters, lost writes and torn pages follow. "
        * 2
    )
    result = extract(text, budget=Budget(total=6, descriptive=4, technical=2))
    assert len(result.descriptive) == 4
    limits = Llm(urls=("http://127.0.0.1:1",), model="m")
    assert Budget() == Budget(limits.max_total, limits.max_descriptive, limits.max_technical)


@pytest.mark.parametrize(
    "text",
    [
        '{"1": "connection pool", "2": "circuit breaker", "3": "max_connections"}',
        '{"keyword_1": "connection pool", "keyword_2": "circuit breaker", "keyword_3": "max_connections"}',
        r"connection pool\ncircuit breaker\nmax_connections",
        "keyword,type\nconnection pool,descriptive\ncircuit breaker,descriptive\nmax_connections,technical",
        '"connection pool";"descriptive"\n"circuit breaker";"descriptive"\n"max_connections";"technical"',
        "connection pool\tdescriptive\ncircuit breaker\tdescriptive\nmax_connections\ttechnical\n",
        "descriptive:\n  - connection pool\n  - circuit breaker\ntechnical:\n  - max_connections",
        "| keyword | type |\n|---|---|\n| connection pool | descriptive |\n| circuit breaker | descriptive |\n| max_connections | technical |",
        "<keywords><keyword>connection pool</keyword><keyword>circuit breaker</keyword><keyword>max_connections</keyword></keywords>",
    ],
)  # fmt: skip
def test_keywords_in_another_shape_are_read_whole(text: str) -> None:
    proposal = parse(text)
    assert {*proposal.descriptive, *proposal.technical} == {"connection pool", "circuit breaker", "max_connections"}
    assert proposal.kind is None


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        ("（1）连接池；\n（2）熔断器；\n（3）负载均衡", {"连接池", "熔断器", "负载均衡"}),
        ("「连接池」、「熔断器」、「负载均衡」", {"连接池", "熔断器", "负载均衡"}),
        ("{“descriptive”：[“连接池”，“熔断器”]，“technical”：[“负载均衡”]}", {"连接池", "熔断器", "负载均衡"}),
        ("關鍵字：连接池，熔断器，负载均衡。", {"连接池", "熔断器", "负载均衡"}),
        ("Ключевые слова: пул соединений, журнал, канал", {"пул соединений", "журнал", "канал"}),
        ("**Słowa kluczowe:** pula połączeń, dziennik, kanał", {"pula połączeń", "dziennik", "kanał"}),
        ("मुख्य शब्द: कनेक्शन पूल, सर्वर, अनुरोध", {"कनेक्शन पूल", "सर्वर", "अनुरोध"}),
        ("الكلمات المفتاحية: موازن الحمل، الطلبات، الخوادم", {"موازن الحمل", "الطلبات", "الخوادم"}),
    ],
)
def test_lists_in_the_signs_and_headings_of_other_languages_are_read_whole(text: str, keywords: set[str]) -> None:
    document = "。".join(sorted(keywords))
    judged = judge(ModelReply(text), PieceEvidence(document))

    assert {*judged.descriptive, *judged.technical} == keywords
    assert judged.flaw is None


def test_an_error_in_place_of_an_answer_is_quoted() -> None:
    proposal = parse('{"error": "model overloaded, try later"}')
    assert proposal.count == 0
    assert "model overloaded" in proposal.flaw


def test_what_a_document_may_be_about_is_not_a_placeholder() -> None:
    kept = (
        "first name", "last name", "list item", "list of strings", "Next 13", "Word 97", "string", "placeholder", "insert element",
        "name server", "value list", "text", "C", "n-gram", "<label>", "key-value store", "keyword extraction", "long-term storage",
        "tag manager", "topic model", "terms of service", "concept drift", "word2vec", "3.11", "--flag",
    )  # fmt: skip
    assert placeholders.without(kept) == kept
    assert not placeholders.all_of(("string", "first name"))


def test_a_word_in_place_of_a_keyword_is_a_placeholder() -> None:
    dropped = (
        "keyword1", "keyword 2", "keyword_3", "Keyword A", "...", "…", "<keyword>", "[keyword]", "{{keyword}}", "<keyword 1>", "$keyword",
        "term1", "topic n", "first keyword", "your keyword here", "descriptive keyword 1", "technical_keyword_2", "insert keyword here",
        "item 1", "value2", "phrase here", "technical 1", "<your keyword here>", "example 2", "list of keywords", "___",
    )  # fmt: skip
    assert placeholders.without(dropped) == ()
    assert all(
        placeholders.all_of((word, word)) for word in ("string", "foo", "text", "placeholder", "array of strings")
    )
