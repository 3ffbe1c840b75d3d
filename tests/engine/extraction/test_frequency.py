"""The frequency method: what holds for any text, and what must be found in English texts of many kinds."""

from __future__ import annotations

import html
import signal
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.extraction.frequency import extract
from engine.extraction.keywords import MAX_TECHNICAL, MAX_TOTAL, stem_phrase
from engine.extraction.tokens import MAX_CHARS
from engine.parsing import parse

WORDS = st.sampled_from(
    [
        "the", "of", "and", "to", "we", "is", "are", "was", "a", "New", "York", "neural", "network",
        "networks", "training", "Trains", "data", "max_tokens", "--flag", "C++", "HTTP/2", "Cargo.toml",
        ".NET\n", "", "", "", "University", "2024", "3.11", "`code`", "**bold**", "#", "|", "-", "'s", "don't",
        "Zipf's", "der", "die", "und", "Größe", "Straße", "или", "данные", "机器学习", "データ", "ข้อมูล", "كلمة",
        "é", "�", "\x00", "\n", "\n\n\n", "", "", "", "```", "<b>", "</b>", "https://x.org/a?b=c", "&amp;",
        "(", ")", ".", ",", ":", ";", "…",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=400), st.lists(WORDS, max_size=80).map(" ".join))


def flat(text: str) -> str:
    return "".join(text.casefold().split())


@given(TEXTS)
@example("")
@example("this is the thing that we have and it is New")
@example("İstanbul İSTANBUL ﬁx ẞ ǅ")
def test_any_text_gives_few_distinct_keywords_always_the_same(text: str) -> None:
    keywords = extract(text)

    assert keywords == extract(text)
    assert len(keywords.ranked) <= MAX_TOTAL
    assert len(keywords.technical) <= MAX_TECHNICAL
    assert set(keywords.technical) <= set(keywords.ranked)
    assert len({keyword.casefold() for keyword in keywords.ranked}) == len(keywords.ranked)
    assert all(keyword.strip() == keyword and 0 < len(keyword) <= MAX_CHARS for keyword in keywords.ranked)


@given(TEXTS)
@example("Deep neural networks. Graph neural networks train. Deep neural networks learn.")
def test_every_keyword_occurs_in_the_text(text: str) -> None:
    standing = flat(parse(text).content) + flat(html.unescape(parse(text).content))

    assert [keyword for keyword in extract(text).ranked if flat(keyword) not in standing] == []


@given(TEXTS, st.integers(-3, 20))
def test_a_lower_limit_gives_the_first_of_the_same_keywords(text: str, limit: int) -> None:
    assert extract(text, limit=limit).ranked == extract(text, limit=99).ranked[: max(limit, 0)]


@pytest.fixture
def alarm() -> Iterator[None]:
    """Ends a test whose text takes a hundred times too long: the regular expressions are C, only a signal's default action ends them.
    A minute of this process's own time, however little of it a busy machine gives."""
    signal.setitimer(signal.ITIMER_PROF, 60)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(
    "unit",
    [
        "a", "A", "1", ".", "-", "_", ":", "`", "<", "(", "&", "~", "'", " ", "\n", "\0", "\ud800", "\u0301", "学", "カ", "ภา", "😀", "\ufeff",
        "1.", "a.", "a-", "a_", "__a", "a@", "::a", "->a", ":a:`", "a-\n", "a- ", "\n ", "\n\n\t", "a b\r\n", "](", "www.", "http://", "<a ", "</a",
        "<!--", "<script ", "<b>x</b>", "```\n", "\n> ~~~", "\n    x = f();", "\n\t=(=", "\n.. a::", "a's ", " --a", "C++ ", "the ", "running ",
    ],
)  # fmt: skip
def test_no_text_of_four_megabytes_takes_more_than_in_proportion(unit: str) -> None:
    assert len(extract(unit * (4_000_000 // len(unit)))) <= MAX_TOTAL


@pytest.mark.usefixtures("alarm")
def test_a_long_list_of_orders_takes_no_more_than_in_proportion() -> None:
    assert extract("".join(f"Run pool{number} checker now. " for number in range(40_000)))


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("Set max_tokens to limit the answer; max_tokens defaults to 512.", "max_tokens"),
        ("Add the crate to Cargo.toml before the build. Cargo.toml lists it.", "Cargo.toml"),
        ("Pass --dry-run to see what happens. Without --dry-run the files change.", "--dry-run"),
        ("The server speaks HTTP/2 over TLS. Older clients lack HTTP/2.", "HTTP/2"),
        ("We wrote the parser in C++ because C++ is fast on this hardware.", "C++"),
        ("The library targets .NET and runs wherever .NET runs.", ".NET"),
        ("Use std::vector for the buffer; std::vector grows automatically.", "std::vector"),
        ("Call extract() once for each document; extract() is pure.", "extract()"),
        ("A GraphQLSchema describes the types; the GraphQLSchema is validated.", "GraphQLSchema"),
        ("The cache is `LRU_cache` from the standard library. `LRU_cache` is bounded.", "LRU_cache"),
        ("Run .venv/bin/rollout first; then .venv/bin/rollout again.", ".venv/bin/rollout"),
        ("Import __init__ hooks early. The __init__ hooks register plugins.", "__init__"),
        (
            "Read /etc/nginx/nginx.conf first; the file /etc/nginx/nginx.conf names the workers.",
            "/etc/nginx/nginx.conf",
        ),
        ("The kube-scheduler places pods. Restart the kube-scheduler after changes.", "kube-scheduler"),
        ("F# and C# share a runtime; C# compiles faster than most.", "C#"),
        ("Node.js serves the page. With Node.js the server needs one process.", "Node.js"),
    ],
)
def test_identifiers_survive(text: str, identifier: str) -> None:
    keywords = extract(text).ranked

    assert any(identifier in keyword for keyword in keywords), keywords


def test_an_absolute_path_keeps_its_slash_and_drops_what_declares_it() -> None:
    text = (
        "The file /etc/hosts.allow and (/var/lib/rollout/armed) are read at start; POST /v1/extract:batch answers. Wind of 8 km /h and/or "
        "rain. The page is https://example.com/docs/start, and <b>bold</b> text is /sup 18."
    )
    keywords = extract(text).ranked
    assert {"/etc/hosts.allow", "/var/lib/rollout/armed", "/v1/extract"} <= set(keywords)
    assert [
        keyword for keyword in keywords if "/" in keyword and not keyword.startswith(("/etc", "/var", "/v1", "km/"))
    ] == []


def test_identifiers_and_names_of_the_craft_are_technical_and_ideas_are_descriptive() -> None:
    keywords = extract(
        "The staged rollout raises the percentage of documents. Set max_retries in config.toml, and call Ollama with --verbose. "
        "Error budgets protect search quality. PostgreSQL stores the audit trail; the staged rollout waits for the error budgets."
    )

    assert {"max_retries", "config.toml"} <= set(keywords.technical)
    assert any("postgresql" in keyword.lower() for keyword in keywords.technical)
    assert {"staged rollout", "error budgets", "audit trail"} <= set(keywords.descriptive)


def test_markup_code_and_addresses_are_not_keywords() -> None:
    text = """# Graph databases

Graph databases store *relationships* beside the records. See [the manual](https://example.org/secret-path) or www.example.net.

```python
def frobnicate(zork):
    return zork.quux
```

| engine | latency |
|--------|---------|
| alpha  | 12 ms   |

<script>var hidden = 1;</script><p class="fancy">Traversal queries follow relationships &amp; edges.</p>
"""
    result = " ".join(extract(text).ranked)

    assert "graph databases" in result
    assert "traversal queries" in result
    for noise in ("frobnicate", "zork", "secret-path", "example.net", "hidden", "fancy", "amp", "|", "*", "#", "<"):
        assert noise not in result


def test_a_text_that_is_all_code_still_has_keywords() -> None:
    assert "connect_timeout" in extract("```\nconnect_timeout = 5\nretry_policy = backoff\n```").ranked


def test_owners_and_titles_are_left_off_and_names_stay_whole() -> None:
    keywords = extract(
        "The company's pay offer was refused. Mr Downer met Australia's envoy, and Australia sent an observer. Zipf's law "
        "describes the counts; Zipf's law was tested again."
    ).ranked

    assert {"pay offer", "downer", "envoy", "zipf's law"} <= set(keywords)
    assert not any(keyword.startswith("mr ") for keyword in keywords)


def test_the_choice_of_spelling_and_every_tie_is_by_rule() -> None:
    assert extract("Alpha beam, gamma beam. Delta beam; omega beam.") == extract(
        "Alpha beam, gamma beam. Delta beam; omega beam."
    )
    assert extract("Kernel module. kernel module. KERNEL MODULE.").ranked[0] == "kernel module"


def test_lines_in_capitals_are_words_and_not_acronyms() -> None:
    keywords = extract(
        "THE ROLE OF TRUST IN A SUCCESSFUL SCHOOL\n\nTrust grows where a school listens. HTTP requests carry it."
    )

    assert "trust" in keywords.ranked
    assert not {"ROLE", "TRUST", "SCHOOL"} & set(" ".join(keywords.ranked).split())
    assert any("HTTP" in keyword for keyword in keywords.technical)


def test_an_acronym_is_kept_as_written() -> None:
    assert "LDA" in extract("Latent Dirichlet allocation (LDA) finds topics. LDA needs the number of topics.").ranked


@pytest.mark.parametrize(
    ("text", "terms", "never"),
    [
        ("Use percent encoding. Return current location. Catch typing bugs. Display pool sizes.",
         {"percent encoding", "typing bugs", "pool sizes"}, {"use", "return", "catch", "display"}),
        ("Set theory is old, and set theory is hard. Use cases of the gateway.", {"set theory"}, set()),
        ("No noise coming from the alert. A list featuring all pool sizes. Requests arriving at the gateway.",
         {"pool sizes"}, {"coming", "featuring", "arriving"}),
        ("This command inspects a chart. The daemon polls the gateway.", {"chart", "gateway"}, {"inspects", "polls"}),
        ("The APIs of the gateway are small. The API of the gateway is new. An API is a contract.",
         {"API"}, {"APIs", "apis"}),
        ("GatewayPool honors the header. The class of the gateway signifying that the pool is idle ends. The size 0x2f is 16Mi.",
         {"pool"}, {"honors", "signifying", "0x2f", "16Mi"}),
        ("abort - cause abnormal termination. It ends the gateway.", {"abnormal termination"}, {"cause"}),
        ("Gateway gateway | Gateway gateway | Gateway gateway and the pool.", {"pool"}, {"gateway gateway"}),
        ("The commit 3d6c39b changes the colour 18be52 of the gateway.", {"gateway"}, {"3d6c39b", "18be52"}),
        ("Edit this page about the gateway. Answering that you agree is rude. Approaching the quota slows the pool.",
         {"pool", "quota"}, {"edit", "answering", "approaching"}),
        ("We fix this by opening up the gateway. These pages detailing how it works name a pool running on the kernel.",
         {"kernel", "gateway"}, {"opening", "detailing", "running"}),
        ("The alert fires when the gateway is slow. Review existing quota. Monitor gateway status.",
         {"quota", "gateway"}, {"fires", "review", "monitor"}),
        ("The query results that the gateway returns are new. The test checks that the pool is idle. A program may use symlinks.",
         {"query results", "symlinks", "pool"}, {"checks", "use"}),
        ("Land use planning is a use case. Mona reads writing tests of the gateway by running pods; ask Chris or Steve.",
         {"land use planning"}, {"writing", "running", "chris", "steve"}),
        ("Issue 20 of the gateway is about Python 3, a retry budget, a circuit breaker, a request queue and a load balancer. "
         "It is for people opening PRs in June and Dec 2002.",
         {"python 3", "circuit breaker"}, {"20", "opening", "2002"}),
        ("The command prints --help and --version. The gateway has a --verbose flag.", {"--verbose"}, {"--help", "--version"}),
        ("At 9:37 AM PST the gateway failed, and at 14:05 UTC the pool was full; all times UTC. It opens at 10 a.m. each day.",
         {"gateway", "pool"}, {"AM", "AM PST", "PST", "UTC", "times UTC", "a.m", "a.m."}),
        ("Tuesday's rollback was seen by 40 million people in thirty hours. The U.S. region has a pool.",
         {"rollback", "U.S. region"}, {"million", "thirty", "tuesday's", "U.S"}),
        ("The client renews the lease. A batch size lowers latency, a query blocks replay. "
         "When the error rate rises to 40 %, a batcher waits.",
         {"lease", "batch size", "error rate"}, {"renews", "lowers", "blocks", "rises", "waits"}),
        ("The quake shook the wheatbelt overnight, and it could've destroyed a dam. Rescuers said to downgrade the alarm alongside the flood warning.",
         {"wheatbelt", "flood warning"}, {"overnight", "could've", "downgrade", "alongside"}),
        ("You must stagger releases of the gateway, or the oldest launch waits forever.",
         {"gateway"}, {"stagger", "oldest", "forever"}),
        ("Revenue 12,345 14,567, gross margin 65 %.", {"gross margin", "revenue"}, {"12", "12,345", "14,567", "65"}),
        ("Run pip install hazel-tools, then run git commit on the gateway. You can sudo systemctl restart nginx. "
         "Type apt install zip, or npm install acorn.",
         {"hazel-tools", "acorn"}, {"run", "apt", "sudo", "pip install hazel-tools", "npm install acorn", "sudo systemctl"}),
        ("The worker pool retries failed requests with a retry budget, unless the fetch phase or an append log is full. The present state is fine.",
         {"retry budget", "fetch phase", "append log", "worker pool"}, {"retries", "present"}),
        ("The shared memory of a hidden Markov model has missing data and an output buffer.",
         {"shared memory", "hidden markov model", "missing data", "output buffer"}, set()),
        ("Choose the gateway, press OK, inspect edge pools. Inspect edge pools. It is a pool, and high-level.",
         {"gateway"}, {"press", "inspect", "high-level"}),
        ("Pass argument --region eu-west to list the gateways of project my-project. In January 2020 the pool grew.",
         {"--region", "pool"}, {"argument", "my-project", "january", "2020"}),
    ],
)  # fmt: skip
def test_orders_and_verbs_of_technical_prose_are_in_no_keyword(text: str, terms: set[str], never: set[str]) -> None:
    keywords = extract(text).ranked

    assert terms <= set(keywords), keywords
    assert not never & {*keywords, *(word for keyword in keywords for word in keyword.split())}, keywords


@pytest.mark.parametrize(
    ("text", "terms", "never"),
    [
        ("The quake was reported by analyst Ada Cole and by daughters Eileen Curtin and Ursula Oakes, whom Rita helped. The drug group Hazelmed said so.",
         {"ada cole", "eileen curtin", "hazelmed"}, {"analyst", "daughters", "drug group hazelmed", "rita"}),
        ("The city council Tuesday approved the harbour plan. The council voted Thursday. Black Friday sales rose.",
         {"city council", "harbour plan", "black friday sales"}, {"tuesday", "thursday"}),
        ("It is a way of halting violence. Rebels were accused of ditching aircraft and of making offensive gestures.",
         {"violence", "aircraft", "offensive gestures"}, {"halting", "ditching", "making"}),
        ("The inquiry of gambling taxes and of living standards ended. Crews praised smoking rooms.",
         {"gambling taxes", "living standards"}, set()),
        ("Rovers won the derby. Jokubas firing low beat the keeper, with Maxi firing a shot past two defenders.",
         {"derby", "defenders"}, {"firing"}),
        ("Fires closed St. Helena, near Mt. Veeder. The order for St. Helena was lifted by Gov. Hazelwood and Sen. Oakes of the United States to help growers.",
         {"st. helena", "mt. veeder", "united states", "hazelwood"}, {"st", "helena", "mt", "gov", "sen", "united"}),
        ("IOWA CITY, Iowa (KCRG) - The ferry sank.\nLONDON (Reuters) - The ferry was old. (Reporting by Ada Cole in Dover; editing by Bo Lind)",
         {"ferry"}, {"iowa", "KCRG", "london", "reuters", "reporting", "cole", "dover", "lind"}),
        ("The captain, a mayor and two sisters saw the wonderful ferry aboard which the engine blew on March 31st, 40 kilometres out.",
         {"ferry", "engine"}, {"captain", "mayor", "sisters", "wonderful", "aboard", "blew", "march 31st", "kilometres"}),
        ("The Bank of England and the Oakham Bureau of Tides agreed. They asked the General Assembly in New Zealand's capital and the Department of Public Safety.",
         {"bank of england", "oakham bureau of tides", "general assembly", "new zealand's capital", "department of public safety"}, {"bank", "england", "tides"}),
        ("A 54-year-old pilot struck Hazel Reef 66 million years later. Oakham Rovers 2-1 was the score of the derby.",
         {"hazel reef", "oakham rovers", "derby"}, {"54-year-old", "66", "2-1"}),
        ("Mayor Alice C. Cole met George W. Oakes. Cole agreed, and Oakes said that vitamin C. Gulls eat fish.",
         {"alice c. cole", "george w. oakes", "vitamin C"}, {"cole", "oakes", "mayor alice", "george W", "C"}),
        ("Crews have previously rescued hikers, and robbed Jerry Oakes. After a lengthy, controversial and intense standoff the Red Cross agreed.",
         {"hikers", "standoff", "red cross", "jerry oakes"}, {"rescued", "robbed", "lengthy", "controversial", "intense"}),
        ("Vladimir Oakes praised the Festival of Kites. Rebels will trade 1,000 prison hostages; Kohli made an aggressive 187. A hazel comet orbiting two "
         "moons saw thirteen oak pupils and acorn engineers born in Oakham.",
         {"vladimir oakes", "festival of kites", "hazel comet", "prison hostages", "oak pupils", "acorn engineers"},
         {"1,000", "187", "thirteen", "born", "orbiting", "festival"}),
        ("The film star Natalie Oakes met opener Lokesh Hazel two miles south of Oakham. An acorn was attacked and dragged underwater, shoved Quercus and "
         "met nuclear engineers, nuclear waste and shiny oaks.",
         {"natalie oakes", "lokesh hazel", "nuclear engineers", "nuclear waste"}, {"star", "opener", "south", "dragged", "shoved", "nuclear", "underwater"}),
        ("Mayor Claude John Oakes taught Sir Keith Hazel. Oakes said that financial aid and financial advice helped.",
         {"claude john oakes", "keith hazel", "financial aid", "financial advice"}, {"sir", "financial"}),
        ("Landslides that blocked hauliers fell. Crews desperately cleared mud. The bill, which toughens immigration, starred a league that also sacked carpenters.",
         {"landslides", "hauliers", "immigration", "carpenters"}, {"blocked", "cleared", "toughens", "sacked"}),
        ("Mayor Thomas Oakes met James Hazel. Oakes read a series of laws, and the series ended. It is a long term lease and an early stage brewery.",
         {"thomas oakes", "james hazel", "lease", "brewery"}, {"oakes", "mayor", "series", "term", "stage"}),
        ("The carpenters pull a headband straight and do not hate otters. The larder is dark, and the lamp is the weakest. The whereabouts of the otters are unknown.",
         {"headband", "otters", "lamp"}, {"straight", "hate", "dark", "weakest", "whereabouts"}),
        ("Crews of areas south of Oakham fell, and the harbour north-east of it. The island's brewery, ranked eighth, is in the Middle East. Trade slows.",
         {"oakham", "brewery", "middle east"}, {"south", "north-east", "eighth", "slows"}),
        ("All crews left hatches open, and the left wing has a spoken language.",
         {"crews", "hatches", "left wing", "spoken language"}, {"crews left hatches"}),
        ("Why Otters Need to Swim\n\nFILE PHOTO: Otters in Oakham. REUTERS/Ada Lind\n\nBo Ek/Getty Images. The crews counted people shivering in it.",
         {"otters", "oakham"}, {"need", "shivering", "reuters", "ada", "lind", "bo", "ek", "getty"}),
        ("Critics decry a pretty ferry and nifty sails at 3 P.M. each day. Tens of divers saw a throng of terrific otters.",
         {"ferry", "sails", "divers", "otters"}, {"decry", "pretty", "nifty", "P.M.", "tens", "throng", "terrific"}),
        ("This year airlines asked for a one way canal.", {"airlines", "canal"}, {"year", "way"}),
    ],
)  # fmt: skip
def test_news_is_about_names_and_things_not_about_roles_days_and_units(
    text: str, terms: set[str], never: set[str]
) -> None:
    keywords = extract(
        f"{text} The harbour board has a tide gauge, a pilot boat, a dry dock and a customs house."
    ).ranked

    assert terms <= set(keywords), keywords
    assert not never & {
        *keywords,
        *(word for keyword in keywords for word in keyword.split() if keyword not in terms),
    }, keywords


def test_what_people_say_in_a_chat_and_order_in_a_list_is_no_keyword() -> None:
    chat = extract("<al> hmm ok, yep\n<bo> lol, the ingest queue is stuck\n<al> gonna bump the retention, thx\n").ranked
    checklist = extract("* bump version numbers\n* drain worker pools\n* publish container images\n").ranked

    assert "ingest queue" in chat
    assert not {"hmm", "yep", "lol", "gonna", "thx", "bump"} & {word for one in chat for word in one.split()}
    assert {"version numbers", "worker pools", "container images"} <= set(checklist), checklist
    assert not {"bump", "drain", "publish"} & {word for one in checklist for word in one.split()}, checklist


def test_a_verb_or_a_word_of_every_field_is_a_keyword_alone_only_where_it_recurs() -> None:
    about = "The gateway has a connection pool, a circuit breaker, a request queue and a retry budget. "
    once = (
        "Check if the quota of the namespace is spent, push the tag, note the bug, and the directory anymore is clean. "
        "The start (UTC) is HH, and on Mon it is mm. "
    )
    recurring = "A build is slow. The build of a wheel needs a compiler. "

    lone = {"check", "push", "bug", "directory", "anymore", "clean", "UTC", "HH", "mm", "mon"}
    assert not lone & set(extract(about + once).ranked)
    assert "build" in extract(about + recurring * 6).ranked


def test_after_ten_keywords_a_lone_word_that_occurs_once_is_none() -> None:
    terms = "request queue, retry budget, circuit breaker, load balancer, connection pool, feature flag, rate limiter, audit trail, memory leak, "
    text = f"The gateway has a {terms} health probe, disk quota and cache shard. The proxy has a certificate and a namespace."

    assert {"certificate", "namespace"} & set(extract(text.replace(terms, "")).ranked)
    assert not {"certificate", "namespace"} & set(extract(text).ranked)


def test_words_that_are_neighbours_in_a_program_are_no_phrase() -> None:
    code = "func start(client oci.Client, options types.CreateOptions) error\nvar labels internalLabels\n" * 3
    keywords = extract(f"Starts it.\n\n```\n{code}```\n").ranked

    assert {"oci.Client", "types.CreateOptions", "internalLabels"} <= set(keywords), keywords
    assert not [keyword for keyword in keywords if " " in keyword], keywords


def test_one_term_in_two_spellings_is_one_keyword() -> None:
    keywords = extract(
        "A TypeAdapter converts a value. The type adapter of the gateway reads values. Each type adapter is cached."
    ).ranked

    assert len([keyword for keyword in keywords if keyword.replace(" ", "").lower() == "typeadapter"]) == 1

    keywords = extract(
        "Set batch_size to control the batch size: a large batch_size needs memory. A batch size is a number."
    ).ranked

    assert len([keyword for keyword in keywords if keyword.replace("_", " ") == "batch size"]) == 1


def test_an_owner_is_shown_without_its_s() -> None:
    keywords = extract("Hazel's franchise network is small. Hazel's stores are new, and Hazel's quota is spent.").ranked

    assert "hazel" in keywords, keywords
    assert "hazel's" not in keywords


def test_a_word_before_a_determiner_that_begins_another_word_is_a_noun() -> None:
    spanish = extract(
        "El programa lee el archivo el cual contiene los datos. Una copia la hace el usuario del equipo."
    ).ranked
    french = extract("Le programme lit le fichier le plus récent. La copie des fichiers est dans le répertoire.").ranked

    assert "archivo" in spanish
    assert any(keyword.startswith("fichier") for keyword in french)


@settings(max_examples=20)
@given(st.integers(600, 3000))
def test_a_document_of_ordinary_length_gets_ten_to_fifteen_keywords(size: int) -> None:
    text = (PROSE * (1 + size // len(PROSE)))[:size]

    assert 10 <= len(extract(text)) <= MAX_TOTAL


PROSE = """Canary releases limit the damage of a bad deployment. A load balancer sends a small share of the traffic to the new version,
while monitoring compares error rates and response times with the stable version. If an alert fires, the orchestrator rolls back within
seconds, and the on-call engineer reads the incident timeline. Feature flags decouple deployment from release: a flag service evaluates
targeting rules for each request, and a kill switch turns a feature off without a new build. Database migrations need expand and contract
steps, because two schema versions serve requests at the same time. Chaos experiments inject latency into service dependencies to show
whether circuit breakers and retry budgets work. """


def test_a_title_gives_parts_of_its_phrases_and_a_paragraph_does_not() -> None:
    title = "Consensus group stable feature selection for gene expression"
    keywords = extract(title).ranked
    assert set(keywords[:2]) == {"consensus group stable feature selection", "gene expression"}, "phrases first"
    assert {"feature selection", "consensus group", "gene"} <= set(keywords)
    assert not {"selection for gene", "stable", "group"} & set(keywords), "not across phrases, nor general words"
    more = "The method ranks markers of tumours, tests replicates of arrays and reports intervals for patients in cohorts. "
    assert "feature selection" not in extract(f"{title}. {more * 4}").ranked
    assert len(extract(title, limit=3).ranked) == 3


def test_stems_agree_with_the_evaluation_of_the_literature() -> None:
    assert (
        stem_phrase("Real-time Operating Systems")
        == stem_phrase("real time operating system")
        == "real time oper system"
    )


def test_a_lone_letter_is_a_keyword_only_if_it_names_a_language() -> None:
    keywords = extract(
        "The option M loads a module. The parameter T is a type, and M and T come first. The library is written in C, and "
        "the C compiler reads the library. Use M before T."
    ).ranked

    assert "C" in keywords or any("C" in keyword.split() for keyword in keywords)
    assert not {"M", "T", "m", "t"} & set(keywords)
