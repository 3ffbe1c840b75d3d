"""One test per kind of mistake: each message names file, line, place, what is wrong and what is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plan.init import set_value
from engine.plan.load import PlanError, PlanProblem, default_plan_text, parse_plan
from tests.engine.plan.small_plan import SMALL, line_of, only, problems, swapped


def test_the_small_plan_is_right() -> None:
    plan = parse_plan(SMALL)
    assert [stage.percent_bp for stage in plan.stages] == [0, 1000]
    assert plan.llm.urls == ("http://127.0.0.1:11434",)
    assert plan.triggers[0].above == 0.05
    assert plan.stages[1].success[0].value == 0.01


def test_a_percentage_out_of_range_is_refused_with_its_line() -> None:
    text = swapped("percent = 10", "percent = 150")
    assert only(text) == (
        f"rollout.toml:{line_of(text, 'percent = 150')}, stages[1].percent: "
        "150 is outside 0 to 100; give a percentage such as 25"
    )


@pytest.mark.parametrize("written", ["-1", "100.01", "inf", "nan", "1e400", "9" * 400])
def test_every_percentage_out_of_range_is_refused(written: str) -> None:
    assert "give a percentage such as 25" in only(swapped("percent = 10", f"percent = {written}"))


def test_a_percentage_with_three_decimals_is_refused() -> None:
    assert "12.345 has more than two decimals" in only(swapped("percent = 10", "percent = 12.345"))


@pytest.mark.parametrize(("written", "bp"), [("12.5", 1250), ("0.29", 29), ("99.99", 9999), ("100", 10_000)])
def test_a_percentage_becomes_basis_points(written: str, bp: int) -> None:
    assert parse_plan(swapped("percent = 10", f"percent = {written}")).stages[1].percent_bp == bp


def test_a_percentage_in_quotes_is_refused() -> None:
    assert '"10%" is not a number; give a percentage such as 25, without quotes or %' in only(
        swapped("percent = 10", 'percent = "10%"')
    )


def test_an_unknown_key_suggests_a_similar_one_and_lists_the_allowed_ones() -> None:
    text = swapped("percent = 10", "percent = 10\nbakes = 5")
    line = only(text)
    assert line.startswith(f'rollout.toml:{line_of(text, "bakes")}, stages[1].bakes: "bakes" is not a key here;')
    assert 'did you mean "bake"?' in line
    assert "Allowed: number, name, objective, percent, duration, bake, ab_test" in line


def test_an_unknown_key_without_a_similar_one_lists_the_allowed_ones() -> None:
    assert '"zzz" is not a key here. Allowed: name, service, environment, llm' in only("zzz = 1\n" + SMALL)


def test_a_bad_duration_is_refused_with_the_form_to_write() -> None:
    line = only(swapped('bake = "2d"', 'bake = "2 days"'))
    assert 'stages[1].bake: "2 days" is not a duration; write a number and a unit' in line


def test_a_duration_without_a_unit_is_refused() -> None:
    assert 'for: 300 has no unit; give a duration such as "5m", in quotes' in only(swapped('for = "5m"', "for = 300"))


def test_a_duration_out_of_range_is_refused_with_its_limit() -> None:
    line = only(SMALL + '[trigger_settings]\nlease = "1d"\n')
    assert "trigger_settings.lease: 1d is too large; the maximum is 10m" in line


def test_a_missing_key_is_named_with_the_line_of_its_table() -> None:
    text = swapped('bake = "2d"\n', "")
    header = SMALL.index("[[stages]]", SMALL.index("[[stages]]") + 1)
    expected = SMALL[:header].count("\n") + 1
    assert only(text) == (f'rollout.toml:{expected}, stages[1].bake: "bake" is missing; give a duration such as "2d"')


def test_a_missing_table_is_named() -> None:
    text = swapped('[llm]\nurl = "http://127.0.0.1:11434"\nmodel = "m"\n', "")
    assert only(text) == "rollout.toml, llm: the table [llm] is missing; the LLM service"


def test_missing_stages_are_reported() -> None:
    start, end = SMALL.index("[[stages]]"), SMALL.index("[[triggers]]")
    assert "stages: there are no [[stages]]" in only(SMALL[:start] + SMALL[end:])


def test_an_empty_file_names_everything_that_is_required() -> None:
    places = [line.split(": ")[0] for line in problems("")]
    assert places == [f"rollout.toml, {key}" for key in ("name", "service", "environment", "llm", "stages", "triggers")]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "Canary"', "name = 3", "3 is not a string"),
        ('name = "Canary"', 'name = "  "', "the string is empty"),
        ("number = 1", 'number = "1"', '"1" is not a whole number'),
        ("number = 1", "number = true", "true is not a whole number"),
        ("number = 1", "number = 1.0", "1.0 is not a whole number"),
        ("percent = 10", "percent = 10\nab_test = 1", "1 is neither true nor false"),
        ("percent = 10", 'percent = 10\nfeedback = "x"', '"x" is not a list'),
        ("percent = 10", "percent = 10\nfeedback = [1]", "feedback[0]: 1 is not a string"),
        ("percent = 10", "percent = 10\nsampling = 20", "20 is not a table"),
        ("percent = 10", "percent = 10\nreminders = [1]", "a list is not a list of tables"),
        ('model = "m"', "model = 2026-11-24", "2026-11-24 is not a string"),
        ('op = "<"', "op = 1", "1 is not a string; give one of"),
        ('value = "1 %"', "value = true", "true is not a number"),
        ('value = "1 %"', 'value = "one"', '"one" is not a number with %, ms or s'),
        ('model = "m"', 'model = "m"\ntemperature = "hot"', '"hot" is not a number'),
        ('model = "m"', 'model = "m"\ntemperature = 3', "3 is too large; the maximum is 2"),
        ('model = "m"', 'model = "m"\nretries = -1', "-1 is too small; the minimum is 0"),
        ('model = "m"', 'model = "m"\nmin_length = 99999999999999999999', "is too large"),
    ],
)
def test_a_wrong_type_or_range_is_refused(old: str, new: str, sentence: str) -> None:
    assert sentence in only(swapped(old, new))


def test_an_unknown_action_lists_the_actions() -> None:
    line = only(swapped('action = "to_zero"', 'action = "to_zer"'))
    assert '"to_zer" is not a choice; did you mean "to_zero"? Allowed: to_zero, previous_stage, halve' in line


def test_a_trigger_on_an_unknown_metric_is_refused() -> None:
    text = SMALL.replace('metric = "error_rate"\nabove', 'metric = "error_rat"\nabove')
    assert 'triggers[0].metric: "error_rat" is not a choice; did you mean "error_rate"?' in only(text)


def test_a_trigger_without_a_threshold_is_refused() -> None:
    assert 'triggers[0].above: "above" is missing' in only(swapped('above = "5 %"\n', ""))


def test_a_trigger_with_two_thresholds_is_refused() -> None:
    assert "both given" in only(swapped('above = "5 %"', 'above = "5 %"\nbelow = "1 %"'))


def test_a_rate_above_one_shows_how_to_write_percent() -> None:
    line = only(swapped('above = "5 %"', "above = 5"))
    assert 'triggers[0].above: 5 is outside 0 to 1 for error_rate; for 5 % write "5 %"' in line


@pytest.mark.parametrize(
    ("metric", "written"), [("latency_mean", "5 %"), ("error_rate", "5 s"), ("complaints", "3 ms")]
)
def test_a_threshold_in_the_wrong_unit_is_refused(metric: str, written: str) -> None:
    text = SMALL.replace('metric = "error_rate"\nabove = "5 %"', f'metric = "{metric}"\nabove = "{written}"')
    assert f'"{written}" is not a value of {metric}, which is' in only(text)


@pytest.mark.parametrize(
    ("metric", "written", "value"),
    [
        ("latency_mean", '"3 s"', 3000),
        ("latency_mean", '"2000ms"', 2000),
        ("latency_mean", "1500", 1500),
        ("error_rate", '"0.5%"', 0.005),
        ("error_rate", "0.05", 0.05),
        ("search_improvement", '"15 %"', 0.15),
        ("complaints", "10", 10),
    ],
)
def test_thresholds_are_read_in_the_unit_of_their_metric(metric: str, written: str, value: float) -> None:
    text = SMALL.replace('metric = "error_rate"\nabove = "5 %"', f'metric = "{metric}"\nabove = {written}')
    assert parse_plan(text).triggers[0].above == value


def test_a_matrix_row_that_names_an_unknown_trigger_is_refused() -> None:
    line = only(swapped('trigger = "error_critical"', 'trigger = "error_crit"'))
    assert 'matrix[0].trigger: "error_crit" is not the id of a trigger; did you mean "error_critical"?' in line


def test_stages_out_of_order_are_refused() -> None:
    assert "stages[1].number: 2 should be 1" in only(swapped("number = 1", "number = 2"))


def test_percentages_that_decrease_are_refused() -> None:
    line = only(swapped("percent = 0", "percent = 25"))
    assert "stages[1].percent: 10 % is less than the 25 % of the stage before" in line


def test_a_duplicate_id_is_refused() -> None:
    text = swapped(
        '[[stages.conditions]]\nid = "errors"',
        '[[stages.checklist]]\nid = "box"\ntext = "Again"\n\n[[stages.conditions]]\nid = "errors"',
    )
    line = only(text)
    assert 'stages[1].checklist[1].id: "box" is already the id of stages[1].checklist[0]; give another' in line
    second = text.index('id = "box"', text.index('id = "box"') + 1)
    assert line.startswith(f"rollout.toml:{text[:second].count(chr(10)) + 1},")


def test_a_bad_id_is_refused() -> None:
    assert '"Error Critical" is not an id' in problems(swapped('id = "error_critical"', 'id = "Error Critical"'))[0]


@pytest.mark.parametrize("written", ["{percnt}", "{percent.__class__}", "{percent!r}", "{percent:>9}", "{}", "{0}"])
def test_an_unknown_placeholder_is_refused(written: str) -> None:
    line = only(swapped('body = "At {percent}"', f'body = "At {written}"'))
    assert f"messages[0].body: {written} is not a placeholder" in line
    assert "Known: service, environment, stage," in line


def test_a_lone_brace_in_a_message_is_refused() -> None:
    assert "unmatched brace" in only(swapped('body = "At {percent}"', 'body = "At {percent"'))


def test_a_message_for_a_missing_stage_is_refused() -> None:
    line = only(swapped('when = "daily"', 'when = "daily"\nstages = [1, 7]'))
    assert "messages[0].stages[1]: there is no stage 7; the last one is 1" in line


def test_a_stage_message_without_stages_is_refused() -> None:
    assert 'messages[0].stages: "stages" is missing' in only(swapped('when = "daily"', 'when = "stage"'))


def test_a_check_without_its_own_keys_is_refused() -> None:
    line = only(swapped('text = "A box"', 'text = "A box"\ncheck = { kind = "http" }'))
    assert 'stages[1].checklist[0].check.url: "url" is missing; a check of kind "http" needs it' in line


def test_an_ab_test_with_one_arm_or_undeclared_is_refused() -> None:
    text = SMALL.replace("percent = 10", "percent = 100\nab_test = true")
    first, second = problems(text)
    assert "stages[1].experiment: the table [stages.experiment] is missing" in first + second
    assert "100 % leaves an A/B test with one arm" in first + second


def test_a_reminder_that_ends_before_it_begins_is_refused() -> None:
    reminder = '[[stages.reminders]]\nid = "r"\ntext = "t"\nevery = "4h"\nfrom = "2d"\nuntil = "1d"\n\n[[triggers]]'
    assert "the reminder ends before it starts" in only(swapped("[[triggers]]", reminder))


def test_an_llm_without_a_server_is_refused() -> None:
    assert "llm.urls: the list is empty" in only(swapped('url = "http://127.0.0.1:11434"', "urls = []"))


def test_an_llm_url_that_is_not_a_url_is_refused() -> None:
    text = swapped('url = "http://127.0.0.1:11434"', 'url = "localhost:11434"')
    line = only(text)
    assert line.startswith(f"rollout.toml:{line_of(text, 'url =')}, llm.url: ")
    assert 'give a text such as "http://127.0.0.1:11434"' in line


def test_a_date_that_does_not_exist_is_refused() -> None:
    calendar = '[calendar]\ntimezone = "Mars/Base"\n[[calendar.freeze]]\nstart = "2026-12-40"\n'
    lines = problems(SMALL + calendar + 'end = "2026-12-24"\nreason = "x"\n')
    assert "is not a time zone" in lines[0]
    assert '"2026-12-40" is not a date' in lines[1]


def test_a_freeze_that_ends_before_it_begins_is_refused() -> None:
    freeze = '[[calendar.freeze]]\nstart = "2026-12-24"\nend = "2026-12-23"\nreason = "x"\n'
    assert "the freeze ends before it starts" in only(SMALL + freeze)


def test_a_control_character_in_a_string_is_refused() -> None:
    line = only(swapped('name = "Canary"', 'name = "Can\\u001b[2Jary"'))
    assert "the string contains U+001B, a terminal control character; remove it" in line
    assert "\x1b" not in line


def test_control_characters_in_an_unknown_key_are_shown_escaped() -> None:
    assert "\x1b" not in only('"\\u001b[2J" = 1\n' + SMALL)


def test_a_line_break_in_a_one_line_text_is_refused() -> None:
    assert "the string has a line break" in only(swapped('name = "Canary"', 'name = "a\\nb"'))


def test_a_toml_syntax_error_has_its_line() -> None:
    text = swapped("percent = 10", "percent = = 10")
    line = only(text)
    assert line.startswith(f"rollout.toml:{line_of(text, 'percent = = 10')}: not valid TOML: ")
    assert "(at line" not in line


@pytest.mark.parametrize("value", ["llama3", "“Canary”", "‘Canary’", "yes", "Canary stage"])
def test_a_text_without_straight_quotes_is_told_so(value: str) -> None:
    text = swapped('name = "Canary"', f"name = {value}")

    assert only(text) == (
        f"rollout.toml:{line_of(text, f'name = {value}')}: not valid TOML: this is not a value; "
        'put text in straight quotes, such as name = "Canary"'
    )


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", "=======", '{"llm": 1}', "- a", "“name” = 1"])
def test_a_line_that_is_nothing_in_toml_is_told_what_a_line_may_be(line: str) -> None:
    text = swapped('name = "Canary"', f'name = "Canary"\n{line}')

    assert only(text) == (
        f"rollout.toml:{line_of(text, line)}: not valid TOML: a line here is a [table], key = value or a # comment"
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ab_test = True", "write true or false, in small letters and without quotes"),
        ("percent = 10 %", "something follows the value; a number has no unit and no comma, and each key a line of its own"),
        ("percent = 0,5", "something follows the value; a number has no unit and no comma, and each key a line of its own"),
        ('name = "Canary', "a text has no closing quote"),
    ],
)  # fmt: skip
def test_a_value_that_toml_does_not_have_is_told_how_to_write_it(line: str, told: str) -> None:
    text = swapped('name = "Canary"', line)
    assert only(text) == f"rollout.toml:{line_of(text, line)}: not valid TOML: {told}"


def test_a_table_that_appears_twice_is_named() -> None:
    assert only(f"{default_plan_text()}\n[llm]\n").endswith(
        "not valid TOML: the table llm appears twice, or a key already has its name"
    )


def test_a_port_that_no_machine_has_is_refused() -> None:
    assert "does not fit" in only(swapped('url = "http://127.0.0.1:11434"', 'url = "http://127.0.0.1:65536"'))


def test_a_toml_file_that_ends_too_soon_is_reported_at_its_last_line() -> None:
    text = 'name = """\nabc\n'
    assert only(text).startswith("rollout.toml:3: not valid TOML")


def test_a_key_that_appears_twice_in_its_table_is_refused() -> None:
    text = swapped("percent = 10", "percent = 10\npercent = 20")
    assert only(text) == (
        f"rollout.toml:{line_of(text, 'percent = 20')}: not valid TOML: this key appears twice in its table; remove one"
    )


def test_endless_nesting_is_reported() -> None:
    assert "nested too deep" in only("x = " + "[" * 5000)


def test_a_number_too_long_for_the_machine_is_reported() -> None:
    assert "not valid TOML" in only("x = " + "9" * 5000)


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = (
        SMALL.replace('environment = "test"', "environment = 1")
        .replace('bake = "1d"', 'bake = "soon"')
        .replace("percent = 10", "percent = 150\nextra = 1")
        .replace('action = "to_zero"', 'action = "explode"')
        .replace('trigger = "error_critical"', 'trigger = "nobody"')
        .replace("{percent}", "{nothing}")
    )
    lines = problems(text)
    places = [line.split(", ")[1].split(": ")[0] for line in lines]
    assert places == [
        "environment",
        "stages[0].bake",
        "stages[1].percent",
        "stages[1].extra",
        "triggers[0].action",
        "matrix[0].trigger",
        "messages[0].body",
    ]
    numbers = [int(line.split(":")[1].split(",")[0]) for line in lines]
    assert numbers == sorted(numbers)


VALUES = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.text(max_size=20), st.lists(st.integers(), max_size=2),
    st.just({"a": 1}), st.dates(), st.just([{"id": 1}, 2]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SMALL.splitlines()), VALUES)
def test_whatever_a_value_is_the_answer_is_a_plan_or_sentences(line: str, value: object) -> None:
    import tomli_w

    if " = " not in line:
        return
    key = line.split(" = ")[0]
    written = tomli_w.dumps({key: [value]}).removeprefix(f"{key} = [").rstrip().removesuffix("]").strip()
    text = SMALL.replace(line, f"{key} = {written.removesuffix(',')}", 1)
    results = []
    try:
        parse_plan(text)
    except PlanError as error:
        results = [*error.problems] or ["nothing sentence"]
    assert all(isinstance(problem, PlanProblem) and problem.message and problem.line for problem in results)


def test_every_line_number_is_right_in_the_whole_plan() -> None:
    """A mistake placed at each key of the plan in turn is reported on its line."""
    text = default_plan_text()
    for path in ("stages[2].percent", "triggers[cache_low].for", "stages[4].experiment.alpha", "http.port"):
        broken = set_value(text, path, "wrong")
        changed = next(
            number
            for number, (old, new) in enumerate(zip(text.splitlines(), broken.splitlines(), strict=True), start=1)
            if old != new
        )
        with pytest.raises(PlanError) as refused:
            parse_plan(broken, "rollout.toml")
        assert [problem.line for problem in refused.value.problems] == [changed]
