"""More rows for test_llm_faults and test_llm_accepted_answers: how models, servers and gateways wrap an answer, and what they send instead of one."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from engine.extraction.llm.prompt import build
from tests.fault_server import Api, Response, Say, body, chunked, content, raw, refusal

D = ["connection pool", "circuit breaker", "exponential backoff", "error rate", "idle connections", "jitter"]
T = ["max_connections", "keepalive_timeout", "Prometheus", "HTTP/2", "tokio", "gateway.yaml"]
ALL = [*D, *T]
OBJECT = {"descriptive": D, "technical": T}
GOOD = json.dumps(OBJECT)


class Holds(NamedTuple):
    """An answer that contains the keywords, in some form; `lost` of the twelve may be missing."""

    name: str
    say: Say
    lost: int = 0


class Lacks(NamedTuple):
    """An answer without keywords: how it is counted, and the part of its message that identifies it."""

    name: str
    say: Say
    kind: str
    shows: str


ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")


def lines(mark: Callable[[int, str], str]) -> str:
    return "\n".join(mark(number, keyword) for number, keyword in enumerate(ALL, 1))


def events(*parts: Any, end: str = "\n\n", done: bool = True, names: bool = False, space: str = " ") -> Say:
    """Server-sent events, each a JSON value."""
    out = ""
    for part in parts:
        name = f"event: {part.get('type', 'message')}{end[: len(end) // 2]}" if names else ""
        out += f"{name}data:{space}{json.dumps(part)}{end}"
    return body((out + (f"data:{space}[DONE]{end}" if done else "")).encode(), 200, "content-type: text/event-stream")


def deltas(*texts: str, finish: Any = "stop", **more: Any) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}], **more}]
    parts += [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more} for text in texts]
    return [*parts, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **more}]


def tokens(text: str = GOOD, size: int = 5) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def message(**fields: Any) -> Say:
    """A message with these fields, by either API."""
    text = fields.pop("content", None)
    return content(text, "stop", **fields)


def choices(*items: Any, **more: Any) -> Say:
    return body({"id": "x", "object": "chat.completion", "choices": list(items), **more})


def call(arguments: Any, name: str = "keywords") -> Say:
    return message(
        tool_calls=[{"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}]
    )


def group(mark: str = "- ", join: str = "\n", label: Callable[[str], str] = str) -> str:
    return "\n".join(
        f"{label(name)}\n{join.join(mark + k for k in some)}" for name, some in (("Descriptive", D), ("Technical", T))
    )


SNAKE = json.dumps({"descriptive": [k.replace(" ", "_") for k in D], "technical": T})
KEBAB = json.dumps({"descriptive": [k.replace(" ", "-") for k in D], "technical": T})

IN_TEXT = [
    # thinking and templates
    Holds("after <reasoning>", content(f"<reasoning>The text names a pool.</reasoning>\n{GOOD}")),
    Holds("after <thought> with attributes", content(f'<think time="3">hm {{"descriptive": ["wrong turn"]}}</think>{GOOD}')),
    Holds("after <seed:think>", content(f"<seed:think>It is about a pool.</seed:think>{GOOD}")),
    Holds("after Cohere's marks", content(f"<|START_THINKING|>a pool [1]<|END_THINKING|><|START_RESPONSE|>{GOOD}<|END_RESPONSE|>")),
    Holds("after Granite's words", content(f"Here is my thought process:\nA pool.\n\nHere is my response:\n{GOOD}")),
    Holds("after a heading for thinking", content(f"### Reasoning\nThe text is about a gateway.\n\n### Answer\n{GOOD}")),
    Holds("after gpt-oss's marks without brackets", content(f"analysisWe need keywords, perhaps a pool.assistantfinal{GOOD}")),
    Holds("in a commentary channel", content(f"<|channel|>commentary to=functions.keywords <|constrain|>json<|message|>{GOOD}<|call|>")),
    Holds("in GLM's box", content(f"<|begin_of_box|>{GOOD}<|end_of_box|>")),
    Holds("in LaTeX's box", content(f"$\\boxed{{{GOOD}}}$")),
    Holds("in <answer>", content(f"<answer>\n{GOOD}\n</answer>")),
    Holds("in <output> in a fence", content(f"<output>\n```\n{GOOD}\n```\n</output>")),
    Holds("before the next turn", content(f"{GOOD}<|im_end|>\n<|im_start|>user\nAnother document\n<|im_start|>assistant\n" + '{"descriptive": ["wrong turn"], "technical": ["Fortran"]}')),
    Holds("before </s> and a next turn", content(GOOD + '</s>[INST] Again [/INST] {"descriptive": ["wrong turn"], "technical": ["Fortran"]}')),
    Holds("before <|eot_id|> and a next turn", content(GOOD + '<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{"descriptive": ["wrong"], "technical": []}')),
    Holds("before a made-up user", content(GOOD + '\n\nUser: and this one?\nAssistant: {"descriptive": ["wrong turn"], "technical": ["Fortran"]}')),
    Holds("with a template's marks inside", content(json.dumps({"descriptive": ["<|im_end|>", "</s>", *D], "technical": [*T, "[INST]"]}))),
    Holds("twice", content(f"{GOOD}\n{GOOD}\n{GOOD}")),
    # calls written as text
    Holds("in Qwen's <tool_call>", content(f'<tool_call>\n{{"name": "keywords", "arguments": {GOOD}}}\n</tool_call>')),
    Holds("in Llama's parameters", content(f'{{"name": "keywords", "parameters": {GOOD}}}')),
    Holds("after Llama's python tag", content(f'<|python_tag|>{{"type": "function", "name": "keywords", "parameters": {GOOD}}}')),
    Holds("in Llama's <function>", content(f"<function=keywords>{GOOD}</function>")),
    Holds("in Mistral's tool calls", content(f'[TOOL_CALLS][{{"name": "keywords", "arguments": {GOOD}}}]')),
    Holds("in a call's encoded arguments", content(json.dumps({"name": "keywords", "arguments": GOOD}))),
    Holds("in Python's call", content(f"extract_keywords(descriptive={D}, technical={T})")),
    # JSON
    Holds("in a fence of tildes", content(f"~~~json\n{GOOD}\n~~~")),
    Holds("in a fence without an end", content(f"```json\n{GOOD}")),
    Holds("in one fence per list", content(f"Descriptive:\n```json\n{json.dumps(D)}\n```\nTechnical:\n```json\n{json.dumps(T)}\n```")),
    Holds("after the word json", content(f"json\n{GOOD}")),
    Holds("after a label", content(f"**Answer:** {GOOD}")),
    Holds("in a code span", content(f"`{GOOD}`")),
    Holds("in <pre>", content(f"<pre><code>{GOOD}</code></pre>")),
    Holds("in quotes", content(f"'{GOOD}'")),
    Holds("in a comment behind it", content(f"{GOOD}\n\nNote: {{these}} are [all] the keywords I could find.")),
    Holds("with double braces", content("{" + GOOD + "}")),
    Holds("without the first brace", content(GOOD[1:])),
    Holds("without either brace", content(GOOD[1:-1])),
    Holds("with a bracket too many", content(GOOD + "]}")),
    Holds("indented", content(json.dumps(OBJECT, indent=4))),
    Holds("with control characters", content(GOOD.replace('", "', '",\t\n"'))),
    Holds("with line ends inside", content(GOOD.replace("circuit breaker", "circuit\nbreaker"))),
    Holds("with blanks that are not ASCII", content(GOOD.replace(" ", "\u00a0"))),
    Holds("with zero-width blanks", content(GOOD.replace("connection pool", "connection\u200b pool"))),
    Holds("with full-width signs", content(GOOD.replace(":", "：").replace('", "', '"，"'))),
    Holds("with keys without quotes", content(GOOD.replace('"descriptive"', "descriptive").replace('"technical"', "technical"))),
    Holds("with semicolons between the items", content(json.dumps({"descriptive": "; ".join(D), "technical": "; ".join(T)}))),
    Holds("with lines between the items", content(json.dumps({"descriptive": "\n".join(D), "technical": "\n".join(T)}))),
    Holds("with bullets in one string", content(json.dumps({"descriptive": "- " + "\n- ".join(D), "technical": "- " + "\n- ".join(T)}))),
    Holds("as one list of both", content(json.dumps({"keywords": ALL}))),
    Holds("as a bare list", content(json.dumps(ALL))),
    Holds("as two bare lists", content(f"{json.dumps(D)}\n{json.dumps(T)}")),
    Holds("as a list of two lists", content(json.dumps([D, T]))),
    Holds("as pairs with scores", content(json.dumps({"keywords": [[k, 0.9] for k in ALL]}))),
    Holds("as Python's pairs", content(str([(k, 0.9) for k in ALL]))),
    Holds("as Python's set", content("{" + ", ".join(repr(k) for k in ALL) + "}")),
    Holds("as keywords with kinds", content(json.dumps({k: "technical" if k in T else "descriptive" for k in ALL}))),
    Holds("as keywords with objects", content(json.dumps({"keywords": {k: {"score": 0.9} for k in ALL}}))),
    Holds("as a list per category", content(json.dumps([{"category": "descriptive", "keywords": D}, {"category": "technical", "keywords": T}]))),
    Holds("as groups of a kind", content(json.dumps({"groups": [{"type": "descriptive", "items": D}, {"type": "technical", "items": T}]}))),
    Holds("as objects with reasons", content(json.dumps({"descriptive": [{"keyword": k, "reason": "The text says so."} for k in D], "technical": [{"keyword": k, "reason": "It is named."} for k in T]}))),
    Holds("as objects with text and score", content(json.dumps([{"text": k, "relevance": 0.9} for k in ALL]))),
    Holds("as objects with one key each", content(json.dumps([{k: 0.9} for k in ALL]))),
    Holds("as numbered keys", content(json.dumps({f"keyword_{n}": k for n, k in enumerate(ALL, 1)}))),
    Holds("as plain numbers for keys", content(json.dumps({str(n): k for n, k in enumerate(ALL, 1)}))),
    Holds("as YAML in a fence", content("```yaml\n" + group("  - ", label=lambda n: f"{n.lower()}:") + "\n```")),
    Holds("as YAML's flow", content(f"descriptive: [{', '.join(D)}]\ntechnical: [{', '.join(T)}]")),
    Holds("as TOML", content("descriptive = [\n" + "".join(f'  "{k}",\n' for k in D) + "]\ntechnical = [\n" + "".join(f'  "{k}",\n' for k in T) + "]")),
    Holds("as Ruby's hash", content(GOOD.replace('"descriptive":', ":descriptive =>").replace('"technical":', ":technical =>"))),
    Holds("in the schema's items", content(json.dumps({"type": "object", "properties": {"descriptive": {"type": "array", "items": D}, "technical": {"type": "array", "items": T}}}))),
    Holds("beside the schema", content(json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Keywords", **OBJECT}))),
    Holds("beside a title and a summary", content(json.dumps({"title": "Connection pooling", "summary": "A gateway keeps a pool.", **OBJECT}))),
    Holds("beside an analysis", content(json.dumps({"analysis": {"steps": ["read it", "list it"]}, "final": OBJECT}))),
    Holds("within keywords", content(json.dumps({"keywords": [{"descriptive": D, "technical": T}]}))),
    Holds("within a document's object", content(json.dumps({"document": {"id": 1, "keywords": OBJECT}}))),
    Holds("within a list of results", content(json.dumps({"results": [{"document": "a", "keywords": ALL}]}))),
    Holds("one JSON value a line", content("\n".join(json.dumps(k) for k in ALL))),
    Holds("snake case", content(SNAKE)),
    Holds("kebab case", content(KEBAB)),
    Holds("capitalised words", content(json.dumps({"descriptive": [k.title() for k in D], "technical": T}))),
    Holds("keywords in nested quotes", content(json.dumps({"descriptive": [f'"{k}"' for k in D], "technical": [f"'{k}'" for k in T]}))),
    Holds("keywords with counts", content(json.dumps({"descriptive": [f"{k} (2x)" for k in D], "technical": [f"{k} (1)" for k in T]}))),
    Holds("keywords with stars", content(json.dumps({"descriptive": [f"{k} ★★★" for k in D], "technical": T}))),
    Holds("keywords with footnotes", content(json.dumps({"descriptive": [f"{k}[{n}]" for n, k in enumerate(D, 1)], "technical": T}))),
    Holds("keywords with full stops", content(json.dumps({"descriptive": [f"{k}." for k in D], "technical": T}))),
    Holds("keywords with a kind in brackets", content(json.dumps({"keywords": [f"{k} [{'technical' if k in T else 'descriptive'}]" for k in ALL]}))),
    Holds("keywords with labels", content(json.dumps({"descriptive": [f"topic: {k}" for k in D], "technical": [f"tool: {k}" for k in T]}))),
    # plain lists
    Holds("bullets without blanks", content(lines(lambda n, k: f"•{k}"))),
    Holds("numbers without blanks", content(lines(lambda n, k: f"{n}.{k}")), lost=1),
    Holds("numbers in brackets", content(lines(lambda n, k: f"({n}) {k}"))),
    Holds("circled numbers", content(lines(lambda n, k: f"{chr(0x2460 + n - 1)} {k}"))),
    Holds("ticks", content(lines(lambda n, k: f"✅ {k}"))),
    Holds("check boxes", content(lines(lambda n, k: f"- [x] {k}"))),
    Holds("quotes and commas, one a line", content(lines(lambda n, k: f'"{k}",'))),
    Holds("bullets with quotes and commas", content(lines(lambda n, k: f'- "{k}",'))),
    Holds("Roman numbers", content(lines(lambda n, k: f"{ROMAN[n]}. {k}"))),
    Holds("a label on each line", content(lines(lambda n, k: f"Keyword {n}: {k}"))),
    Holds("bullets under bullets", content("- Descriptive keywords:\n" + "\n".join(f"  - {k}" for k in D) + "\n- Technical keywords:\n" + "\n".join(f"  - {k}" for k in T))),
    Holds("numbered labels with commas", content(f"1. **Descriptive keywords**: {', '.join(D)}\n2. **Technical keywords**: {', '.join(T)}")),
    Holds("bold labels with commas", content(f"**Descriptive:** {', '.join(D)}\n\n**Technical:** {', '.join(T)}")),
    Holds("labels with counts", content(f"Descriptive keywords (6): {', '.join(D)}\nTechnical keywords (6): {', '.join(T)}")),
    Holds("labels in capitals", content(f"DESCRIPTIVE KEYWORDS\n{lines(lambda n, k: f'- {k}')}")),
    Holds("pipes", content(" | ".join(ALL))),
    Holds("semicolons", content("; ".join(ALL))),
    Holds("middle dots", content(" · ".join(ALL))),
    Holds("commas and a last and", content(", ".join(ALL[:-1]) + ", and " + ALL[-1])),
    Holds("code spans with commas", content(", ".join(f"`{k}`" for k in ALL))),
    Holds("bold words with commas", content(", ".join(f"**{k}**" for k in ALL))),
    Holds("quoted words with commas", content(", ".join(f'"{k}"' for k in ALL))),
    Holds("CSV", content("keyword,type\n" + lines(lambda n, k: f"{k},{'technical' if k in T else 'descriptive'}"))),
    Holds("TSV", content("keyword\ttype\n" + lines(lambda n, k: f"{k}\t{'technical' if k in T else 'descriptive'}"))),
    Holds("a numbered table", content("| # | Keyword | Type |\n|---|---|---|\n" + lines(lambda n, k: f"| {n} | {k} | technical |")), lost=2),
    Holds("a table with a column per list", content("| Descriptive | Technical |\n|---|---|\n" + "\n".join(f"| {d} | {t} |" for d, t in zip(D, T, strict=True)))),
    Holds("a list in HTML", content("<ul>\n" + lines(lambda n, k: f"<li>{k}</li>") + "\n</ul>")),
    Holds("XML with a list each", content(f"<keywords><descriptive>{', '.join(D)}</descriptive><technical>{', '.join(T)}</technical></keywords>")),
    Holds("XML with items", content("<keywords>" + "".join(f"<item>{k}</item>" for k in D) + "".join(f"<item>{k}</item>" for k in T) + "</keywords>")),
    Holds("XML with nested keywords", content("<descriptive>\n" + "\n".join(f"  <keyword>{k}</keyword>" for k in D) + "\n</descriptive>\n<technical>\n" + "\n".join(f"  <keyword>{k}</keyword>" for k in T) + "\n</technical>")),
    Holds("LaTeX's items", content("\\begin{itemize}\n" + lines(lambda n, k: f"\\item {k}") + "\n\\end{itemize}")),
    Holds("German labels", content(f"Beschreibende Schlüsselwörter: {', '.join(D)}\nTechnische Schlüsselwörter: {', '.join(T)}")),
]  # fmt: skip

IN_BODY = [
    Holds("LiteLLM's extra fields", choices({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": GOOD, "tool_calls": None, "function_call": None, "provider_specific_fields": {"refusal": None}}}, system_fingerprint="fp", service_tier=None)),
    Holds("vLLM's extra fields", choices({"index": 0, "message": {"role": "assistant", "content": GOOD, "refusal": None, "annotations": None, "audio": None, "function_call": None, "tool_calls": [], "reasoning": None}, "logprobs": None, "finish_reason": "stop", "stop_reason": 128009, "token_ids": None}, prompt_logprobs=None, kv_transfer_params=None)),
    Holds("llama.cpp's timings", choices({"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": GOOD}}, timings={"predicted_per_second": 52.1}, __verbose={"prompt": "..."})),
    Holds("Azure's content filters", choices({"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}, "finish_reason": "stop", "index": 0, "logprobs": None, "message": {"content": GOOD, "refusal": None, "role": "assistant"}}, prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}])),
    Holds("OpenRouter's native reason", choices({"native_finish_reason": "STOP", "finish_reason": "stop", "message": {"content": GOOD, "reasoning": None}}, provider="x")),
    Holds("OpenRouter's blanks before the body", raw(lambda b: b"\n         \n" * 40 + b, GOOD, "HTTP/1.1 200 OK\r\ncontent-type: application/json")),
    Holds("a second choice alone", choices({"index": 0, "message": {"content": ""}}, {"index": 1, "message": {"content": GOOD}})),
    Holds("content as parsed", choices({"message": {"content": None, "parsed": OBJECT}})),
    Holds("content as text with a value", message(content=[{"type": "text", "text": {"value": GOOD, "annotations": []}}])),
    Holds("content as output_text", message(content=[{"type": "output_text", "text": GOOD}])),
    Holds("content as strings in a list", message(content=[GOOD])),
    Holds("content as tokens in a list", message(content=tokens())),
    Holds("arguments as an object", call(OBJECT)),
    Holds("arguments encoded twice", call(json.dumps(GOOD))),
    Holds("arguments within arguments", call({"keywords": OBJECT})),
    Holds("arguments under input", message(tool_calls=[{"id": "t", "name": "keywords", "input": OBJECT}])),
    Holds("the old function_call", message(content=None, function_call={"name": "keywords", "arguments": GOOD})),
    Holds("words beside a tool call", message(content="I call the tool.", tool_calls=[{"function": {"name": "k", "arguments": GOOD}}])),
    Holds("reasoning details", message(content=GOOD, reasoning="hm", reasoning_details=[{"type": "reasoning.text", "text": "hm"}])),
    Holds("Anthropic's message", body({"type": "message", "role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": GOOD}], "stop_reason": "end_turn", "usage": {"input_tokens": 300}})),
    Holds("Anthropic's tool use", body({"type": "message", "content": [{"type": "tool_use", "name": "keywords", "input": OBJECT}], "stop_reason": "tool_use"})),
    Holds("Bedrock's converse", body({"output": {"message": {"role": "assistant", "content": [{"text": GOOD}]}}, "stopReason": "end_turn", "usage": {"inputTokens": 300}})),
    Holds("Bedrock's reasoning", body({"output": {"message": {"content": [{"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": GOOD}]}}, "stopReason": "end_turn"})),
    Holds("Bedrock's Llama", body({"generation": GOOD, "prompt_token_count": 300, "stop_reason": "stop"})),
    Holds("Bedrock's Titan", body({"inputTextTokenCount": 300, "results": [{"outputText": GOOD, "completionReason": "FINISH"}]})),
    Holds("Bedrock's Mistral", body({"outputs": [{"text": GOOD, "stop_reason": "stop"}]})),
    Holds("Cohere's generations", body({"generations": [{"text": GOOD, "finish_reason": "COMPLETE"}]})),
    Holds("Cohere's message", body({"message": {"role": "assistant", "content": [{"type": "text", "text": GOOD}]}, "finish_reason": "COMPLETE"})),
    Holds("Gemini's candidates", body({"candidates": [{"content": {"parts": [{"text": GOOD}], "role": "model"}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 300}})),
    Holds("Gemini's stream as a list", body([{"candidates": [{"content": {"parts": [{"text": part}]}}]} for part in tokens(size=60)])),
    Holds("the Responses API", body({"object": "response", "status": "completed", "output": [{"type": "reasoning", "summary": []}, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": GOOD}]}]})),
    Holds("TGI's generated text", body({"generated_text": GOOD, "details": {"finish_reason": "eos_token"}})),
    Holds("TGI's list", body([{"generated_text": GOOD}])),
    Holds("llama.cpp's completion", body({"content": GOOD, "stop": True, "stop_type": "eos", "tokens_predicted": 60})),
    Holds("KoboldCpp's results", body({"results": [{"text": GOOD}]})),
    Holds("Cloudflare's response", body({"result": {"response": GOOD, "usage": {"prompt_tokens": 300}}, "success": True, "errors": [], "messages": []})),
    Holds("Cloudflare's response as an object", body({"result": {"response": OBJECT}, "success": True, "errors": [], "messages": []})),
    Holds("Replicate's tokens", body({"status": "succeeded", "output": tokens(), "error": None})),
    Holds("Ray's list of texts", body({"predictions": [GOOD]})),
    Holds("KServe's outputs", body({"model_name": "m", "outputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [GOOD]}]})),
    Holds("Triton's text output", body({"model_name": "m", "text_output": GOOD})),
    Holds("a list of messages", body({"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": GOOD}]})),
    Holds("a gateway's code and data", body({"code": 0, "msg": "success", "data": {"choices": [{"message": {"content": GOOD}}]}})),
    Holds("a completion as a string within data", body({"data": json.dumps({"choices": [{"message": {"content": GOOD}}]})})),
    Holds("AWS Lambda's body", body({"statusCode": 200, "headers": {}, "body": json.dumps({"choices": [{"message": {"content": GOOD}}]})})),
    Holds("an empty error beside it", body({"error": {}, "choices": [{"message": {"content": GOOD}}], "message": {"content": GOOD}})),
    Holds("a status of 201", body({"choices": [{"message": {"content": GOOD}}], "message": {"content": GOOD}, "done": True}, 201)),
    Holds("a warning beside it", body({"warning": "deprecated", "choices": [{"message": {"content": GOOD}}], "message": {"content": GOOD}, "done": True})),
    Holds("an unlikely finish", content(GOOD, "tool_calls")),
    Holds("cut after the last keyword", content(GOOD, "max_tokens")),
]  # fmt: skip

ON_THE_WIRE = [
    Holds("events of a token each", events(*deltas(*tokens()))),
    Holds("events with CRLF", events(*deltas(*tokens(size=40)), end="\r\n\r\n")),
    Holds("events without a blank", events(*deltas(*tokens(size=40)), space="")),
    Holds("events without an end", events(*deltas(*tokens(size=40)), done=False)),
    Holds("events with names", events(*deltas(*tokens(size=40)), names=True)),
    Holds("events with Azure's filter first", events({"choices": [], "prompt_filter_results": []}, *deltas(GOOD), {"choices": [], "usage": {"prompt_tokens": 300}})),
    Holds("events with usage last", events(*deltas(GOOD), {"choices": [], "usage": {"prompt_tokens": 300}})),
    Holds("events with comments", body(b": OPENROUTER PROCESSING\n\n: ping - 2024\n\ndata: " + json.dumps({"choices": [{"message": {"content": GOOD}}]}).encode() + b"\n\ndata: [DONE]\n\n")),
    Holds("events with reasoning first", events({"choices": [{"delta": {"reasoning_content": "hm"}}]}, *deltas(*tokens(size=30)))),
    Holds("events of texts", events(*[{"choices": [{"text": text}]} for text in tokens(size=30)])),
    Holds("events of tool calls", events(*[{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}]} for text in tokens(size=30)])),
    Holds("Anthropic's events", events({"type": "message_start", "message": {"id": "m", "content": [], "role": "assistant"}}, {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in tokens(size=30)], {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}, names=True, done=False)),
    Holds("the Responses API's events", events(*[{"type": "response.output_text.delta", "delta": text} for text in tokens(size=30)], {"type": "response.completed", "response": {"output": [{"type": "message", "content": [{"type": "output_text", "text": GOOD}]}]}}, names=True, done=False)),
    Holds("TGI's events", events(*[{"token": {"text": text}, "generated_text": None} for text in tokens(size=30)], {"token": {"text": ""}, "generated_text": GOOD}, done=False)),
    Holds("lines with CRLF", body("\r\n".join(json.dumps({"message": {"content": text}, "done": False}) for text in tokens(size=30)).encode() + b'\r\n{"message": {"content": ""}, "done": true}\r\n')),
    Holds("chunks", raw(chunked, GOOD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked")),
    Holds("chunks, packed", raw(lambda b: chunked(gzip.compress(b)), GOOD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-encoding: gzip")),
    Holds("deflate", raw(zlib.compress, GOOD, "HTTP/1.1 200 OK\r\ncontent-encoding: deflate")),
    Holds("gzip in two members", raw(lambda b: gzip.compress(b[:50]) + gzip.compress(b[50:]), GOOD, "HTTP/1.1 200 OK\r\ncontent-encoding: gzip")),
    Holds("gzip without the header", raw(gzip.compress, GOOD, "HTTP/1.1 200 OK")),
    Holds("no length, the end of the connection", raw(bytes, GOOD, "HTTP/1.1 200 OK")),
    Holds("HTTP/1.0", raw(bytes, GOOD, "HTTP/1.0 200 OK\r\nconnection: close")),
    Holds("an answer after 100 Continue", raw(bytes, GOOD, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")),
    Holds("an answer after 103 Early Hints", raw(bytes, GOOD, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK")),
    Holds("a status line without words", raw(bytes, GOOD, "HTTP/1.1 200")),
    Holds("text/html", raw(bytes, GOOD, "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8")),
    Holds("text/event-stream without events", raw(bytes, GOOD, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream")),
    Holds("application/octet-stream", raw(bytes, GOOD, "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream")),
    Holds("a charset that is wrong", raw(bytes, GOOD, "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-16")),
    Holds("Latin-1", raw(lambda b: b.replace(b'"assistant"', b'"assist\xe4nt"'), GOOD, "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=iso-8859-1")),
    Holds("a header twice", raw(bytes, GOOD, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-type: application/json")),
    Holds("many headers", raw(bytes, GOOD, "HTTP/1.1 200 OK\r\n" + "\r\n".join(f"x-{n}: {'y' * 200}" for n in range(60)))),
    Holds("XSSI's guard", raw(lambda b: b")]}',\n" + b, GOOD, "HTTP/1.1 200 OK")),
]  # fmt: skip

HOLDS = [*IN_TEXT, *IN_BODY, *ON_THE_WIRE]


# -- what servers and gateways send instead ------------------------------------------------------------------------------

PLACED = (
    ("keyword1", [f"keyword{n}" for n in range(1, 9)]),
    ("keyword 1", [f"keyword {n}" for n in range(1, 4)]),
    ("keyword_1", [f"keyword_{n}" for n in range(1, 4)]),
    ("three dots", ["..."]),
    ("an ellipsis", ["…"]),
    ("string", ["string"]),
    ("string twice", ["string", "string"]),
    ("<keyword>", ["<keyword>"]),
    ("<keyword 1>", ["<keyword 1>", "<keyword 2>"]),
    ("[keyword]", ["[keyword]"]),
    ("{keyword}", ["{keyword}", "{{keyword}}"]),
    ("term1", ["term1", "term2"]),
    ("first keyword", ["first keyword", "second keyword"]),
    ("descriptive keyword 1", ["descriptive keyword 1", "descriptive_keyword_2"]),
    ("your keyword here", ["your keyword here"]),
    ("insert keyword", ["insert keyword here"]),
    ("array of strings", ["array of strings"]),
    ("placeholder", ["placeholder"]),
    ("keywordA", ["Keyword A", "Keyword B"]),
)


def error_page(title: str, server: str = "nginx/1.25.3", text: str = "") -> bytes:
    return f"<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center>{text}<hr><center>{server}</center></body></html>".encode()


def system_prompt(api: Api, asked: dict[str, Any]) -> Response:
    prompt = build("x", max_descriptive=8, max_technical=10, max_total=15)
    return content(prompt.system)(api, asked)


LITELLM = "litellm.{0}: {0}: OpenAIException - {1}"
MEMORY = "out_of_memory"
OOM = [
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB",
    "model requires more system memory (8.0 GiB) than is available (5.6 GiB)",
    "llama runner process has terminated: cudaMalloc failed: out of memory",
    "unable to allocate CUDA0 buffer",
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 1024.00 MiB on device 0: failed: out of memory",
    "MPS backend out of memory (MPS allocated: 17.9 GB)",
    "HIP out of memory. Tried to allocate 64.00 MiB",
    "torch.OutOfMemoryError: the device has no memory left",
    "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
    "Failed to load model. Model loading was stopped due to insufficient system resources.",
    "Not enough memory to handle 4096 prefill tokens",
    "std::bad_alloc",
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes",
    "[metal::malloc] Attempting to allocate 19 bytes which is greater than the maximum allowed buffer size of 9 bytes.",
]

INSTEAD = [
    *[Lacks(f"the placeholder {name}", content(json.dumps({"descriptive": items, "technical": items})), "placeholder", "repeats the prompt's form") for name, items in PLACED],
    Lacks("placeholders as a list", content("- keyword1\n- keyword2\n- keyword3"), "placeholder", 'begins "- keyword1'),
    Lacks("placeholders with commas", content("keyword1, keyword2, keyword3"), "placeholder", 'begins "keyword1, keyword2'),
    Lacks("the prompt's example in a fence", content('```json\n{"descriptive": [...], "technical": [...]}\n```'), "placeholder", 'begins "```json'),
    Lacks("the prompt's example with words", content('{"descriptive": ["..."], "technical": ["...", "..."]}!'), "placeholder", "repeats the prompt's form"),
    Lacks("the system message", system_prompt, "placeholder", 'begins "You extract keywords'),
    Lacks("the prompt's names", content('{"descriptive": ["Cargo.toml", "--flag"], "technical": ["Cargo.toml"]}'), "ungrounded", '"Cargo.toml"'),
    Lacks("a schema's description", content('{"descriptive": {"type": "array", "description": "words or short phrases"}}'), "shape", "its keys are descriptive"),
    *[Lacks(f"out of memory {n}", refusal(500, sentence), MEMORY, sentence[:60]) for n, sentence in enumerate(OOM)],
    Lacks("out of memory in 200", body({"error": {"message": "CUDA error: out of memory", "code": 500}}), MEMORY, "CUDA error: out of memory"),
    Lacks("out of memory, as TGI", body({"error": "Request failed during generation: Server error: CUDA out of memory", "error_type": "generation"}, 424), MEMORY, "(424: Request failed during generation"),
    Lacks("out of memory, by type alone", body({"error": "the shard failed", "error_type": "out_of_memory", "type": "out_of_memory"}, 500), MEMORY, "the shard failed"),
    Lacks("out of memory in a stream", events({"choices": [{"delta": {"content": "{"}}], "message": {"content": "{"}}, {"error": {"message": "CUDA out of memory in the decoder"}}, done=False), MEMORY, "in the decoder"),
    # LiteLLM
    Lacks("LiteLLM's rate limit", refusal(429, LITELLM.format("RateLimitError", "Rate limit reached for requests"), type="throttling_error", code="429"), "busy", "Rate limit reached for requests"),
    Lacks("LiteLLM without deployments", refusal(429, "No deployments available for selected model, Try again in 5 seconds. Passed model=m"), "busy", "Try again in 5 seconds"),
    Lacks("LiteLLM's budget", refusal(400, "Budget has been exceeded! Current cost: 10.5, Max budget: 10.0", type="budget_exceeded", code="400"), "quota", "Budget has been exceeded"),
    Lacks("LiteLLM's key", refusal(401, "Authentication Error, Invalid proxy server token passed."), "http", "Invalid proxy server token"),
    Lacks("LiteLLM's context", refusal(400, LITELLM.format("ContextWindowExceededError", "This model's maximum context length is 4096 tokens")), "too_long", "maximum context length is 4096"),
    Lacks("LiteLLM's timeout", refusal(408, LITELLM.format("Timeout", "Request timed out.")), "http", "answered 408: litellm.Timeout"),
    Lacks("LiteLLM's connection", refusal(500, LITELLM.format("APIConnectionError", "Connection error.")), "http", "litellm.APIConnectionError"),
    Lacks("LiteLLM's filter", refusal(400, LITELLM.format("ContentPolicyViolationError", "flagged by the content filter")), "filtered", "ContentPolicyViolationError"),
    # vLLM, llama.cpp, LM Studio, TGI, Hugging Face
    Lacks("vLLM's context", body({"object": "error", "message": "This model's maximum context length is 2048 tokens. However, you requested 2300 tokens", "type": "BadRequestError", "code": 400}, 400), "too_long", "you requested 2300 tokens"),
    Lacks("vLLM's model", body({"object": "error", "message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404}, 404), "model_missing", "`m` does not exist"),
    Lacks("vLLM's engine", body({"object": "error", "message": "EngineCore encountered an issue. See stack trace above for the root cause.", "code": 500}, 500), "http", "EngineCore encountered an issue"),
    Lacks("vLLM's key", body({"error": "Unauthorized"}, 401), "http", "refuses the key (401: Unauthorized)"),
    Lacks("plain words and 500", body(b"Internal Server Error", 500, "content-type: text/plain"), "http", "500: Internal Server Error"),
    Lacks("llama.cpp's context", refusal(400, "the request exceeds the available context size, try increasing it", type="exceed_context_size_error", n_ctx=4096), "too_long", "exceeds the available context size"),
    Lacks("llama.cpp's context while writing", refusal(500, "Context size has been exceeded."), "too_long", "Context size has been exceeded"),
    Lacks("LM Studio's wrong path, as 200", body({"error": "Unexpected endpoint or method. (POST /chat/completions)"}), "http", "has no"),
    Lacks("LM Studio's unloaded model", refusal(400, "Model unloaded."), "model_missing", "Model unloaded."),
    Lacks("LM Studio's crash", refusal(400, "The model has crashed without additional information. (Exit code: 18446744072635812000)"), "http", "The model has crashed"),
    Lacks("LM Studio's context", refusal(400, "Trying to keep the first 4100 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"), "too_long", "Trying to keep the first 4100 tokens"),
    Lacks("TGI's length", body({"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000", "error_type": "validation"}, 422), "too_long", "must have less than 1024 tokens"),
    Lacks("TGI overloaded", body({"error": "Model is overloaded", "error_type": "overloaded"}, 429), "busy", "Model is overloaded"),
    Lacks("a model that Hugging Face loads", body({"error": "Model m is currently loading", "estimated_time": 20.0}, 503), "loading", "Model m is currently loading"),
    Lacks("a model that the key may not use", refusal(401, "key not allowed to access model. This key can only access models=['a']"), "model_missing", "does not have the model"),
    Lacks("a model not offered there", refusal(404, "Model 'm' is not supported for this environment."), "model_missing", "does not have the model"),
    Lacks("a model that no provider has", refusal(404, "No allowed providers are available for the selected model."), "model_missing", "does not have the model"),
    Lacks("an expired key", refusal(400, "Authentication Error - Expired Key. Key Expiry time 2024-01-01"), "http", "refuses the key"),
    Lacks("a trial key's calls a month", refusal(429, "You are using a Trial key, which is limited to 1000 API calls / month."), "quota", "the quota is used up"),
    Lacks("Envoy's limit of open calls", body(b"upstream connect error or disconnect/reset before headers. reset reason: overflow", 503), "busy", "as many calls open as it allows"),
    Lacks("an error in a message", body({"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs are not permitted"}]}}, 422), "http", "422: Extra inputs are not permitted (body.x)"),
    Lacks("a model without chat", refusal(400, '"m" does not support chat'), "http", "does not support chat"),
    Lacks("Ollama's busy queue", refusal(503, "server busy, please try again.  maximum pending requests exceeded"), "busy", "maximum pending requests exceeded"),
    Lacks("Ollama's hourly limit", refusal(429, "you have reached your hourly usage limit, upgrade for higher limits"), "quota", "hourly usage limit"),
    # OpenRouter, Azure, Bedrock, Cloudflare, hosted services
    Lacks("OpenRouter without credits", refusal(402, "Insufficient credits. Add more using the credits page", code=402), "quota", "Insufficient credits"),
    Lacks("OpenRouter's provider", refusal(502, "Provider returned error", code=502, metadata={"provider_name": "x"}), "http", "Provider returned error"),
    Lacks("OpenRouter's error in 200", body({"error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429}, "user_id": "u"}), "quota", "free-models-per-day"),
    Lacks("OpenRouter's error in a choice", body({"choices": [{"error": {"message": "Upstream idle timeout exceeded", "code": 504}, "finish_reason": "error", "message": {"content": ""}}], "message": {"content": ""}, "done_reason": "error", "error": {"message": "Upstream idle timeout exceeded"}}), "http", "Upstream idle timeout exceeded"),
    Lacks("OpenRouter's moderation", refusal(403, "Your input was flagged", code=403, metadata={"reasons": ["violence"]}), "filtered", "Your input was flagged"),
    Lacks("Azure's filter", refusal(400, "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", code="content_filter"), "filtered", "content management policy"),
    Lacks("Azure's deployment", refusal(404, "The API deployment for this resource does not exist.", code="DeploymentNotFound"), "model_missing", "deployment for this resource does not exist"),
    Lacks("Azure's resource", refusal(404, "Resource not found", code="404"), "http", "(404: Resource not found); check [llm] url"),
    Lacks("Azure's rate", refusal(429, "Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your current pricing tier. Please retry after 22 seconds.", code="429"), "busy", "Please retry after 22 seconds"),
    Lacks("Azure's gateway quota", body({"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 03:12:10."}, 403), "quota", "Out of call volume quota"),
    Lacks("Azure's gateway key", body({"statusCode": 401, "message": "Access denied due to missing subscription key."}, 401), "http", "missing subscription key"),
    Lacks("Bedrock throttles", body({"message": "Too many requests, please wait before trying again."}, 429, "x-amzn-errortype: ThrottlingException"), "busy", "please wait before trying again"),
    Lacks("Bedrock's length", body({"message": "Input is too long for requested model."}, 400), "too_long", "Input is too long"),
    Lacks("Bedrock's capital letter", body({"Message": "User: arn:aws:iam::1:user/x is not authorized to perform: bedrock:InvokeModel"}, 403), "http", "403: User: arn:aws:iam"),
    Lacks("Bedrock's access", body({"message": "You don't have access to the model with the specified model ID."}, 403), "model_missing", "don't have access to the model"),
    Lacks("an API gateway of AWS", body({"message": "Endpoint request timed out"}, 504), "proxy", "Endpoint request timed out"),
    Lacks("OpenAI's quota", refusal(429, "You exceeded your current quota, please check your plan and billing details.", code="insufficient_quota"), "quota", "exceeded your current quota"),
    Lacks("OpenAI's wait", refusal(429, "Rate limit reached for m. Please try again in 6m0s."), "quota", "try again in 6m0s"),
    Lacks("Cloudflare's allowance", body({"success": False, "errors": [{"code": 3036, "message": "You have used up your daily free allocation of 10,000 neurons"}]}, 429), "quota", "daily free allocation"),
    Lacks("Cloudflare's capacity", body({"errors": [{"code": 3040, "message": "Capacity temporarily exceeded, please try again."}], "success": False}, 429), "busy", "Capacity temporarily exceeded"),
    Lacks("Cloudflare's key", body({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}, 401), "http", "401: Authentication error"),
    Lacks("Cloudflare's challenge", body(b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", 403, "server: cloudflare"), "proxy", "403 Just a moment..."),
    Lacks("Cloudflare's rate", body(b"error code: 1015", 429, "server: cloudflare"), "busy", "error code: 1015"),
    Lacks("a date to retry after", body({"error": "slow down"}, 429, "date: Mon, 01 Jan 2024 00:00:00 GMT", "retry-after: Mon, 01 Jan 2024 02:00:00 GMT"), "quota", "429: slow down"),
    Lacks("a busy service with a date", body({"error": "come back later"}, 503, "date: Mon, 01 Jan 2024 00:00:00 GMT", "retry-after: Mon, 01 Jan 2024 00:00:03 GMT"), "http", "503: come back later"),
    # in front of the server
    Lacks("nginx 503", body(error_page("503 Service Temporarily Unavailable"), 503), "proxy", "503 Service Temporarily Unavailable"),
    Lacks("nginx 429", body(error_page("429 Too Many Requests"), 429), "busy", "throttles calls (429 Too Many Requests)"),
    Lacks("nginx 401", body(error_page("401 Authorization Required"), 401), "proxy", "refuses the call (401 Authorization Required)"),
    Lacks("nginx 404", body(error_page("404 Not Found"), 404), "proxy", "404 Not Found; check [llm] url"),
    Lacks("nginx 405", body(error_page("405 Not Allowed"), 405), "proxy", "405 Not Allowed; check [llm] url"),
    Lacks("nginx with TLS", body(error_page("400 The plain HTTP request was sent to HTTPS port"), 400), "proxy", "sent to HTTPS port"),
    Lacks("HAProxy", body(b"<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n", 503), "proxy", "503 Service Unavailable"),
    Lacks("a load balancer of AWS", body(error_page("502 Bad Gateway", "awselb/2.0"), 502), "proxy", "(awselb/2.0) does not reach"),
    Lacks("Apache", body(error_page("502 Proxy Error", "Apache/2.4.57 (Debian) Server"), 502), "proxy", "(Apache/2.4.57) does not reach"),
    Lacks("Traefik", body(b"Bad Gateway", 502, "server: traefik"), "proxy", "(traefik) does not reach"),
    Lacks("Traefik's path", body(b"404 page not found\n", 404, "content-type: text/plain"), "http", "404: 404 page not found"),
    Lacks("Caddy, without a word", body(b"", 502, "server: Caddy"), "proxy", "(Caddy) does not reach"),
    Lacks("Envoy without a backend", body(b"no healthy upstream", 503, "server: envoy"), "proxy", "503 no healthy upstream"),
    Lacks("Envoy's timeout", body(b"upstream request timeout", 504, "server: envoy"), "proxy", "(envoy) gave up waiting"),
    Lacks("Kong without a route", body({"message": "no Route matched with those values"}, 404), "http", "no Route matched with those values"),
    Lacks("Kong's limit", body({"message": "API rate limit exceeded"}, 429), "busy", "API rate limit exceeded"),
    Lacks("Kong's upstream", body({"message": "An invalid response was received from the upstream server"}, 502), "proxy", "invalid response was received from the upstream"),
    Lacks("Squid", body(error_page("ERROR: The requested URL could not be retrieved", "squid/6.1"), 503), "proxy", "(squid/6.1)"),
    Lacks("a login page", body(b"<!DOCTYPE html><html><head><title>Log in to Corp Wi-Fi</title></head></html>"), "not_chat", "Log in to Corp Wi-Fi"),
    Lacks("a login page by 511", body(b"<html><head><title>Network Login</title></head></html>", 511), "http", "511: Network Login"),
    *[Lacks(f"a redirect by {status}", body(b"", status, f"location: https://h{status}.example/v1?token=x"), "http", f"https://h{status}.example ({status})") for status in (301, 302, 303, 307, 308)],
    # the connection
    Lacks("204", body(b"", 204), "not_chat", "204 with an empty body"),
    Lacks("a connection that closes", raw(lambda b: b"", GOOD, ""), "transport", "127.0.0.1"),
    Lacks("half of the body", raw(lambda b: b[:60], GOOD, "HTTP/1.1 200 OK\r\ncontent-length: 900"), "transport", "127.0.0.1"),
    Lacks("half of the chunks", raw(lambda b: chunked(b)[:90], GOOD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"), "transport", "127.0.0.1"),
    Lacks("half of what is packed", raw(lambda b: gzip.compress(b)[:40], GOOD, "HTTP/1.1 200 OK\r\ncontent-encoding: gzip"), "invalid", "gzip"),
    Lacks("what is packed and broken", raw(lambda b: b"\x1f\x8b\x08\x00" + b"\xff" * 60, GOOD, "HTTP/1.1 200 OK\r\ncontent-encoding: gzip"), "invalid", "gzip encoding is broken"),
    Lacks("brotli", raw(lambda b: b"\x0b\x02\x80", GOOD, "HTTP/1.1 200 OK\r\ncontent-encoding: br"), "invalid", "encoded as 'br'"),
    Lacks("another protocol", raw(lambda b: b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n", GOOD, ""), "transport", "127.0.0.1"),
    Lacks("chunks that are none", raw(lambda b: b"zz\r\n" + b, GOOD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"), "transport", "127.0.0.1"),
    Lacks("two megabytes", raw(lambda b: b" " * (2 << 20), GOOD, "HTTP/1.1 200 OK"), "invalid", "larger than"),
    Lacks("half a JSON body", raw(lambda b: b[: len(b) // 3], GOOD, "HTTP/1.1 200 OK"), "not_chat", "200 with"),
    Lacks("only comments of a stream", body(b": ping\n\n: ping\n\ndata: [DONE]\n\n"), "not_chat", ": ping"),
]  # fmt: skip


def patient(row: Lacks) -> Lacks:
    """A busy or loading server that asks for more time than a document has: it gives up at once, and the table is quick."""

    def say(api: Api, asked: dict[str, Any]) -> Response:
        response = row.say(api, asked)
        return (
            response if response.raw is not None else replace(response, headers=(*response.headers, "retry-after: 30"))
        )

    return row._replace(say=say) if row.kind in ("busy", "loading") else row


def of(api: Api, rows: list[Holds]) -> list[Holds]:
    """Half of the rows that concern the text alone, and not how an API carries it."""
    return rows[("ollama", "openai").index(api) :: 2]


LACKS = [patient(row) for row in INSTEAD]
