"""Labelled examples without end: templates filled, put together as documents, and spoiled as real ones are.

Everything is drawn from one seed, so the same seed always gives the same examples.
"""

import random
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from assets.detection.examples.fill import Filler
from governance.privacy.examples import Example, Labelled
from governance.privacy.labels import entity_of

Piece = tuple[str, str | None]

_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_SLOT = re.compile(r"\{([a-zA-Z]+)\}")
_SEPARATORS = {"space": " ", "newline": "\n"}


@dataclass(frozen=True)
class Kind:
    """A kind of document: `fewest` to `most` of its lines, for one use only: `train`, `develop` or `held`."""

    name: str
    fewest: int
    most: int
    separator: str
    use: str
    lines: tuple[str, ...]


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind of templates.txt."""
    text = (Path(__file__).parent / "templates.txt").read_text(encoding="utf-8")
    return tuple(_kind(section) for section in text.split("\n## ")[1:])


def _kind(section: str) -> Kind:
    head, *lines = section.splitlines()
    name, numbers, separator, *other = head.split()
    fewest, most = map(int, numbers.split("-"))
    use = other[0] if other else "train"
    return Kind(name, fewest, most, _SEPARATORS[separator], use, tuple(line for line in lines if line))


def generate(documents: int, seed: int, use: str = "train") -> Iterator[Example]:
    """So many examples of the kinds for this use. Their source is the kind's name."""
    rng = random.Random(f"{seed} {use}")
    offered = [kind for kind in kinds() if kind.use == use]
    weights = [len(kind.lines) + 15 for kind in offered]
    for number in range(documents):
        kind = rng.choices(offered, weights)[0]
        yield _example(f"{kind.name}-{number}", kind.name, _spoiled(_document(kind, rng), rng))


def varied(examples: Iterable[Example], seed: int) -> Iterator[Example]:
    """The examples with other people, places and organisations in the place of some of theirs."""
    rng = random.Random(seed)
    for example in examples:
        filler, at = Filler(rng), 0
        pieces: list[Piece] = []
        for span in sorted(example.spans, key=lambda s: s.start):
            if span.start >= at:
                written = example.text[span.start : span.end]
                pieces += [(example.text[at : span.start], None), (_another(written, span.label, filler), span.label)]
                at = span.end
        yield _example(example.id, example.source, [*pieces, (example.text[at:], None)])


def _another(written: str, label: str, filler: Filler) -> str:
    slots = {"PERSON": "full" if " " in written else "first", "LOCATION": "place", "ORGANIZATION": "org"}
    slot = slots.get(entity_of(label) or "")
    if slot is None or filler.rng.random() < 0.5 or not written[0].isalpha():
        return written
    text, _ = filler.fill(slot)
    return text.lower() if written.islower() else text.upper() if written.isupper() else text


def manual(pages: int, seed: int) -> Iterator[Example]:
    """Real English with nobody in it: passages of the manual that comes with Python."""
    from pydoc_data.topics import topics

    rng = random.Random(seed)
    passages = [p for name in sorted(topics) for p in re.split(r"\n\s*\n", topics[name]) if len(p) > 60]
    for number in range(pages):
        text = rng.choice(passages)
        text = re.sub(r"\s+", " ", text) if rng.random() < 0.7 else text
        yield Example(f"manual-{number}", "manual", text[:1500], ())


def _document(kind: Kind, rng: random.Random) -> list[Piece]:
    filler = Filler(rng)
    pieces: list[Piece] = []
    for number in range(rng.randint(kind.fewest, kind.most)):
        pieces += [(kind.separator, None)] if number else []
        pieces += _filled(rng.choice(kind.lines), filler)
    return pieces


def _filled(template: str, filler: Filler) -> Iterator[Piece]:
    while match := _CHOICE.search(template):
        chosen = filler.rng.choice(match[1].split("|"))
        template = template[: match.start()] + chosen + template[match.end() :]
    at = 0
    for match in _SLOT.finditer(template.replace("\\n", "\n").replace("\\t", "\t")):
        yield match.string[at : match.start()], None
        yield filler.fill(match[1])
        at = match.end()
    yield template.replace("\\n", "\n").replace("\\t", "\t")[at:], None


def _spoiled(pieces: list[Piece], rng: random.Random) -> list[Piece]:
    """The document as it may have been typed, scanned or wrapped; most are left as they are."""
    chance = rng.random()
    if chance < 0.12:
        pieces = [(text.lower(), label) for text, label in pieces]
    elif chance < 0.16:
        pieces = [(text.upper(), label) for text, label in pieces]
    elif chance < 0.19:
        pieces = [(text.title() if label is None else text, label) for text, label in pieces]
    if rng.random() < 0.25:
        pieces = [(_plain(text), label) for text, label in pieces]
    if rng.random() < 0.06:
        pieces = [(_mistyped(text, rng), label) for text, label in pieces]
    if rng.random() < 0.03:
        pieces = [(_scanned(text, rng), label) for text, label in pieces]
    if rng.random() < 0.05:
        pieces = [(re.sub(r"[.,;!?]+(?=\s|$)", "", text) if label is None else text, label) for text, label in pieces]
    if rng.random() < 0.04:
        pieces = [(_wrapped(text, rng), label) for text, label in pieces]
    return pieces


def _plain(text: str) -> str:
    """Without accents, as many keyboards give it."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _mistyped(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text)) if text else 0
    if len(text) < 4 or rng.random() < 0.5 or not text[at].isalpha():
        return text
    swapped = text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]
    return rng.choice([swapped, text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]])


def _scanned(text: str, rng: random.Random) -> str:
    """As a scanner misreads it."""
    seen = {"l": "1", "O": "0", "I": "l", "S": "5", "rn": "m", "m": "rn", "B": "8", "e": "c"}
    return re.sub("|".join(seen), lambda m: seen[m[0]] if rng.random() < 0.06 else m[0], text)


def _wrapped(text: str, rng: random.Random) -> str:
    """Broken over lines in the middle of names and numbers."""
    return re.sub(
        r"[ -]", lambda m: rng.choice(["\n", "-\n" if m[0] == "-" else "\n  "]) if rng.random() < 0.15 else m[0], text
    )


def _example(name: str, source: str, pieces: list[Piece]) -> Example:
    spans, at = [], 0
    for text, label in pieces:
        bare = text.strip()
        if label and bare:
            start = at + text.index(bare)
            spans.append(Labelled(start, start + len(bare), label))
        at += len(text)
    return Example(name, source, "".join(text for text, _ in pieces), tuple(spans))
