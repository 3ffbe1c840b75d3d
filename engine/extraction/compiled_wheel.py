"""How setuptools, which alone imports this, builds the archives. A wheel holds the frequency method compiled if
ROLLOUT_COMPILED=1; see CONTRIBUTING.md.

The sources stay plain Python, and the wheel holds them too. Without the variable, and in every editable install,
nothing is compiled: no compiled module may shadow a file that someone edits.
"""

from __future__ import annotations

import os
from typing import Any

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.sdist import sdist

SWITCH = "ROLLOUT_COMPILED"

# What a document's keywords spend their time in. The rest is regular expressions, which gain nothing.
MODULES = (
    "candidates", "foreign", "frequency", "prose", "ranking", "ranking_trees", "tokens", "traits", "trees", "verbs",
    "words",
)  # fmt: skip


def extensions() -> list[Any]:
    from mypyc.build import mypycify

    paths = [f"engine/extraction/{name}.py" for name in MODULES]
    # without the project's settings, which name all packages
    settings = ["--config-file=", "--ignore-missing-imports"]
    made: list[Any] = mypycify([*settings, *paths], opt_level="3", debug_level="0", group_name="rollout_extraction")
    return made


class Wheel(bdist_wheel):
    def finalize_options(self) -> None:
        if os.environ.get(SWITCH) == "1" and "bdist_wheel" in self.distribution.commands:  # not editable_wheel
            self.distribution.ext_modules = extensions()
        super().finalize_options()


class SourceArchive(sdist):
    """Without tests: setuptools adds tests/test*.py on its own, which run nowhere without the other files of tests/."""

    def make_distribution(self) -> None:
        self.filelist.exclude_pattern(None, prefix="tests")
        super().make_distribution()
