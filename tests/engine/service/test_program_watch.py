"""An engine whose program's files are replaced says so."""

from __future__ import annotations

from pathlib import Path

from engine import VERSION
from engine.service.program_watch import ProgramWatch, installed_version


def test_replaced_files_are_reported_until_they_are_those_of_the_start_again(tmp_path: Path) -> None:
    file, kept = tmp_path / "__init__.py", tmp_path / "kept"
    file.write_text("1")
    versions = ["0.2.0", VERSION]
    watch = ProgramWatch(file, versions.pop)
    watch.check()
    assert watch.sentence == ""

    file.rename(kept)
    watch.check()
    assert watch.sentence == f"The program's files are gone from {tmp_path}; no engine can start until they are back."

    file.write_text("22")
    watch.check()
    assert watch.sentence == "The program's files were replaced after this engine started. Restart the engine."

    file.write_text("333")
    watch.check()
    watch.check()
    assert watch.sentence == (
        f"The program's files were replaced after this engine started: {VERSION} runs, 0.2.0 is installed. Restart the engine."
    )

    kept.replace(file)
    watch.check()
    assert watch.sentence == ""


def test_the_installed_version_is_this_one() -> None:
    assert installed_version() == VERSION
