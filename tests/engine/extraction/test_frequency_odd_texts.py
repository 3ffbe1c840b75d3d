"""The frequency method on text that is not English prose: other languages about technical things, logs, settings, encoded bytes, slices."""

from __future__ import annotations

import base64
import hashlib
import random
import time
import tracemalloc
import uuid
from itertools import product

import pytest

from engine.extraction import prose, tokens
from engine.extraction.candidates import FOLDS
from engine.extraction.frequency import extract
from engine.extraction.grounding import Ground, ground
from engine.extraction.tokens import tokenise
from engine.extraction.unspaced import pieces
from engine.parsing.sampling import SAMPLE_CHARS

NAMES = {"Cargo.toml", "max_connections", "HTTP/2", "--verbose"}
IN_LANGUAGES = {
    "french": "Lorsque le fichier Cargo.toml définit max_connections, chaque requête attend une connexion. En cas de panne, les requêtes sont "
    "redirigées par HTTP/2 vers les nœuds du cluster. On peut activer --verbose afin d'obtenir les journaux.",
    "german": "Wenn die Datei Cargo.toml den Wert max_connections setzt, wartet jede Abfrage auf eine Verbindung. Fällt ein Knoten aus, werden "
    "die Abfragen über HTTP/2 an andere Knoten geleitet. Mit der Option --verbose erhält man die Protokolle.",
    "russian": "Если в файле Cargo.toml задан параметр max_connections, каждый запрос ждёт соединения. При отказе узла запросы идут по протоколу "
    "HTTP/2 на другие узлы. Администратор может включить параметр --verbose, чтобы получить журналы.",
    "chinese": "如果文件 Cargo.toml 中设置了 max_connections，每个请求都会等待连接。当节点发生故障时，负载均衡通过 HTTP/2 协议将请求重定向到其他节点。"
    "管理员可以启用 --verbose 选项以获取日志。并发请求的数量有限。",
    "japanese": "Cargo.toml で max_connections が設定されている場合、各リクエストは待機します。ノードが故障した場合、負荷分散は HTTP/2 プロトコルを介して"
    "リクエストを転送します。管理者は --verbose オプションを有効にできます。",
    "arabic": "إذا حدد ملف Cargo.toml قيمة max_connections فإن كل طلب ينتظر حتى يتوفر اتصال. عند فشل العقدة يعاد توجيه الطلبات عبر HTTP/2 إلى العقد "
    "الأخرى. يمكن للمسؤول تفعيل الخيار --verbose للحصول على السجلات.",
    "korean": "Cargo.toml 파일에서 max_connections 값을 설정하면 각 요청은 연결을 기다립니다. 노드에 장애가 발생하면 요청은 HTTP/2 프로토콜을 통해 다른 노드로 "
    "전달됩니다. 관리자는 --verbose 옵션을 활성화할 수 있습니다.",
    "czech": "Pokud soubor Cargo.toml nastaví max_connections, každý požadavek čeká na připojení. Při selhání uzlu jdou požadavky přes HTTP/2 na "
    "jiné uzly. Správce může zapnout --verbose a získat záznamy.",
}  # fmt: skip


@pytest.mark.parametrize("spoken", sorted(IN_LANGUAGES))
def test_identifiers_are_kept_whole_and_separate_in_any_language(spoken: str) -> None:
    keywords = extract(IN_LANGUAGES[spoken])

    assert set(keywords.ranked) >= NAMES
    assert set(keywords.technical) >= NAMES


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("The \ufb01re brigade tests each \ufb02ame detector. A \ufb02ame detector needs power.", "flame detector"),
        (
            "Die Daten\u00adbank\u00adsicherung läuft täglich, und die Daten\u00adbank\u00adsicherung wird geprüft.",
            "Datenbanksicherung",
        ),
        ("𝗥𝗮𝘁𝗲 𝗹𝗶𝗺𝗶𝘁𝗲𝗿𝘀 protect the gateway.", "rate limiters"),
        ("A 𝑘-means clustering of points finds centres.", "k-means clustering"),
        ("The rate\u200b limiter blocks the gateway. The rate\u200b limiter counts requests.", "rate limiter"),
        ("ＡＰＩゲートウェイのレート制限はＡＰＩキーごとに数える。", "APIキー"),
        ("The credi-\ntors met, and the railway com-\npany paid the credi-\ntors.", "railway company"),
        ("An end-to-\nend test covers the payment path. The end of the payment path is the bank.", "payment path"),
    ],
)
def test_a_word_is_read_as_its_reader_sees_it(text: str, term: str) -> None:
    keywords = extract(text).ranked

    assert term in keywords, keywords
    assert not any("toend" in keyword for keyword in keywords)
    assert set(ground(keywords, Ground(text)).kept) == set(keywords)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("针对检测精度低的问题，引入坐标注意力机制，增强骨干网络，采用损失函数加快收敛，并优于原有的关联规则。",
         {"坐标注意力机制", "损失函数", "关联规则"}),
        ("探讨血清降钙素原与C反应蛋白对预后的评估价值，C反应蛋白和BP神经网络的曲线较好。", {"C反应蛋白", "BP神经网络", "预后"}),
        ("持久内存NVM支持Redis的快照，社会行为与潜在规则不影响NVM。", {"NVM", "Redis", "社会行为", "潜在规则"}),
        ("高校思想政治教育工作面临挑战，高校思想政治教育工作面临机遇。", {"高校思想政治教育工作"}),
    ],
)  # fmt: skip
def test_chinese_terms_are_whole_between_verbs_and_keep_their_letters(text: str, terms: set[str]) -> None:
    assert terms <= set(extract(text).ranked), extract(text).ranked


def test_chinese_words_end_at_particles_unless_these_are_part_of_a_word() -> None:
    keywords = extract(IN_LANGUAGES["chinese"] + "并发请求通过重定向到达节点。").ranked

    assert not any(keyword.startswith(("如果", "通过", "发请求")) or keyword.endswith("通") for keyword in keywords)
    assert any("并发" in keyword for keyword in keywords)
    again = extract("本文提出一种基于检索增强生成的方法。检索增强生成能够减少模型的幻觉。").ranked
    assert "检索增强生成" in again
    assert not any(keyword in "检索增强生成" for keyword in again if keyword != "检索增强生成")


def test_russian_verbs_and_korean_particles_are_in_no_keyword() -> None:
    russian = extract(
        f"Балансировка нагрузки распределяет запросы. Сервер использует пул соединений. {IN_LANGUAGES['russian']}"
    ).ranked
    korean = extract("데이터베이스 서버는 요청을 분배합니다. 데이터베이스 서버를 설정합니다.").ranked

    assert {"Балансировка нагрузки", "пул соединений"} <= set(russian)
    assert not any(verb in keyword for keyword in russian for verb in ("распределяет", "использует"))
    assert "데이터베이스 서버" in korean
    assert not any(keyword.endswith(("합니다", "는", "를")) for keyword in korean)


def test_a_passage_in_english_does_not_run_its_function_words_into_keywords() -> None:
    french = "Le serveur de bases de données utilise un pool de connexions pour limiter le nombre de requêtes. Chaque requête attend. "
    english = "The connection pool is bounded by max_connections. "

    keywords = extract(french * 2 + english * 2).ranked

    assert "connection pool" in keywords
    assert not any(f" {word} " in f" {keyword} " for keyword in keywords for word in ("The", "is", "by", "un"))


def test_the_possessive_of_a_letter_or_an_acronym_is_its_owner() -> None:
    assert [FOLDS[token] for token in ("D's", "d's", "API's", "APIs", "X’s", "'s")] == [
        "d",
        "d",
        "api",
        "api",
        "x",
        "'s",
    ]
    assert extract("A view on D's keys. A view on D's values. An object on D's items.").ranked


def test_encoded_bytes_digests_and_times_are_not_keywords() -> None:
    noise = random.Random(1).randbytes(6000)
    assert not extract(base64.b64encode(noise).decode()).ranked
    assert not extract(base64.encodebytes(noise).decode()).ranked
    log = "".join(
        f"2026-11-25T08:{n % 60:02}:07.{n:03}Z ERROR [worker-1] request {n * 7919:08x}f of gateway refused by scheduler, image "
        f"sha256:{hashlib.sha256(str(n).encode()).hexdigest()} of session {uuid.UUID(int=n << 90)} "
        f"{hashlib.md5(str(n).encode()).hexdigest().upper()}\n"
        for n in range(60)
    )

    keywords = extract(log).ranked

    assert {"gateway", "scheduler"} <= set(" ".join(keywords).split())
    assert not any(sum(c.isdigit() for c in keyword) > 3 for keyword in keywords), keywords


def test_an_unknown_of_mathematics_is_not_a_keyword() -> None:
    keywords = extract(
        "Let 𝑓 : ℝⁿ → ℝ be convex with the constant 𝐿. Gradient descent lowers 𝑓(𝑥ₖ) in steps of 1∕𝐿 for all 𝑘."
    ).ranked

    assert "gradient descent" in keywords
    assert [keyword for keyword in keywords if not keyword.isascii() or not keyword[-1].isalpha()] == []


def test_a_flag_keeps_its_dashes_after_a_quote_or_a_bar() -> None:
    keywords = extract(
        "| option | meaning |\n|---|---|\n| `--max-retries` | most retries |\n| (.gitignore) | ignored files |\n"
    )

    assert {"--max-retries", ".gitignore"} <= set(keywords.ranked)


def test_settings_a_line_each_do_not_run_together() -> None:
    keywords = extract("kind: Deployment\nmetadata:\n  name: gateway\nspec:\n  replicas: 3\n  image: registry\n").ranked

    assert {"deployment", "gateway"} <= set(keywords)
    assert not any("metadata" in keyword and " " in keyword for keyword in keywords)


def test_cells_of_a_table_and_lines_of_code_do_not_run_together() -> None:
    cells = extract(
        "Quarter\tRevenue\tTaxes\n\nwheat    harvest season    crop insurance\nrye    sowing season    grain silo\n"
    ).ranked
    code = extract("type ConnectionPool struct {\n\tidle sync.Mutex\n\tbusy context.Context\n}\n").ranked

    assert {"harvest season", "crop insurance", "sowing season", "revenue", "grain silo"} <= set(cells)
    assert not any("sync.Mutex" in keyword and "context" in keyword for keyword in code)


def test_what_a_program_declares_is_named_without_how_it_is_declared() -> None:
    code = "public final class RequestRouter extends Router { static void forwardAll() {} }\nCREATE INDEX documents_updated ON documents;\n"

    assert {"RequestRouter", "forwardAll()", "documents_updated"} <= set(extract(code).ranked)


def test_punctuation_is_never_part_of_a_keyword_s_end() -> None:
    assert all(
        keyword[-1].isalnum()
        for keyword in extract('"""The calls over the wire.""", """The wire of the wire.""",').ranked
    )


def test_a_long_line_is_sampled_without_cutting_words_in_two() -> None:
    text = "the connection pool retries failed requests " * (4 * SAMPLE_CHARS // 44)

    words = set(" ".join(extract(text).ranked).split())

    assert words <= set(text.split()), words


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        (
            "La base de datos guarda los documentos. El equilibrador de carga reparte las peticiones entre los nodos; si un nodo falla, el "
            "equilibrador de carga redirige las peticiones. La base de datos se guarda cada noche.",
            {"base de datos", "equilibrador de carga"},
        ),
        (
            "Le serveur garde la base de données. Une base de données est sauvegardée chaque nuit ; l'équilibreur de charge répartit les "
            "requêtes et un équilibreur de charge peut tomber en panne.",
            {"base de données", "équilibreur de charge"},
        ),
    ],
)  # fmt: skip
def test_two_nouns_with_a_link_that_come_again_are_a_term_and_its_parts_are_none(text: str, terms: set[str]) -> None:
    result = set(extract(text).ranked)

    assert result >= terms
    assert not result & {"de", "base", "datos", "charge"}


def test_what_long_runs_of_another_language_share_is_a_keyword() -> None:
    polish = "Równoważenie obciążenia rozdziela żądania między węzły klastra. Gdy węzeł ulegnie awarii, równoważenie obciążenia kieruje żądania do innych."

    assert "równoważenie obciążenia" in {keyword.lower() for keyword in extract(polish).ranked}


def test_words_as_long_as_their_document_are_not_remembered() -> None:
    tracemalloc.start()
    try:
        for number in range(20):
            extract("ACGT" * 50_000 + "A" * number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2_000_000


@pytest.mark.parametrize("unit", ["中", "中国", "データ中", "的"])
def test_a_run_of_characters_without_an_end_takes_no_more_than_in_proportion(unit: str) -> None:
    started = time.process_time()
    extract((unit * 400_000)[:400_000])

    assert time.process_time() - started < 9


def test_no_chinese_keyword_begins_or_ends_inside_a_word() -> None:
    text = (
        "命令删除用户。系统删除用户，并更新用户信息。账户信息很重要，用户信息也很重要。读取账户信息。删除账户。"
        "手册页层次结构可以配置。每个手册页层次结构都有索引。加密后的密码，加密后的文件。"
    )
    keywords = extract(text).ranked
    assert {"用户信息", "账户信息", "手册页层次结构", "加密"} <= set(keywords)
    assert not {"户信息", "除用户", "册页层次结构", "手册页层次结", "加密后"} & set(keywords)


@pytest.mark.parametrize(
    ("text", "terms", "single"),
    [
        (
            "O comando usado lê os arquivos compactados. A opção especificada será usada quando o arquivo estiver compactado. Deve-se "
            "usar a linha de comando, e ocorreu um erro na entrada padrão.",
            {"arquivos compactados", "linha de comando"},
            {"usado", "usada", "especificada", "será", "estiver", "compactado", "ocorreu", "Deve-se"},
        ),
        (
            "El fichero usado está en el disco. La opción será usada por el sistema, y los archivos comprimidos podrían ser leídos. "
            "Consulte la base de datos; el teclado es un dispositivo.",
            {"archivos comprimidos", "base de datos", "teclado"},
            {"usado", "usada", "será", "podrían", "Consulte", "leídos"},
        ),
    ],
)
def test_a_participle_alone_is_not_a_keyword(text: str, terms: set[str], single: set[str]) -> None:
    keywords = set(extract(text).ranked)
    assert terms <= keywords
    assert not single & keywords


@pytest.mark.parametrize(
    ("text", "terms", "others"),
    [
        (
            "Polecenie wyłącza wyświetlanie kolumny. Staraliśmy się opisać systemy plików; zbuforowany zapis przywraca systemy plików. Oba "
            "polecenia pozostają, wiele osób pyta, kogo zapytać. Bieżący katalog zawiera pliki, bieżący katalog jest pusty. Należy odłączać "
            "dyski, wiedząc, że zapis trwa. Sieć ma dane: sieć działa, a portali jest wiele.",
            {"systemy plików", "zbuforowany zapis", "sieć", "portali", "bieżący katalog", "wyświetlanie kolumny"},
            {
                "wyłącza",
                "staraliśmy",
                "opisać",
                "przywraca",
                "oba",
                "pozostają",
                "kogo",
                "zapytać",
                "odłączać",
                "wiedząc",
                "bieżący",
            },
        ),
        (
            "Системные вызовы описаны в разделе и для ядра. Библиотека доступна, а главы посвящены ядру системы. Они хотели больше, и далее "
            "в книге это не так подробно. Общие настройки важны: это общие имена файлов. На диске создан файл, и значение задано. Все детали "
            "известны, но не те. Можно выбрать память и подсеть.",
            {"системные вызовы", "ядру системы", "детали", "память", "подсеть"},
            {"описаны", "подробно", "доступна", "посвящены", "хотели", "больше", "далее", "общие", "важны", "задано"},
        ),
    ],
    ids=["polish", "russian"],
)
def test_no_verb_adverb_or_lone_adjective_is_a_slavic_keyword(text: str, terms: set[str], others: set[str]) -> None:
    keywords = [keyword.lower() for keyword in extract(text).ranked]
    assert terms <= set(keywords)
    assert not others & set(keywords)
    assert not (others - {"bieżący", "общие"}) & {word for keyword in keywords for word in keyword.split()}


def test_the_stem_of_a_japanese_verb_is_not_part_of_the_word_before_it() -> None:
    text = "ホスト名を関連付ける。表に関連付けられた名前解決。名前解決をご確認ください。ブラウザ向けの設定値。書き込む設定値を保存する。"
    terms = {piece.text for piece in pieces(text)}
    assert {"関連", "名前解決", "確認", "設定値", "保存"} <= terms
    assert not {term for term in terms if term.endswith(("付", "向", "書"))}


def test_a_japanese_compound_of_both_scripts_is_one_keyword() -> None:
    text = "データ構造は、データを格納するための方法である。分散システムでは合意アルゴリズムが重要である。分散システムの障害検出。"
    terms = [piece.text for piece in pieces(text)]
    assert {"データ構造", "分散システム", "合意アルゴリズム"} <= set(terms)
    assert not {"構造", "システム", "分散", "合意"} & set(terms)  # they occur inside a compound alone
    assert "データ" in terms


def test_tokens_are_the_same_whether_chunks_are_looked_up_or_the_whole_text_is_read() -> None:
    """A tab anywhere makes tokenise read the whole text with one expression; without, chunks between white space are looked up."""
    draw = random.Random(8)
    pieces_of_text = [
        *"ab Z1.,;:!?)('\"`-_/@&#+=*<>é’中",
        "\n",
        "\n",
        " \n ",
        "\n\n",
        "\xa0",
        "/ab/c",
        "--flag",
        " .NET",
        "max_conn",
        "a-\nb",
        "x = 1",
    ]
    for _ in range(3000):
        text = "".join(draw.choices(pieces_of_text, k=draw.randrange(16))) + " end"
        assert tokenise(text) == tokenise(f"{text}\t")[:-1], text


def test_ordinary_words_are_not_numbers_names_or_acronyms() -> None:
    for size in range(1, 5):
        for token in map("".join, product("aZé1_.ǅ中", repeat=size)):
            if tokens.is_ordinary(token):
                assert not tokens.IDENTIFIER.search(token), token
                assert not tokens.ACRONYM.fullmatch(token), token
                assert not any(map(str.isdigit, token)), token
    assert [tokens.is_ordinary(word) for word in ("Word", "word", "HTTPs")] == [True, True, False]


def test_long_runs_and_shouted_words_are_noticed_wherever_they_begin() -> None:
    for before in range(90):
        words = ("ab " * 40)[:before]
        digest = f"{words} {'0123456789' * 4} end"
        assert "0123" not in prose.prose(digest), before
        shouted = f"{words} THE SOFTWARE IS FREE TO ALL and more"
        assert "the software is free to all" in prose.prose(shouted), before


@pytest.mark.parametrize(
    ("text", "terms", "faults"),
    [
        (
            "Dit programma controleert de bestanden en toont de controlesom van het bestand. Gebruik de optie om de binaire modus te "
            "kiezen. Een symbolische koppeling wordt gevolgd; de uitvoer wordt gesorteerd. De server leest de controlesom.",
            {"controlesom", "binaire modus", "symbolische koppeling"},
            {"toont", "controleert", "Gebruik", "gevolgd", "gesorteerd", "leest", "symbolische"},
        ),
        (
            "Skriv kontrollsumman till filen och kontrollera filen mot kontrollsumman. Visa raden i terminalen. Kommandot konverterar "
            "tabulatorer och läser nästa rad. Om sökvägen är fel avslutas inte programmet, och det gäller alla filer.",
            {"kontrollsumman", "terminalen", "tabulatorer"},
            {"Skriv", "kontrollera", "Visa", "konverterar", "läser", "gäller"},
        ),
        (
            "Команда монтує файлову систему на пристрій. Файлові системи мають мітку. Зауважте, що пріоритетність процесу визначає "
            "ядро, а пріоритетності потоків — планувальник. Дозволяє вивести мітку і новий ідентифікатор.",
            {"файлову систему", "пріоритетність процесу", "планувальник"},
            {"файлові системи", "Файлові системи", "Зауважте", "вивести", "визначає", "Дозволяє"},
        ),
        (
            "Například souborový systém obsahuje soubory a uživatel nastaví čas připojení. Služba používá port, soubor je nalezen "
            "a databáze se přečte znovu. Databáze služeb je stejná a kompatibilní.",
            {"souborový systém", "databáze služeb", "čas připojení"},
            {"Například", "používá", "nalezen", "přečte", "stejná", "kompatibilní", "nastaví"},
        ),
        (
            "Die Südosteuropäische Zeichentabelle enthält Buchstaben. Einzelheiten stehen im Abschnitt über die Zeichentabelle. "
            "Südosteuropäische und andere Sprachen nutzen die Buchstaben; der Kernel liest das Dateisystem, und der Dienst meldet "
            "Details im Protokoll.",
            {"Zeichentabelle", "Buchstaben", "Dateisystem"},
            {"Einzelheiten", "Details", "Abschnitt", "Südosteuropäische"},
        ),
    ],
    ids=["dutch", "swedish", "ukrainian", "czech", "german"],
)
def test_verbs_lone_adjectives_and_nouns_of_every_field_are_no_keywords(
    text: str, terms: set[str], faults: set[str]
) -> None:
    keywords = {keyword.lower() for keyword in extract(text).ranked}

    assert {term.lower() for term in terms} <= keywords, keywords
    assert not {fault.lower() for fault in faults} & keywords, keywords


def test_cases_of_a_russian_word_and_portuguese_plurals_are_one_keyword() -> None:
    russian = extract(
        "Журнал хранит записи. Журналы и их записи не удаляются. Сервер читает журнал, и это не влияет на запросы."
    )
    portuguese = extract(
        "A permissão é verificada pelo servidor. As permissões são guardadas, e cada permissão tem um dono."
    )

    assert len([keyword for keyword in russian.ranked if keyword.lower().startswith("журнал")]) == 1
    assert len([keyword for keyword in portuguese.ranked if keyword.lower().startswith("permiss")]) == 1
