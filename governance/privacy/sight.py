"""A text as a person sees it, for readers that know letters, and where each of its characters stands in the original.

What cannot be seen is gone. Wide, circled and mathematical letters are plain ones, a letter and its accents are one,
and letters of another script inside a Latin word are those that they look like. What HTML, JSON or a URL writes for a
character is that character.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote

from governance.privacy.spans import Span
from governance.privacy.writing import IN_LATIN

_INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_ENCODED = r"&(?:#\d{2,7}|#[xX][0-9a-fA-F]{2,6}|[A-Za-z]{2,8});|\\u[0-9a-fA-F]{4}|(?:%[0-9a-fA-F]{2})+"
_ENDED_LINE = r"\\[nrt](?=[\s\\\"']|[A-Z][a-z])"  # in JSON; \Users\nina is a folder
_DECORATED = r"[\u2460-\u24ff\ufe50-\ufe6f\uff01-\uff5e\U0001d400-\U0001d7ff]"
_MARKED = r"[^\W\d_][\u0300-\u036f]+"
_WRITTEN = re.compile(rf"[{_INVISIBLE}]|{_MARKED}|{_DECORATED}|{_ENDED_LINE}|{_ENCODED}")
_IN_ASCII = re.compile(rf"{_ENDED_LINE}|{_ENCODED}")
_SIGNS = "&%\\"  # with one of which all of these begin
_LINES = {r"\n": "\n", r"\r": "\r", r"\t": "\t"}
_OTHER = re.compile(f"[{''.join(map(chr, IN_LATIN))}]")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z]")
DECIDING = [_WRITTEN.pattern, _OTHER.pattern]  # for the digest of a detector


class Piece(NamedTuple):
    """What stands from `start` to `end` in a text that is seen, and where in the original."""

    start: int
    end: int
    written_start: int
    written_end: int


class Seen(NamedTuple):
    """`text`, and of the original the pieces that are written otherwise."""

    text: str
    pieces: Sequence[Piece] = ()

    def on_original(self, spans: Sequence[Span]) -> list[Span]:
        """Spans in order, where they stand in the original, around the whole of what is written otherwise."""
        found, end = list[Span](), 0
        for span in spans:
            start, end = max(end, self._start(span.start)), max(end, self._end(span.end))
            if start < end:  # else one before it has the piece that both are in
                found.append(replace(span, start=start, end=end))
        return found

    def _start(self, at: int) -> int:
        """Of the character at `at`: what cannot be seen before it is not its own."""
        number = bisect_right(self.pieces, at, key=lambda piece: piece.start) - 1
        if number < 0:
            return at
        piece = self.pieces[number]
        return piece.written_start if at < piece.end else piece.written_end + at - piece.end

    def _end(self, at: int) -> int:
        """Behind the character before `at`."""
        number = bisect_left(self.pieces, at, key=lambda piece: piece.start) - 1
        if number < 0:
            return at
        piece = self.pieces[number]
        return piece.written_end if at <= piece.end else piece.written_end + at - piece.end


def seen(text: str) -> Seen:
    """The text as a person sees it."""
    if text.isascii() and not any(sign in text for sign in _SIGNS):
        return Seen(text)
    pattern = _IN_ASCII if text.isascii() else _WRITTEN
    parts, pieces = list[str](), list[Piece]()
    start = end = 0
    for match in pattern.finditer(text):
        parts += (text[end : match.start()], shown := _shown(match[0]))
        start += match.start() - end
        pieces.append(Piece(start, start + len(shown), *match.span()))
        start, end = start + len(shown), match.end()
    return Seen(_in_one_script("".join([*parts, text[end:]])), pieces)


def _shown(written: str) -> str:
    """What a person sees of a piece; the piece itself where it stands for nothing."""
    if written[0] == "&":
        return unescape(written)
    if written[0] == "%":
        return _of_url(written)
    if written[0] == "\\":
        shown = _LINES.get(written) or chr(int(written[2:], 16))
        return written if "\ud800" <= shown <= "\udfff" else shown
    if len(written) > 1:
        return unicodedata.normalize("NFC", written)[0]
    return "" if re.match(f"[{_INVISIBLE}]", written) else unicodedata.normalize("NFKC", written)


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
