"""Everybody whom a delivery's identifier columns name, found in anybody's text: a note that speaks of another patient.

A row's own identifiers are known.py's work. Here the words of all names and all other identifiers are one set each, and
a text's words are looked up in it: whole, inflected, cased, a surname alone, with an initial before or behind it.
Dates are left out: every date is somebody's birthday.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from governance.privacy.forms import Forms
from governance.privacy.known import known_identifier, name_words
from governance.privacy.names import ORDINARY, TITLES
from governance.privacy.spans import Span
from governance.privacy.writing import UNSPACED, compact, names_a_thing, spaced, stems, windows, without_escapes

SHORTEST_NAME, SHORTEST_NUMBER = 3, 6  # letters and digits; what is shorter is found in its own row alone
JOINED = 5  # words that one identifier may be written in: +1 212 555 0142
EVERYDAY_ROWS, EVERYDAY_SHARE = 3, 0.001  # a name that this many rows of others write in lower case is a word here
EVERYDAY_BATCH = 1000
SCORE = 0.6
GROUP = 1 << 18  # characters that are searched together

# A word, with the accents and invisible characters that may stand inside it. One of a script without spaces ends where
# its letters end, as in 王小明10.20.30.40.
_WORD = re.compile(
    rf"(?:[{UNSPACED}]+|(?:(?![{UNSPACED}])[^\W_])+)"
    rf"(?:[\u0300-\u036f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+[^\W_]*)*"
)
_INITIAL_BEFORE = re.compile(r"(?<![^\W_])(?:[^\W\d_]\.|[A-Z])\s?$")
_INITIAL_BEHIND = re.compile(r"\s[A-Z](?:\.|(?![\w'’]))")
_BETWEEN_NAMES = re.compile(r"[\s'’`-]{1,2}")
_FIGURE = re.compile(r"\d")
_NEAR = 3  # characters between two words that belong together

Identifier = tuple[str, Hashable]  # column, value


@dataclass(frozen=True)
class Everybody:
    """Words of names; other identifiers by entity; names that are ordinary words in this delivery."""

    names: Forms
    numbers: dict[str, Forms]
    everyday: frozenset[str] = frozenset()

    @property
    def ordinary(self) -> frozenset[str]:
        return ORDINARY | self.everyday

    def save(self, folder: Path) -> None:
        """Write the sets, one file each, for `opened` in other processes."""
        folder.mkdir(exist_ok=True)
        for entity, forms in {"PERSON": self.names, **self.numbers}.items():
            forms.save(folder / f"{entity}.npy")

    @classmethod
    def opened(cls, folder: Path, key: bytes, everyday: frozenset[str]) -> "Everybody":
        sets = {file.stem: Forms.open(key, file) for file in sorted(folder.glob("*.npy"))}
        return cls(sets.pop("PERSON"), sets, everyday)


def gather(identifiers: Iterable[Identifier], key: bytes) -> Everybody:
    """Everybody whom these values of identifier columns name."""
    everybody = Everybody(Forms(key), {})
    for column, value in identifiers:
        known = known_identifier(column, value)
        if known and known.entity == "PERSON":
            everybody.names.add(_name_forms(known.value))
        elif known and known.entity != "BIRTHDATE":
            forms = everybody.numbers.setdefault(known.entity, Forms(key))
            forms.add(form for form in known.forms if len(form) >= SHORTEST_NUMBER and not form.isalpha())
    return everybody


def _name_forms(name: str) -> Iterator[str]:
    words = name_words(name)
    yield from (word for word in words if len(word) >= SHORTEST_NAME or not spaced(word[0]))
    parts = [compact(part) for part in re.split(r"[\s,]+", name) if compact(part) and compact(part) not in TITLES]
    if len(parts) > 1 and len(parts[-1]) > SHORTEST_NAME:  # AnaRuiz, RuizAna, aruiz, ruiza: as logins have them
        first, last = parts[0], parts[-1]
        yield from ("".join(parts), first + last, last + first, first[0] + last, last + first[0])


def everyday_words(names: Forms, rows: Iterable[tuple[str, set[str]]]) -> frozenset[str]:
    """Names that are words in this delivery, as `sharp` and `weeks` are in a hospital's.

    `rows`: a text and the forms of its own row's names, which do not count there.
    """
    written: Counter[str] = Counter()
    count, rest = 0, iter(rows)
    while some := list(islice(rest, EVERYDAY_BATCH)):
        count += len(some)
        words = [{word for word in _WORD.findall(text) if word.islower()} for text, _ in some]
        named = _named({word: compact(word) for word in set().union(*words)}, names)
        for found, (_, own) in zip(words, some, strict=True):
            written.update({named[word] for word in found & named.keys()} - own)
    enough = max(EVERYDAY_ROWS, count * EVERYDAY_SHARE)
    return frozenset(word for word, rows_with in written.items() if rows_with >= enough)


def mentions(texts: Sequence[str], everybody: Everybody) -> list[list[Span]]:
    """Where each text names somebody of the delivery. Spans may overlap."""
    found: list[list[Span]] = [[] for _ in texts]
    for group in _groups(texts):
        words = [list(_WORD.finditer(piece)) for _, _, piece in group]
        plain = {word: compact(word) for word in {match[0] for matches in words for match in matches}}
        named = _named(plain, everybody.names)
        joined = [list(_joined(piece, matches, plain)) for (_, _, piece), matches in zip(group, words, strict=True)]
        numbers = _members({form for forms in joined for _, _, form in forms}, everybody)
        for (index, at, piece), matches, forms in zip(group, words, joined, strict=True):
            for start, end, of in _names(piece, matches, named, everybody.ordinary):
                found[index].append(Span(at + start, at + end, "PERSON", SCORE, "mention", of))
            for start, end, form in forms:
                if form in numbers:
                    found[index].append(Span(at + start, at + end, numbers[form], SCORE, "mention"))
    return found


def _groups(texts: Sequence[str]) -> Iterator[list[tuple[int, int, str]]]:
    """Index, offset and text of every piece, a bounded number of characters at a time."""
    group: list[tuple[int, int, str]] = []
    room = GROUP
    for index, text in enumerate(texts):
        for at, piece in windows(without_escapes(text)):
            group.append((index, at, piece))
            room -= len(piece)
            if room <= 0:
                yield group
                group, room = [], GROUP
    yield group


def _named(words: Mapping[str, str], names: Forms) -> dict[str, str]:
    """Words as written, given their plain forms, and the form of a name that each is, or is inflected from."""
    possible = {word: list(stems(plain)) for word, plain in words.items()}
    members = names.members(form for forms in possible.values() for form in forms)
    return {word: form for word, forms in possible.items() for form in forms[::-1] if form in members}


def _names(
    text: str, words: list[re.Match[str]], named: Mapping[str, str], ordinary: frozenset[str]
) -> Iterator[tuple[int, int, str]]:
    """Runs of words that are names, with the initials beside them, and the name without its inflection."""
    run: list[re.Match[str]] = []
    for i, match in enumerate(words):
        if match[0] not in named or names_a_thing(text, match.end()):
            continue
        if named[match[0]] in ordinary and not _among_names(text, words, i, named):
            continue
        if run and not _BETWEEN_NAMES.fullmatch(text, run[-1].end(), match.start()):
            yield _run(text, run, named)
            run = []
        run.append(match)
    if run:
        yield _run(text, run, named)


def _run(text: str, run: list[re.Match[str]], named: Mapping[str, str]) -> tuple[int, int, str]:
    start, end, last = run[0].start(), run[-1].end(), run[-1][0]
    inflected = len(compact(last)) - len(named[last])
    of = text[start : end - inflected] if inflected else ""
    if before := _INITIAL_BEFORE.search(text, max(0, start - 3), start):
        return before.start(), end, of or text[start:end]
    behind = _INITIAL_BEHIND.match(text, end)
    return start, behind.end() if behind else end, of or text[start:end]


def _among_names(text: str, words: list[re.Match[str]], i: int, named: Mapping[str, str]) -> bool:
    """Whether an ordinary word stands as a name: with a capital, and beside another name or a title."""
    if not words[i][0][0].isupper():
        return False
    before, behind = words[i - 1 : i] if i else [], words[i + 1 : i + 2]
    if any(compact(word[0]) in TITLES and words[i].start() - word.end() < _NEAR for word in before):
        return True
    gaps = [(words[i].start() - w.end(), w[0]) for w in before] + [(w.start() - words[i].end(), w[0]) for w in behind]
    return any(gap < _NEAR and word in named and word[0].isupper() for gap, word in gaps)


def _joined(text: str, words: Sequence[re.Match[str]], plain: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Every run of a few words that may be one number or address, and parts of words that have no spaces between."""
    figures = [_FIGURE.search(match[0]) is not None for match in words]
    for i, first in enumerate(words):
        if not spaced(first[0][0]):
            yield from _parts(first)
        # A number's first word may be letters: MRN 0012345, ana@example.com.
        if figures[i] or any(figures[i + 1 : i + 2]) or text[first.end() : first.end() + 1] == "@":
            yield from _runs(text, words[i : i + JOINED], plain)


def _runs(text: str, words: Sequence[re.Match[str]], plain: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """The first word with one more of the others each time, as long as they are near."""
    form, end, number = "", words[0].start(), False
    for match in words:
        between = text[end : match.start()]
        if len(between) >= _NEAR:
            break
        form, end = form + plain[match[0]], match.end()
        number = number or "@" in between or _FIGURE.search(match[0]) is not None
        if number and len(form) >= SHORTEST_NUMBER:
            yield words[0].start(), end, form


def _parts(word: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    for length in range(2, 5):
        for at in range(len(word[0]) - length + 1):
            yield word.start() + at, word.start() + at + length, compact(word[0][at : at + length])


def _members(forms: set[str], everybody: Everybody) -> dict[str, str]:
    """Which forms are identifiers, and of which entity."""
    sets = {"PERSON": everybody.names, **everybody.numbers}
    return {form: entity for entity, known in sets.items() for form in known.members(forms)}
