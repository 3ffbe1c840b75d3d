"""English word lists: words that end a phrase, and words that add little to one. Curated manually, sorted; for
English text only.

These are words of general English, not of one field: no keyword begins with, ends in or consists of them.
"""

from __future__ import annotations

import re

from engine.extraction.lists import word_lists

_LISTS = word_lists("english")

DETERMINERS = _LISTS["determiners"]

# after these a word that may be noun or verb is a verb: to test, they report, it may cause
BEFORE_VERBS = _LISTS["before_verbs"]

# after these a participle is a verb: was arrested, has been designed, is growing
AUXILIARIES = _LISTS["auxiliaries"]

# programming-language keywords; no one searches for them
CODE = _LISTS["code"]

# before a name in a program or a query
DECLARING = _LISTS["declaring"]

FUNCTION = _LISTS["function"] | DETERMINERS | _LISTS["relative"] | BEFORE_VERBS | AUXILIARIES | CODE

# names that begin with a weak word
AFTER_NEW = _LISTS["after_new"]
# after a number they show that it is an amount: 66 million years ago
AFTER_AMOUNTS = _LISTS["after_amounts"]
# these begin a name that goes on with of: the Bank of England
BEFORE_OF = _LISTS["before_of"]

# verbs only: they end a phrase in every form, participles too (proposed, using)
_VERBS = _LISTS["verbs"]

# verbs whose participles may be part of a term (displaced persons): only the base and the -s form end a phrase
_FINITE = _LISTS["finite_verbs"]

# nouns that are verbs after to, unless to is a preposition: to model complex systems, access to model parameters
VERBS_AFTER_TO = _LISTS["verbs_after_to"]
WITH_TO = _LISTS["with_to"]

# after an -ing form they show that it is a verb: opening up, detailing how
AFTER_ING = _LISTS["after_ing"]
# -ing forms that are verbs between a noun and a preposition or determiner: code running on port 80
ING_AFTER_NOUNS = _LISTS["ing_after_nouns"]

# -ing forms that are verbs before a plural or a name, unless that is one of the words after them: writing tests
ING_BEFORE_OBJECTS = _LISTS["ing_before_objects"]
AFTER_PARTICIPLE = _LISTS["after_participle"]
# words at which a phrase ends before that or to: the test checks that, a machine learning approach to
BEFORE_THAT = _LISTS["before_that"]

# verbs at the beginning of a sentence
ORDERS = _LISTS["orders"]

# days are adverbs unless one of these comes before: the council voted Tuesday, Black Friday
DAYS, BEFORE_DAYS = _LISTS["days"], _LISTS["before_days"]

# in small letters these say where something is: areas south of a town
DIRECTIONS = _LISTS["directions"]

# what a text writes after a time of day
OF_TIMES = _LISTS["of_times"]

# a program in the middle of prose, and what it is to do: pip install acorn
COMMANDS, DOING, BEFORE_COMMANDS = _LISTS["commands"], _LISTS["doing"], _LISTS["before_commands"]

_IRREGULAR = _LISTS["irregular"]

# as often a noun: the base form and its plural stay in a phrase, unless to, we or will comes before
_NOUNS_TOO = _LISTS["nouns_too"]


def _forms(verb: str) -> tuple[str, str, str]:
    """The -s, -ed and -ing forms by the regular rules."""
    if verb.endswith("e"):
        return verb + "s", verb + "d", (verb[:-2] + "ying" if verb.endswith("ie") else verb[:-1] + "ing")
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"
    short = len(verb) <= 4 and verb[-1] in "bdgmnprt" and verb[-2] in "aeiou" and verb[-3] not in "aeiou"
    stem = (
        verb + verb[-1]
        if short
        or verb in ("admit", "commit", "embed", "incur", "infer", "omit", "permit", "prefer", "refer", "submit")
        else verb
    )
    return (verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s"), stem + "ed", stem + "ing")


# plurals that are verbs before an object, though their base forms are usually nouns: nginx proxies requests
_OBJECT_FOLLOWS = _LISTS["object_follows"]
EITHER_S = frozenset(_forms(verb)[0] for verb in _NOUNS_TOO) | _OBJECT_FOLLOWS
EITHER = _NOUNS_TOO | EITHER_S
# those of EITHER_S that come before a noun as nouns do: records management, results page
MODIFYING = _LISTS["modifying"]
# -ing forms that are as often nouns or adjectives in a term: programming by example, learning, processing
ING_NOUNS = _LISTS["ing_nouns"]
# forms of verbs that are part of a term: shared memory, output feedback
_KEPT = _LISTS["kept"]
# irregular ones that may begin a term as those in -ed do: left ventricle, spoken language
PARTICIPLES = _LISTS["participles"]
# among the forms that may be nouns, those that hardly ever are
_SELDOM_NOUNS = _LISTS["seldom_nouns"]
EITHER -= _SELDOM_NOUNS
# those of EITHER_S that are verbs after a noun, unless an auxiliary follows: the daemon runs, test runs are
VERBS_AFTER_NOUNS = _LISTS["verbs_after_nouns"]
VERBS = (
    (
        {form for verb in _VERBS for form in (verb, *_forms(verb))}
        | {form for verb in _FINITE for form in (verb, _forms(verb)[0])}
        | _IRREGULAR
        | _LISTS["ing_verbs"]
        | _SELDOM_NOUNS
    )
    - EITHER
    - ING_NOUNS
    - _KEPT
)

# base forms, which are nouns between an article or a preposition and a noun: a retry budget, but not: the present state
BASE_VERBS = (_VERBS | _FINITE | {f"re{verb}" for verb in _VERBS | EITHER}) - _LISTS["adjectives_too"]
BEFORE_NOUNS = _LISTS["before_nouns"]

# after a preposition at the beginning of a clause these do not belong to what follows: in practice model checking is
# slow
AFTER_IN = _LISTS["after_in"]

# joins clauses: a form of a verb may follow
JOINING = _LISTS["joining"]
RELATIVE = _LISTS["relative"]

_VERBAL = ("izes", "ises", "ifies", "ize", "ify")
_NOT_VERBAL = _LISTS["not_verbal"]


_AGAIN = re.compile("re-?|over|under|out|mis|un|self-|co-|pre-|auto-|cross-")


def is_verbal(word: str) -> bool:
    """Whether a lower-case word has the ending of a finite verb, which nouns hardly ever have."""
    if len(word) > 5 and word.endswith(_VERBAL) and word not in _NOT_VERBAL:
        return True
    again = _AGAIN.match(word)
    return again is not None and word not in _KEPT and word[again.end() :] in VERBS


# adverbs without -ly; and words in -ly that are not adverbs
ADVERBS = _LISTS["adverbs"]
NOT_ADVERBS = _LISTS["not_adverbs"]
# function words between a subject and its verb: users often join groups
HOW_OFTEN = _LISTS["how_often"]

# adjectives and other words that add little: never at the left edge of a phrase, never a keyword
WEAK = _LISTS["weak"]

# these belong to a weak word or one of MEASURING before them: long term project, one way traffic, this year airlines
MEASURES, MEASURING = _LISTS["measures"], _LISTS["measuring"]

# these may begin a phrase although they add little: high pressure, multiple processors
SOFT = _LISTS["soft"]

# nouns (and a few others) of every field: hardly ever a keyword alone, and a little less likely at the end of one
GENERAL = _LISTS["general"]

# words of every field that are hardly ever a keyword alone: nouns, first
# names, and words that may be a verb (check, build)
FIRST_NAMES = _LISTS["first_names"]
VAGUE = GENERAL | _LISTS["general_alone"] | FIRST_NAMES | EITHER
# singular though they end in s: Thomas, series
SINGULAR_IN_S = frozenset(
    word for word in FIRST_NAMES | GENERAL | _LISTS["general_alone"] if word.endswith("s") and not word.endswith("ss")
)
# what may come before a name and is not part of it: Mayor Ada Cole
ROLES = VAGUE - FIRST_NAMES

# among GENERAL, words that never end a keyword: number of users, way, first part
EMPTY = _LISTS["empty"]

# nouns that look like adjectives
_NOUNS_IN_AL = _LISTS["nouns_in_al"]
_ADJECTIVE_ENDINGS = (
    "able", "ible", "ular", "ic", "ical", "ous", "ive", "ful", "less", "ary", "al", "ian", "ish", "like", "based",
    "oriented", "driven", "specific",
)  # fmt: skip
_MORE_ADJECTIVES = _LISTS["more_adjectives"]
_COMPOUNDS = tuple(_LISTS["compounds"])


def is_adjective(word: str) -> bool:
    """Whether a lower-case word is more likely an adjective than a noun, so that no keyword ends in it."""
    return (
        word in _MORE_ADJECTIVES
        or word in SOFT
        or ("-" in word and (word.endswith(_COMPOUNDS) or (word.endswith("ed") and not word.endswith("eed"))))
        or (word.endswith(_ADJECTIVE_ENDINGS) and len(word) > 4 and word not in _NOUNS_IN_AL)
    )


_PLURALS = _LISTS["plurals"]


def is_plural(word: str) -> bool:
    """Whether a lower-case noun looks like a plural."""
    return (word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is"))) or word in _PLURALS


# names of technologies; and names that are technologies only with a capital letter
TECHNOLOGIES = _LISTS["technologies"]
TECHNOLOGIES_BY_NAME = _LISTS["technologies_by_name"]
