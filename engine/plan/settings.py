"""The plan's settings for the engine: LLM service, triggers, calendar, access, store, HTTP."""

from typing import Annotated, Literal

from engine.plan.vocabulary import Doc, Mode, Part, Seconds, Title

# scheme, perhaps an account, host, perhaps a port, perhaps a path
_PORT = r"(?:[0-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
_SERVER = rf"https?://([^\s/@]+@)?(\[[0-9A-Fa-f:.%]+\]|[^\s/:@\[\]]+)(:{_PORT})?(/\S*)?"


class TriggerSettings(Part, frozen=True):
    """Settings shared by all triggers."""

    mode: Annotated[
        Mode,
        Doc(
            "How a rate over a window is evaluated. guarded: needs enough documents, looks further back when "
            "there are few, and adds an early detector; literal: the plan to the letter; early: guarded with "
            "more early detectors."
        ),
    ] = "guarded"
    min_n: Annotated[int, Doc("LLM documents needed in the window for a trigger to act on it.", least=1)] = 20
    fallback_n: Annotated[
        int, Doc("With fewer than that, an error rate is taken over this many of the latest documents.", least=1)
    ] = 100
    latency_fallback_n: Annotated[int, Doc("The same for mean latency.", least=1)] = 50
    blind_after_s: Annotated[
        Seconds,
        Doc(
            "No figures for this long: *blind*. Promotion is held, timers pause and people are notified.", example="2m"
        ),
    ] = 120.0
    blind_step_down_s: Annotated[Seconds, Doc("Blind for this long: roll back one stage.", example="30m")] = 1800.0
    lease_s: Annotated[
        Seconds,
        Doc(
            "Triggers not evaluated for this long: every router drops to 0 % (dead-man's switch).",
            least=1,
            most=600,
            example="30s",
        ),
    ] = 30.0
    cooldown_s: Annotated[
        Seconds, Doc("After an automatic rollback, promotion is blocked for at least this long.", example="30m")
    ] = 1800.0
    unavailable_calls: Annotated[
        int, Doc("The LLM service counts as unavailable after this many failed calls in a row ...", least=1)
    ] = 5
    unavailable_span_s: Annotated[Seconds, Doc("... over at least this long ...", example="15s")] = 15.0
    unavailable_probes: Annotated[int, Doc("... or after this many failed probes in a row.", least=1)] = 3
    probe_every_s: Annotated[Seconds, Doc("How often the LLM service is probed.", least=0.1, example="5s")] = 5.0


class Llm(Part, frozen=True):
    """The LLM service."""

    urls: Annotated[
        tuple[str, ...],
        Doc(
            'Its addresses; several servers share the work. `url = "..."` is shorthand for one.',
            pattern=rf"^{_SERVER}$",
            example="http://127.0.0.1:11434",
        ),
    ]
    model: Annotated[Title, Doc("Name of the model on the service.", example="llama3.2:3b")]
    api: Annotated[
        Literal["ollama", "openai"],
        Doc("ollama: Ollama's own API; openai: any server with /v1/chat/completions (llama-server, vLLM)."),
    ] = "ollama"
    api_key_env: Annotated[
        str, Doc("Name of the environment variable that holds the API key, never the key itself; empty: none is sent.")
    ] = ""
    timeout_s: Annotated[
        Seconds,
        Doc(
            "Deadline for all work on a document: calls, retries, pauses, all pieces. The queue has its own "
            "limit, `max_wait`.",
            least=0.1,
            example="30s",
        ),
    ] = 30.0
    retries: Annotated[
        int, Doc("Attempts after the first, only for failures that a retry can fix.", least=0, most=10)
    ] = 2
    num_ctx: Annotated[
        int, Doc("Context length in tokens; kept constant, because a change makes Ollama reload the model.", least=512)
    ] = 8192
    max_descriptive: Annotated[
        int, Doc("Maximum descriptive keywords per document, by either method.", least=1, most=50)
    ] = 15
    max_technical: Annotated[
        int, Doc("Maximum technical keywords per document, by either method.", least=0, most=50)
    ] = 10
    max_total: Annotated[int, Doc("Maximum keywords per document, by either method.", least=1, most=100)] = 15
    min_total: Annotated[
        int,
        Doc(
            "Minimum keywords per document; an answer with fewer is topped up by the frequency method and "
            "counted as short. 0: never.",
            least=0,
            most=100,
        ),
    ] = 10
    max_concurrency: Annotated[
        int, Doc("Maximum concurrent calls; within it, the engine discovers the server's capacity.", least=1)
    ] = 64
    max_waiting: Annotated[
        int,
        Doc(
            "Maximum documents waiting for a free slot on a server. Beyond it, interactive documents get "
            "frequency keywords and bulk work is refused with 429.",
            least=1,
        ),
    ] = 1000
    max_wait_s: Annotated[
        Seconds,
        Doc(
            "Longest wait in the queue for an interactive document; then it gets frequency keywords.",
            least=0.1,
            example="30s",
        ),
    ] = 30.0
    temperature: Annotated[float, Doc("Randomness of the answers.", least=0, most=2)] = 0.1
    schema: Annotated[
        bool, Doc("Request answers with a JSON schema; false: in the prompt only, for servers with poor support.")
    ] = True
    seed: Annotated[bool, Doc("Send a seed, so that the same document gets the same answer; false: no seed.")] = True
    api_key_header: Annotated[
        str,
        Doc(
            "Header for the API key, if not `Authorization: Bearer`; Azure uses api-key.",
            pattern=r"^$|^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
            example="api-key",
        ),
    ] = ""
    headers: Annotated[
        tuple[str, ...],
        Doc(
            "Extra headers on each request, for gateways. Not for secrets.",
            pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+:[ \t]*[\x20-\x7e]*$",
            example="X-Team: search",
        ),
    ] = ()
    probe: Annotated[
        str,
        Doc(
            "Path to probe whether the service answers; empty: the list of models, which costs it nothing.",
            pattern=r"^$|^/\S*$",
            example="/health",
        ),
    ] = ""
    min_length: Annotated[int, Doc("Documents with fewer characters than this use the frequency method.", least=0)] = 50
    chunk_chars: Annotated[
        int, Doc("Longer documents are split into pieces of about this many characters.", least=500)
    ] = 12_000
    breaker_failures: Annotated[
        int, Doc("Consecutive failed calls after which a server gets no calls ...", least=1)
    ] = 5
    breaker_open_s: Annotated[Seconds, Doc("... for this long, until one call probes it again.", example="15s")] = 15.0
    cache_bytes: Annotated[int, Doc("Maximum bytes of cached answers.", least=0)] = 64 * 1024 * 1024
    cache_after_rollback: Annotated[
        bool,
        Doc(
            "false: a rollback voids the answers cached before it, so that none is served after the next promotion; "
            "true: they are kept."
        ),
    ] = False


class Hours(Part, frozen=True):
    """Hours without promotion; rollback always works."""

    start: Annotated[str, Doc("From this time of day.", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", example="22:00")]
    end: Annotated[
        str,
        Doc(
            "To this time of day; earlier than start means the next morning.",
            pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
            example="07:00",
        ),
    ]
    days: Annotated[
        tuple[str, ...],
        Doc("Days on which they start; empty: every day.", pattern="^(mon|tue|wed|thu|fri|sat|sun)$", example="mon"),
    ] = ()


class Freeze(Part, frozen=True):
    """A period without promotion; rollback always works."""

    start: Annotated[str, Doc("From this date or time, ISO 8601.", pattern=r"^\d{4}-\d\d-\d\d", example="2026-12-23")]
    end: Annotated[str, Doc("To this date (inclusive) or time.", pattern=r"^\d{4}-\d\d-\d\d", example="2027-01-02")]
    reason: Annotated[Title, Doc("Shown to anyone who tries to promote.", example="holidays")]


class Calendar(Part, frozen=True):
    """When promotion is blocked."""

    timezone: Annotated[str, Doc("Zone of the times below.", example="Europe/Berlin")] = "UTC"
    quiet: Annotated[tuple[Hours, ...], Doc("Quiet hours.")] = ()
    freeze: Annotated[tuple[Freeze, ...], Doc("Freezes.")] = ()


class Access(Part, frozen=True):
    """Who may promote and configure. Anyone who can open the store may roll back."""

    promote: Annotated[tuple[str, ...], Doc("Login names; empty: everyone who can open the store.")] = ()
    group: Annotated[str, Doc("Or the members of this unix group.")] = ""


class Apply(Part, frozen=True):
    """Hooks for a neighbouring service, run on each change of percentage."""

    env_file: Annotated[
        str, Doc("File to write with the three XZE_KEYWORD_EXTRACTION_ lines.", example="/etc/xze/rollout.env")
    ] = ""
    command: Annotated[
        str, Doc("Command to run after that; it never delays a rollback.", example="sudo systemctl restart xze-server")
    ] = ""
    timeout_s: Annotated[Seconds, Doc("Its time limit.", least=0.1, example="30s")] = 30.0


class StoreSettings(Part, frozen=True):
    """Where state is kept, and for how long."""

    path: Annotated[str, Doc("Folder of the store, relative to this file; empty: `.rollout`.")] = ""
    group: Annotated[str, Doc("Unix group that shares it; empty: only its owner.")] = ""
    resume: Annotated[
        Literal["last", "safe"],
        Doc("After an unclean stop the engine starts at the last percentage (last) or at 0 % (safe)."),
    ] = "last"
    away_s: Annotated[
        Seconds,
        Doc(
            "After this long without an engine, the rollout restarts held, at its last percentage, until a "
            "person resumes.",
            least=60,
            example="1d",
        ),
    ] = 86400.0
    raw_days: Annotated[float, Doc("Days to keep single extractions.", least=1)] = 30.0
    ten_second_days: Annotated[float, Doc("Days to keep 10-second figures.", least=0.1)] = 2.0
    minute_days: Annotated[float, Doc("Days to keep 1- and 10-minute figures; hourly ones are permanent.", least=1)] = (
        8.0
    )
    texts: Annotated[
        Literal["keep", "reference", "none"],
        Doc(
            "Whether a document's full text is stored (keep), its file or URL (reference: `load --on` alone knows it), "
            "or its keywords and title alone (none); the last two take half the space. It counts from a document's "
            "next extraction on. Without the text there are no snippets and search quality leaves the document out; "
            "`documents show`, `export --text` and reviews read a referenced text where it is."
        ),
    ] = "keep"
    text_days: Annotated[
        float,
        Doc(
            "Days to keep a document's full text after its last extraction; 0: forever. Without the text "
            "there are no snippets, and search quality and reviews leave the document out. Keywords and "
            "title stay.",
            least=0,
        ),
    ] = 0.0


class HttpSettings(Part, frozen=True):
    """Where the engine listens: /metrics, /v1/extract, /v1/feedback, /v1/status."""

    host: Annotated[
        Title, Doc("Address to bind. Anything but a loopback address needs the token.", example="127.0.0.1")
    ] = "127.0.0.1"
    port: Annotated[int, Doc("Port; 0 takes a free one.", least=0, most=65_535)] = 8080
    token_env: Annotated[str, Doc("Name of the environment variable that holds the token, never the token itself.")] = (
        "ROLLOUT_TOKEN"
    )
    metrics: Annotated[
        Literal["token", "open"],
        Doc(
            "Who may read /metrics from another machine. token: whoever has the token; open: anyone who "
            "reaches the address.",
            example="open",
        ),
    ] = "token"
    page: Annotated[
        Literal["loopback", "token", "open", "off"],
        Doc(
            "Who may see the page at /: loopback: users of this machine; token: other machines too, with the "
            "token as the browser's password; open: everyone who can reach the address; off: no one.",
            example="token",
        ),
    ] = "loopback"


class Otel(Part, frozen=True):
    """OpenTelemetry: traces and metrics by OTLP over HTTP. Needs the extra `rollout-console[otel]`."""

    endpoint: Annotated[
        str,
        Doc(
            "Address of the collector; empty: that of the environment variable OTEL_EXPORTER_OTLP_ENDPOINT, "
            "off without it.",
            pattern=rf"^$|^{_SERVER}$",
            example="http://127.0.0.1:4318",
        ),
    ] = ""
    every_s: Annotated[Seconds, Doc("How often metrics are sent.", least=1, example="30s")] = 30.0


class Notify(Part, frozen=True):
    """Where messages go. The addresses are apprise URLs and contain secrets, so they are never in this file."""

    urls_env: Annotated[str, Doc("Name of the environment variable that holds them, separated by spaces.")] = (
        "ROLLOUT_NOTIFY_URLS"
    )
    urls_file: Annotated[str, Doc("Or a file with one per line, readable only by its owner (0600).")] = ""
    daily_at: Annotated[
        str,
        Doc(
            "Time of day (in the calendar's zone) for automatic daily and weekly messages; empty: only when "
            "a person sends them.",
            pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$",
            example="09:00",
        ),
    ] = ""
    escalate_to: Annotated[
        tuple[str, ...],
        Doc(
            "Roles of [[contacts]], in order. If no one takes an alarm (K) in time, the first gets a "
            "message, then the next. Empty: no one does.",
            example="Technical Lead",
        ),
    ] = ()
    escalate_after_s: Annotated[
        Seconds,
        Doc(
            "How long an alarm waits for someone before each next contact hears of it; 0: as long as the trigger's "
            "`timeline` allows.",
            example="15m",
        ),
    ] = 0.0
