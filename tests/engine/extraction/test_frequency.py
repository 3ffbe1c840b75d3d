"""The frequency method: what holds for any text, and what must be found in texts of many kinds."""

from __future__ import annotations

import html
import signal
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.extraction.frequency import extract
from engine.extraction.keywords import MAX_TECHNICAL, MAX_TOTAL, stem_phrase
from engine.extraction.languages import ENGLISH, language
from engine.extraction.tokens import MAX_CHARS
from engine.parsing import parse

WORDS = st.sampled_from(
    [
        "the",
        "of",
        "and",
        "to",
        "we",
        "is",
        "are",
        "was",
        "a",
        "New",
        "York",
        "neural",
        "network",
        "networks",
        "training",
        "Trains",
        "data",
        "max_tokens",
        "--flag",
        "C++",
        "HTTP/2",
        "Cargo.toml",
        ".NET\n",
        "",
        "",
        "",
        "University",
        "2024",
        "3.11",
        "`code`",
        "**bold**",
        "#",
        "|",
        "-",
        "'s",
        "don't",
        "Zipf's",
        "der",
        "die",
        "und",
        "Größe",
        "Straße",
        "или",
        "данные",
        "机器学习",
        "データ",
        "ข้อมูล",
        "كلمة",
        "é",
        "�",
        "\x00",
        "\n",
        "\n\n\n",
        "",
        "",
        "",
        "```",
        "<b>",
        "</b>",
        "https://x.org/a?b=c",
        "&amp;",
        "(",
        ")",
        ".",
        ",",
        ":",
        ";",
        "…",
    ]
)
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
    """Ends a test whose text takes a hundred times too long: the regular expressions are C, only a signal's default action ends them."""
    signal.setitimer(signal.ITIMER_REAL, 60)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


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
    ("text", "expected", "function_words"),
    [
        (
            "Die Datenbank speichert die Verbindungen zwischen den Knoten. Eine Datenbank mit Knoten und Kanten ist eine Graphdatenbank, "
            "und die Abfrage folgt den Kanten. Die Abfragesprache der Graphdatenbank ist für Entwickler leicht zu lernen.",
            "Graphdatenbank", "die und der den ist eine zu mit für",
        ),
        (
            "Le réseau de neurones apprend à partir des données. Les données d'apprentissage sont annotées par des experts, et le réseau "
            "de neurones est évalué sur des données nouvelles pour mesurer la qualité du modèle.",
            "données", "le la les de des et est sont sur pour par",
        ),
        (
            "La base de datos guarda los documentos y las palabras clave. Las palabras clave se extraen de los documentos con un modelo "
            "de lenguaje, y el modelo de lenguaje se evalúa con una muestra de documentos.",
            "documentos", "la el los las de se con y una un",
        ),
        (
            "Нейронная сеть обучается на больших данных. Обучение нейронной сети требует времени, и качество модели зависит от данных. "
            "Для оценки качества используется тестовая выборка.",
            "качество", "на и от для",
        ),
        (
            "تتعلم الشبكة العصبية من البيانات الكبيرة. تحتاج الشبكة العصبية إلى بيانات تدريب كثيرة، وتعتمد جودة النموذج على البيانات.",
            "العصبية", "من إلى على",
        ),
    ],
)  # fmt: skip
def test_other_languages_find_their_words_and_no_function_words(text: str, expected: str, function_words: str) -> None:
    keywords = extract(text).ranked

    assert any(expected in keyword for keyword in keywords), keywords
    assert not set(keywords) & set(function_words.split())


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        (
            "La replicación de bases de datos distribuidas mejora la tolerancia a fallos del sistema. El algoritmo de consenso elige un líder, "
            "y el líder envía las entradas del registro a los nodos seguidores. El trabajo presenta un análisis del rendimiento.",
            {"algoritmo de consenso", "entradas del registro", "nodos seguidores", "análisis del rendimiento"},
        ),
        (
            "A replicação de bancos de dados distribuídos melhora a tolerância a falhas do sistema. O algoritmo de consenso escolhe um líder, "
            "que envia as entradas do registro aos nós seguidores. O trabalho apresenta uma análise do desempenho.",
            {"algoritmo de consenso", "entradas do registro", "nós seguidores", "análise do desempenho"},
        ),
        (
            "La réplication des bases de données améliore la tolérance aux pannes du système. L'algorithme de consensus choisit un chef, qui "
            "envoie les entrées du journal aux nœuds. L'article présente une analyse des performances.",
            {"algorithme de consensus", "entrées du journal", "analyse des performances"},
        ),
    ],
)  # fmt: skip
def test_a_noun_phrase_of_a_romance_language_is_whole_though_it_comes_once(text: str, terms: set[str]) -> None:
    keywords = extract(text).ranked

    assert terms <= set(keywords), keywords
    assert not {"de", "del", "do", "des", "du"} & {
        part for keyword in keywords for part in (keyword.split()[0], keyword.split()[-1])
    }


def test_hindi_has_no_function_words() -> None:
    keywords = extract(
        "मशीन लर्निंग कृत्रिम बुद्धिमत्ता की एक शाखा है जिसमें कंप्यूटर डेटा से सीखते हैं। डेटाबेस सर्वर पर प्रशिक्षण डेटा सुरक्षित रखा जाता है और यदि सर्वर बंद हो जाए तो बैकअप "
        "से डेटा वापस लाया जा सकता है।"
    ).ranked

    assert any("डेटाबेस" in keyword for keyword in keywords)
    assert not {"की", "एक", "है", "से", "पर", "और", "यदि", "तो", "जिसमें", "रखा", "हैं"} & {
        word for k in keywords for word in k.split()
    }


@pytest.mark.parametrize(
    ("text", "named", "others"),
    [
        ("Die Schriftdatei wird gelesen. Daher installiert der Dienst z.B. die Schriftdatei. Siehe auch die Gruppe, d.h. die Kennung.",
         "Schriftdatei", {"daher", "installiert", "siehe", "d.h", "z.b"}),
        ("Polecenie czyta plik i wyświetla sumę kontrolną. Program usuwa każdy katalog, który nie istnieje, i tworzy plik.",
         "plik", {"czyta", "wyświetla", "usuwa", "istnieje", "tworzy"}),
        ("Сокет имеет адрес, например адрес узла. Ядро создаёт сокет, и этот файл содержит данные следующего запроса.",
         "сокет", {"имеет", "например", "создаёт", "содержит", "следующего"}),
        ("FastAPI는 요청 본문을 검사합니다. 여러분은 `fetch` 를 사용할 수 있고, 이 같은 요청은 다른 서버에서 다시 검사합니다. WebSockets를 사용할 수 있습니다.",
         "요청", {"수", "이", "같은", "를", "여러분", "다른", "다시", "사용할", "fastapi는", "websockets를"}),
        ("Puedes cambiar la configuración del servidor. Por ejemplo, puedes usar la configuración del servidor con la misma variable.",
         "configuración", {"puedes", "ejemplo", "misma"}),
        ("Фреймворк основан на стандартах и автоматически проверяет запрос. Используйте фреймворк в ваших проектах, он быстрее.",
         "фреймворк", {"основан", "автоматически", "ваших", "быстрее", "используйте"}),
        ("Фреймворк базується на стандартах, тощо. Ви можете використовувати фреймворк за замовчуванням, оскільки він працює.",
         "фреймворк", {"базується", "тощо", "використовувати", "замовчуванням", "оскільки", "працює"}),
        ("Sunucu istekleri okur. Örneğin yeni bir sunucu kullanabilirsiniz, sunucu istekleri hızlı okuyor ve daha fazla istek alır.",
         "sunucu", {"örneğin", "yeni", "kullanabilirsiniz", "okuyor", "fazla"}),
        ("यह विंडो सूची में है। विंडो का आकार बदलने पर सूची दिखाई देगी और विंडो बंद हो जाएगी, और मेनू खुलेगा।",
         "विंडो", {"बदलने", "देगी", "जाएगी", "खुलेगा"}),
        ("Сокет имеет адрес. Доступны только многоадресные, а также описанные и сигнального. Ядро проверяет адрес сокета.",
         "сокет", {"многоадресные", "описанные", "сигнального"}),
        ("Polecenie czyta plik. Plik jest domyślnie systemowy, a także wymagający. Program zapisuje plik na dysku.",
         "plik", {"systemowy", "wymagający"}),
        ("सूची अथवा विंडो को यहाँ खींचें और विंडो में सूची जोड़ें। विंडो का आकार सूची में है।",
         "विंडो", {"अथवा", "खींचें", "जोड़ें"}),
        ("Los argumentos obligatorios para las opciones largas también valen para las opciones cortas. La orden lee los archivos.",
         "opciones", {"obligatorios", "largas", "cortas"}),
        ("O programa avisa os usuários após a falha do disco, p.ex. uma falha da rede. O disco tem uma falha.",
         "falha", {"após", "p.ex"}),
        ("Ядро читает файл, каталог и т.п. Вызов сокета эквивалентно действует на файл. Каталог содержит файл.",
         "файл", {"т.п", "эквивалентно"}),
        ("fort77 は Fortran のコンパイラを起動する。オプション -B と -C と -P はコンパイラに渡される。",
         "コンパイラ", {"b", "p"}),
    ],
)  # fmt: skip
def test_verbs_and_function_words_of_manuals_are_not_keywords(text: str, named: str, others: set[str]) -> None:
    keywords = [keyword.lower() for keyword in extract(text).ranked]
    assert any(named.lower() in keyword for keyword in keywords), keywords
    assert not others & {word for keyword in keywords for word in keyword.split()}


def test_function_words_of_a_second_language_are_not_keywords_of_a_mixed_page() -> None:
    english = (
        "The kernel is compiled with make. The modules are in the package, and the package is installed by dpkg. " * 4
    )
    spanish = (
        "La compilación de un núcleo es la parte de la administración que más se parece a la de los programas: el núcleo de Linux "
        "que se compila es el que se instala, y la configuración del núcleo está en el paquete de las fuentes."
    )
    keywords = extract(english + spanish).ranked
    assert "núcleo" in keywords
    assert not {"de", "la", "que", "el", "un", "los", "del"} & {
        word for keyword in keywords for word in keyword.split()
    }


ENGLISH_HALF = """Lantern is a small reverse proxy. It terminates TLS, balances requests across backends and retries failed requests
with a budget. A backend that fails three times is taken out of rotation, and access logs are written as JSON lines.

"""
CHINESE_HALF = "Lantern 是一个用于内部服务的小型反向代理。它在多个后端之间进行负载均衡，并在预算之内重试失败的请求。健康检查每五秒运行一次。负载均衡可配置。"
GERMAN_TICKET = """Seit heute Morgen schlagen Bestellungen im Webshop fehl. Kunden melden, dass der Warenkorb nach der Zahlung leer ist. Wir vermuten,
dass die Verbindungen zur Datenbank nicht mehr freigegeben werden.

ERROR - could not acquire a connection from the pool within 30 seconds
WARN - the circuit breaker for inventory is open, falling back to cached stock levels
ERROR - the transaction was rolled back because it has been marked as rollback-only
"""


@pytest.mark.parametrize(
    ("text", "terms", "never"),
    [
        (ENGLISH_HALF + CHINESE_HALF, {"reverse proxy", "access logs", "负载均衡"}, {"terminates", "balances", "进行"}),
        (GERMAN_TICKET, {"Warenkorb", "Datenbank", "circuit breaker"}, {"falling", "cached", "rolled", "because", "dass", "nicht"}),
        (ENGLISH_HALF + "O observador vigia as filas de mensagens e não lê as mensagens da fila de erros.", {"reverse proxy", "filas de mensagens"}, {"não", "as", "vigia"}),
    ],
    ids=["english and chinese", "german and english", "english and portuguese"],
)  # fmt: skip
def test_each_part_of_a_document_in_two_languages_is_read_by_its_own_grammar(
    text: str, terms: set[str], never: set[str]
) -> None:
    keywords = extract(text).ranked

    assert terms <= set(keywords), keywords
    assert not never & {word for keyword in keywords for word in keyword.split()}, keywords


@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        ("El programa verifica sumas de comprobación y muestra el resultado. El filtro extrae recursos.", {"verifica", "muestra", "extrae"}),
        ("O programa exibe diferenças de palavras e define a saída. O filtro concatena arquivos.", {"exibe", "define", "concatena"}),
        ("Le programme affiche les droits des fichiers, puis il permet la copie.", {"permet"}),
        ("Il programma contiene le opzioni e fornisce i risultati.", {"contiene", "fornisce"}),
        ("La orden restringe el acceso al equipo. El filtro se encaja en la entrada, para reforzar límites del servidor.", {"restringe", "encaja", "reforzar"}),
        ("O filtro restringe os acessos da rede. O processo se agarra ao terminal, para reforçar limites do servidor.", {"restringe", "agarra", "reforçar"}),
        ("Le filtre restreint les accès du réseau. Le serveur qui borne l'attente s'arrime au noyau, pour renforcer des limites.", {"restreint", "borne", "s'arrime", "renforcer"}),
        ("Il filtro limita gli accessi della rete. Il processo si aggancia al terminale, per rafforzare limiti del servizio. La funzione sostituirà il testo.", {"limita", "aggancia", "rafforzare", "sostituirà"}),
    ],
)  # fmt: skip
def test_a_finite_verb_of_a_romance_language_is_in_no_keyword(text: str, verbs: set[str]) -> None:
    assert not verbs & {word for keyword in extract(text).ranked for word in keyword.split()}


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


def test_a_word_that_english_shares_with_another_language_makes_no_page_mixed() -> None:
    text = "Check pod logs and pod events. A pod without a node is pending. The pod of the gateway has a pod template."

    assert {"pod logs", "pod template"} <= set(extract(text).ranked)


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


def test_a_portuguese_adjective_stays_with_its_noun_and_is_no_keyword_alone() -> None:
    keywords = extract(
        "As redes neurais convolucionais foram treinadas com imagens. Os resultados são comparáveis, e a velocidade máxima é baixa."
    ).ranked

    assert {"redes neurais convolucionais", "velocidade máxima"} <= set(keywords)
    assert not {"neurais", "convolucionais", "comparáveis", "máxima"} & set(keywords)


def test_cases_of_a_polish_noun_are_one_keyword() -> None:
    keywords = extract("Usługa zapisuje kopię. Każda kopia ma klucz, a liczba kopii jest mała.").ranked

    assert len({"kopia", "kopię", "kopii"} & set(keywords)) == 1


def test_no_keyword_ends_in_a_link_whatever_its_stem() -> None:
    keywords = extract(
        "Il sistema della rete e il sistema della stampa sono nel manuale della rete e della stampa."
    ).ranked

    assert "sistema della rete" in keywords
    assert not {"della", "sistema della", "della rete"} & set(keywords)


LINKING = {"de"}  # within a term: grup de conexiuni, base de dades


@pytest.mark.parametrize(
    ("text", "named", "function"),
    [
        ("Sunucu bağlantı havuzu için bir sınır tutar ve bu sınır için ayar gerekir. Bağlantı havuzu boş ise yeni bir bağlantı açılır.", "bağlantı havuzu", "bir için ve bu"),
        ("Server udržuje fond připojení pro všechny žádosti a také pro zprávy. Fond připojení má limit, který není pevný.", "fond připojení", "pro všechny také který"),
        ("A kiszolgáló és a kapcsolatkészlet között van egy átjáró, és ez az átjáró is korlátoz. Az átjáró nem zárja le a kapcsolatkészlet elemeit.", "kapcsolatkészlet", "és egy ez az nem"),
        ("Сервер тримає пул з'єднань, який або росте, або якщо немає запитів, то він зменшується. Пул з'єднань є для шлюзу.", "пул", "який або якщо є"),
        ("Ο διακομιστής κρατά τη δεξαμενή συνδέσεων και αν είναι άδεια, τότε είναι αργός. Η δεξαμενή συνδέσεων είναι για την πύλη.", "δεξαμενή συνδέσεων", "και αν είναι τότε"),
        ("Serverul păstrează un grup de conexiuni pentru fiecare poartă și este închis dacă nu mai sunt cereri. Un grup de conexiuni are o limită.", "grup", "pentru și este dacă"),
        ("El servei desa cada nit una còpia xifrada de la base de dades al magatzem. Quan una còpia falla, el planificador ho torna a provar.", "base de dades", "el la de falla desa torna ho quan"),
        ("Mae'r gwasanaeth yn cadw copi o'r gronfa ddata bob nos. Os bydd copi yn methu, bydd yr amserlennydd yn ceisio eto. Dywedodd y tîm hyn.", "gronfa ddata", "mae'r yn o'r bydd bob dywedodd os"),
        ("Yedekleme hizmeti kopyayı depoya kaydeder. Hizmet üç kez yeniden dener ve anahtarlar değiştirilir. Anahtarlar depoda tutulur.", "anahtarlar", "kaydeder dener yeniden üç değiştirilir tutulur"),
        ("Usługa zapisuje kopię bazy danych. Kopie są zmieniane co noc. Prezydent zapowiedział nowy plan, a opozycja domaga się kopii.", "kopi", "zmieniane zapowiedział domaga nowy"),
    ],
)  # fmt: skip
def test_function_words_of_more_languages_are_not_keywords(text: str, named: str, function: str) -> None:
    ranked = [keyword.casefold() for keyword in extract(text).ranked]
    assert any(named.casefold() in keyword or keyword in named.casefold() for keyword in ranked)
    assert not set(function.casefold().split()) & ({word for keyword in ranked for word in keyword.split()} - LINKING)


def test_a_text_with_many_words_that_english_shares_is_in_its_own_language() -> None:
    keywords = extract(
        "To jest program do kopiowania plików na dysku. Na końcu jest lista opcji, a plik do zapisu jest podany po nazwie katalogu. "
        "Nie ma on opcji do usuwania plików, lub jest ona ukryta."
    ).ranked

    assert not {"jest", "do", "na", "lub", "nie", "a", "to", "po", "on"} & {
        word for k in keywords for word in k.lower().split()
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("机器学习是人工智能的一个分支。机器学习的方法包括深度学习和强化学习。深度学习需要大量数据。", "机器学习"),
        (
            "データベースは情報を保存する。データベースの検索は索引を使う。分散データベースは障害に強い。",
            "データベース",
        ),
        ("การเรียนรู้ของเครื่อง เป็นสาขาของ ปัญญาประดิษฐ์ และ ปัญญาประดิษฐ์ ใช้ข้อมูล", "ปัญญาประดิษฐ์"),
    ],
)
def test_scripts_without_spaces_have_keywords(text: str, expected: str) -> None:
    assert any(expected in keyword for keyword in extract(text).ranked)


def test_a_word_with_marks_written_apart_is_the_word_of_one_that_has_them_within() -> None:
    assert extract("Cafe\u0301 culture. Cafe\u0301 culture.").ranked


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


def test_a_title_whose_only_function_word_is_of_other_languages_too_is_english() -> None:
    title = ["Stable", "feature", "selection", "{}", "gene", "expression"]
    for word in ("for", "in", "over", "do"):
        assert language([word if token == "{}" else token for token in title]) == ENGLISH, word
    assert language(["Sikkerhedskopiering", "for", "samtlige", "brugere", "og", "grupper"]) == "danish"


def test_stems_agree_with_the_evaluation_of_the_literature() -> None:
    assert (
        stem_phrase("Real-time Operating Systems")
        == stem_phrase("real time operating system")
        == "real time oper system"
    )


def test_chinese_words_are_whole_and_neither_particles_nor_verbs_nor_general_words() -> None:
    abstract = (
        "针对传统图像分割算法对噪声敏感的问题，提出了一种基于改进网络的医学图像分割方法。该方法在编码器中引入残差模块和注意力机制，以增强网络对目标区域"
        "的特征提取能力；在解码器中采用多尺度融合策略，提高边缘细节的恢复效果。2020年收集的对照组数据表明，土地利用变化的影响显著。"
    )
    keywords = set(extract(abstract).ranked)

    assert {"图像分割", "残差模块", "注意力机制", "编码器", "土地利用变化"} <= keywords, keywords
    assert not {"码器", "码器中", "照组", "方法", "问题", "一种", "该方法", "引入残差模块", "影响"} & keywords, keywords


def test_a_chinese_term_comes_before_words_of_two_characters() -> None:
    keywords = extract(
        "可用性是文件系统的重要属性。这些移动设备上的网络经常中断，因此数据需要副本。持久内存提供了新的存储介质，数据在网络中断后仍然可以恢复。"
        "古典政治经济学不讨论可用性。"
    ).ranked

    assert {"可用性", "移动设备", "持久内存", "古典政治经济学"} <= set(keywords), keywords
    assert not {"用性", "些移动设备"} & set(keywords), keywords
    assert keywords.index("存储介质") < keywords.index("网络"), keywords


def test_traditional_chinese_has_its_own_function_words() -> None:
    keywords = extract(
        "這個命令建立一個資料庫，並且將資料庫的擁有者設定為使用者。如果資料庫已經存在，則命令返回一個錯誤。每個資料庫都應該有一個擁有者。"
    ).ranked

    assert "資料庫" in keywords
    assert not {"一個", "每個", "應該", "則命令", "個錯誤", "建立一個", "並且"} & set(keywords), keywords


def test_lines_wrapped_inside_a_chinese_word_are_joined() -> None:
    line = "系统会把用户的请求写入日志文件，管理员随后从日志文件里查找失败的请求，再重新启动相关的软件"
    keywords = extract(f"{line}\n  包服务。{line}\n包服务。软件包服务由用户安装，软件包服务需要日志。").ranked

    assert any(keyword.startswith("软件包") for keyword in keywords), keywords
    assert not {"包服务", "件包", "件包服务"} & set(keywords), keywords


def test_a_lone_letter_is_a_keyword_only_if_it_names_a_language() -> None:
    keywords = extract(
        "The option M loads a module. The parameter T is a type, and M and T come first. The library is written in C, and "
        "the C compiler reads the library. Use M before T."
    ).ranked

    assert "C" in keywords or any("C" in keyword.split() for keyword in keywords)
    assert not {"M", "T", "m", "t"} & set(keywords)
