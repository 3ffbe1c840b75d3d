"""Words of Chinese and Japanese text, which has no spaces: runs between particles, and strings that recur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from engine.extraction.lists import word_lists
from engine.patterns import pattern

CJK = pattern("[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f]+")
_KATAKANA = "[\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]{2,40}"
_IDEOGRAPHS = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_IDEOGRAPH = pattern(_IDEOGRAPHS)
_CJK_WORDS = pattern(f"{_KATAKANA}|{_IDEOGRAPHS}+")
# A Japanese compound of both scripts is one term: データ構造, データベース管理システム
_MIXED = pattern(f"(?:{_KATAKANA}|{_IDEOGRAPHS}+)+")
_CLAUSE = pattern(f"{_IDEOGRAPHS}{{3}}")
LONGEST_COMPOUND = 4  # parts of a compound
_SUFFIXES, _WHILE = "化進用的性", "中時後前毎等"
_LISTS = word_lists("chinese")
GENERAL_WORDS = _LISTS["general"]
SUBJECT = 8  # from this many times on a general word is the subject of the text
# verbs, which begin a run before their object: 修改文件
_VERB = pattern("(?:" + "|".join(sorted(_LISTS["verbs"])) + ")(?=..)(?![机機器值力者性率点點方组組书書流法])")
# nouns that say little at the end of a word
_TAIL = pattern(f".{{3,}}(?=(?:{'|'.join(sorted(_LISTS['tails']))})$)")
# after a figure: 120例患者, 2018年, 30平方公里
_COUNTED = pattern(
    "年代|平方[公英]?[里尺米]|[公英海][里尺斤分]|[万萬亿億]?(?:[多余餘]?[人名元吨]|美元)|人次|小时|小時|分钟|分鐘|世纪|世紀|周年"
    "|[年月日例名个個种種次章節节位项項条條倍届屆部座架艘篇集岁歲米秒点點]"
)


def _any_of(listed: frozenset[str]) -> str:
    """One of the words, the longest that fits. Words with the same first character share a branch: there are many."""
    by_first: dict[str, list[str]] = {}
    for word in sorted(listed, key=lambda word: (-len(word), word)):
        by_first.setdefault(word[0], []).append(word[1:])
    branches = sorted(f"{first}(?:{'|'.join(rest)})" for first, rest in by_first.items())
    return f"(?=[{''.join(sorted(by_first))}])(?:{'|'.join(branches)})"


# What ends a Chinese or Japanese word: words that mean little alone, and Chinese particles, pronouns, prepositions and
# conjunctions of one character unless they are part of a content word (并 ends one, 并发 does not).
_PARTICLES = (
    f"{_any_of(_LISTS['function_words'])}(?!性)|(?P<whole>{_any_of(_LISTS['whole'])})"
    # what 了 follows is a verb: 持久内存提供了
    f"|{_IDEOGRAPHS}{{2}}了(?<![有为為到成做写寫用看说說给給取起去来來过過好除]了)"
    "|[的了是在和与及而但为从到于被把也都就这那些其之此我们你他她它么吗呢吧着给让还又很只该这這們為與從還讓於且或該則则某仍曾每]"
    "|[个個以不有对對向等几除由并並更后可会會要过過将將]|最|^中|^上|(?<![地源])利用|来(?!自)"
    f"|(?<={_IDEOGRAPHS}{{2}})中(?![文期])"
    f"|(?<={_IDEOGRAPHS}{{2}})[上下里裡內内时時](?=$|[的是有会會可所被将將进進])(?<![線網网晚早地以之同实實即及定限期历歷当當].)"
    "|(?<=[这那各几两此這幾兩])[种種]|亦|皆|(?<![冷退])却|^[如像即](?![来意素时時])"
    # 拿破仑所率领的军队, but not 研究所; 一座博物馆; 抵制英国产品外
    f"|(?<={_IDEOGRAPHS})(?<![场場究处處诊診厕廁会會务務住居易派裁判])所(?={_IDEOGRAPHS})(?![有在得属屬])"
    "|[一二两兩三四五六七八九几幾数數每首](?:[件位座只隻届屆架艘篇张張辆輛枚颗顆棵株款幅批名](?![一牌额額目])|部(?![分门門]))"
    f"|(?<={_IDEOGRAPHS}{{2}})[外前]$(?<![国國海户戶室红紅紫例意对對中涉郊院域以之目术術产產当當眼战戰生面提餐空学學].)"
)
_JAPANESE_BORDERS = pattern(_PARTICLES)
_LONGER = frozenset(word for word in _LISTS["whole"] if len(word) > 2 and word[:2] in _LISTS["breaks"])  # 研究所
_CHINESE_BORDERS = pattern(f"(?P<longer>{_any_of(_LONGER)})|{_any_of(_LISTS['breaks'])}|{_PARTICLES}")
_HIRAGANA = pattern("[\u3041-\u3096]")
# The ending of a Japanese verb or adjective, whose stem is the character before: 関連付ける has 関連. Not する, nor a
# particle.
_OKURIGANA = pattern(
    f"(?<={_IDEOGRAPHS})(?:[けきりめべれえつぬむるぐぶびげぎちじぜせらわばっう]|い(?![るたつくずて])|み(?![たな])|く(?!ださ|らい))"
)
# Text wrapped at a fixed width breaks its lines within words.
_WRAPPED = pattern(f"(?<=[^\\n]{{28}}[\u3040-\u30ff\u3400-\u9fff])[ \\t]*\\n[ \\t]*(?={_IDEOGRAPHS}|[\u3040-\u30ff])")
LONGEST_PIECE = 12  # characters
LONGEST_WHOLE = 7  # characters of a run that is a word although it occurs once
PLACES = 20  # occurrences of a piece whose edges are examined


# letters and figures that are part of the word after them: C反应蛋白, BP神经网络, 5G通信, 2型糖尿病
_LETTERS = pattern("(?<![A-Za-z0-9.-])(?:[0-9]?[A-Z]{1,3}(?=.$)|[0-9](?=型$))")


class Piece(NamedTuple):
    text: str
    times: int
    within: int  # of them, inside the longer string that recurs most
    at: int  # its first character


def joined(text: str) -> str:
    """The text with the lines of its paragraphs joined, where they hold text without spaces."""
    return _WRAPPED.sub("", text) if "\n" in text else text


class _Counts:
    """How often each string comes, and where first. `whole`: runs that are words as they are."""

    def __init__(self) -> None:
        self.times: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.whole: set[str] = set()

    def add(self, part: str, at: int) -> None:
        self.times[part] = self.times.get(part, 0) + 1
        self.first[part] = min(self.first.get(part, at), at)

    def inside(self) -> dict[str, int]:
        """For each string the count of the most frequent longer one around it."""
        inside: dict[str, int] = {}
        for part, times in self.times.items():
            if times > 1 or part in self.whole:
                for inner in (part[1:], part[:-1]):
                    inside[inner] = max(inside.get(inner, 0), times)
        return inside

    def tails(self) -> Counter[str]:
        """The last two characters of words of three: 码器 of 编码器 and 解码器."""
        tails = Counter[str]()
        for part in self.whole:
            if len(part) == 3:
                tails[part[1:]] += self.times[part]
        return tails


def pieces(text: str, most: int = 60) -> list[Piece]:
    """At most `most` words: a short run as a whole, of a longer one the strings that recur."""
    counts = _Counts()
    runs: list[tuple[str, int]] = []
    for run, at in _runs(text):
        if 2 <= len(run) <= LONGEST_WHOLE and (letters := _LETTERS.search(text, max(0, at - 4), at + 1)):
            run, at = letters[0] + run, letters.start()
            counts.whole.add(run)
            counts.add(run, at)
            continue
        foreign = "\u30a0" <= run[:1] <= "\u31ff" or run[:1] >= "\uff66"
        if foreign or 2 <= len(run) <= LONGEST_WHOLE:
            counts.whole.add(run)
            counts.add(run, at)
            if len(run) <= LONGEST_WHOLE and (stem := _TAIL.match(run)):
                counts.whole.add(stem[0])
                counts.add(stem[0], at)
        if not foreign and len(run) > 2:
            runs.append((run, at))
    _count_parts(runs, counts)
    inside, tails = counts.inside(), counts.tails()
    kept = [
        Piece(part, times, inside.get(part, 0), counts.first[part])
        for part, times in counts.times.items()
        if (times > 1 or part in counts.whole) and inside.get(part, 0) < times and tails[part] < times
    ]
    kept = _with_compounds(text, kept)
    kept.sort(key=lambda piece: (-piece.times * len(piece.text), piece.at))
    return [piece for piece in kept[: 2 * most] if not _is_cut(piece.text, text, counts.times)][:most]


def _runs(text: str) -> Iterator[tuple[str, int]]:
    """Strings between particles, without the verb that begins them, each with the place of its first character."""
    is_japanese = 20 * len(_HIRAGANA.findall(text)) > len(text)
    particles = _JAPANESE_BORDERS if is_japanese else _CHINESE_BORDERS
    for match in _CJK_WORDS.finditer(text):
        found = match[0]  # copied once: it may be the whole text
        length = len(found) - (_OKURIGANA.match(text, match.end()) is not None)
        ends = [part for part in particles.finditer(found) if part.lastgroup is None]
        borders = [0, *chain.from_iterable(part.span() for part in ends), length]
        if match.start() and text[match.start() - 1].isdigit() and (counted := _COUNTED.match(found)):
            borders[0] = min(counted.end(), borders[1])
        for begin, end in zip(borders[::2], borders[1::2], strict=True):
            if verb := _VERB.match(found, begin, end):
                begin = verb.end()
            yield found[begin:end], match.start() + begin


def _count_parts(runs: list[tuple[str, int]], counts: _Counts) -> None:
    """Count the strings of each size within the runs, as long as they recur. Chinese texts spend their time here."""
    times, first = counts.times, counts.first
    for size in range(2, LONGEST_PIECE + 1):
        # a run of up to LONGEST_WHOLE characters was counted as a whole
        runs = [(run, at) for run, at in runs if len(run) > size or len(run) == size > LONGEST_WHOLE]
        for run, at in runs:
            recurs = size == 2 or times.get(run[: size - 1], 0) > 1
            for i in range(len(run) - size + 1):
                # parts of a recurring string recur too: all but its last character, all but its first
                head, recurs = recurs, size == 2 or times.get(run[i + 1 : i + size], 0) > 1
                if head and recurs:
                    part = run[i : i + size]
                    known = times.get(part, 0)
                    times[part] = known + 1
                    if not known or at + i < first[part]:
                        first[part] = at + i


def without_general(made: list[Piece], few: int) -> list[Piece]:
    """Without general words that are not the text's subject; all, if fewer than `few` others are left."""
    kept = [piece for piece in made if piece.text not in GENERAL_WORDS or piece.times >= SUBJECT]
    return kept if len(kept) >= few else made


def _is_cut(piece: str, text: str, counts: dict[str, int]) -> bool:
    """Whether it begins or ends inside a word: 户信息 of 用户信息 and 账户信息. At such an edge the
    pairs of characters across it are more frequent than the pair inside it."""
    if len(piece) < 3 or not _IDEOGRAPH.match(piece) or not _IDEOGRAPH.match(piece[-1]):
        return False
    before, after = set[str](), set[str]()
    at = text.find(piece)
    for _ in range(PLACES):
        if at < 0:
            break
        before.add(text[at - 1] if at else "")
        after.add(text[at + len(piece) : at + len(piece) + 1])
        at = text.find(piece, at + 1)
    head, tail = counts.get(piece[:2], 0), counts.get(piece[-2:], 0)
    across_head = [counts.get(char + piece[0], 0) if _IDEOGRAPH.match(char) else 0 for char in before]
    across_tail = [counts.get(piece[-1] + char, 0) if _IDEOGRAPH.match(char) else 0 for char in after]
    return (min(across_head) > 1 and sum(across_head) > head) or (min(across_tail) > 1 and sum(across_tail) > tail)


def _with_compounds(text: str, kept: list[Piece]) -> list[Piece]:
    """Adds compounds of katakana and ideographs, and drops parts that occur only in them."""
    compounds: dict[str, Piece] = {}
    within: dict[str, int] = {}
    for match in _MIXED.finditer(text):
        if match[0][0] in _SUFFIXES or match[0][-1] in _WHILE:  # of a word in other letters; ログイン中
            continue
        if _OKURIGANA.match(text, match.end()):  # ブラウザ向け
            continue
        parts = _CJK_WORDS.findall(match[0])
        # three or more ideographs next to katakana may be a clause
        if not 2 <= len(parts) <= LONGEST_COMPOUND or any(_CLAUSE.match(part) for part in parts):
            continue
        seen = compounds.get(match[0], Piece(match[0], 0, 0, match.start()))
        compounds[match[0]] = seen._replace(times=seen.times + 1)
        for part in parts:
            within[part] = within.get(part, 0) + 1
    return [piece for piece in kept if piece.times > within.get(piece.text, 0)] + list(compounds.values())
