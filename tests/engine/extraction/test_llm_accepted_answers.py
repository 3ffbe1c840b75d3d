"""Answers that hold the keywords, in every form that users of Ollama, llama.cpp, vLLM, LiteLLM, LM Studio, TGI and gateways report: kept,
with one call. Through a real engine, over real sockets, by both APIs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine.extraction import gateway_rows
from tests.engine.extraction.fault_rows import APIS, WANTED, bytes_of, played, stream, text_choice, tool, with_thought
from tests.engine.extraction.gateway_rows import ALL, GOOD, OBJECT, D, Holds, T, lines
from tests.engine.routing.running_engine import FULL, running
from tests.fault_server import Api, FaultServer, Response, body, content

pytestmark = pytest.mark.anyio

HOLDS = [
    Holds("as asked", content(GOOD)),
    Holds("in a fence", content(f"```json\n{GOOD}\n```")),
    Holds("between words with brackets", content(f"Sure, the {{keywords}} [12]:\n{GOOD}\nAnything else?")),
    Holds("after a draft within <think>", content('<think>maybe {"descriptive": ["wrong turn"]}? No.</think>' + GOOD)),
    Holds("after the end of thinking alone", content('I could say {"descriptive": ["wrong turn"]}\n</think>\n' + GOOD)),
    Holds("after a channel of gpt-oss", content(f"<|channel|>analysis<|message|>Let me see<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}")),
    Holds("with the template's end", content(GOOD + "<|im_end|>")),
    Holds("content as parts", content([{"type": "text", "text": GOOD[:40]}, {"type": "text", "text": GOOD[40:]}])),
    Holds("content as thinking and text parts", content([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": GOOD}])),
    Holds("content as an object", content(json.loads(GOOD))),
    Holds("in tool_calls", tool),
    Holds("in choices[].text", text_choice),
    Holds("in reasoning_content", with_thought("reasoning_content")),
    Holds("in reasoning, behind thoughts", with_thought("reasoning", "First I read it. So the answer is:\n" + GOOD)),
    Holds("objects with a name", content(json.dumps([{"keyword": k} for k in ALL]))),
    Holds("objects with a type", content(json.dumps({"keywords": [{"term": k, "type": "technical" if k in T else "topic"} for k in ALL]}))),
    Holds("a list of lists' objects", content(json.dumps([{"descriptive": D}, {"technical": T}]))),
    Holds("capitalised names", content(json.dumps({"Descriptive": D, "Technical": T}))),
    Holds("names of its own", content(json.dumps({"keyPhrases": D, "tech_stack": T}))),
    Holds("in another language's names", content(json.dumps({"Stichwörter": ALL}, ensure_ascii=False))),
    Holds("comma strings", content(json.dumps({"descriptive": ", ".join(D), "technical": ", ".join(T)}))),
    Holds("all in one item", content(json.dumps({"descriptive": [", ".join(D)], "technical": [", ".join(T)]}))),
    Holds("commas alone", content(", ".join(ALL))),
    Holds("commas after a label", content(f"Descriptive: {', '.join(D)}\nTechnical: {', '.join(T)}")),
    Holds("commas after a sentence's label", content(f"Here are the keywords: {', '.join(ALL)}.")),
    Holds("bullets", content(lines(lambda n, k: f"- {k}"))),
    Holds("bullets with markup", content("Here you go:\n\n" + lines(lambda n, k: f"* **{k}**") + "\n\nLet me know!")),
    Holds("bullets with explanations", content(lines(lambda n, k: f"- `{k}`: it matters in the text"))),
    Holds("numbers", content(lines(lambda n, k: f"{n}. {k}"))),
    Holds("numbers with dashes behind", content(lines(lambda n, k: f"{n}) {k} - exported by the gateway"))),
    Holds("commas of a sentence", content("The keywords are " + ", ".join(ALL[:-1]) + ", and " + ALL[-1] + ".")),
    Holds("commas in Chinese", content("关键词：" + "、".join(ALL) + "。")),
    Holds("numbers with full stops behind", content(lines(lambda n, k: f"{n}. {k}."))),
    Holds("hashtags", content(" ".join(f"#{k.replace(' ', '_')}" for k in ALL))),
    Holds("a loop that is cut", content(json.dumps(OBJECT)[:-2] + ', "tokio"' * 300 + ', "tok', "length")),
    Holds("headings and bullets", content("## Descriptive\n" + "\n".join(f"- {k}" for k in D) + "\n\n## Technical\n" + "\n".join(f"- {k}" for k in T))),
    Holds("YAML", content("descriptive:\n" + "\n".join(f"  - {k}" for k in D) + "\ntechnical:\n" + "\n".join(f"  - {k}" for k in T))),
    Holds("a table", content("| keyword | kind |\n|---|---|\n" + lines(lambda n, k: f"| {k} | technical |")), lost=2),
    Holds("tags", content(lines(lambda n, k: f"<keyword>{k}</keyword>"))),
    Holds("one a line", content(lines(lambda n, k: k))),
    Holds("JSON with bullets inside", content(json.dumps({"descriptive": [f"- {k}" for k in D], "technical": [f"{n}. {k}" for n, k in enumerate(T, 1)]}))),
    Holds("JSON with markup inside", content(json.dumps({"descriptive": [f"**{k}**" for k in D], "technical": [f"`{k}`" for k in T]}))),
    Holds("JSON with explanations inside", content(json.dumps({"descriptive": [f"{k} - from the text" for k in D], "technical": [f"{k} (a name)" for k in T]}))),
    Holds("JSON with hash signs inside", content(json.dumps({"descriptive": [f"#{k}" for k in D], "technical": T}))),
    Holds("JSON with scores inside", content(json.dumps({"descriptive": [f"{k} (0.95)" for k in D], "technical": T}))),
    Holds("keywords with scores", content(json.dumps({"descriptive": dict.fromkeys(D, 0.9), "technical": dict.fromkeys(T, 0.8)}))),
    Holds("keywords by number", content(json.dumps({"descriptive": {str(n): k for n, k in enumerate(D)}, "technical": {str(n): k for n, k in enumerate(T)}}))),
    Holds("keywords with explanations", content(json.dumps({"descriptive": dict.fromkeys(D, "why"), "technical": dict.fromkeys(T, "why")}))),
    Holds("upper case", content(json.dumps({"descriptive": [k.upper() for k in D], "technical": [k.upper() for k in T]}))),
    Holds("Python's quotes", content(str({"descriptive": D, "technical": T}))),
    Holds("Python's list", content(str(ALL))),
    Holds("a trailing comma", content(GOOD.replace("]", ",]"))),
    Holds("a missing comma", content(GOOD.replace('", "', '" "', 1))),
    Holds("comments", content(GOOD.replace("], ", "], // the technical ones\n"))),
    Holds("typographic quotes", content(GOOD.replace('"', "”"))),
    Holds("no quotes at all", content(GOOD.replace('"', ""))),
    Holds("without the last brace", content(GOOD[:-1])),
    Holds("NaN and null inside", content(GOOD.replace("[", "[NaN, null, true, 3.5, "))),
    Holds("nested objects", content(json.dumps({"result": {"data": {"keywords": {"descriptive": D, "technical": T}}}}))),
    Holds("nested lists", content(json.dumps({"descriptive": [D], "technical": [T]}))),
    Holds("grouped lists", content(json.dumps({"descriptive": {"core": D[:3], "other": D[3:]}, "technical": T}))),
    Holds("two objects, one a list", content(json.dumps({"descriptive": D}) + "\n" + json.dumps({"technical": T}))),
    Holds("one object a line", content(lines(lambda n, k: json.dumps({"keyword": k})))),
    Holds("a draft, then the answer", content('{"descriptive": ["wrong turn"], "technical": []}\nBetter:\n' + GOOD)),
    Holds("double encoded", content(json.dumps(GOOD))),
    Holds("lists double encoded", content(json.dumps({"descriptive": json.dumps(D), "technical": json.dumps(T)}))),
    Holds("escaped for HTML", content(GOOD.replace('"', "&quot;"))),
    Holds("the schema filled in", content(json.dumps({"type": "object", "properties": {"descriptive": D, "technical": T}}))),
    Holds("assignments", content(f"descriptive = {json.dumps(D)}\ntechnical = {json.dumps(T)}")),
    Holds("a mark of byte order in the text", content("\ufeff" + GOOD)),
    Holds("a lone surrogate", content(GOOD[:-1] + ', "note": "\ud83d"}')),
    Holds("a lone surrogate in an item", content(json.dumps({"descriptive": [k + "\ud83d" for k in D], "technical": T}))),
    Holds("a mark of byte order in the body", bytes_of(lambda raw: b"\xef\xbb\xbf" + raw)),
    Holds("one byte that is not UTF-8", bytes_of(lambda raw: raw.replace(b"assistant", b"assist\xe9nt"))),
    Holds("NaN in the body", bytes_of(lambda raw: raw[:-1] + b', "logprob": NaN}')),
    Holds("a body in a JSON string", bytes_of(lambda raw: json.dumps(raw.decode()).encode())),
    Holds("a body in UTF-16", bytes_of(lambda raw: raw.decode().encode("utf-16"))),
    Holds("a body in a list", bytes_of(lambda raw: b"[" + raw + b"]")),
    Holds("a body within data", bytes_of(lambda raw: b'{"code": 0, "data": ' + raw + b"}")),
    Holds("server-sent events", lambda api, asked: Response(stream(api, GOOD, events=True))),
    Holds("a stream of lines", lambda api, asked: Response(stream(api, GOOD, events=False))),
    Holds("the keywords as the body", body({"descriptive": D, "technical": T})),
    Holds("an error that is null", bytes_of(lambda raw: raw[:-1] + b', "error": null}')),
    Holds("length, with closed JSON", content(GOOD, "length")),
    *[Holds(f"finish_reason {reason!r}", content(GOOD, reason)) for reason in ("eos_token", "STOP", "end_turn", "", None, "stop_sequence", "eos", 2)],
]  # fmt: skip


@pytest.mark.parametrize("api", APIS)
async def test_every_answer_that_holds_the_keywords_is_kept_with_one_call(api: Api, tmp_path: Path) -> None:
    lost: list[str] = []
    async with (
        FaultServer(api) as server,
        running(tmp_path, server, FULL, api=api, breaker_failures=1000, cache_bytes=0, min_total=0) as place,
    ):  # type: ignore[arg-type]
        rows = [*HOLDS, *gateway_rows.of(api, gateway_rows.IN_TEXT), *gateway_rows.IN_BODY, *gateway_rows.ON_THE_WIRE]
        for one in await played(place, server, rows):
            kept = {keyword.casefold() for keyword in one["llm"]}
            missing, extra = WANTED - kept, kept - WANTED
            if len(missing) > one["row"].lost or extra or one["calls"] != 1 or one["error"]:
                calls, error, message = one["calls"], one["error"], one["message"]
                lost.append(f"{one['row'].name}: {calls} calls, {error}, {message}, without {missing}, with {extra}")
    assert not lost, "\n".join(lost)
