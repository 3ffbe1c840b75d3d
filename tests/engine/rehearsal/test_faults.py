"""Each fault does what its explanation describes, over real sockets, on while it runs and off again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import httpx
import msgspec
import pytest

from engine.extraction.llm import ErrorKind, answer
from engine.plan.load import default_plan_text, parse_plan
from engine.rehearsal import corpus, model
from engine.rehearsal.faults import BY_NAME, FAULTS, ServerFaults, active, changed, checked
from tests.engine.rehearsal.process import Process, content, user_prompt
from tests.machine import crowd

TEXTS = [document.text for document in islice(corpus.documents(), 80) if 200 < len(document.text) < 6000][:40]
SEED = 7


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with Process(f"--seed={SEED}") as process:
        yield process


@pytest.fixture(autouse=True)
def _healthy(server: Process) -> Iterator[None]:
    yield
    server.faults(**msgspec.to_builtins(ServerFaults()))


def test_every_fault_is_listed_with_values_that_it_takes() -> None:
    assert [kind.name for kind in FAULTS] == list(ServerFaults.__struct_fields__)
    for kind in FAULTS:
        assert checked(kind.name, kind.default_on_value) is kind
        assert kind.off_value == getattr(ServerFaults(), kind.name) != kind.default_on_value
        assert kind.explanation.count(".") >= 2
    assert active(changed(ServerFaults(), {"slow": 3})) == (BY_NAME["slow"],)
    assert active(ServerFaults()) == ()


def test_explanations_name_triggers_and_reasons_that_exist() -> None:
    known = {trigger.id for trigger in parse_plan(default_plan_text()).triggers} | {str(kind) for kind in ErrorKind}
    named = {name for kind in FAULTS for name in re.findall(r"\b[a-z]+_[a-z]+\b", kind.explanation)}
    assert named
    assert named <= known


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"error_rate": 1.5}, "error_rate is a share from 0 to 1; 1.5 is not."),
        ({"slow": 0}, "slow is a factor from 0.1 to 100; 0 is not."),
        ({"down": 0.5}, "down is 0 (off) or 1 (on); 0.5 is not."),
        ({"error_rate": "x"}, "error_rate is a share from 0 to 1; x is not."),
        ({"colour": 1}, "There is no fault 'colour'"),
        ([1], "Send a JSON object"),
    ],
)
def test_a_wrong_value_is_a_sentence_and_changes_nothing(server: Process, fields: object, sentence: str) -> None:
    before = server.client.get(f"{server.control}/faults").json()
    reply = server.client.post(f"{server.control}/faults", json=fields)
    assert reply.status_code == 400
    assert sentence in reply.json()["error"]
    assert server.client.get(f"{server.control}/faults").json() == before


def _met(fate: str, share: float) -> list[bool]:
    return [model.read(user_prompt(text), SEED).meets(fate, share) for text in TEXTS]


def test_draws_are_even() -> None:
    readings = [model.read(user_prompt(document.text), SEED) for document in islice(corpus.documents(), 600)]
    for fate in model.FATES:
        assert 0.15 < sum(reading.meets(fate, 0.2) for reading in readings) / len(readings) < 0.25


def test_errors_hit_the_same_share_of_texts_at_every_try(server: Process) -> None:
    server.faults(error_rate=0.3)
    expected = [500 if met else 200 for met in _met("error_rate", 0.3)]
    assert {200, 500} == set(expected)
    for _ in range(2):
        replies = server.ask_all(TEXTS)
        assert [reply.status_code for reply in replies] == expected
    assert "terminated" in replies[expected.index(500)].json()["error"]


def test_broken_answers_are_200_and_hold_nothing_to_save(server: Process) -> None:
    server.faults(invalid_rate=0.3)
    for reply, met in zip(server.ask_all(TEXTS), _met("invalid_rate", 0.3), strict=True):
        assert reply.status_code == 200
        proposal = answer.parse(content(reply))
        assert bool(proposal.flaw) == met
        assert (proposal.count == 0) == met


def test_empty_answers_are_200_without_text(server: Process) -> None:
    server.faults(empty_rate=0.3)
    assert [content(reply) == "" for reply in server.ask_all(TEXTS)] == _met("empty_rate", 0.3)


def test_slow_multiplies_the_time(server: Process) -> None:
    def total() -> int:
        return sum(reply.json()["total_duration"] for reply in server.ask_all(TEXTS))

    normal = total()
    server.faults(slow=10)
    assert total() > 4 * normal


def test_a_hanging_call_is_never_answered_while_the_server_states_it_is_well(server: Process) -> None:
    server.faults(hang=1)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/api/chat", json=server.body(TEXTS[0]), timeout=httpx.Timeout(20, read=0.3))
    assert server.client.get(f"{server.url}/api/version").status_code == 200


def test_down_refuses_resets_and_comes_back_at_the_same_address(server: Process) -> None:
    assert server.ask(TEXTS[0]).status_code == 200  # a connection that is kept
    assert server.faults(down=1)["down"] == 1
    with pytest.raises(httpx.TransportError):
        server.ask(TEXTS[0])
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)
    server.faults(down=1)
    server.faults(down=0)
    assert server.ask(TEXTS[0]).status_code == 200


def test_down_cuts_a_call_in_flight(server: Process) -> None:
    server.faults(drip=1)
    with httpx.stream("POST", f"{server.url}/api/chat", json=server.body(TEXTS[0])) as reply:
        assert reply.status_code == 200
        server.faults(down=1)
        with pytest.raises(httpx.TransportError):
            reply.read()


def test_busy_turns_calls_away_with_ollamas_words(server: Process) -> None:
    server.faults(busy=1)
    reply = server.ask(TEXTS[0])
    assert (reply.status_code, "maximum pending requests" in reply.text) == (503, True)
    server.faults(busy=0.5)
    assert {server.ask(TEXTS[0]).status_code for _ in range(20)} == {200, 503}  # of calls, not of texts


def test_a_missing_model_is_404_and_not_in_the_list(server: Process) -> None:
    server.faults(not_found=1)
    reply = server.ask(TEXTS[0])
    assert (reply.status_code, "not found" in reply.json()["error"]) == (404, True)
    assert server.client.get(f"{server.url}/api/tags").json() == {"models": []}


def test_a_dripping_answer_comes_a_byte_at_a_time(server: Process) -> None:
    server.faults(drip=1)
    with httpx.stream("POST", f"{server.url}/api/chat", json=server.body(TEXTS[0])) as reply:
        pieces = list(islice(reply.iter_raw(), 3))
        assert int(reply.headers["content-length"]) > 100
    begun = b"".join(pieces)
    assert begun.startswith(b'{"m')
    assert len(begun) <= 3 * crowd()  # a busy machine reads those of several pauses at once
