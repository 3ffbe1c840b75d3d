"""The frequency method in other languages than English, in texts of two languages, and in scripts without spaces."""

from __future__ import annotations

import pytest

from engine.extraction.frequency import extract
from engine.extraction.languages import ENGLISH, language
from engine.extraction.tokens import tokenise


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
        (  # news: words that begin a sentence, days and measures
            "Erst sieben Stunden später bemerkte eine Polizeistreife den Unfall. Demnach haben am Dienstag gegen 23.00 Uhr zwei Lastwagen die "
            "Baustelle gestreift. Vermutlich führte ein Wildwechsel zu dem Unfall, teilte die Polizei im September mit. Geplant sind Zäune.",
            "Unfall", "Erst Stunden Demnach haben Dienstag Uhr Vermutlich September Geplant",
        ),
        (
            "Przedstawiony raport korzysta z danych policji, m.in. z wykazu wypadków. Policja poinformowała o wypadkach drogowych, a w ciągu roku "
            "liczba wypadków drogowych wzrosła.",
            "wypadk", "Przedstawiony korzysta m.in poinformowała roku",
        ),
        (
            "Сегодня поступило сообщение о пожаре в посёлке. Как сообщили в полиции, лесной пожар начался утром, и пожар уничтожил так называемый сухостой.",
            "пожар", "Сегодня поступило сообщили начался утром называемый",
        ),
        (
            "मुख्यमंत्री ने घोषणा करते हुये कहा कि शहरों में पुलिस कमिश्नर प्रणाली लागू की जाएगी। पुलिस कमिश्नर प्रणाली को लेकर निर्णय लिया गया है और यह जरूरी है।",
            "पुलिस कमिश्नर", "हुये लागू जाएगी लेकर लिया गया जरूरी",
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


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Detección de anomalías en redes industriales", "spanish"),
        ("Deteção de anomalias em redes industriais", "portuguese"),
        ("Обнаружение аномалий в промышленных сетях", "russian"),
        ("Виявлення аномалій у промислових мережах", "ukrainian"),
        ("Upptäckt av avvikelser i industriella nätverk", "swedish"),
        ("Merkez Bankası politika faizini yüzde 45'te sabit tuttu", "turkish"),
        ("Opozycja zarzucała rządowi brak konsultacji z wojewodami", "polish"),
    ],
)
def test_a_title_is_in_its_language_and_not_in_one_that_shares_its_function_words(text: str, spoken: str) -> None:
    assert language(tokenise(text)) == spoken


@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        ("Документ вступит в силу, Дума приняла закон, эксперименты проведены, и новый кредит выдан.", "вступит приняла проведены"),
        ("Міністерство оборони запустило електронний кабінет для громадян.", "запустило"),
        ("Badania przeprowadzono na stanowisku, a zakwas żytni powstaje z mąki i wody w piekarni.", "przeprowadzono powstaje"),
        ("Riksdagen röstade om den nya kärnkraftslagen och regeringen ändrade förslaget.", "röstade ändrade"),
    ],
)  # fmt: skip
def test_a_verb_after_its_subject_is_in_no_keyword(text: str, verbs: str) -> None:
    keywords = extract(text).ranked

    assert keywords
    assert not set(verbs.split()) & {word for keyword in keywords for word in keyword.split()}


@pytest.mark.parametrize(
    ("text", "terms", "others"),
    [
        (
            "La ingeniería de software estudia la calidad de la educación. Se comparan tres tipos de redes neuronales que detectan fallos. "
            "Los expertos advierten del riesgo en la provincia de Salamanca y piden una gestión ágil de requerimientos.",
            {"ingeniería de software", "calidad de la educación", "redes neuronales", "Salamanca", "gestión ágil de requerimientos"},
            {"tres", "tipos", "detectan", "advierten"},
        ),
        (
            "A engenharia de software estuda a qualidade do ensino. Comparam-se quatro tipos de redes neurais que detectam falhas. "
            "Os peritos avisam que o risco no concelho de Arganil é alto e que há um problema de segurança rodoviária.",
            {"engenharia de software", "qualidade do ensino", "redes neurais", "Arganil", "segurança rodoviária"},
            {"quatro", "tipos", "detectam", "avisam", "problema"},
        ),
        (
            "La Commission européenne a publié une étude de la théorie de la mesure. Trois sortes de réseaux de neurones sont comparées dans "
            "la ville de Mamuju, et le Stade brestois accueille la réunion.",
            {"Commission européenne", "théorie de la mesure", "réseaux de neurones", "Mamuju", "Stade brestois"},
            {"trois", "sortes"},
        ),
    ],
)  # fmt: skip
def test_a_romance_term_is_whole_without_a_noun_that_says_nothing_of_it(
    text: str, terms: set[str], others: set[str]
) -> None:
    keywords = extract(text).ranked

    assert terms <= set(keywords), keywords
    assert not others & {word.lower() for keyword in keywords for word in keyword.split()}


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


def test_a_word_that_english_shares_with_another_language_makes_no_page_mixed() -> None:
    text = "Check pod logs and pod events. A pod without a node is pending. The pod of the gateway has a pod template."

    assert {"pod logs", "pod template"} <= set(extract(text).ranked)


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


@pytest.mark.parametrize(
    ("spoken", "text", "named", "never"),
    [
        ("serbian", "Сервер чува базен веза за сваки захтев. Ако је базен веза празан, захтев чека док се нека веза не врати, и то је све.", "базен веза", "за ако је док се не и то сваки"),
        ("serbian", "Server čuva bazen veza za svaki zahtev. Ako je bazen veza prazan, zahtev čeka dok se neka veza ne vrati, i to je sve.", "bazen veza", "za ako je dok se ne i to svaki"),
        ("slovenian", "Strežnik hrani bazen povezav za vsako zahtevo. Če je bazen povezav prazen, mora zahteva počakati, da se katera od njih sprosti.", "bazen povezav", "za vsako če je mora da se katera od njih"),
        ("slovak", "Server drží fond pripojení pre každú požiadavku. Ak je fond pripojení prázdny, požiadavka čaká, kým sa niektoré uvoľní, alebo to nie je možné.", "fond pripojení", "pre ak je kým sa alebo to nie"),
        ("bulgarian", "Сървърът пази пул от връзки за всяка заявка. Ако пулът е празен, заявката чака, докато някоя връзка се освободи, и това е всичко.", "връзка", "от за всяка ако докато някоя се това"),
        ("finnish", "Palvelin pitää yhteysvarannon jokaista pyyntöä varten. Jos yhteysvaranto on tyhjä, pyyntö odottaa, että jokin niistä vapautuu, ja se on kaikki.", "yhteysvaranto", "jos on että jokin niistä ja se kaikki"),
        ("norwegian", "Tjeneren holder en tilkoblingspulje for hver forespørsel. Hvis puljen er tom, må forespørselen vente til noen av dem blir ledige, og ikke mer.", "forespørsel", "en for hver hvis er må til noen av dem og ikke"),
        ("indonesian", "Server ini menyimpan kumpulan koneksi untuk setiap permintaan. Jika kumpulan koneksi itu kosong, permintaan harus menunggu sampai ada koneksi yang bebas.", "kumpulan koneksi", "ini untuk setiap jika itu harus sampai ada yang"),
        ("vietnamese", "Máy chủ giữ một vùng kết nối cho mỗi yêu cầu. Nếu vùng kết nối đó đã hết thì yêu cầu phải chờ cho đến khi có kết nối được trả lại.", "kết nối", "một cho mỗi nếu đó đã thì phải khi có được"),
        ("persian", "این سرور برای هر درخواست یک مخزن اتصال دارد. اگر مخزن اتصال خالی باشد، درخواست باید تا آزاد شدن یکی از آنها در صف بماند.", "مخزن اتصال", "این برای هر یک اگر باشد باید تا از در"),
        ("hebrew", "השרת שומר מאגר חיבורים עבור כל בקשה. אם מאגר החיבורים ריק, הבקשה ממתינה עד אשר אחד מן החיבורים יתפנה, וזה כל מה שיש.", "מאגר", "עבור כל אם עד אשר אחד מן מה"),
    ],
)  # fmt: skip
def test_a_language_is_not_taken_for_its_neighbour_and_has_its_own_function_words(
    spoken: str, text: str, named: str, never: str
) -> None:
    assert language([token for token in tokenise(text) if token[0].isalpha()]) == spoken

    ranked = [keyword.casefold() for keyword in extract(text).ranked]
    assert any(named in keyword for keyword in ranked), ranked
    assert not set(never.split()) & {word for keyword in ranked for word in keyword.split()}, ranked


def test_a_language_without_a_list_has_no_words_that_are_short_and_frequent() -> None:
    text = (
        "Server hoiab iga päringu jaoks ühenduste kogumit. Kui ühenduste kogum on tühi, siis päring on ootel, kuni mõni ühendus on vaba. "
        "Ühenduste kogum on piiratud ja see on hea, sest server on väike ja mälu on vähe."
    )
    keywords = [keyword.casefold() for keyword in extract(text).ranked]

    assert any("ühenduste kogum" in keyword for keyword in keywords), keywords
    assert not {"on", "ja"} & {word for keyword in keywords for word in keyword.split()}, keywords


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


def test_a_title_whose_only_function_word_is_of_other_languages_too_is_english() -> None:
    title = ["Stable", "feature", "selection", "{}", "gene", "expression"]
    for word in ("for", "in", "over", "do"):
        assert language([word if token == "{}" else token for token in title]) == ENGLISH, word
    assert language(["Sikkerhedskopiering", "for", "samtlige", "brugere", "og", "grupper"]) == "danish"


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


def test_a_chinese_term_of_news_ends_at_the_verb_and_the_time_beside_it() -> None:
    news = (
        "国家航天局昨日宣布，样品已移交中国科学院。市场监管总局表示，券商股领涨银行板块。公司周五发布的财报高达三百页，2型糖尿病药物和5G通信设备都在增长。"
        "知识表示学习和不确定性估计也有进展。"
    )
    keywords = set(extract(news).ranked)

    assert {"国家航天局", "中国科学院", "市场监管总局", "知识表示学习", "不确定性估计"} <= keywords, keywords
    assert {"2型糖尿病药物", "5G通信设备"} <= keywords, keywords


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
