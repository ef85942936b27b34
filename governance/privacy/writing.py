"""How one identifier may be written: texts as letters and digits only, and where each of them stood.

Case, accents, separators, invisible characters and look-alike letters of other scripts do not count; every place that
is found in the plain form is mapped back to the text's own offsets.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from governance.privacy.names import fold

WINDOW, OVERLAP = (
    1 << 16,
    512,
)  # characters of a long text that are searched at a time; no identifier is longer than 512

# Letters without case, Hebrew to Hangul: a name may stand among others of them, as in 王小明来了 or with a particle.
UNSPACED = (
    r"\u0590-\u109f\u1100-\u139f\u1780-\u18af\u3040-\u30ff\u3400-\u9fff\ua000-\ua4cf\uac00-\ud7af"
    r"\uf900-\ufaff\ufb1d-\ufdff\ufe70-\ufefc\uff66-\uffdc\U00020000-\U0003ffff"
)
_UNSPACED = re.compile(f"[{UNSPACED}]")

# Cyrillic and Greek letters, and the Latin ones that they look like.
IN_LATIN = {
    **str.maketrans("аеорсухіјѕһԁԛԝкмтвнг", "aeopcyxijshdqwkmtbhr"),
    **str.maketrans("АВЕКМНОРСТХІЈЅҺԚԜУ", "ABEKMHOPCTXIJSHQWY"),
    **str.maketrans("αορνικυτεηβχζμγωσ", "aopvikytehbxzmywo"),
    **str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX"),
}
# Letters that look or are spelled like these Latin ones, after case is folded and accents are off.
_LOOKALIKES = IN_LATIN | str.maketrans(
    {**dict(zip("øłđıħŧƒ", "oldihtf", strict=True)), **{"æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}}
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Å": "Aa"})
_THING = re.compile(
    r"(?:['’]s)?[\s-](?:disease|syndrome|sign|test|scale|score|catheter|palsy|procedure|criteria|classification|index|"
    r"man(?:eu|oeu)ver|lymphoma|tumou?r|contracture|dystrophy|block|reflex|phenomenon|fracture|drain|tube|protocol)\b",
    re.IGNORECASE,
)
_ESCAPES = ("\\n", "\\r", "\\t")
_ESCAPE = re.compile(r"\\[nrt]")
_ENDINGS = ("s", "es")  # Schmidts, Joneses


def plain(text: str) -> str:
    """`text` without case, accents and invisible characters, look-alike letters as Latin ones."""
    return text.lower() if text.isascii() else fold(text).translate(_LOOKALIKES)


def compact(text: str) -> str:
    """The letters and digits of the plain form."""
    return "".join(c for c in plain(text) if c.isalnum())


def spelled_out(text: str) -> str:
    """Umlauts as two letters, as on a keyboard without them: `Müller` is `Mueller` too."""
    return unicodedata.normalize("NFC", text).translate(_UMLAUTS)


def compact_with_offsets(text: str) -> tuple[str, list[int]]:
    """The compact form, and for each of its characters where in `text` it stands."""
    if text.isascii():
        lower = text.lower()
        offsets = [i for i, c in enumerate(lower) if c.isalnum()]
        return "".join([lower[i] for i in offsets]), offsets
    pairs = [(letter, i) for i, c in enumerate(text) for letter in _letters(c)]
    return "".join(letter for letter, _ in pairs), [i for _, i in pairs]


@lru_cache(maxsize=4096)
def _letters(character: str) -> str:
    return compact(unicodedata.normalize("NFKC", character))


def windows(text: str, size: int = WINDOW, overlap: int = OVERLAP) -> Iterator[tuple[int, str]]:
    """Pieces of a long text with their offsets, overlapping, so that a search needs bounded memory."""
    for start in range(0, max(len(text) - overlap, 1), size):
        yield start, text[start : start + size + overlap]


def in_word(text: str, at: int) -> bool:
    """Whether the character at `at` goes on with a word of a script that puts spaces between words."""
    escaped = at > 0 and text[at - 1 : at + 1] in _ESCAPES
    return 0 <= at < len(text) and text[at].isalnum() and spaced(text[at]) and not escaped


def without_escapes(text: str) -> str:
    """`text` with spaces for the line breaks of JSON inside it: in `\\nRuiz` the n is no letter of the name."""
    return _ESCAPE.sub("  ", text) if "\\" in text else text


def spaced(character: str) -> bool:
    """Whether a word ends where letters of this script do; in Chinese or Japanese a name stands between others."""
    return not _UNSPACED.match(character)


def word_end(text: str, end: int) -> int | None:
    """Where the word that a name up to `end` begins ends: there, or after an inflection. None: it is another word."""
    if not in_word(text, end):
        return end
    for ending in _ENDINGS:
        if text[end : end + len(ending)].lower() == ending and not in_word(text, end + len(ending)):
            return end + len(ending)
    return None


def stems(word: str) -> Iterator[str]:
    """A plain word, and what it may be an inflected form of."""
    yield word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 3:
            yield word[: -len(ending)]


def names_a_thing(text: str, end: int) -> bool:
    """Whether a name up to `end` is that of a disease or a device: `Parkinson's disease`, `Foley catheter`."""
    return _THING.match(text, end) is not None
