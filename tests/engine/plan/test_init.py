"""The first rollout.toml for a service, and one value changed at a time."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plan.init import Answers, initial_plan, set_value
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.positions import Path, dotted, find_places, parts

DEFAULT = default_plan_text()
ODD = """\
# top
a = 1 # one
"quoted key" = 'x' # "q"
d.e.f = 2
[t] # table
# b = 3   # default of b
list = [ # c
  1, 2, # two
  [3],
]
inline = { x = 1, 'y z' = [1, {k = "}"}], empty = {} }
text = \"\"\"
[not.a.table]
k = "1" # no comment
\\\"\"\"\"\"\"
lit = '''
# b = 9
''' # after
when = 1979-05-27 07:32:00
[[arr]]
id = "first"
v = 1
[arr.sub]
w = 2
[[arr]]
id = "second"
[[arr.deep]]
z = 1
[[arr.deep]]
z = 2
[last]
"""


def leaves(data: Any, path: Path = ()) -> list[Path]:
    if isinstance(data, dict):
        return [leaf for key, value in data.items() for leaf in leaves(value, (*path, key))]
    if isinstance(data, list):
        own = [path] if not any(isinstance(value, dict) for value in data) else []
        return own + [leaf for at, value in enumerate(data) for leaf in leaves(value, (*path, at))]
    return [path]


def at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


TEXTS = [ODD, ODD.replace("\n", "\r\n")]
LEAVES = leaves(tomllib.loads(ODD))
TABLES: list[Path] = [(), ("t",), ("arr", 0), ("arr", 1), ("arr", 0, "sub"), ("arr", 1, "deep", 0), ("last",), ("new",)]
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.sampled_from(["a\nb", '"""', "'''\n", "\\", "# no", "x\r\ny", "]", "}", "\t", "\x7f"]),
    st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=3),
)


@pytest.mark.parametrize("text", [DEFAULT, *TEXTS])
def test_every_key_is_located(text: str) -> None:
    data, places = tomllib.loads(text), find_places(text)
    for path in leaves(data):
        span = places.values[path]
        assert tomllib.loads(f"x = {text[span.start : span.end]}")["x"] == at(data, path), path
        assert text.count("\n", 0, span.start) + 1 == span.line or span.line <= text.count("\n", 0, span.end) + 1


TREES = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.one_of(st.booleans(), st.integers(-9, 9), st.text(max_size=6), st.datetimes(), st.just("a\nb\\")),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(TREES, st.booleans())
def test_every_key_of_any_file_is_located(data: dict[str, Any], lines: bool) -> None:
    text = "# first\n" + tomli_w.dumps(data, multiline_strings=lines)
    places = find_places(text)
    for path in leaves(tomllib.loads(text)):
        span = places.values.get(path)
        # A list of tables is delimited by the headers of its elements.
        if span is not None and span.end > span.start:
            assert tomllib.loads(f"x = {text[span.start : span.end]}")["x"] == at(tomllib.loads(text), path)
        assert path == () or places.line(path), path


@pytest.mark.parametrize("path", [*LEAVES, *leaves(tomllib.loads(DEFAULT))[::40]])
def test_a_path_reads_back_from_its_text(path: Path) -> None:
    assert parts(dotted(path)) == path


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(LEAVES), VALUES)
def test_a_value_that_is_set_reads_back_and_leaves_the_rest(text: str, path: Path, value: Any) -> None:
    before = tomllib.loads(text)
    changed = set_value(text, dotted(path), value)
    after = tomllib.loads(changed)
    result = at(after, path)
    assert result == value
    assert type(result) is type(value)
    assert set_value(changed, dotted(path), at(before, path)) is not None
    assert tomllib.loads(set_value(changed, dotted(path), at(before, path))) == before
    for comment in ("# top", "# one", '# "q"', "# table", "# c", "# after"):
        assert comment in changed or path in (("t", "list"),)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.sampled_from(TABLES),
    st.one_of(st.sampled_from(["added", "b"]), st.text(min_size=1, max_size=8)),
    VALUES,
)
def test_a_key_that_is_added_reads_back_and_leaves_the_rest(text: str, table: Path, key: str, value: Any) -> None:
    path = (*table, key)
    before = tomllib.loads(text)
    try:
        if isinstance(at(before, path), (dict, list)):
            return
        fresh = False
    except KeyError:
        fresh = True
    changed = set_value(text, dotted(path), value)
    after = tomllib.loads(changed)
    assert at(after, path) == value
    kept = [line for line in text.splitlines() if line not in changed.splitlines()]
    # A new key adds a line; only a default taken out of its comment changes one.
    assert not fresh or len(kept) <= 1
    rebuilt = at(after, table)
    del rebuilt[key]
    assert not fresh or rebuilt == (at(before, table) if table != ("new",) else {})


def test_a_comment_stays_in_its_column() -> None:
    text = 'port = 8080          # the port\nhost = "a"  # x\n'
    assert set_value(text, "port", 9) == 'port = 9             # the port\nhost = "a"  # x\n'
    assert set_value(text, "host", "a" * 40) == f'port = 8080          # the port\nhost = "{"a" * 40}"  # x\n'


def test_setting_a_commented_default_uncomments_it() -> None:
    text = '[llm]\n# retries = 2      # tries\n# timeout = "30s"\n[http]\n# retries = 9\n'
    assert set_value(text, "llm.retries", 5) == text.replace("# retries = 2      # tries", "retries = 5        # tries")


def test_a_commented_default_without_a_remark_is_uncommented_too() -> None:
    for end in ("\n", "\r\n"):
        text = f'[llm]{end}# timeout = "30s"{end}[http]{end}# timeout = "1s"{end}'
        assert set_value(text, "llm.timeout", "5s") == text.replace('# timeout = "30s"', 'timeout = "5s"')
        assert set_value(text, "http.timeout", "5s") == text.replace('# timeout = "1s"', 'timeout = "5s"')


def test_a_default_of_another_table_is_left_in_its_comment() -> None:
    text = '[calendar]\n# [[calendar.quiet]]\n# start = "18:00"\n'
    assert (
        set_value(text, "calendar.start", "x") == '[calendar]\nstart = "x"\n# [[calendar.quiet]]\n# start = "18:00"\n'
    )


def test_an_element_is_named_by_its_id() -> None:
    plan = parse_plan(set_value(DEFAULT, "triggers[error_critical].for", "10m"))
    assert {trigger.id: trigger.for_s for trigger in plan.triggers}["error_critical"] == 600
    plan = parse_plan(set_value(DEFAULT, "stages[0].checklist[backups].required", False))
    assert [item.id for item in plan.stages[0].checklist if not item.required] == ["backups"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("stages[9].percent", "stages has no element 9; it has 6, counted from 0"),
        ("triggers[missing].for", "triggers has no element missing"),
        ("llm.model.x", "llm.model is a single value; it has no x"),
        ("stages.percent", "stages has no element percent"),
    ],
)
def test_a_missing_place_is_reported_in_a_sentence(path: str, sentence: str) -> None:
    with pytest.raises(KeyError) as refused:
        set_value(DEFAULT, path, 1)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("path", ["", ".", "a..b", "a.", "[0]", "a b", "a[", "a[0]b", '"open'])
def test_an_invalid_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a key"):
        set_value(DEFAULT, path, 1)


@pytest.mark.parametrize("value", [None, {"a": 1}, object(), float("nan"), [None], "\ud800"])
def test_a_value_that_toml_cannot_express_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        set_value(DEFAULT, "llm.model", value)


def test_a_text_that_is_not_toml_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        set_value("a = = 1", "a", 1)


def test_without_answers_it_is_the_default_plan() -> None:
    assert initial_plan(Answers()) == DEFAULT


def test_the_first_plan_has_the_answers_and_keeps_every_comment() -> None:
    text = initial_plan(
        Answers(
            service="docs-search",
            environment="staging",
            llm_url="https://gpu.example:8000",
            llm_model='odd "name"',
            llm_api="openai",
            http_port=9090,
            contacts={
                "Technical Lead": {"name": "Ann", "phone": "112", "email": "ann@example.org"},
                "Product Owner": {"name": "Bo"},
            },
        )
    )
    plan = parse_plan(text)
    assert (plan.service, plan.environment) == ("docs-search", "staging")
    assert (plan.llm.urls, plan.llm.model, plan.llm.api) == (("https://gpu.example:8000",), 'odd "name"', "openai")
    assert plan.http.port == 9090
    assert [(c.role, c.name, c.phone, c.email) for c in plan.contacts] == [
        ("Technical Lead", "Ann", "112", "ann@example.org"),
        ("DevOps Engineer", "[Name]", "[Phone]", "[Email]"),
        ("Product Owner", "Bo", "[Phone]", "[Email]"),
    ]
    assert "localhost:8080" not in text
    assert "http://staging.xze:8080/metrics" in text
    comments = [line[line.index("#") :] for line in DEFAULT.splitlines() if "#" in line and "run =" not in line]
    assert [comment for comment in comments if comment not in text] == []


def test_control_characters_in_an_answer_are_removed() -> None:
    text = initial_plan(Answers(service="a\x1b[2Jb", contacts={"Product Owner": {"name": "n\u202e"}}))
    assert parse_plan(text).service == "a·[2Jb"
    assert "\x1b" not in text
