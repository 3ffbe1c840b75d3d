import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from engine import parsing
from engine.extraction import unspaced
from engine.patterns import LatePattern, pattern

MODULES = [*(f"engine.parsing.{module.name}" for module in pkgutil.iter_modules(parsing.__path__)), unspaced.__name__]
PROSE = """
import sys
from engine.extraction.frequency import extract
from engine.patterns import LatePattern
assert extract("The scheduler keeps leases in etcd and compacts hot partitions of the store at night.").ranked
for name in sorted(sys.modules):
    if name.startswith("engine.parsing."):
        if any(isinstance(one, LatePattern) and "search" in vars(one) for one in vars(sys.modules[name]).values()):
            print(name.rpartition(".")[2])
"""


def late(name: str) -> Iterator[LatePattern]:
    for value in vars(importlib.import_module(name)).values():
        for one in value.values() if isinstance(value, dict) else [value]:
            if isinstance(one, LatePattern):
                yield one


@pytest.mark.parametrize("name", MODULES)
def test_every_late_expression_compiles(name: str) -> None:
    for one in late(name):
        assert one.pattern


def test_a_late_expression_does_what_a_compiled_one_does() -> None:
    words = pattern(r"(?P<first>\w)\w*")
    assert words.sub(lambda match: match["first"], "late pattern") == "l p"
    assert words.groupindex == {"first": 1}
    assert pattern(rb"\d+").findall(b"4 and 20") == [b"4", b"20"]
    with pytest.raises(AttributeError):
        words.unknown  # type: ignore[attr-defined]  # noqa: B018


def test_prose_compiles_no_expression_of_another_format() -> None:
    ran = subprocess.run([sys.executable, "-P", "-c", PROSE], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) <= {"detect", "labels"}
