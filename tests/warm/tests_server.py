"""The server of pytest-xdist's workers: imports the tests once, then forks a worker for each request.

Six workers that import them spend four seconds of CPU each. A worker loads its own configuration and collects as ever; what it
finds imported it does not import again.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import warnings
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import PYC_TAIL
from _pytest.config import _prepareconfig

from tests.warm import server
from tests.warm.client import ROOT


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the workers' and their controller's
    paths = [path for path in sys.path if path not in os.environ["PYTHONPATH"].split(os.pathsep)]
    config = _prepareconfig([*sys.argv[3:], "--capture=no"])  # from here on imports rewrite the tests' assertions
    files = _files(config.args)
    helper = not all(_compiled(file) for file in files) and os.fork() == 0
    for file in files[::-1] if helper else files:
        with contextlib.suppress(Exception, pytest.skip.Exception):  # collecting it reports it
            importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    if helper:  # in a new checkout compiling takes ten seconds; two share them, each reads what the other has written
        os._exit(0)
    _prepare_hypothesis()
    if "tests.sources" in sys.modules:
        importlib.import_module("tests.sources").trees()
    server.serve(line, paths, own_server=False)


def _prepare_hypothesis() -> None:
    """Collect the constants of the product's files, which Hypothesis's examples use: half a second for each worker.

    A version that does this otherwise does it in each worker.
    """
    with contextlib.suppress(ImportError, AttributeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of plugins that do this and make pytest slow to start
        importlib.import_module("hypothesis.internal.conjecture.providers")._get_local_constants()
        with importlib.import_module("hypothesis.internal.entropy").deterministic_PRNG():
            pass  # its first use looks through all objects


def _files(args: list[str]) -> list[Path]:
    """The test files that are named, or below a folder that is."""
    named = [Path(arg.split("::")[0]).absolute() for arg in args]
    files = [file for path in named for file in (sorted(path.rglob("test_*.py")) if path.is_dir() else [path])]
    return [file for file in files if file.is_relative_to(ROOT)]


def _compiled(file: Path) -> bool:
    return (file.parent / "__pycache__" / f"{file.stem}{PYC_TAIL}").exists()


if __name__ == "__main__":
    main()
