"""The independent second pass: does a scrubbed text still name someone?

It shares no pattern, no model and no search with the detector, so that a fault there is not repeated here. It knows
only direct identifiers: what has a written form, what the record itself declared, and what any record declared.
"""

import datetime
import ipaddress
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from governance.privacy.forms import Forms
from governance.privacy.names import ORDINARY, TITLES
from governance.privacy.writing import names_a_thing, without_escapes

FEWEST_OF_NUMBER = 6  # letters and digits of a number that is looked for in the texts of others


@dataclass(frozen=True)
class Residue:
    """A direct identifier left in text number `index`, at `start:end` of the text as it was given. Never the text."""

    index: int
    entity: str
    start: int
    end: int


_SURROGATE = re.compile(r"\[[A-Z]{2,12}(?: (?:[0-9A-F]{6}|\d{3}|\d{4}s?|<\d{4}|~[\w-]{38,}))?\]")
_IN_EMAIL = r"[^\s@<>\[\]()\"',;:]"
_EMAIL = re.compile(rf"(?<!{_IN_EMAIL}){_IN_EMAIL}+@{_IN_EMAIL}+\.[^\W\d_]{{2,24}}")
_NUMBER = re.compile(r"(?<![\w.,])[+(]{0,2}\d(?:[ ().\-]{0,2}\d){6,24}(?![\w]|[.,]\d)")
_ADDRESS_TOKEN = re.compile(r"(?<![\w.:])[0-9A-Fa-f:.]{3,45}(?![\w:])")
_RECORD = re.compile(r"\b(?:MRN|[Mm]edical [Rr]ecord(?: [Nn]o\.?| [Nn]umber)?)\W{0,3}[A-Z]{0,4}-?\d{4,}")
_BIRTH = re.compile(r"\b(?:DOB|dob|[Dd]ate of [Bb]irth|[Bb]orn(?: on)?)\W{0,3}\d{1,4}[./-]\d{1,2}[./-]\d{1,4}")
_STREET = re.compile(
    r"(?<![\w.])\d{1,5} (?:[A-Z][a-z]+ ){1,3}(?:Street|Avenue|Road|Lane|Drive|Boulevard|Court|St|Ave|Rd|Ln|Blvd)\b"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d\d(?: ?[A-Z0-9]){11,30}\b")
_DAY = re.compile(r"(?<!\d)(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})(?!\d)")
_WORD = re.compile(r"[^\W_]+")


def find_residue(texts: Sequence[str], known: Sequence[Collection[object]]) -> list[Residue]:
    """Direct identifiers in each text: by pattern, and those in `known`, the identifiers that its record declared.

    `known` has one collection a text: names, numbers, e-mails as strings, dates as dates or ISO strings.
    Our own surrogates are not identifiers. Raises ValueError when the lengths differ.
    """
    found = []
    for index, (text, identifiers) in enumerate(zip(texts, known, strict=True)):
        bare = without_surrogates(text)
        hits = {*_by_pattern(bare), *_declared(bare, identifiers)}
        found += [Residue(index, entity, start, end) for entity, start, end in sorted(hits, key=lambda h: h[1:])]
    return found


def without_surrogates(text: str) -> str:
    """`text` with our tokens blotted out: offsets stay, nothing matches across one."""
    return _SURROGATE.sub(lambda m: "\0" * len(m[0]), text)


def repeats(part: str, text: str) -> bool:
    """Whether the letters and digits of `part` are also in `text`, in one run."""
    bare, whole = ("".join(_plain(match[0]) for match in _WORD.finditer(t)) for t in (part, text))
    return bare in whole


def declared_words(identifier: object) -> list[str]:
    """The words that stand for a declared identifier in anybody's text: each of a name, all of a number as one."""
    if identifier is None or _as_date(identifier):
        return []
    words = [_plain(match[0]) for match in _WORD.finditer(str(identifier))]
    if any(c.isdecimal() for c in str(identifier)) or "@" in str(identifier):
        figures = "".join(c for word in words for c in word if c.isdecimal())
        return [form for form in ("".join(words), figures) if len(form) >= FEWEST_OF_NUMBER]
    return [word for word in words if len(word) > 2 and word not in TITLES]


def find_declared(texts: Sequence[str], declared: Forms, everyday: Collection[str]) -> list[Residue]:
    """Every place where a text names somebody whom any record declared; `everyday` words name nobody."""
    found = []
    for index, text in enumerate(texts):
        runs = list(_runs(without_escapes(without_surrogates(text))))
        known = declared.members(form for _, _, _, forms in runs for form in forms)
        for entity, start, end, forms in runs:
            if hit := known.intersection(forms):
                if entity == "NAME" and (hit & ORDINARY or hit.intersection(everyday) or names_a_thing(text, end)):
                    continue
                found.append(Residue(index, entity, start, end))
    return found


def _runs(text: str) -> Iterator[tuple[str, int, int, tuple[str, ...]]]:
    """Each word, with what it may be the plural of, and each run of words with figures in it, as one."""
    words = [(_plain(match[0]), *match.span()) for match in _WORD.finditer(text)]
    for i, (word, start, end) in enumerate(words):
        if len(word) > 2 and not any(map(str.isdecimal, word)):
            yield (
                "NAME",
                start,
                end,
                (word, *(word[: -len(s)] for s in ("s", "es") if word.endswith(s) and len(word) > 5)),
            )
        joined, stop = "", start
        for j, (following, from_, to) in enumerate(words[i : i + 5]):
            if from_ - stop > 2:
                break
            joined, stop = joined + following, to
            figures = any(map(str.isdecimal, joined))
            if figures and len(joined) >= FEWEST_OF_NUMBER:
                yield "IDENTIFIER", start, stop, (joined,)
            if not figures and j == 1:
                break


Hit = tuple[str, int, int]


def _by_pattern(text: str) -> Iterator[Hit]:
    for entity, pattern in (
        ("EMAIL", _EMAIL), ("MRN", _RECORD), ("BIRTHDATE", _BIRTH), ("ADDRESS", _STREET)
    ):  # fmt: skip
        for match in pattern.finditer(text):
            yield entity, *match.span()
    for match in _NUMBER.finditer(text):
        if kind := _kind_of_number(match[0]):
            yield kind, *match.span()
    for match in _ADDRESS_TOKEN.finditer(text):
        if _is_ip(match[0].strip(".")):
            yield "IP", *match.span()
    for match in _IBAN.finditer(text):
        if _iban_holds(match[0]):
            yield "IBAN", *match.span()


def _kind_of_number(written: str) -> str | None:
    digits = re.sub(r"\D", "", written)
    groups = [len(group) for group in re.findall(r"\d+", written)]
    if 13 <= len(digits) <= 19 and (len(groups) == 1 or groups[:3] == [4, 4, 4]):
        return "CARD"
    if groups == [3, 2, 4]:
        return "SSN"
    international = written.lstrip("(").startswith("+") and 8 <= len(digits) <= 15
    american = groups in ([3, 3, 4], [1, 3, 3, 4])
    return "PHONE" if international or american or (groups == [len(digits)] and 9 <= len(digits) <= 12) else None


def _is_ip(token: str) -> bool:
    try:
        ipaddress.ip_address(token)
    except ValueError:
        return False
    return any(c.isdecimal() for c in token)


def _iban_holds(written: str) -> bool:
    iban = written.replace(" ", "")
    number = "".join(str(ord(c) - 55) if c.isalpha() else c for c in iban[4:] + iban[:4])
    return 15 <= len(iban) <= 34 and int(number) % 97 == 1


def _declared(text: str, identifiers: Collection[object]) -> Iterator[Hit]:
    words = [(_plain(match[0]), *match.span()) for match in _WORD.finditer(text)]
    for identifier in identifiers:
        date = _as_date(identifier)
        if date:
            yield from _same_day(text, date)
        elif identifier is not None:
            yield from _same_words(text, words, str(identifier))


def _same_words(text: str, words: list[Hit], identifier: str) -> Iterator[Hit]:
    """The identifier's words in order, whatever stands between them; of a name, also each word alone."""
    wanted = [_plain(match[0]) for match in _WORD.finditer(identifier)]
    if sum(map(len, wanted)) < 4:
        return
    entity = "NAME" if not any(c.isdecimal() for c in identifier) and "@" not in identifier else "IDENTIFIER"
    for i in range(len(words) - len(wanted) + 1):
        if [word for word, _, _ in words[i : i + len(wanted)]] == wanted:
            yield entity, words[i][1], words[i + len(wanted) - 1][2]
    if entity == "NAME":
        alone = {word for word in wanted if len(word) > 2 and word not in TITLES}
        for word, start, end in words:
            if word in alone and not (word in ORDINARY and text[start:end].islower()):
                yield entity, start, end


def _plain(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(c))


def _as_date(identifier: object) -> datetime.date | None:
    if isinstance(identifier, datetime.date):
        return identifier
    try:
        return datetime.date.fromisoformat(str(identifier)[:10]) if "-" in str(identifier) else None
    except ValueError:
        return None


def _same_day(text: str, date: datetime.date) -> Iterator[Hit]:
    years = {date.year, date.year % 100}
    for match in _DAY.finditer(text):
        first, second, third = map(int, match.groups())
        if (first in years and (second, third) == (date.month, date.day)) or (
            third in years and (first, second) in ((date.month, date.day), (date.day, date.month))
        ):
            yield "BIRTHDATE", *match.span()
