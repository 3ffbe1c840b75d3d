"""The answers so far, and the plan made from them. Nothing is written here."""

from __future__ import annotations

import os
import re
import shlex
import socket
from pathlib import Path

from msgspec import Struct

from engine.plan.init import Answers, initial_plan, set_value
from engine.plan.load import parse_plan
from engine.plan.problems import PlanError
from engine.text import clean_line

SERVICE = "keyword-extraction"
URL = "http://127.0.0.1:11434"
MODEL = "llama3.2:3b"
PORT = 8080
PORTS = 20  # tried from PORT on
ADDRESSES = "notify-urls"  # next to the plan, readable only by its owner
LOAD = "stages[0].validation[3].run"  # "Load test documents manually"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


class PlanDraft(Struct, frozen=True):
    """Empty means not answered: the default plan's value stays."""

    service: str = ""
    url: str = ""
    api: str = ""
    model: str = ""
    documents: str = ""
    address: str = ""
    port: int = PORT


def plan_text(draft: PlanDraft, folder: Path) -> str:
    """The commented plan. Raises PlanError if an answer does not fit in a plan."""
    text = initial_plan(
        Answers(
            service=draft.service or None,
            llm_url=draft.url or None,
            llm_model=draft.model or None,
            llm_api=draft.api or None,
            http_port=draft.port if draft.port != PORT else None,
        )
    )
    if draft.documents:
        text = set_value(text, LOAD, f"rollout load --verbose {shlex.quote(clean_line(draft.documents, 400))}")
    if draft.address:
        text = set_value(text, "notify.urls_file", str(folder / ADDRESSES))
    parse_plan(text, str(folder / "rollout.toml"))
    return text


def url_trouble(url: str) -> str:
    """Why a plan can't have this as the LLM's address; "" if one does or it is empty."""
    try:
        plan_text(PlanDraft(url=url), Path())
    except PlanError:
        return f"{url} is not the address of a server; write it like {URL}."
    return ""


def address_trouble(address: str) -> str:
    """Why this is not an address for messages; "" if it may be one or is empty."""
    if not address or _ADDRESS.fullmatch(address):
        return ""
    return "An address starts with a kind, such as slack:// or mailto://; leave it empty to send nothing."


def folder_trouble(path: str, here: Path) -> str:
    """Why the folder has no documents to try; "" if it may have some or the answer is empty."""
    if not path:
        return ""
    given = here / os.path.expanduser(path)
    try:
        if given.exists():
            return ""
    except OSError as error:
        return f"{given} cannot be read: {error.strerror}."
    return f"{given} does not exist. Leave it empty to load documents later."


def writing_trouble(draft: PlanDraft, folder: Path) -> str:
    """Why the plan cannot be written here; "" if it can."""
    if not os.access(folder, os.W_OK):
        return f"{folder} is not writable. Run `rollout` in a folder that you can write."
    taken = folder / ADDRESSES
    if draft.address and taken.exists():
        return f"{taken} exists and is never replaced. Move it away, or go back and leave the address empty."
    return ""


def free_port() -> int:
    """The first free port, starting at the plan's."""
    for port in range(PORT, PORT + PORTS):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return 0
