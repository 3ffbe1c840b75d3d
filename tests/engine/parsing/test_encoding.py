"""Decoding bytes: by their mark, by their content, as declared, by a guess that is marked as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.parsing.encoding import decode

TEXTS = {
    "ja": "データ構造と接続プールの設定について説明します。サーバーは毎分規則を評価します。", "zh": "数据结构是计算机存储、组织数据的方式。连接池保存数据库的连接。",
    "zh_tw": "資料結構是電腦中儲存、組織資料的方式。連線池保存資料庫的連線。", "ru": "Шлюз хранит пул соединений. Сервер проверяет правила каждую минуту.",
    "ko": "게이트웨이는 연결 풀을 유지합니다. 서버는 매분 규칙을 평가합니다.", "de": "Größe des Verbindungspools ändern: die Übertragung läuft über das Gateway.",
    "fr": "Le serveur évalue les règles à chaque minute et répond aux requêtes.", "pl": "Serwer sprawdza reguły co minutę i zwraca błąd, jeśli połączenie jest zamknięte.",
    "el": "Ο διακομιστής ελέγχει τους κανόνες κάθε λεπτό.", "he": "השרת בודק את הכללים בכל דקה.",
}  # fmt: skip
ENCODED = [
    ("ja", "cp932"), ("ja", "euc_jp"), ("ja", "iso2022_jp"), ("zh", "gbk"), ("zh", "gb18030"), ("zh_tw", "big5"), ("ru", "koi8_r"), ("ru", "cp1251"), ("ru", "cp866"), ("ko", "euc_kr"),
    ("de", "latin1"), ("fr", "cp1252"), ("pl", "iso8859_2"), ("pl", "cp1250"), ("el", "cp1253"), ("he", "cp1255"), ("ru", "utf-16-le"), ("de", "utf-16-be"), ("fr", "utf-32-le"), ("ja", "utf-32-be"),
]  # fmt: skip


@pytest.mark.parametrize("before", ["", "A gateway keeps a pool.\n"])
@pytest.mark.parametrize(("language", "encoding"), ENCODED)
def test_an_encoding_without_a_mark_is_guessed_and_the_guess_is_named(
    language: str, encoding: str, before: str
) -> None:
    text = before + TEXTS[language]
    read = decode(text.encode(encoding))

    assert read.text == text
    assert read.guessed


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_sure(language: str, encoding: str) -> None:
    read = decode(TEXTS[language].encode(encoding))

    assert (read.text, read.guessed) == (TEXTS[language], False)


@pytest.mark.parametrize(
    ("language", "declared", "encoding"),
    [("ja", "Shift_JIS", "cp932"), ("zh", "gb2312", "gbk"), ("ru", "koi8-r", "koi8_r"), ("ru", "windows-1251", "cp1251"), ("fr", "ISO-8859-1", "latin1")],
)  # fmt: skip
def test_a_page_is_read_as_it_declares(language: str, declared: str, encoding: str) -> None:
    page = f'<html><head><meta http-equiv="Content-Type" content="text/html; charset={declared}"></head><p>{TEXTS[language]}'
    read = decode(page.encode(encoding))

    assert (read.text, read.guessed) == (page, False)


def test_one_bad_byte_spoils_one_character() -> None:
    read = decode("Größe und ".encode() + b"caf\xe9" + " – naïve Übertragung".encode())

    assert read.text == "Größe und caf\ufffd – naïve Übertragung"
    assert (read.encoding, read.guessed) == ("utf-8", True)


def test_a_false_declaration_does_not_spoil_unicode() -> None:
    text = '<meta charset="iso-8859-1">Größe'

    assert decode(text.encode()).text == text


@given(st.binary(max_size=400))
def test_any_bytes_are_some_text(raw: bytes) -> None:
    assert isinstance(decode(raw).text, str)


# a sentence a language, in the code pages of DOS, Windows, ISO and the Macintosh that its files are written in
PAGES = [
    ("tr", "cp1254", "Sunucu bağlantı havuzunu açık tutar; her bağlantı süresi dolunca kapatılır ve çağrılar yeniden gönderilir.\n"),
    ("cs", "cp1250 iso8859_2 cp852", "Server udržuje fond připojení; každé připojení se po určité době zavře a žádosti se pošlou znovu.\n"),
    ("hu", "cp1250 iso8859_2", "A kiszolgáló kapcsolatkészletet tart fenn; minden kapcsolat lejár egy idő után, és a kérések újra elküldődnek.\n"),
    ("ro", "cp1250 iso8859_2", "Serverul păstrează un grup de conexiuni; fiecare conexiune se închide după un timp şi cererile sînt trimise din nou, aţi văzut.\n"),
    ("el", "cp1253 iso8859_7", "Ο διακομιστής κρατά μια δεξαμενή συνδέσεων και κάθε σύνδεση κλείνει μετά από λίγο.\n"),
    ("he", "cp1255 iso8859_8", "השרת שומר מאגר חיבורים וכל חיבור נסגר אחרי זמן קצוב.\n"),
    ("ar", "cp1256 iso8859_6", "يحتفظ الخادم بمجموعة من الاتصالات ويغلق كل اتصال بعد مهلة محددة.\n"),
    ("lt", "cp1257 iso8859_13", "Serveris saugo jungčių telkinį; kiekviena jungtis po kurio laiko uždaroma, o žinutės siunčiamos iš naujo.\n"),
    ("lv", "cp1257", "Serveris glabā savienojumu kopu; katrs savienojums pēc kāda laika tiek slēgts, un ziņojumi tiek sūtīti vēlreiz.\n"),
    ("de", "cp1252 cp850 mac_roman", "Der Server hält einen Pool von Verbindungen; jede wird nach einer Weile geschlossen, dann öffnet er größere.\n"),
    ("fr", "cp1252 cp850 mac_roman", "Le serveur garde un groupe de connexions; chaque connexion est fermée après un délai, et les requêtes échouées sont réessayées.\n"),
    ("uk", "cp1251 koi8_u", "Сервер тримає пул з'єднань; кожне з'єднання закривається через певний час, і запити надсилаються знову.\n"),
]  # fmt: skip


def test_the_code_pages_of_a_language_s_files_are_guessed_and_named_as_a_guess() -> None:
    wrong = []
    for language, pages, sentence in PAGES:
        for page in pages.split():
            for text in (sentence, sentence * 20):
                decoded = decode(text.encode(page))
                if decoded.text != text or not decoded.guessed:
                    wrong.append(f"{language} in {page}: {decoded.encoding} {decoded.text[:60]!r}")
    assert not wrong, "\n".join(wrong)
