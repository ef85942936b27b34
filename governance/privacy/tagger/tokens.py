"""Text to tokens: words, runs of digits, single signs; and what of a word's writing the network is told."""

import re
import zlib
from bisect import bisect
from typing import NamedTuple

# What a token can be part of. O is nobody's.
CLASSES = (
    *("O", "PERSON", "LOCATION", "ADDRESS", "ORGANIZATION", "NRP", "AGE", "DATE"),
    *("ID", "PHONE", "EMAIL", "URL", "IP"),
)  # fmt: skip
BUCKETS = 8192  # of hashed beginnings and ends
SHAPES = 82
GAPS = 4  # before a token: nothing, a space, a line's end, a paragraph's

_TOKEN = re.compile(r"(?P<blank>([^\w\s]|_)\2{3,})|[^\W\d_]+(?:['’](?![sS]\b)[^\W\d_]+)*|\d+|[^\w\s]|_")
DECIDING = _TOKEN.pattern  # for the digest of a detector


class Tokens(NamedTuple):
    """`spans`: (start, end) of each token. `gaps`: what stands before it, below GAPS."""

    spans: list[tuple[int, int]]
    gaps: list[int]


def tokenize(text: str) -> Tokens:
    """A sign over and over, as the blanks and rules of a form, is no token but a gap."""
    spans = [match.span() for match in _TOKEN.finditer(text) if not match["blank"]]
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
    """Below SHAPES: of figures their number, of letters their case, their number and whether any is accented."""
    if word[:1].isdecimal():
        return min(len(word), 20)
    if not word[:1].isalpha():
        return 21
    cases = (word.islower(), word.istitle(), word.isupper(), word[0].isupper(), True)
    length = bisect((1, 2, 3, 5, 8), len(word) - 1)
    return 22 + cases.index(True) * 6 + length + (0 if word.isascii() else 30)
