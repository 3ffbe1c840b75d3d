"""Detects a text's language by its function words, and lists those words for the languages that documents are likely to
use.

English has its own lists. Any other language gets only what is listed here or, if unlisted, what the text itself shows:
the short words that recur.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from engine.extraction.lists import word_lists
from engine.extraction.words import FUNCTION
from engine.patterns import pattern

ENGLISH = "english"
ENGLISH_PROSE = 0.25  # share of English function words above which a text is in no other language
SAMPLED = 600  # tokens examined
LISTED_SHARE = (
    # lowest share of a text's function words that identifies its language: prose has 0.35, a manual full of options
    # far less
    0.06
)
ENGLISH_SHARE = 0.05  # the same for English: tables and lists of options have few, and English words occur everywhere


LISTED = (  # at a tie the first counts: the one that more documents are in
    "spanish", "german", "french", "russian", "portuguese", "italian", "polish", "dutch", "turkish", "arabic",
    "persian", "hindi", "korean", "vietnamese", "indonesian", "czech", "swedish", "ukrainian", "romanian", "hungarian",
    "greek", "hebrew", "danish", "finnish", "norwegian", "bulgarian", "slovak", "serbian", "slovenian", "catalan",
    "welsh",
)  # fmt: skip
# languages whose passages in an English text are recognised by ASCII words too; others share more words with English
_MIXED_IN = ("dutch", "french", "german", "italian", "polish", "portuguese", "spanish", "swedish")
_LISTS = {name: word_lists(name) for name in LISTED}
FUNCTION_WORDS: dict[str, frozenset[str]] = {name: lists["function_words"] for name, lists in _LISTS.items()}
# letters that few other languages have
_LETTERS = {name: pattern(f"[{''.join(lists['letters'])}]") for name, lists in _LISTS.items() if "letters" in lists}
# nouns of every field, as a text writes them
GENERAL_NOUNS: dict[str, frozenset[str]] = {
    name: lists["general"] for name, lists in _LISTS.items() if "general" in lists
}
# nouns that end as verbs do (see VERBS), in any case and number
NOUNS_LIKE_VERBS: dict[str, frozenset[str]] = {
    name: lists["nouns_like_verbs"] for name, lists in _LISTS.items() if "nouns_like_verbs" in lists
}
# links that join two nouns into a term: base de données, base de datos, base di dati
LINKS = {name: lists["links"] for name, lists in _LISTS.items() if "links" in lists}
# what may follow a link: calidad de la educación
ARTICLES = {name: lists["articles"] for name, lists in _LISTS.items() if "articles" in lists}
# nouns that say nothing of what follows their link: tipos de redes
EMPTY = {name: lists["empty"] for name, lists in _LISTS.items() if "empty" in lists}


def _agreeing(words: frozenset[str]) -> frozenset[str]:
    """Adjectives in every gender and number: usado, usada, usados, usadas; usé, usée; existente, existentes."""
    made = set(words)
    for word in words:
        plural = "s" if word[-1] in "aeoé" else "es"
        made.add(word + plural)
        if word[-1] in "oé":
            feminine = word + "e" if word[-1] == "é" else word[:-1] + "a"
            made |= {feminine, feminine + "s"}
    return frozenset(made)


# adjectives that end no term: ferramentas utilizadas, estudio basado en
EMPTY_ADJECTIVES = {
    name: _agreeing(lists["empty_adjectives"]) for name, lists in _LISTS.items() if "empty_adjectives" in lists
}

_FORMS: dict[str, dict[str, tuple[str, ...]]] = {  # by the ending of the infinitive
    "spanish": {"ar": ("a", "an", "en"), "er": ("e", "en", "an"), "ir": ("e", "en", "an")},
    "portuguese": {"ar": ("a", "am", "em"), "er": ("e", "em", "am"), "ir": ("e", "em", "am")},
    "french": {"er": ("e", "ent"), "ir": (), "re": ()},
    "italian": {"are": ("a", "ano"), "ere": ("e", "ono"), "ire": ("e", "ono")},
    "swedish": {"a": ("ar", "ade", "at", "as", "ades", "ats")},
    "hindi": {
        "ाना": ("ा", "ाने", "ानी", "ाता", "ाते", "ाती", "ाया", "ाए", "ाई", "ाईं", "ाकर", "ाएं", "ाएँ", "ाओ"),
        "ना": ("", "ने", "नी", "ता", "ते", "ती", "तीं", "ा", "े", "ी", "ीं", "कर", "ें", "ो", "ेगा", "ेगी", "ेंगे"),
    },
}


def _conjugated(language: str) -> frozenset[str]:
    """The listed verbs of a language in the forms that documents use."""
    lists = _LISTS[language]
    made = set(lists["verb_forms"])
    for verb in lists.get("verbs", ()):
        ending = next(filter(verb.endswith, _FORMS[language]), "")
        stem = verb.removesuffix(ending)
        made.add(verb)
        made.update(stem + form for form in _FORMS[language].get(ending, ()))
    return frozenset(made)


_PARTICIPLE = {
    "spanish": {"ar": "ad", "er": "id", "ir": "id"},
    "portuguese": {"ar": "ad", "er": "id", "ir": "id"},
    "italian": {"are": "at", "ire": "it"},
}
_ITS_FORMS = {"italian": ("o", "a", "i", "e")}


def _participles(language: str) -> frozenset[str]:
    """Participles of the listed verbs: they follow a noun as adjectives do and are not keywords alone (usado,
    especificada)."""
    made = set[str]()
    for verb in _LISTS[language]["verbs"]:
        for ending, participle in _PARTICIPLE[language].items():
            if verb.endswith(ending):
                stem = verb.removesuffix(ending) + participle
                made.update(stem + form for form in _ITS_FORMS.get(language, ("o", "a", "os", "as")))
    return frozenset(made) - _LISTS[language]["participle_nouns"]


PARTICIPLES = {language: _participles(language) for language in _PARTICIPLE}

# verbs in forms that end a phrase
VERB_FORMS = {language: _conjugated(language) for language in _LISTS if "verb_forms" in _LISTS[language]}

# Verb endings that nouns rarely have. Such a word ends a phrase, as a function word does.
VERBS: dict[str, re.Pattern[str]] = {
    "spanish": pattern(
        r"\w{4,}mente|\w{2,}(?:ándose|iéndose|iendo|aron|ieron|aban?|ará[ns]?|erá[ns]?|irá[ns]?|arían|[ei]rían|arse"
        r"|erse|irse|arlo|arla|ó|ían|íamos|ábamos|[^q]uvo|[^q]uvieron|[^q]uvimos)|\w{3,}(?<!m)ando"
    ),
    "portuguese": pattern(
        r"\w{4,}mente|\w{2,}(?:endo|indo|aram|eram|iram|avam?|[aei]riam|ará|erá|irá|arão|erão|irão|ou"
        r"|[aei]rem|[aei]ssem|põem?)|\w{2,}(?:[^oé]eu|iu)|\w{4,}(?:[aá]mos|(?<!tr)emos)|\w{2,}-(?:se|lo|la|los|las"
        r"|lhes?|me|nos)(?:-\w+)?"
        r"|\w{3,}(?<!m)ando"
    ),
    "french": pattern(
        r"\w{2,}(?:aient|èrent|erait|eront|issent|issant|[ei]quement|[aeu]llement|alement|ivement|eusement"
        r"|[ai]irement|ièrement|a(?<!t)mment|emment|tement(?<=[iu]tement)(?<!traitement))"
    ),
    "italian": pattern(
        r"\w{4,}mente|\w{3,}(?:ando|endo|avano|evano|ivano|arono|erono|irono|[ei]rebbe|[ei]rebbero|[ei]rà|[ei]ranno)"
    ),
    "serbian": pattern(r"\w{3,}(?:uje|uju|ује|ују|ujemo|ујемо)"),
    "slovenian": pattern(r"\w{3,}(?:uje|ujejo|ujemo|ujte)"),
    "slovak": pattern(r"\w{3,}(?:uje|ujú|ujeme|ujte)"),
    "german": pattern(r"\w{3,}(?:iert|lich|weise|seits|dings|mals|falls)"),
    "dutch": pattern(r"\w{3,}(?:eren|eert|eerd)|ge\w{3,}eerde?"),
    "swedish": pattern(r"\w{3,}(?:erar|eras|erats|ades?|ddes?)"),
    "czech": pattern(
        r"\w{3,}(?:uje|ují|ován[aoy]?|[íá]vá|ujeme|[áií]me|[ae]jí|(?<!o)nout|it)|\w{2,}(?:[aiyuě]l[aioy]?|at)"
        r"|\w{4,}[zvščž]en[aoy]?"
    ),
    "hindi": pattern(r"\S+(?:[ेए]गा|[ेए]गी|[ेए]ंगे)"),  # \w has no vowel marks
    "polish": pattern(
        # the past and the conditional: zapisał, przyszli, mieliśmy, musiałby
        r"\w{2,}(?:[aieyęąu]|[^\Waeiouyąęóć])(?:ł[aoy]?|łe[mś]|ła[mś])(?:by[mś]?)?"
        r"|\w{2,}(?:[aeiyęśź]|[dgkrsz](?=l))li(?:by)?(?:śmy|ście)?|\w+(?:łyśmy|łyście|by(?:śmy|ście))"
        # infinitives, but not jakość; gerunds; orders
        r"|\w{2,}(?:[aeiyąu]ć|jść|[aiyęą]wszy|źć|ąc)|\w{3,}(?:uj|aj|[eiy])my|\w{3,}(?:uj|aj|ij)cie"
        # the present
        r"|\w{3,}(?:[uai]ją|uj[eęą]|yj[ąe]|ujesz|[aei]sz|awia|biera|wiera|ziera|piera|kłada|owiada|wraca|zuca|aga"
        r"|(?<!l)ega"
        r"|odzi|owadzi|ynosi|odnosi|jadą)|\w{2,}(?:sta|da|zna)je"
        # impersonal: opisano, zajęto
        r"|\w{3,}(?:ono|[^r]ano|ęto|wane|owano|aszane|ini?an[ey]|ienian[ey]|niane)"
    ),
    "russian": pattern(
        # the past
        r"\w{2,}[аеёиоуыя]л[аои]?(?:с[ья])?|\w{2,}(?:шёл|шел|шл[аои]|вёл|вел[аои]?|нес[лшё]\w?|рыл[аи]?|ер(?:ла|ло"
        r"|ли)|мог(?:л[аои])?)"
        # infinitives, participles without cases
        r"|\w{2,}(?:[аиоуыя]ть|(?<!с)еть|йти|вести|нести|вшись|[аия]вши|аясь|уясь)(?:ся)?|\w{3,}(?:[оие]рован[аоы]?"
        r"|ован[аоы]?)|\w+чески|\w{2,}(?<!ще)но"
        # the present, and orders
        r"|\w{2,}(?:[уюяае]ет|ёт|[уюяае]ют|[дзсхшжчвм]ят|[джзчшсв]ит|[еиёуюая]тся|ешь|ишь|[аяею]ем|[уюя]ю|а[ею]мся)"
        r"|\w{2,}(?:юсь|ешься|ишься|[еи]мся|[аяеи]те[сь]ь|айте|яйте|уйте|ейте)"
    ),
    "turkish": pattern(
        r"\w{2,}(?:[ae]bilir(?:siniz|ler)?|m[ae]l[ıi](?:s[ıi]n[ıi]z)?|[ıiuü]yor(?:um|uz|sunuz|lar|du|dı)?"
        r"|[ıiuü]l[ıiuü]r|[ıiuü]n[ıiuü]r|l[ae]n[ıi]r|[ae]c[ae](?:k|ktır|ktir|ğını|ğini)|m[ae]d[ae]n"
        r"|[ıiuü]lm[ae]s[ıi]n[ıi]"
        r"|[ıiuü](?:rsa|rse)|[dt][ıiuü]ğ[ıiuü](?:n[ıiuü]|nd[ae]|nd[ae]n)?|l[ae]y[ae]n|m[ae]y[ae]n)"
        r"|\w{2,}(?:arak|erek|[ıiuü]nc[ae]|m[ae]kt[ae]|[ıiuü]yordu\w*|[ıiuü]yor"
        r"|m[ıiuü]şt[ıiuü]r?|[ae]cakt[ıi]|[ae]cekti|s[ae]yd[ıi]|ken)"
        # converbs, infinitives, and the past, but not toplantı
        r"|\w{3,}[ylnrt][ıiuü]p|\w{4,}m[ae]k|(?:\w{3,}[ln]d|\w{2,}[şktpç]t)[ıiuü](?:m|k|lar|ler)?"
    ),
    "greek": pattern(
        r"\w{2,}(?:εται|ονται|ούνται|ηκε|ηκαν|θεί|θούν|[οό]?ύ?με|ού?σε|ούσαν|όμαστε|[ηιωυα]σε"
        r"|[ηιωυα]σαν|[ίά]ζ(?:ει|ουν)|[εώ]ύ?ν(?:ει|ουν)|σουν)"
    ),
    "indonesian": pattern(
        r"diper\w+|(?:me|di|ber|ter)\w{2,}kan|(?:meng|meny)[aiueo]\w{2,}|di(?!r)\w{3,}[^aeou\W]i"
        # but not member, membran, mempelai, mendung
        r"|me(?:mb(?!er|ran)|m[aieu]|mp(?!elai)|nd(?!ung)|nc|nj|ngg|ngh)\w{3,}|(?:me(?!nteri)|ber|ter)\w{5,}nya"
    ),
    # contractions with the article or a particle; the past tense
    "welsh": pattern(r"\w+['’](?:r|n|i|u|w|m|ch)|\w{4,}(?:odd|wyd|asant)"),
    "ukrainian": pattern(
        r"\w{2,}(?:[аиіїуя]ти|нути|йти|йш(?:ов|л[аио])|[аеиіїуя]л[аио]|[аияу]в|[уюао]чи|[аи]вши)|\w{3,}(?:с[ья]|но"
        r"|ято|ито)"
        r"|\w{2,}(?:[аеіуюя]є|[аєиї]мо|[уюая]ють|[дзсжчшвлб]ить|[иаеї]муть|єш|иш|йте|тиме|[аую]ю)"
    ),
}

# Endings of verbs that nouns have too, but hardly after another noun: Документ вступит, Дума приняла
VERBS_AFTER_NOUNS: dict[str, re.Pattern[str]] = {
    "russian": pattern(r"\w{2,}(?:[иеёуюая]т|[аяиыоу]л[ао]?|нула?)|\w{3,}(?:[иы]ли|[дшщчжн]ен[аоы])|\w{4,}(?:али|ано)"),
    "ukrainian": pattern(r"\w{2,}(?:[уюая]ть|[ео]л[аои])|\w{3,}ить"),
    "polish": pattern(r"\w{3,}(?:[iyę]ła|[iya]ł)|\w{2,}(?:gł|pr|n)asza"),
}
NO_NOUN: dict[str, re.Pattern[str]] = {  # adjectives, which a noun follows
    "russian": pattern(r"\w+(?:[ыио]й|[ая]я|[ое]е|[ыи]е|[ое]го|[ое]му|[ыи]ми?|[ыи]х|[ую]ю)"),
    "ukrainian": pattern(r"\w+(?:ий|ій|на|ська|ого|ому|і|их|им|ими|ну|ську)"),
    "polish": pattern(r"\w+(?:[yi]|ego|emu|[yi]m|ych|ich)"),
}

# languages whose sentences end with their verb
VERB_LAST = frozenset(("turkish",))

# An English text with many of these contains passages in another language.
PERHAPS_FOREIGN = (
    frozenset(word for name in _MIXED_IN for word in FUNCTION_WORDS[name] if word.isascii() and len(word) > 1)
    - FUNCTION
)
# Not English words: in an English text they belong to a passage in another language.
NOT_ENGLISH = frozenset(word for listed in FUNCTION_WORDS.values() for word in listed if not word.isascii())


def _spoken() -> dict[str, tuple[str, ...]]:
    spoken: dict[str, tuple[str, ...]] = {}
    for name, listed in FUNCTION_WORDS.items():
        for word in listed:
            spoken[word] = (*spoken.get(word, ()), name)
    return spoken


# the listed languages, English apart, in which a word is a function word
SPOKEN = _spoken()


def language(words: Sequence[str]) -> str | None:
    """`english`, a key of FUNCTION_WORDS, or None if it is neither. `words` in any case."""
    if len(words) > SAMPLED:
        words = words[:: len(words) // SAMPLED]
    total = len(words)
    if not total:
        return None
    low = [word.lower() for word in words]
    english = sum(map(FUNCTION.__contains__, low))
    if english >= ENGLISH_PROSE * total:
        return ENGLISH
    counts = Counter(chain.from_iterable([SPOKEN.get(word, ()) for word in low]))
    rare = " ".join([word for word in low if not word.isascii()])
    if rare:
        counts.update({name: len(_LETTERS[name].findall(rare)) for name in list(counts) if name in _LETTERS})
    name = max(LISTED, key=counts.__getitem__)
    most = counts[name]
    shared = FUNCTION & FUNCTION_WORDS[name]  # do, to, on are Polish too
    only_english = sum(word in FUNCTION and word not in shared for word in low)
    # A word the languages share is not enough: "for" in a title does not make it Danish.
    if most > max(only_english, english - only_english) and most >= LISTED_SHARE * total:
        return name
    plain = sum(map(str.isascii, low))
    if english >= LISTED_SHARE * total or (plain >= 0.97 * total and (english >= ENGLISH_SHARE * total or total < 25)):
        return ENGLISH
    return None


def own_function_words(words: Sequence[str]) -> frozenset[str]:
    """Function words of an unlisted language: short lower-case words that make up more than 0.5 % of the text, and
    single letters.

    None for Korean, whose particles are endings.
    """
    counts = Counter(
        word for word in words if len(word) <= 4 and not word[0].isupper() and not "\uac00" <= word[0] <= "\ud7a3"
    )
    least = max(2, len(words) // 200)
    return frozenset(word for word, count in counts.items() if count >= least or len(word) == 1)
