"""One form for a word's spellings: British and American, with and without accents, regular and irregular plurals. Words
with equal forms are the same."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from engine.extraction.keywords import stem

_PLURALS = """
addenda:addendum aliases:alias alumni:alumnus analyses:analysis apices:apex appendices:appendix aquaria:aquarium
atlases:atlas automata:automaton axes:axis bacilli:bacillus bacteria:bacterium bases:base biases:bias bronchi:bronchus
businessmen:businessman cacti:cactus calculi:calculus calves:calf canvases:canvas catalyses:catalysis
chairmen:chairman children:child codices:codex compendia:compendium consortia:consortium corpora:corpus
cortices:cortex craftsmen:craftsman crises:crisis criteria:criterion curricula:curriculum data:datum
diagnoses:diagnosis dialyses:dialysis directrices:directrix dwarves:dwarf ellipses:ellipsis elves:elf emboli:embolus
emphases:emphasis equilibria:equilibrium errata:erratum feet:foot firemen:fireman fishermen:fisherman foci:focus
formulae:formula fungi:fungus ganglia:ganglion gases:gas geese:goose genera:genus graffiti:graffito halves:half
helices:helix hooves:hoof hypotheses:hypothesis indices:index knives:knife leaves:leaf lemmata:lemma lenses:lens
lice:louse lives:life loaves:loaf loci:locus matrices:matrix maxima:maximum media:medium memoranda:memorandum men:man
metamorphoses:metamorphosis metastases:metastasis mice:mouse middlemen:middleman millennia:millennium minima:minimum
mitochondria:mitochondrion mitoses:mitosis moduli:modulus momenta:momentum nebulae:nebula necroses:necrosis
neuroses:neurosis nuclei:nucleus oases:oasis octopi:octopus optima:optimum ova:ovum oxen:ox paralyses:paralysis
parentheses:parenthesis people:person phenomena:phenomenon policemen:policeman prognoses:prognosis
prostheses:prosthesis psychoses:psychosis quanta:quantum quizzes:quiz radii:radius rhombi:rhombus salesmen:salesman
scarves:scarf schemata:schema selves:self septa:septum sera:serum sheaves:sheaf shelves:shelf simplices:simplex
spectra:spectrum spokesmen:spokesman stadia:stadium stenoses:stenosis stigmata:stigma stimuli:stimulus stomata:stoma
strata:stratum syllabi:syllabus symbioses:symbiosis symposia:symposium synopses:synopsis syntheses:synthesis
taxa:taxon teeth:tooth termini:terminus theses:thesis thieves:thief thrombi:thrombus thromboses:thrombosis tori:torus
vertices:vertex villi:villus vortices:vortex wharves:wharf wives:wife wolves:wolf women:woman workmen:workman
"""
IRREGULAR = dict(pair.split(":") for pair in _PLURALS.split())
_ENDINGS = (  # of words longer than five letters
    (re.compile(r"(?<=[a-z]{3})(i|y)s(?=(?:e[srd]?|ers|ing|ings|ations?|able)$)"), r"\1z"),
    (re.compile(r"(?<=[a-z]{3})our(?=(?:s|ed|ing|ings|al|ally|able|ite|ites|hood|hoods|ful|less)?$)"), "or"),
    (re.compile(r"(?<=[a-z]{2})hedra$"), "hedron"),
    (re.compile(r"(?<=eau)x$"), ""),
    (re.compile(r"(?<=[a-z]{3}og)ue(?=s?$)"), ""),  # catalogue, analogue
    (re.compile(r"(?<=dg)e(?=ments?$)"), ""),  # judgement
    (re.compile(r"(?<=met|lit|ent|eat|euv)re(?=s?$)"), "er"),
    (re.compile(r"^oe(?=[ds])"), "e"),  # oesophagus
    (re.compile(r"(?<=[a-z])[ao]e(?=[a-z]{2})"), "e"),  # anaemia, manoeuvre
    # viruses, statuses; but not causes, houses, excuses
    (
        re.compile(
            r"(?<=us)es$(?<![ao]uses)(?<!abuses)(?<!xcuses)(?<!ccuses)(?<!fuses)(?<!amuses)(?<!euses)(?<!isuses)(?<!eruses)"
        ),
        "",
    ),
    (re.compile(r"(?<=queu)e(?=ing)|(?<=[a-z]{3})e(?=able$)"), ""),  # likeable
)
_DOUBLED = re.compile(r"(?<=[aeiou])ll(?=(?:ed|ing|[eo]rs?)$)")
# not a plural's s; and numerals. One, I, IV and the like have other meanings.
_PAIRS = {
    "fibre": "fiber", "calibre": "caliber", "spectre": "specter", "licence": "license", "defence": "defense",
    "offence": "offense", "pretence": "pretense", "practise": "practice", "programme": "program",
    "artefact": "artifact", "grey": "gray", "tyre": "tire", "cheque": "check", "disc": "disk", "adaptor": "adapter",
    "convertor": "converter", "advisor": "adviser", "aluminium": "aluminum", "ageing": "aging", "skilful": "skillful",
    "wilful": "willful", "fulfil": "fulfill", "fulfilment": "fulfillment", "enrol": "enroll",
    "enrolment": "enrollment", "instalment": "installment", "jewellery": "jewelry", "sulphur": "sulfur", "buse": "bus",
    "metre": "meter", "litre": "liter", "cosy": "cozy", "yoghurt": "yogurt", "kerb": "curb",
    "pyjama": "pajama", "moustache": "mustache", "postgre": "postgresql", "k8": "kubernetes",
    "basi": "base",
    "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th",
    "seventh": "7th", "eighth": "8th", "ninth": "9th", "tenth": "10th", "nineteenth": "19th", "twentieth": "20th",
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "ii": "2", "iii": "3", "vi": "6", "vii": "7", "viii": "8", "ix": "9",
}  # fmt: skip
_BEGINNINGS = (("scept", "skept"), ("mould", "mold"), ("plough", "plow"))


# Latin letters that are not a letter and an accent
_WHOLE = str.maketrans({"ł": "l", "ø": "o", "œ": "oe", "æ": "ae", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ß": "ss"})


def unaccented(word: str) -> str:
    """Latin letters without their accents. Letters of other scripts stay as they are, since their marks make other
    letters."""
    if word.isascii():
        return word
    made: list[str] = []
    for letter in unicodedata.normalize("NFD", word.translate(_WHOLE)):
        if not ("\u0300" <= letter <= "\u036f" and made and made[-1].isascii()):
            made.append(letter)
    return unicodedata.normalize("NFC", "".join(made))


# a letter that some writers write as two: Gödel as Goedel, Århus as Aarhus
_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
TWO_LETTERS = re.compile("[äöüøå]|ae|oe|ue|aa")


@lru_cache(1 << 16)
def written_out(word: str) -> str:
    """The stem of a lower-case word, with two letters for each umlaut."""
    return stem(unaccented(word.translate(_TWO_LETTERS)).removesuffix("'s").removesuffix("'"))


@lru_cache(1 << 16)
def start(word: str) -> str:
    """The beginning by which a lower-case word is indexed: words of equal form have equal beginnings."""
    other = IRREGULAR.get(word) or _PAIRS.get(word.removesuffix("s"), word)
    if other.startswith("scept"):
        return "sk"
    first = unaccented(other[:4])
    if first[1:3] in ("ae", "oe"):  # paediatric
        return f"{first[0]}e"
    return f"e{first[2:3]}" if first.startswith(("oed", "oes")) else first[:2]


@lru_cache(1 << 16)
def form(word: str) -> str:
    """The stem of a lower-case word, in American spelling and with an irregular plural made singular."""
    word = unaccented(word).removesuffix("'s").removesuffix("'")
    other = IRREGULAR.get(word) or _PAIRS.get(word.removesuffix("s"))
    if other is not None:
        return stem(other)
    for british, american in _BEGINNINGS:
        if word.startswith(british):
            word = american + word.removeprefix(british)
    if len(word) > 5:
        for ending, other in _ENDINGS:
            word = ending.sub(other, word)
        if len(word) > 7:
            word = _DOUBLED.sub("l", word)
    return stem(word)
