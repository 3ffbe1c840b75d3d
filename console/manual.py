"""The manual page, generated from the commands' --help as roff."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

FILES = (
    ("rollout.toml", "The plan: here, in a folder above, or /etc/rollout/rollout.toml."),
    (".rollout/", "The store beside the plan: database, log of decisions, socket, and the armed file."),
    (".rollout/armed", "Without this file no LLM call is made. rm .rollout/armed stops them from any shell."),
)
VARIABLES = (
    ("ROLLOUT_PLAN", "The plan, where --plan is not given."),
    ("ROLLOUT_AS", "Your name, where several people share an account and --as is not given."),
    ("ROLLOUT_STORE", "The store, where --store is not given."),
    ("ROLLOUT_NOTIFY_URLS", "Where messages go, as apprise URLs."),
    ("NO_COLOR", "No colours."),
)


def manual(root: click.Group) -> str:
    """The page rollout(1)."""
    return "\n".join(_page(root)) + "\n"


def _page(root: click.Group) -> Iterator[str]:
    ctx = click.Context(root, info_name="rollout")
    summary, _, rest = (root.help or "").partition("\n\n")
    yield '.TH ROLLOUT 1 "" "rollout" "User Commands"'
    yield from (".SH NAME", f"rollout \\- {_text(summary)}")
    yield from (".SH SYNOPSIS", ".B rollout", "[\\fIoptions\\fR] [\\fIverb\\fR] [\\fIarguments\\fR]")
    yield from (".SH DESCRIPTION", *_paragraphs(rest), ".SH OPTIONS", *_options(root, ctx))
    yield ".SH VERBS"
    for name in root.list_commands(ctx):
        command = root.get_command(ctx, name)
        if command is not None:
            yield from _command(command, click.Context(command, parent=ctx, info_name=name))
    yield from (
        ".SH EXIT STATUS",
        *_terms(
            (
                ("0", "It worked."),
                ("1", "Refused or failed; the message gives the reason."),
                ("2", "The command line was not understood."),
            )
        ),
    )
    yield from (".SH FILES", *_terms(FILES), ".SH ENVIRONMENT", *_terms(VARIABLES))


def _command(command: click.Command, ctx: click.Context) -> Iterator[str]:
    pieces = [piece for piece in command.collect_usage_pieces(ctx) if piece != "[OPTIONS]"]
    yield f".SS {_text(' '.join([ctx.command_path, *pieces]))}"
    yield from _paragraphs(command.help or "")
    yield from _options(command, ctx)
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            if inner is not None:
                yield from _command(inner, click.Context(inner, parent=ctx, info_name=name))


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    records = (param.get_help_record(ctx) for param in command.get_params(ctx) if isinstance(param, click.Option))
    yield from _terms(tuple(record for record in records if record is not None))


def _terms(pairs: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for term, text in pairs:
        yield from (".TP", f".B {_text(term)}", _text(text) or "\\&")


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(part for part in re.split(r"\n\s*\n", text.strip()) if part.strip()):
        yield from ([".PP"] if number else [])
        yield _text(paragraph)


def _text(text: str) -> str:
    """One line of roff that renders exactly this text."""
    line = " ".join(text.replace("\b", " ").split()).replace("\\", "\\e").replace("-", "\\-")
    line = (
        line.replace('"', "\\(dq")
        .replace("'", "\\(aq")
        .replace("`", "\\(ga")
        .replace("^", "\\(ha")
        .replace("~", "\\(ti")
    )
    return f"\\&{line}" if line.startswith((".", "\\(aq")) else line
