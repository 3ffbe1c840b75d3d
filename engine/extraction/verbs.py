"""Decides what is a verb, a command or part of a time here by the words around it, in the letters of an English text
(see candidates)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.extraction import words

_INTRODUCED = re.compile(r"(?:(?<=[.r]f)|(?<=^f))y")  # in practice model checking
_TO_MODEL = re.compile(r"m[dfr]?(?:[ns]|[vb](?=r))(?:r[ns])?")
# sought with a break before the text: an expression that begins with one sign takes a quarter of the time
_BEGINS = re.compile(r"\.[bcn](?=[aegncisbBw])")
_BEGINS_CLAUSE = re.compile(r"\.[cn](?=[tqf])")
_ING = re.compile(r"g(?:(?=[ftqsicbB])|(?<=[frdvm]g)(?=[nae]))")
_TIMED = re.compile(r"#x?i+")
_COMMAND = re.compile("k")
_STATING = re.compile(r"[bB](?=[qmnsciae])")
_ENDS = frozenset(".!?:")
_BEFORE_ORDERS = frozenset("-,")
SENTENCE = 60  # tokens of a sentence in which a list of orders is looked for
_NAMED, _SINGULAR_NOUN = frozenset("sicbB"), frozenset("nigabBe")
_CASES = frozenset(("case", "cases"))
_NOT_MODIFIED = frozenset("frdvm")
_DETERMINED, _OBJECT = frozenset("tqm"), frozenset("aesgrwnci")
_RENEWS_THE = re.compile(r"t(?:(?<=[.rqm]t)|(?<=^t))[abngc]{0,3}[ncig]s(?=t)")  # a gateway client renews the lease
_CONTROL_THE = re.compile(r"[svc]n(?=t)")  # authors control the copyright
_NOUN = frozenset("ncsibB")
_SINGULAR = frozenset(("he", "it", "she"))
_BEFORE_NOUN = re.compile(r"(?<=[tf])v(?=[nsbB])")
_MOVES = re.compile(r"(?<=[ncisbg])V(?![xn])")  # git rebase moves
# One letter each: marks what is a verb here. Each expression begins with the letters it may mark and looks back from
# there, first for the letter itself: most words are asked about one or two of the conditions.
_SETTLED = (
    re.compile(
        r"[bBsn](?:"
        r"(?<=[nsbBcigp]qn)(?=[tnscia])"  # nodes that support the
        r"|(?<=[bB])(?:"
        r"(?<=[md].)|(?<=m[fr].)"  # to use, to better use, users often change
        r"|(?<=vr.)(?=[aegnscibBw])|(?<=[.r]b)(?=[aw])"  # detect and store files; or support online learning
        r"|(?<=[nscib].)(?=t)|(?<![^.].)(?=[ti])"  # the system supports the; Set max_tokens
        r"|(?<=[sB]b)(?![iE])"  # peers form; clusters overlap, but not: systems design
        # system mines answers; and supports business
        r"|(?<=[ncigb]B)(?=[taegncisbBwd#pP])|(?<=[.r]B)(?=[taegncisBbw])"
        r"|(?<=[nsbBcigp]q.)|(?<=\.qB)|(?<=\.q.)(?=[mtdf]))"  # that captures; which blocks writers; which lead to
        r"|(?<=[qdncis]s)(?:"
        r"(?<=[nsbBcigp]qs)|(?<=[nsbBcigp]qds)"  # that captures, which often captures
        r"|(?<=\.qs)(?=[taegnciw])"  # the bill, which toughens immigration
        r"|(?=t)(?:(?<=\.tns)|(?<=^tns)|(?<=\.[ci]s)|(?<=^[ci]s)))"  # This command inspects a
        r")"
    ),
    # is growing; crews quickly cleared; was seen and dragged off; a league that (also) sacked; police arrested the; by
    # reading the; nodes passing messages; a flag showing that
    re.compile(
        r"[deg](?:(?<=x[eg])|(?<=xdg)|(?<=me)|(?<=[xmnsci]de)|(?<=[.r]e)(?=c)|(?<=vre)|(?<=xere)"
        r"|(?<=[nsbBcigp]qe)|(?<=[nsbBcigp]q[rd]e)|(?<=[nsbBcig]e)(?=[tqfrm.xd#c])"
        r"|(?<=[sB]e)(?=[nsbg])|(?<=[nsc]g)(?=q)|(?<=[.frdqvsbci]g)(?=t)|(?<=cg)(?=a)|(?<=[sB]g)(?=[tnsciab]))"
    ),
)


def settled(tokens: list[str], kinds: str) -> str:
    """The letters, with v for each word that is a verb here."""
    commands: list[int] = []
    if "k" in kinds:
        commands = list(_commands(tokens, kinds))
        kinds = kinds.replace("k", "n")
    if "y" in kinds:
        kinds = _INTRODUCED.sub("d", kinds).replace("y", "n")
    if "D" in kinds:
        kinds = re.sub("D", lambda day: "c" if _is_named_day(tokens, day.start()) else "d", kinds)
    if "tv" in kinds or "fv" in kinds:
        kinds = _BEFORE_NOUN.sub(lambda verb: "b" if _is_noun(tokens, verb.start()) else "v", kinds)
    if "V" in kinds:
        kinds = _MOVES.sub("v", kinds).replace("V", "B")
    if marked := [
        *commands,
        *_after_to(tokens, kinds),
        *_orders(tokens, kinds),
        *_begun(tokens, kinds),
        *_doing(tokens, kinds),
        *_stating(tokens, kinds),
        *(match.end() - 1 for match in _RENEWS_THE.finditer(kinds)),
        *_times(tokens, kinds),
    ]:
        letters = list(kinds)
        for at in marked:
            letters[at] = "v"
        kinds = "".join(letters)
    for pattern in _SETTLED:
        kinds = pattern.sub("v", kinds)
    return kinds


def _is_noun(tokens: list[str], at: int) -> bool:
    """Whether the base form of a verb is a noun: a retry budget, with retry budgets."""
    return tokens[at] in words.BASE_VERBS and tokens[at - 1].lower() in words.BEFORE_NOUNS


def _is_named_day(tokens: list[str], at: int) -> bool:
    return at > 0 and tokens[at - 1].lower() in words.BEFORE_DAYS


def _orders(tokens: list[str], kinds: str) -> list[int]:
    """Where an order is: Use percent encoding; telldir - return current location. Not where the same two words occur
    within a sentence."""
    orders = [at for match in _BEGINS.finditer("." + kinds) if _may_order(tokens, at := match.start())]
    if not orders:
        return orders
    within = _within_sentences(tokens)
    marked = []
    for at in orders:
        verb, follower = tokens[at].lower(), tokens[at + 1]
        if follower.lower() not in _CASES and (verb == "use" or (verb, follower) not in within):
            marked.append(at)
    return marked


def _begun(tokens: list[str], kinds: str) -> Iterator[int]:
    """Where a sentence begins with a verb: Edit this page; Approaching that limit; Figuring out why."""
    for match in _BEGINS_CLAUSE.finditer("." + kinds):
        at = match.start()
        if kinds[at + 1] == "t" or (
            tokens[at].endswith("ing") and (kinds[at + 1] == "q" or tokens[at + 1].lower() in words.AFTER_ING)
        ):
            yield at


def _doing(tokens: list[str], kinds: str) -> Iterator[int]:
    """Where an -ing form is a verb: by opening up; pages detailing how; code running on port 80; writing tests."""
    for match in _ING.finditer(kinds):
        at = match.start()
        word, after = tokens[at].lower(), tokens[at + 1].lower()
        if (
            after in words.AFTER_ING
            or (at and _follows_noun(word, kinds[at - 1 : at + 2]))
            or (after not in words.AFTER_PARTICIPLE and _precedes_object(word, kinds, at))
        ):
            yield at


def _follows_noun(word: str, around: str) -> bool:
    return (around[0] in _NOUN and word in words.ING_AFTER_NOUNS) or (around == "sgf" and word not in words.ING_NOUNS)


def _precedes_object(word: str, kinds: str, at: int) -> bool:
    has_object = word in words.ING_BEFORE_OBJECTS
    if has_object and kinds[at + 1] in _NAMED:
        return True
    if not at or kinds[at - 1] not in _NOT_MODIFIED or "-" in word:
        return False
    return word not in words.ING_NOUNS or (has_object and kinds[at + 1] in "na")


def _stating(tokens: list[str], kinds: str) -> Iterator[int]:
    """Where a word that may be a noun is a verb by the word after it: the test checks that, a person needs to; or use
    pointers, but not: land use planning, a use case."""
    for match in _STATING.finditer(kinds):
        at = match.start()
        word, after = tokens[at].lower(), tokens[at + 1].lower()
        if kinds[at + 1] in "qm":
            is_verb = tokens[at] in words.BEFORE_THAT and at > 0 and kinds[at - 1] in _NOUN
        else:
            is_verb = word == "use" and after not in _CASES and not (at and kinds[at - 1] in _SINGULAR_NOUN)
        if is_verb:
            yield at


def _commands(tokens: list[str], kinds: str) -> Iterator[int]:
    """Where prose has a command: run pip install hazel."""
    for match in _COMMAND.finditer(kinds):
        at = match.start()
        if at and tokens[at - 1].lower() in words.BEFORE_COMMANDS:
            yield at - 1
        if tokens[at + 1 : at + 2] and tokens[at + 1] in words.DOING:
            yield from (at, at + 1)


def _times(tokens: list[str], kinds: str) -> Iterator[int]:
    """Where AM or a time zone is, if the text writes it after a time."""
    after = {token for match in _TIMED.finditer(kinds) for token in tokens[match.start() + 1 : match.end()]}
    if zones := after & words.OF_TIMES:
        yield from (at for at, token in enumerate(tokens) if token in zones)


def _may_order(tokens: list[str], at: int) -> bool:
    verb = tokens[at]
    if verb.lower() not in words.ORDERS:
        return False
    return verb[0].isupper() or (
        at > 0
        and (tokens[at - 1] == "-" or "\n" in tokens[at - 1] or (tokens[at - 1] == "," and _in_orders(tokens, at)))
    )


def _in_orders(tokens: list[str], at: int) -> bool:
    """Whether the sentence around a word begins with an order: Choose the gateway, press OK."""
    start = at - 1
    while start > max(0, at - SENTENCE) and tokens[start - 1] not in _ENDS and "\n" not in tokens[start - 1]:
        start -= 1
    return tokens[start].lower() in words.ORDERS or tokens[start].lower() in words.VERBS


def _within_sentences(tokens: list[str]) -> frozenset[tuple[str, str]]:
    """The pairs of a verb of orders in small letters and the word after it."""
    return frozenset(
        (token, tokens[at + 1])
        for at, token in enumerate(tokens[:-1])
        if token in words.ORDERS and tokens[at - 1] not in _BEFORE_ORDERS
    )


def _after_to(tokens: list[str], kinds: str) -> list[int]:
    """Where a noun is a verb: to shorten the, it tightens, could scan every, to store
    rows, authors control the; to model and control complex systems."""
    marked: list[int] = []
    for match in _TO_MODEL.finditer(kinds):
        start, end = match.span()
        before = tokens[start].lower()
        if tokens[start] == "IT":  # not the pronoun
            continue
        for at in range(start + 1, end):
            if kinds[at] not in "ns":
                continue
            if before == "to" or kinds[at - 1] == "r":
                to = not (start and tokens[start - 1].lower() in words.WITH_TO)
                is_verb = kinds[at] == "n" and _has_object(tokens, kinds, at, to)
            else:
                is_verb = kinds[at] == ("s" if before in _SINGULAR else "n")
            if is_verb:
                marked.append(at)
    marked += [
        match.end() - 1
        for match in _CONTROL_THE.finditer(kinds)
        if tokens[match.end() - 1].lower() in words.VERBS_AFTER_TO
        and (kinds[match.start()] != "c" or words.is_plural(tokens[match.start()].lower()))
    ]
    return marked


def _has_object(tokens: list[str], kinds: str, at: int, to: bool) -> bool:
    """Whether what follows a word is its object. `to`: the to before it is not that of access to."""
    after = kinds[at + 1 : at + 2]
    if after in _DETERMINED:
        return True
    return to and after in _OBJECT and (after == "a" or tokens[at].lower() in words.VERBS_AFTER_TO)
