"""Keywords of inflected languages: no verb in any of its forms, no adverb, no pronoun; and no name is taken for one."""

from __future__ import annotations

import pytest
import snowballstemmer

from engine.extraction.frequency import extract
from engine.extraction.languages import FUNCTION_WORDS
from engine.extraction.stems import stemmer


def _words(text: str) -> set[str]:
    return {word.lower() for keyword in extract(text).ranked for word in keyword.split()}


@pytest.mark.parametrize(
    ("text", "nouns", "others"),
    [
        (
            "Dyżurny zrestartował serwer, a klienci odzyskali połączenie. Nagle replika przestała odpowiadać i musieliśmy ją wyłączyć. Myślę, że "
            "awaria przyszła z sieci. Wszyscy wiedzą, że bufor się przepełnił. Teraz zespół szuka przyczyny. Administratorzy mówią o generałach.",
            "serwer replika bufor zespół",
            "zrestartował odzyskali nagle przestała odpowiadać musieliśmy wyłączyć myślę przyszła wszyscy wiedzą przepełnił teraz szuka mówią ją",
        ),
        (
            "Дежурный перезапустил сервер, и клиенты восстановили соединение. Неожиданно реплика отстала, поэтому мы решили её отключить. Понимаю, что "
            "канал перегружен. Инженеры собрались и нашли отдел, который хранит журналы. Сначала они проверяют материал. Наш сигнал пришёл поздно.",
            "сервер реплика канал отдел",
            "перезапустил восстановили неожиданно отстала решили отключить понимаю собрались нашли сначала проверяют наш пришёл поздно",
        ),
        (
            "Черговий перезапустив сервер, і клієнти відновили з'єднання. Раптово репліка відстала, тому ми вирішили її вимкнути. Інженери зібралися й "
            "знайшли журнал запитів. Нині канал працює добре, а команда перевіряє матеріали. Можливо, сигнал надходитиме знову.",
            "сервер репліка журнал канал",
            "перезапустив відновили вирішили вимкнути зібралися знайшли нині добре перевіряє можливо надходитиме знову",
        ),
        (
            "Technik restartoval server a klienti obnovili spojení. Nakonec replika přestala odpovídat, proto ji vypnuli. Tým nemůže najít příčinu, ale "
            "chce zkontrolovat kanál a festival dat. Často říká, že fronta roste. Letos začne nová etapa.",
            "server replika kanál fronta",
            "restartoval obnovili nakonec přestala vypnuli nemůže chce zkontrolovat často říká roste začne",
        ),
        (
            "Teknikern startade servern och kunderna hittade sidan igen. Sedan slutade repliken svara, därför stängdes den. Gruppen undersöker felet och "
            "försöker hitta orsaken. Ofta växer kön när nätet bryter samman. Kanske beslutade ledningen något.",
            "servern repliken gruppen felet",
            "startade hittade slutade svara undersöker försöker hitta ofta växer bryter kanske beslutade något",
        ),
        (
            "De beheerder herstartte de server en de klanten vonden de pagina terug. Daardoor stopte de replica, waarna de ploeg hem uitzette. Niemand "
            "weet waarom de wachtrij groeit. Misschien komt het door het netwerk. Ondertussen denken wij dat het archief ontbreekt.",
            "server replica wachtrij netwerk archief",
            "vonden terug daardoor waarna niemand weet misschien komt ondertussen denken",
        ),
        (
            "Unsere Technik hat den Server neu gestartet. Schließlich fiel die Replik aus, natürlich ohne Warnung. Möglicherweise war die Warteschlange "
            "voll. Unser Netz trägt beide Lasten. Andererseits wächst das Archiv. Angesichts der Störung wurden mehrere Dienste umgezogen.",
            "server replik warteschlange netz archiv störung",
            "unsere unser schließlich natürlich möglicherweise andererseits angesichts beide mehrere",
        ),
        (
            "सर्वर अचानक रुक गया और उसने अनुरोध भेजने बंद कर दिए। टीम ने कतार बढ़ाई और डेटाबेस को बदला। हालांकि नेटवर्क ठीक से चलता रहा, ज्यादा संदेश खो गए। "
            "प्रबंधक कहते हैं कि योजना बनाने में समय लगता है।",
            "सर्वर कतार डेटाबेस नेटवर्क",
            "अचानक उसने भेजने बढ़ाई बदला हालांकि चलता ज्यादा कहते बनाने लगता",
        ),
        (
            "O servidor caiu e o técnico percebeu a falha. Talvez a réplica tenha parado; ninguém conseguiu ligá-la. Nossos clientes viram o erro e "
            "disseram-nos isso. Somos lentos, mas estamos atentos à fila de mensagens. O museu europeu recebeu visitantes.",
            "servidor réplica museu",
            "caiu percebeu talvez ninguém conseguiu viram somos estamos nossos recebeu disseram-nos",
        ),
        (
            "Teknisi membuka server dan mencari penyebab gangguan. Kemudian antrean tumbuh, dan tim memilih jaringan cadangan. Meningkatnya beban "
            "terlihat di menara. Biasanya memori penuh ketika replika berjalan lambat.",
            "server gangguan antrean jaringan menara memori replika",
            "membuka mencari kemudian tumbuh memilih meningkatnya terlihat biasanya berjalan",
        ),
        (
            "Teknisyen sunucuyu durdurup kayıtları inceledi. Kuyruk taşındı ve yük arttı, bağlantı koptu. Kulüp yeni ağı kurmak istemedi; takip "
            "sistemi ve toplantı var. Çalıştırmak zordu.",
            "kuyruk yük bağlantı kulüp toplantı",
            "durdurup taşındı arttı koptu çalıştırmak",
        ),
        (
            "El servidor falló y los técnicos tuvieron que intervenir. Asimismo la réplica estuvo parada; existían copias. Después el equipo obtuvo el "
            "registro y Fernando Alonso revisó la cola de mensajes. Estoy convencido de que hizo falta; luego hicimos copias.",
            "servidor réplica registro fernando",
            "tuvieron asimismo estuvo existían después obtuvo estoy hizo hicimos",
        ),
        (
            "Le serveur devint lent et la réplique mourut. Malheureusement, la file d'attente resta pleine. Historiquement, le réseau fut solide. "
            "Celui-ci porte désormais la charge. Beaucoup de clients virent la panne.",
            "serveur réplique réseau charge",
            "devint mourut malheureusement historiquement fut celui-ci désormais beaucoup",
        ),
        (
            "Ο διακομιστής επανεκκινήθηκε και οι πελάτες συνδέθηκαν. Σήμερα η ομάδα αναζητεί την αιτία. Ωστόσο το δίκτυο χρησιμοποιείται ακόμη. Ο "
            "διαχειριστής δήλωσε ότι η ουρά βρίσκεται στη μνήμη. Πιστεύουμε ότι το αρχείο διαγράφεται.",
            "διακομιστής ομάδα δίκτυο ουρά αρχείο",
            "επανεκκινήθηκε συνδέθηκαν σήμερα ωστόσο ακόμη δήλωσε βρίσκεται πιστεύουμε διαγράφεται",
        ),
        (
            "Teknisi menjalankan server dan pelanggan mengatakan halaman terbuka. Menurut tim, antrean diperbarui setiap jam. Sekarang jaringan "
            "menghubungkan kantor, meskipun replika sering dimatikan.",
            "server pelanggan antrean jaringan replika",
            "menjalankan mengatakan menurut diperbarui sekarang menghubungkan meskipun sering dimatikan",
        ),
    ],
    ids=[
        "polish", "russian", "ukrainian", "czech", "swedish", "dutch", "german", "hindi", "portuguese", "more indonesian", "turkish", "spanish", "french",
        "greek", "indonesian",
    ],
)  # fmt: skip
def test_a_keyword_has_nouns_and_neither_verbs_nor_adverbs_nor_pronouns(text: str, nouns: str, others: str) -> None:
    words = _words(text)

    assert set(nouns.split()) <= words, words
    assert not set(others.split()) & words


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Wczoraj Paweł Kowal odwiedził serwerownię. Potem Michał Kowal sprawdził serwer.", "Michał"),
        ("Вчера Людмила Павлова открыла центр. Урал остался без связи.", "Людмила"),
        ("Ayer Armando Quesada presentó el informe, y después Orlando firmó el contrato.", "Armando"),
    ],
)
def test_a_capital_inside_a_sentence_is_a_name_though_it_ends_as_a_verb_does(text: str, name: str) -> None:
    assert any(name in keyword for keyword in extract(text).ranked), extract(text).ranked


@pytest.mark.parametrize(
    "text",
    ["El siglo XX fue largo. En el siglo XX hubo guerras.", "W wieku XIX powstała fabryka, a w XX druga fabryka."],
)
def test_a_roman_numeral_alone_is_no_keyword(text: str) -> None:
    assert not {"XX", "XIX"} & set(extract(text).ranked)


def test_no_word_has_an_empty_stem_and_no_text_fails_for_one() -> None:
    for spoken in snowballstemmer.algorithms():
        of = stemmer(spoken)
        assert of is not None
        assert all(map(of, FUNCTION_WORDS.get(spoken, ()))), spoken

    assert extract("Η ίδια ομάδα μηχανικών, ο ίδιος διακομιστής. Είναι ίδια του διακομιστή.").ranked


def test_a_chinese_keyword_ends_at_figures_verbs_and_function_characters() -> None:
    keywords = set(
        extract(
            "水库面积约30平方公里，2019年建成后向三座城市供水。拿破仑所率领的军队抵达莫斯科，冷却系统与研究所亦遭破坏。"
            "一部纪录片讲述了抗洪英雄，该片在国外上映。天津市成立气象局，首任局长毕业于清华大学。1990年代后期扩建机场。"
        ).ranked
    )

    assert {"冷却系统", "研究所", "纪录片", "气象局", "清华大学"} <= keywords, keywords
    assert not [
        word
        for word in keywords
        if any(cut in word for cut in ("平方", "所率", "一部", "座城", "代后", "成立", "抵达", "上映", "亦"))
    ], keywords


@pytest.mark.parametrize(
    ("text", "terms", "others"),
    [
        (
            "Los datos obtenidos y las herramientas utilizadas se describen en un estudio basado en encuestas. La fauna marina sufre, y las plantas "
            "desaladoras vierten salmuera. Es un clúster heterogéneo.",
            {"fauna marina", "plantas desaladoras", "clúster heterogéneo", "salmuera"},
            {"obtenidos", "utilizadas", "basado"},
        ),
        (
            "As ferramentas utilizadas e os itens encontrados foram descritos. Uma equipa de investigadores da Universidade do Minho apoia o "
            "Instituto Nacional de Gestão das Calamidades e usa veículos aéreos.",
            {"Universidade do Minho", "Instituto Nacional de Gestão das Calamidades", "equipa de investigadores", "veículos aéreos"},
            {"utilizadas", "encontrados"},
        ),
    ],
    ids=["spanish", "portuguese"],
)  # fmt: skip
def test_a_romance_keyword_ends_with_an_adjective_that_says_something_and_never_inside_a_name(
    text: str, terms: set[str], others: set[str]
) -> None:
    assert terms <= set(extract(text).ranked), extract(text).ranked
    assert not others & _words(text)


def test_a_year_or_a_measure_alone_is_no_russian_keyword() -> None:
    keywords = extract(
        "В 2019 году завод построен в рамках программы. В 2020 году завод выпустил станки. Дорога до завода пять километров. Город, школа, больница, театр."
    ).ranked

    assert any("завод" in keyword for keyword in keywords), keywords
    assert not {"году", "километров"} & {word for keyword in keywords for word in keyword.split()}, keywords
