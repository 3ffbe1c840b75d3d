"""`rollout worker`: a gateway for POST /v1/extract on another core or machine."""

from __future__ import annotations

import click

from console.context import CliContext


@click.command()
@click.option("--engine", required=True, metavar="URL", help="The engine: https://HOST:PORT, or its store's folder.")
@click.option(
    "--listen", default="127.0.0.1:8081", show_default=True, metavar="HOST:PORT", help=":PORT listens on every address."
)
@click.option(
    "--without-engine",
    type=click.Choice(["refuse", "frequency"]),
    default="refuse",
    show_default=True,
    help="While the engine is gone: answer 503, or with frequency keywords that are not stored.",
)
@click.pass_obj
def worker(context: CliContext, engine: str, listen: str, without_engine: str) -> None:
    """A stateless gateway for POST /v1/extract and /v1/extract:batch, behind any load balancer.

    It answers once the engine has stored the document, and calls the LLM only under a lease from the engine. It needs
    the engine's rollout.toml, version and token, and the LLM's key in its own environment.
    """
    from engine.gateway.process import run

    raise SystemExit(run(context.plan_path.resolve(), engine, listen, without_engine == "frequency"))
