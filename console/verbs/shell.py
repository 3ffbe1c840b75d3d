"""Verbs for the shell: completion and the manual page."""

from __future__ import annotations

import click

from console.output import json_option, say_text

WHERE = {
    "bash": 'eval "$(rollout completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(rollout completion zsh)" in ~/.zshrc, after compinit',
    "fish": "rollout completion fish > ~/.config/fish/completions/rollout.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(WHERE)))
@json_option
def completion(shell: str) -> None:
    """Print a script that makes the shell complete verbs, options and ids.

    bash: eval "$(rollout completion bash)" in ~/.bashrc; zsh: the same with zsh, after compinit;
    fish: rollout completion fish > ~/.config/fish/completions/rollout.fish
    """
    from click.shell_completion import get_completion_class

    from console import shells

    shells.use()
    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(click.get_current_context().find_root().command, {}, "rollout", "_ROLLOUT_COMPLETE")
    say_text(made.source_template % made.source_vars(), shell=shell, where=WHERE[shell])


@click.command()
@json_option
def man() -> None:
    """Print the manual page: rollout man | man -l -

    To install it: rollout man > /usr/local/share/man/man1/rollout.1
    """
    from console.manual import manual

    root = click.get_current_context().find_root().command
    assert isinstance(root, click.Group)
    say_text(manual(root))
