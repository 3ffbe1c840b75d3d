"""One form for a word's spellings: British and American, regular and irregular plurals. Words with equal forms are the
same."""

from __future__ import annotations

import re
from functools import lru_cache

from engine.extraction.keywords import stem

_PLURALS = """
analyses:analysis appendices:appendix axes:axis bases:basis cacti:cactus children:child corpora:corpus
crises:crisis criteria:criterion diagnoses:diagnosis feet:foot formulae:formula foci:focus geese:goose
genera:genus halves:half hypotheses:hypothesis indices:index knives:knife leaves:leaf lives:life loci:locus
matrices:matrix media:medium men:man mice:mouse nebulae:nebula nuclei:nucleus oxen:ox parentheses:parenthesis
people:person phenomena:phenomenon quanta:quantum radii:radius schemata:schema shelves:shelf
simplices:simplex spectra:spectrum stimuli:stimulus strata:stratum syllabi:syllabus syntheses:synthesis
teeth:tooth theses:thesis thieves:thief vertices:vertex vortices:vortex wives:wife wolves:wolf women:woman
"""
_IRREGULAR = dict(pair.split(":") for pair in _PLURALS.split())
_ISE = re.compile(r"(?<=[a-z]{3})(i|y)s(?=(?:e[srd]?|ers|ing|ings|ations?|able)$)")
_OUR = re.compile(r"(?<=[a-z]{3})our(?=(?:s|ed|ing|ings|al|ally|able|ite|ites|hood|hoods|ful|less)?$)")
_PAIRS = {
    "centre": "center",
    "metre": "meter",
    "fibre": "fiber",
    "catalogue": "catalog",
    "dialogue": "dialog",
    "licence": "license",
    "defence": "defense",
    "programme": "program",
    "artefact": "artifact",
    "grey": "gray",
}
_DOUBLED = re.compile(r"(?<=[aeiou])ll(?=(?:ed|ing|er|ers)$)")


@lru_cache(1 << 16)
def form(word: str) -> str:
    """The stem of a lower-case word, after its spelling is made American and its irregular plural singular."""
    word = _IRREGULAR.get(word, word)
    if len(word) > 5:
        word = _OUR.sub("or", _ISE.sub(r"\1z", word))
        if len(word) > 7:
            word = _DOUBLED.sub("l", word)
    bare = word.removesuffix("s")
    return stem(_PAIRS.get(bare, word))
