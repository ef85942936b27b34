"""Text to tokens: words, runs of digits, single signs; and what of a word's writing the network is told."""

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

# What a token can be part of. O is nobody's.
CLASSES = (
    *("O", "PERSON", "LOCATION", "ADDRESS", "ORGANIZATION", "NRP", "AGE", "DATE"),
    *("ID", "PHONE", "EMAIL", "URL", "IP"),
)  # fmt: skip
BUCKETS = 8192  # of hashed beginnings and ends
SHAPES = 64
GAPS = 4  # before a token: nothing, a space, a line's end, a paragraph's

_TOKEN = re.compile(r"[^\W\d_]+(?:['’](?![sS]\b)[^\W\d_]+)*|\d+|[^\w\s]|_")


class Tokens(NamedTuple):
    """`spans`: (start, end) of each token. `gaps`: what stands before it, below GAPS."""

    spans: list[tuple[int, int]]
    gaps: list[int]


def tokenize(text: str) -> Tokens:
    spans = [match.span() for match in _TOKEN.finditer(text)]
    gaps, end = [], -1
    for start, stop in spans:
        gaps.append(0 if start == end else _gap(text[max(end, 0) : start]) if end >= 0 else 3)
        end = stop
    return Tokens(spans, gaps)


def _gap(between: str) -> int:
    lines = between.count("\n")
    return min(lines, 2) + 1


def known_as(word: str) -> str:
    """The form under which a word is looked up: of figures only how many they are, and what makes a year or an age."""
    if not word[:1].isdecimal():
        return word[:40]
    if len(word) <= 2:
        return word
    return word[:2] + "00" if len(word) == 4 else "0" * min(len(word), 20)


def writing(word: str) -> tuple[int, int, int, int]:
    """Hashed first and last letters, the last two, and the shape: case, kind and length."""
    low = word.lower()
    return _bucket("<" + low[:3]), _bucket(low[-3:] + ">"), _bucket(low[-2:] + "}"), _shape(word)


def _bucket(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % BUCKETS


def _shape(word: str) -> int:
    if word[:1].isdecimal():
        return min(len(word), 20)
    if not word[:1].isalpha():
        return 21
    case = (
        0 if word.islower() else 1 if word.istitle() else 2 if word.isupper() else 3 if word[0].isupper() else 4
    )  # fmt: skip
    length = min(len(word), 3) if len(word) < 4 else 4 if len(word) < 6 else 5 if len(word) < 9 else 6
    return 22 + case * 7 + length - 1 + (0 if word.isascii() else 0)


def words_of(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]
