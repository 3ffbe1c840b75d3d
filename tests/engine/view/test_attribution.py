"""Which part is at fault, with an interval: a rollback cures what only the LLM arm does, not what both arms do."""

from __future__ import annotations

from engine.measures.bucket import Bucket
from engine.view.attribution import of_errors, of_times

CALM = Bucket(attempts=5000, errors=25, plain_n=5000, plain_errors=5, plain_ms_sum=10_000.0, fresh=4000)


def now(errors: int, attempts: int, plain_errors: int, plain_n: int, plain_ms: float = 2.0) -> Bucket:
    return Bucket(
        attempts=attempts, errors=errors, plain_n=plain_n, plain_errors=plain_errors, fresh=attempts,
        plain_ms_sum=plain_ms * (plain_n - plain_errors),
    )  # fmt: skip


def test_errors_on_the_llm_arm_only_are_its_own_with_an_interval() -> None:
    assert of_errors(now(60, 1200, 1, 1200), CALM) == "LLM arm only: +4.9 points [3.8, 6.3]"


def test_errors_that_rose_on_both_arms_are_not_the_rollout() -> None:
    output = of_errors(now(60, 1200, 58, 1200), CALM)
    assert output == "both arms rose: not the rollout (5.0 % LLM, 4.8 % frequency)"


def test_when_both_rose_and_the_llm_arm_by_more_it_states_by_how_much() -> None:
    assert of_errors(now(200, 1200, 58, 1200), CALM).startswith("both arms rose, the LLM arm more: +11.8 points")


def test_arms_that_differ_by_nothing_that_could_be_shown_are_alike() -> None:
    assert of_errors(now(1, 100, 0, 100), CALM).startswith("no difference shown between the arms: +1.0 points [")


def test_arms_of_a_few_documents_are_not_called_alike() -> None:
    assert of_errors(now(0, 3, 0, 100), CALM).startswith("too few documents to compare the arms: +0.0 points [")


def test_without_a_frequency_arm_the_day_before_is_compared() -> None:
    assert of_errors(now(60, 1200, 0, 0), CALM).startswith("no frequency arm; against the day before: +4.5 points [")
    few = "no frequency arm; too few documents to compare with the day before"
    assert of_errors(now(0, 1, 0, 0), CALM) == few, "an interval of [-1.4, 79.3] points compares nothing"
    assert of_errors(now(60, 1200, 0, 0), Bucket()) == "no frequency arm to compare with"


def test_nothing_is_reported_without_documents() -> None:
    assert of_errors(Bucket(), CALM) == ""
    assert of_times(Bucket(), CALM) == ""


def test_times_that_rose_on_both_arms_are_the_machine() -> None:
    assert of_times(now(0, 100, 0, 100), CALM) == "LLM arm only: frequency takes 2.0 ms as before"
    assert of_times(now(0, 100, 0, 100, plain_ms=9.0), CALM).startswith(
        "both arms slower: frequency 9.0 ms, was 2.0 ms"
    )
