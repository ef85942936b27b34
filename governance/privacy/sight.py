"""A text as a person sees it, for readers that know letters, and where each of its characters stands in the original.

What cannot be seen is gone. Wide, circled and mathematical letters are plain ones, a letter and its accents are one,
and letters of another script inside a Latin word are those that they look like. What HTML, JSON or a URL writes for a
character is that character.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote

from governance.privacy.spans import Span
from governance.privacy.writing import IN_LATIN

_SIGNS = "&%\\"  # with one of which all that is encoded begins
_ENCODED = re.compile(
    r"&(?:#\d{2,7}|#[xX][0-9a-fA-F]{2,6}|[A-Za-z]{2,8});|\\u[0-9a-fA-F]{4}|(?:%[0-9a-fA-F]{2})+"
    r"|\\[nrt](?=[\s\\\"']|[A-Z][a-z])"  # in JSON; \Users\nina is a folder
)
_LINES = {r"\n": "\n", r"\r": "\r", r"\t": "\t"}
_INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_DECORATED = r"[\u2460-\u24ff\ufe50-\ufe6f\uff01-\uff5e\U0001d400-\U0001d7ff]"
_ADORNED = re.compile(rf"(?P<nothing>[{_INVISIBLE}])|[^\W\d_](?P<marks>[\u0300-\u036f]+)|{_DECORATED}")
_OTHER = re.compile(f"[{''.join(map(chr, IN_LATIN))}]")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z]")
DECIDING = [_ENCODED.pattern, _ADORNED.pattern, sorted(IN_LATIN.items())]  # for the digest of a detector


class Replaced(NamedTuple):
    """What stands from `start` to `end` in a text that is seen, and where in the original."""

    start: int
    end: int
    written_start: int
    written_end: int


class Seen(NamedTuple):
    """`text`, and what of the original is written otherwise: once decoded, once without adornment."""

    text: str
    decoded: Sequence[Replaced] = ()
    plain: Sequence[Replaced] = ()

    def on_original(self, spans: Sequence[Span]) -> list[Span]:
        """Spans in order, where they stand in the original, around the whole of what is written otherwise."""
        return _before(_before(spans, self.plain), self.decoded)


def seen(text: str) -> Seen:
    """The text as a person sees it."""
    decoded, plain = list[Replaced](), list[Replaced]()
    if any(sign in text for sign in _SIGNS):
        text, decoded = _replaced(text, _ENCODED, _decoded)
    if not text.isascii():
        text, plain = _replaced(text, _ADORNED, _plain)
    return Seen(_in_one_script(text), decoded, plain)


def _replaced(text: str, pattern: re.Pattern[str], shown: Callable[[re.Match[str]], str]) -> tuple[str, list[Replaced]]:
    parts, pieces = list[str](), list[Replaced]()
    start = end = 0
    for match in pattern.finditer(text):
        piece = shown(match)
        parts += (text[end : match.start()], piece)
        start += match.start() - end
        pieces.append(Replaced(start, start + len(piece), *match.span()))
        start, end = start + len(piece), match.end()
    return "".join([*parts, text[end:]]), pieces


def _before(spans: Sequence[Span], pieces: Sequence[Replaced]) -> list[Span]:
    """The spans where they stood before the pieces were replaced."""
    found, end = list[Span](), 0
    for span in spans:
        start, end = max(end, _start(span.start, pieces)), max(end, _end(span.end, pieces))
        if start < end:  # else one before it has the piece that both are in
            found.append(replace(span, start=start, end=end))
    return found


def _start(at: int, pieces: Sequence[Replaced]) -> int:
    """Of the character at `at`: what cannot be seen before it is not its own."""
    number = bisect_right(pieces, at, key=lambda piece: piece.start) - 1
    if number < 0:
        return at
    piece = pieces[number]
    return piece.written_start if at < piece.end else piece.written_end + at - piece.end


def _end(at: int, pieces: Sequence[Replaced]) -> int:
    """Behind the character before `at`."""
    number = bisect_left(pieces, at, key=lambda piece: piece.start) - 1
    if number < 0:
        return at
    piece = pieces[number]
    return piece.written_end if at <= piece.end else piece.written_end + at - piece.end


def _decoded(match: re.Match[str]) -> str:
    """What is encoded; the piece itself where it stands for nothing."""
    written = match[0]
    if written[0] == "&":
        return unescape(written)
    if written[0] == "%":
        return _of_url(written)
    shown = _LINES.get(written) or chr(int(written[2:], 16))
    return written if "\ud800" <= shown <= "\udfff" else shown


def _plain(match: re.Match[str]) -> str:
    if match["nothing"]:
        return ""
    return unicodedata.normalize("NFC", match[0])[0] if match["marks"] else unicodedata.normalize("NFKC", match[0])


def _of_url(written: str) -> str:
    try:
        shown = unquote(written, errors="strict")
    except UnicodeDecodeError:
        return written
    return shown if shown.isprintable() and " " not in shown else written  # a space would end the URL


def _in_one_script(text: str) -> str:
    if text.isascii() or not _OTHER.search(text):
        return text
    return _WORD.sub(lambda word: word[0].translate(IN_LATIN) if _LATIN.search(word[0]) else word[0], text)
