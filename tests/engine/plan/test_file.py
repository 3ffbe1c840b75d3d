"""The plan as a file: where it is found, what cannot be read, and its digest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.plan.load import PlanError, load_plan, parse_plan
from engine.plan.locate import find_plan, strange_plan
from tests.engine.plan.small_plan import SMALL, line_of, only


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"there is no such file; `rollout init` writes one"):
        load_plan(tmp_path / "rollout.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "rollout.toml"
    path.write_text(SMALL)
    path.chmod(0)
    with pytest.raises(PlanError, match=r"cannot be read \(Permission denied\)"):
        load_plan(path)


def test_a_name_too_long_for_the_machine(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        load_plan(tmp_path / ("x" * 5000))
    with pytest.raises(PlanError, match="cannot be read"):
        load_plan("a\0b")


def test_a_folder_or_a_pipe_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(PlanError, match="this is not a file"):
            load_plan(path)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rollout.toml"
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(PlanError, match="larger than 1 MiB"):
        load_plan(path)


def test_a_file_that_is_not_utf8_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rollout.toml"
    path.write_bytes(b'name = "Plan"\nservice = "caf\xe9"\n')
    with pytest.raises(PlanError) as refused:
        load_plan(path)
    assert str(refused.value) == f"{path}:2: byte 0xe9 is not UTF-8; save the file as UTF-8"


def test_windows_line_ends_and_a_byte_order_mark_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "rollout.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load_plan(path).service == "docs"
    bad = SMALL.replace("percent = 10", "percent = 150").replace("\n", "\r\n")
    assert only(bad).startswith(f"rollout.toml:{line_of(SMALL, 'percent = 10')},")


def test_the_digest_is_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rollout.toml"
    path.write_text(SMALL)
    first = load_plan(path)
    path.write_text(SMALL + "# a comment\n")
    assert first.source == str(path)
    assert len(first.digest) == 64
    assert load_plan(path).digest != first.digest
    assert parse_plan(SMALL).digest == first.digest


def test_the_nearest_plan_is_found_from_below(tmp_path: Path) -> None:
    (tmp_path / "rollout.toml").write_text(SMALL)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_plan(below) == tmp_path / "rollout.toml"
    (tmp_path / "a" / "rollout.toml").write_text(SMALL)
    assert find_plan(below) == tmp_path / "a" / "rollout.toml"
    (below / "rollout.toml").mkdir()
    assert find_plan(below) == tmp_path / "a" / "rollout.toml"


def test_a_store_whose_plan_is_gone_is_nearer_than_another_plan_further_up(tmp_path: Path) -> None:
    (tmp_path / "rollout.toml").write_text(SMALL)
    store = tmp_path / "a" / ".rollout"
    store.mkdir(parents=True)
    assert find_plan(tmp_path / "a") == tmp_path / "rollout.toml"  # an empty folder is not a store
    (store / "store.db").write_bytes(b"")
    lost = tmp_path / "a" / "rollout.toml"
    assert find_plan(tmp_path / "a") == lost
    with pytest.raises(PlanError, match="the file is gone, and the store beside it ran with it"):
        load_plan(lost)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("left", ["rollout.toml", ".rollout/store.db"])
def test_what_another_user_left_in_a_folder_open_to_all_is_not_taken_for_a_plan(tmp_path: Path, left: str) -> None:
    """Its commands would run as whoever works below, as with a repository in /tmp."""
    shared = tmp_path / "shared"
    work = shared / "work"
    work.mkdir(parents=True)
    shared.chmod(0o1777)
    file = shared / left
    file.parent.mkdir(exist_ok=True)
    file.write_text(SMALL)
    assert find_plan(work) == shared / "rollout.toml"
    assert strange_plan(work) is None
    os.chown(shared / Path(left).parts[0], 12345, 12345)
    assert find_plan(work) is None
    assert strange_plan(work) == shared / "rollout.toml"
    shared.chmod(0o755)  # the users of a group, or root, share a rollout in a folder of its own
    assert find_plan(work) == shared / "rollout.toml"


def test_without_a_plan_in_any_folder_above_none_is_found(tmp_path: Path) -> None:
    assert find_plan(tmp_path) is None
