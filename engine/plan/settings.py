"""How the engine runs, beside the plan: LLM service, triggers' settings, calendar, access, store, HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from engine.plan.vocabulary import Mode, Part, Seconds, Title, says


class TriggerSettings(Part, frozen=True):
    """How triggers judge, for all of them."""

    mode: Annotated[
        Mode,
        says(
            "How a rate over a time is judged. guarded: needs enough documents, looks further back when "
            "there are few, and adds an early detector; literal: the plan to the letter; early: guarded with "
            "more early detectors."
        ),
    ] = "guarded"
    min_n: Annotated[int, says("Fewest LLM documents in the window that a trigger judges by.", least=1)] = 20
    fallback_n: Annotated[
        int, says("With fewer than that in the window, an error rate is judged over this many last ones.", least=1)
    ] = 100
    latency_fallback_n: Annotated[int, says("The same for a mean time.", least=1)] = 50
    blind_after_s: Annotated[
        Seconds,
        says("No figures for this long is *blind*: promotion is held, timers freeze, people are told.", example="2m"),
    ] = 120.0
    blind_step_down_s: Annotated[Seconds, says("Blind for this long: one stage down.", example="30m")] = 1800.0
    lease_s: Annotated[
        Seconds,
        says(
            "Triggers not evaluated for this long: every router goes to 0 % (dead-man's switch).",
            least=1,
            most=600,
            example="30s",
        ),
    ] = 30.0
    cooldown_s: Annotated[
        Seconds, says("After an automatic rollback the way up stays closed at least this long.", example="30m")
    ] = 1800.0
    unavailable_calls: Annotated[
        int, says("The LLM service counts as unavailable after this many failed calls in a row ...", least=1)
    ] = 5
    unavailable_span_s: Annotated[Seconds, says("... over at least this long ...", example="15s")] = 15.0
    unavailable_probes: Annotated[int, says("... or after this many failed probes in a row.", least=1)] = 3
    probe_every_s: Annotated[Seconds, says("How often the LLM service is probed.", least=0.1, example="5s")] = 5.0


class Llm(Part, frozen=True):
    """The LLM service."""

    urls: Annotated[
        tuple[str, ...],
        says(
            'Where it listens; several servers share the work. `url = "..."` is the same for one.',
            pattern=r"^https?://[^\s/]+",
            example="http://127.0.0.1:11434",
        ),
    ]
    model: Annotated[Title, says("Name of the model as the service knows it.", example="llama3.2:3b")]
    api: Annotated[
        Literal["ollama", "openai"],
        says("ollama: Ollama's own API; openai: any server with /v1/chat/completions (llama-server, vLLM)."),
    ] = "ollama"
    api_key_env: Annotated[
        str, says("Name of the environment variable that holds the API key; empty: none is sent. Never the key.")
    ] = ""
    timeout_s: Annotated[
        Seconds,
        says(
            "Deadline of a document over everything that is done for it: calls, retries, pauses, parts. The queue has a "
            "limit of its own, `max_wait`.",
            least=0.1,
            example="30s",
        ),
    ] = 30.0
    retries: Annotated[int, says("Tries after the first, only of what can succeed.", least=0, most=10)] = 2
    num_ctx: Annotated[
        int, says("Context length in tokens; kept constant, a change makes Ollama reload the model.", least=512)
    ] = 8192
    max_descriptive: Annotated[
        int, says("Most descriptive keywords of a document, by either method.", least=1, most=50)
    ] = 15
    max_technical: Annotated[
        int, says("Most technical keywords of a document, by either method.", least=0, most=50)
    ] = 10
    max_total: Annotated[int, says("Most keywords of a document, by either method.", least=1, most=100)] = 15
    min_total: Annotated[
        int,
        says(
            "Fewest keywords of a document; an answer with fewer is topped up from the frequency method and counted as short. "
            "0: never.",
            least=0,
            most=100,
        ),
    ] = 10
    max_concurrency: Annotated[
        int, says("Most calls at once; the engine finds the server's capacity below it by itself.", least=1)
    ] = 64
    max_waiting: Annotated[
        int,
        says(
            "Most documents that wait for a free place on a server. Beyond it a document that somebody waits for gets "
            "frequency keywords, and bulk work is answered with 429.",
            least=1,
        ),
    ] = 1000
    max_wait_s: Annotated[
        Seconds,
        says(
            "Longest wait in the queue of a document that somebody waits for; then it gets frequency keywords.",
            least=0.1,
            example="30s",
        ),
    ] = 30.0
    temperature: Annotated[float, says("Randomness of the answers.", least=0, most=2)] = 0.1
    schema: Annotated[
        bool, says("Ask for answers by a JSON schema; false: in words only, for servers that do it badly.")
    ] = True
    seed: Annotated[bool, says("Send a seed, so that the same document gets the same answer; false: none.")] = True
    api_key_header: Annotated[
        str,
        says(
            "Header that carries the key, where it is not `Authorization: Bearer`; Azure's is api-key.",
            pattern=r"^$|^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
            example="api-key",
        ),
    ] = ""
    headers: Annotated[
        tuple[str, ...],
        says(
            "More headers of each request, for gateways. Not for secrets.",
            pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+:[ \t]*[\x20-\x7e]*$",
            example="X-Team: search",
        ),
    ] = ()
    probe: Annotated[
        str,
        says(
            "Path that is asked to see whether the service answers; empty: the list of models, which costs it nothing.",
            pattern=r"^$|^/\S*$",
            example="/health",
        ),
    ] = ""
    min_length: Annotated[
        int, says("Documents shorter than this many characters go to the frequency method.", least=0)
    ] = 50
    chunk_chars: Annotated[
        int, says("Longer documents are split into parts of about this many characters.", least=500)
    ] = 12_000
    breaker_failures: Annotated[
        int, says("Failed calls in a row after which a server is left alone for a while ...", least=1)
    ] = 5
    breaker_open_s: Annotated[Seconds, says("... this long, until one call probes it again.", example="15s")] = 15.0
    cache_bytes: Annotated[int, says("Most bytes of cached answers.", least=0)] = 64 * 1024 * 1024
    cache_after_rollback: Annotated[
        bool,
        says(
            "false: a rollback voids the cached answers from before it, so that none is served when the way up opens again; "
            "true: they stay."
        ),
    ] = False


class Hours(Part, frozen=True):
    """Hours in which nothing goes up; rollback always works."""

    start: Annotated[str, says("From this time of day.", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", example="22:00")]
    end: Annotated[
        str,
        says(
            "To this time of day; earlier than start means the next morning.",
            pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
            example="07:00",
        ),
    ]
    days: Annotated[
        tuple[str, ...],
        says(
            "Days on which they start; none means every day.", pattern="^(mon|tue|wed|thu|fri|sat|sun)$", example="mon"
        ),
    ] = ()


class Freeze(Part, frozen=True):
    """A time in which nothing goes up; rollback always works."""

    start: Annotated[str, says("From this date or time, ISO 8601.", pattern=r"^\d{4}-\d\d-\d\d", example="2026-12-23")]
    end: Annotated[str, says("To this date (inclusive) or time.", pattern=r"^\d{4}-\d\d-\d\d", example="2027-01-02")]
    reason: Annotated[Title, says("Shown to whoever wants to promote.", example="holidays")]


class Calendar(Part, frozen=True):
    """When nothing goes up."""

    timezone: Annotated[str, says("Zone of the times below.", example="Europe/Berlin")] = "UTC"
    quiet: Annotated[tuple[Hours, ...], says("Quiet hours.")] = ()
    freeze: Annotated[tuple[Freeze, ...], says("Freezes.")] = ()


class Access(Part, frozen=True):
    """Who may promote and configure. Rollback is everyone's who can open the store."""

    promote: Annotated[tuple[str, ...], says("Login names; none means everyone who can open the store.")] = ()
    group: Annotated[str, says("Or the members of this unix group.")] = ""


class Apply(Part, frozen=True):
    """What happens outside on each change of percentage, for a service beside the engine."""

    env_file: Annotated[
        str, says("A file to write with the three XZE_KEYWORD_EXTRACTION_ lines.", example="/etc/xze/rollout.env")
    ] = ""
    command: Annotated[
        str, says("A command to run then; it never delays a rollback.", example="sudo systemctl restart xze-server")
    ] = ""
    timeout_s: Annotated[Seconds, says("Its time limit.", least=0.1, example="30s")] = 30.0


class StoreSettings(Part, frozen=True):
    """Where the state lives and for how long."""

    path: Annotated[str, says("Folder of the store, from this file's folder; empty: `.rollout`.")] = ""
    group: Annotated[str, says("Unix group that shares it; empty: its owner alone.")] = ""
    resume: Annotated[
        Literal["last", "safe"],
        says("After an unclean stop the engine starts at the last percentage (last) or at 0 % (safe)."),
    ] = "last"
    away_s: Annotated[
        Seconds,
        says(
            "After so long without an engine the rollout comes back held, at the percentage as it was, until a person resumes.",
            least=60,
            example="1d",
        ),
    ] = 86400.0
    raw_days: Annotated[float, says("Days that single extractions are kept.", least=1)] = 30.0
    ten_second_days: Annotated[float, says("Days that 10-second figures are kept.", least=0.1)] = 2.0
    minute_days: Annotated[float, says("Days that 1- and 10-minute figures are kept; hours stay.", least=1)] = 8.0
    text_days: Annotated[
        float,
        says(
            "Days after its last extraction that a document's full text is kept; 0: for good. Without it there are no "
            "snippets, and search quality and reviews leave the document out. Keywords and title stay.",
            least=0,
        ),
    ] = 0.0


class HttpSettings(Part, frozen=True):
    """Where the engine listens: /metrics, /v1/extract, /v1/feedback, /v1/status."""

    host: Annotated[
        Title, says("Address to bind. Anything but this machine's own needs the token.", example="127.0.0.1")
    ] = "127.0.0.1"
    port: Annotated[int, says("Port; 0 takes a free one.", least=0, most=65_535)] = 8080
    token_env: Annotated[str, says("Name of the environment variable that holds the token. Never the token.")] = (
        "ROLLOUT_TOKEN"
    )
    metrics: Annotated[
        Literal["token", "open"],
        says(
            "Who may read /metrics from another machine: token: whoever has it; open: everyone who reaches the address.",
            example="open",
        ),
    ] = "token"


class Notify(Part, frozen=True):
    """Where messages go. The addresses are apprise URLs and hold secrets: they never stand in this file."""

    urls_env: Annotated[str, says("Name of the environment variable that holds them, separated by spaces.")] = (
        "ROLLOUT_NOTIFY_URLS"
    )
    urls_file: Annotated[str, says("Or a file with one a line, readable by its owner alone (0600).")] = ""
    daily_at: Annotated[
        str,
        says(
            "Time of day (calendar's zone) at which automatic daily and weekly messages go out; empty: only by a key.",
            pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$",
            example="09:00",
        ),
    ] = ""
