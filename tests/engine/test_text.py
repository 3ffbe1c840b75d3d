"""Text as it is stored and shown: cleaned, bounded, counted, spoken."""

import ast
import sys

import pytest

from console.widgets import words
from engine.plan.units import measure
from engine.text import clean_block, rate_beside, rate_percent
from tests import sources


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.0, "0 %"),
        (0.0083, "0.83 %"),
        (0.0165, "1.65 %"),
        (0.056, "5.6 %"),
        (0.0393, "3.93 %"),
        (0.09995, "10 %"),
        (0.1619, "16.2 %"),
        (0.9996, "100 %"),
        (1.0, "100 %"),
        (-0.0425, "-4.25 %"),
    ],
)
def test_a_share_has_three_significant_digits(rate: float, text: str) -> None:
    assert rate_percent(rate) == text


def test_a_column_keeps_its_zeros_and_a_change_its_sign() -> None:
    assert rate_percent(0.05, 1) == "5.0 %"
    assert rate_percent(0.162, signed=True) == "+16.2 %"
    assert rate_percent(-0.5, 0, signed=True) == "-50 %"


@pytest.mark.parametrize("latency", [0.0, 3.4, 840.0, 999.4, 999.7, 1000.0, 1240.0, 99_990.0, 99_996.0, 120_000.0])
def test_a_latency_reads_the_same_on_a_screen_and_in_a_sentence(latency: float) -> None:
    assert words.ms(latency) == measure("latency_mean", latency)
    assert "1000 ms" not in words.ms(latency)


def test_what_is_cleaned_away_is_never_printable() -> None:
    """The plan's texts are read one character after the other only where one of them is not printable."""
    printable = "".join(filter(str.isprintable, map(chr, range(sys.maxunicode + 1))))
    assert len(printable) > 100_000
    assert clean_block(printable, len(printable)) == printable


def test_a_share_never_reads_like_the_target_it_is_judged_by() -> None:
    assert rate_beside(14 / 71, 0, 0.20) == "19.7 %"
    assert rate_beside(0.0996, 1, 0.10) == "9.96 %"
    assert rate_beside(0.31, 0, 0.20) == "31 %"
    assert rate_beside(0.20, 0, 0.20) == "20 %"  # it is the target
    assert rate_beside(0.2000001, 0, 0.20) == "20.00 %"
    assert rate_beside(0.31, 0, None) == "31 %"


def test_no_sentence_leaves_out_the_space_before_the_percent_sign() -> None:
    """Python's own `:.0%` prints "45%" where everything else reads "45 %"."""
    wrong = [
        f"{file}:{node.lineno}"
        for file, node in sources.every_node()
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None
        if ast.unparse(node.format_spec).rstrip("'\"").endswith("%")
    ]
    assert not wrong, f"use engine.text.rate_percent: {', '.join(wrong)}"
