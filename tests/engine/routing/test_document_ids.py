"""A document is stored under the id it was sent with, or refused: two ids never name one document."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.text import unfit_id
from tests.engine.service.rig import QUIET, TEXT, EngineRig

PAIRS = (
    ("a  b", "a b"),
    ("man\u200dwoman", "man\u00b7woman"),
    ("co\u00adop", "co\u00b7op"),
    ("x" * 600, "x" * 511 + "\u2026"),
    (" lead", "lead"),
    ("line\nbreak", "line break"),
    ("e\u0301", "\u00e9"),
)


def test_ids_that_cleaning_would_make_one_stay_two_or_are_refused(tmp_path: Path) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        rig.engine()
        for odd, plain in PAIRS:
            taken = {}
            for name in (plain, odd):
                body = {"id": name, "text": f"{TEXT} {name.encode().hex()}"}
                status, answer = rig.client.request("POST", "/v1/extract", body, 20.0)
                assert status in (200, 422), answer
                if status == 200:
                    assert answer["id"] == name
                    taken[name] = body["text"]
                else:
                    assert "Nothing was stored" in answer["error"]
            assert plain in taken
            for name in taken:
                result = rig.reader.document(name)
                assert result is not None
                assert result.id == name


@given(st.text(max_size=700))
def test_an_id_is_fit_only_when_it_is_kept_as_it_is(name: str) -> None:
    if not unfit_id(name, 512):
        assert 0 < len(name) <= 512
        assert name == name.strip()
        assert "\n" not in name
        assert "\x1b" not in name


@pytest.mark.parametrize("name", ["a  b", "docs/intro.md", "\u6587\u6863", "caf\u00e9 \u00b7 men\u00fc", "x" * 512])
def test_what_a_person_can_see_is_fit(name: str) -> None:
    assert unfit_id(name, 512) == ""
