"""What a server reports about itself and its model, through Ollama's API or OpenAI's and llama.cpp's. Pure."""

from __future__ import annotations

import fnmatch
from typing import Any, Literal

import msgspec

from engine.extraction.llm.responses import count, dicts
from engine.text import clean_line

Thinking = bool | Literal["low"] | None  # what to send as `think`; None: do not send it


class ServerInfo(msgspec.Struct, frozen=True):
    """A server's facts about itself and the model; "" and 0 if unknown."""

    version: str = ""
    digest: str = ""
    loaded: str = ""
    context: int = 0
    slots: int = 0
    thinking: bool = False
    family: str = ""


def ollama_facts(
    model: str, version: dict[str, Any], tags: dict[str, Any], show: dict[str, Any], loaded: dict[str, Any]
) -> ServerInfo:
    """Facts from /api/version, /api/tags, /api/show and /api/ps; {} for each that has no answer."""
    info = show.get("model_info")
    info = info if isinstance(info, dict) else {}
    trained = next((count(v) for k, v in info.items() if str(k).endswith(".context_length")), None) or 0
    details = show.get("details")
    family = str(details.get("family") or "") if isinstance(details, dict) else ""
    can = show.get("capabilities")
    return ServerInfo(
        version=clean_line(str(version.get("version") or ""), 40),
        digest=clean_line(str(entry(model, tags).get("digest") or ""), 80),
        loaded=clean_line(", ".join(str(m.get("name") or "") for m in dicts(loaded, "models")), 200),
        context=count(entry(model, loaded).get("context_length")) or trained,
        thinking=isinstance(can, list) and "thinking" in can,
        family=clean_line(family, 40),
    )


def entry(model: str, models: dict[str, Any]) -> dict[str, Any]:
    """The model's entry in a list of /api/tags or /api/ps; {} if absent."""
    wanted = {model, model if ":" in model else f"{model}:latest"}
    return next((m for m in dicts(models, "models") if {m.get("name"), m.get("model")} & wanted), {})


def openai_facts(model: str, models: dict[str, Any], props: dict[str, Any]) -> tuple[ServerInfo, bool]:
    """Facts from /v1/models and llama.cpp's /props. A list without the model does not prove that it is missing
    (llama.cpp's server ignores the name), unless the server has several models."""
    known = dicts(models, "data")
    entry = next((m for m in known if m.get("id") == model), None)
    defaults = props.get("default_generation_settings")
    context = count(defaults.get("n_ctx")) if isinstance(defaults, dict) else None
    first = entry or (known[0] if known else {})
    meta = first.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    mark = [str(first.get("id") or ""), *(f"{k}={meta[k]}" for k in ("n_params", "size") if k in meta)]
    return (
        ServerInfo(
            version=clean_line(str(props.get("build_info") or ""), 40),
            digest=clean_line(" ".join(m for m in mark if m), 120),
            loaded=clean_line(str(first.get("id") or ""), 100),
            context=context or count(first.get("max_model_len")) or 0,
            slots=count(props.get("total_slots")) or 0,
        ),
        entry is not None or len(known) < 2 or any(_covers(str(m.get("id") or ""), model) for m in known),
    )


def _covers(listed: str, model: str) -> bool:
    """Whether an entry is a wildcard that covers the model (LiteLLM's "openai/*", "*"), or another spelling of its
    name."""
    if "*" in listed:
        return fnmatch.fnmatchcase(model, listed) or fnmatch.fnmatchcase(model, listed.rpartition("/")[2])
    return listed.rpartition("/")[2] == model.rpartition("/")[2] or listed.removesuffix(":latest") == model


def thinking(facts: ServerInfo) -> Thinking:
    """What to send as `think`: gpt-oss can only think less; for other models thinking is disabled."""
    if not facts.thinking:
        return None
    return "low" if facts.family in ("gptoss", "gpt-oss") else False
