"""Plausible stand-ins: what replaces an identifier looks like one of its kind and belongs to nobody.

All of it is drawn by HMAC under the tenant's key from what the identifier is, not how it is spelled, so one person has
one stand-in in every text. Given names are real and rare, surnames and places are composed, e-mails end in example.com
and its sisters, IP addresses and US social security numbers come from ranges that nobody is given.
"""

import hashlib
import ipaddress
import re
import unicodedata
from collections.abc import Callable
from functools import cache

from governance.privacy.invented import FEMALE, HEADS, KEPT, MALE, PARTICLES, TAILS
from governance.privacy.names import TITLES, normal_name
from governance.privacy.patterns import luhn
from governance.privacy.pseudonyms import keyed, normal_form, token
from governance.privacy.writing import compact

_KEPT, _PARTICLES = frozenset(KEPT), frozenset(PARTICLES)
_WORD = re.compile(r"[^\W\d_]+(?:['’`-](?!s\b)[^\W\d_]+)*")
_POSSESSIVE = re.compile(r"['’`]s\b")
_NAMED = ("PERSON", "ADDRESS", "LOCATION", "ORGANIZATION")
_TYPED = ("MRN", "ID", "ACCOUNT")  # their first letters say what kind of number it is
_PRIVATE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")]
TRIES = 32

Names = Callable[[str], bool]
"""Whether a stand-in would name somebody whom the tenant knows."""


def surrogate(key: bytes, entity: str, text: str, of: str = "", names: Names = lambda _: False) -> str:
    """A stand-in for `text`, which is a part of the identifier `of` where that is given; in the same written form.

    One that `names` somebody is passed over for the next; where all do, or the entity has no form, a token stands.
    """
    text = "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf")
    make = _MAKERS.get(entity, _formless)
    for attempt in range(TRIES):
        draw = _drawn(keyed(key, "stand-in", entity, normal_form(entity, of or text), str(attempt)))
        made = make(draw, entity, text, of or text)
        if made and not _alike(entity, made, text) and not names(made):
            return made
    return token(key, entity, of or text)


Draw = Callable[[str, int], int]
"""`draw(purpose, n)`: a number below n, always the same for one purpose."""


def _drawn(seed: bytes) -> Draw:
    def draw(purpose: str, below: int) -> int:
        return int.from_bytes(hashlib.blake2b(purpose.encode(), key=seed, digest_size=8).digest()) % below

    return draw


def _alike(entity: str, made: str, text: str) -> bool:
    """Whether a stand-in gives away what it stands for."""
    if entity not in _NAMED or compact(made) == compact(text):
        return compact(made) == compact(text)
    words, new = ({compact(word) for word in _WORD.findall(t)} - _KEPT - TITLES for t in (text, made))
    return any(len(word) > 2 for word in words & new)


def _in_case_of(written: str, word: str) -> str:
    if written.isupper() and len(written) > 1:
        return word.upper()
    return word.lower() if written.islower() else word


def _composed(draw: Draw, purpose: str) -> str:
    return HEADS[draw(f"{purpose} head", len(HEADS))] + TAILS[draw(f"{purpose} tail", len(TAILS))]


def _person(draw: Draw, entity: str, text: str, whole: str) -> str:
    parts = normal_name(whole).split()
    given = _given_names(draw, parts)
    surname = _composed(draw, "surname")

    def stand_in(word: re.Match[str]) -> str:
        plain = compact(word[0])
        if plain in TITLES or _POSSESSIVE.match(text, word.start() - 1):
            return word[0]
        if word[0] in _PARTICLES:
            return ""
        if len(plain) == 1:
            place = next((i for i, part in enumerate(parts) if part.startswith(plain)), 0)
            return (surname if place and place == len(parts) - 1 else given(place))[0]
        place = next((i for i, part in enumerate(parts) if compact(part) == plain), len(parts) - 1)
        lone_given = len(parts) == 1 and _sex_of(plain) is not None
        name = given(place) if place < len(parts) - 1 or lone_given else surname
        return _in_case_of(word[0], name)

    return " ".join(_figures(draw, _WORD.sub(stand_in, text), "").split())


def _given_names(draw: Draw, parts: list[str]) -> Callable[[int], str]:
    sex = _sex_of(compact(parts[0])) if parts else None
    names = (FEMALE, MALE)[("F", "M").index(sex) if sex else draw("sex", 2)]
    return lambda place: names[draw(f"given {place}", len(names))]


def _sex_of(given: str) -> str | None:
    female, male = _given_names_by_sex()
    return None if (given in female) == (given in male) else "F" if given in female else "M"


@cache
def _given_names_by_sex() -> tuple[frozenset[str], frozenset[str]]:
    from faker.providers.person import de_DE, en_GB, en_IN, en_US

    lists = [locale.Provider for locale in (en_US, en_GB, de_DE, en_IN)]
    female = {compact(name) for names in lists for name in getattr(names, "first_names_female", ())}
    male = {compact(name) for names in lists for name in getattr(names, "first_names_male", ())}
    return frozenset(female), frozenset(male)


def _email(draw: Draw, entity: str, text: str, whole: str) -> str:
    figures = sum(c.isdecimal() for c in text.partition("@")[0])
    given = (FEMALE, MALE)[draw("sex", 2)][draw("given", len(MALE))]
    local = f"{given}.{_composed(draw, 'surname')}".lower() + "".join(str(draw(f"{i}", 10)) for i in range(figures))
    return f"{local}@example.{('com', 'org', 'net')[draw('domain', 3)]}"


def _place(draw: Draw, entity: str, text: str, whole: str) -> str:
    count = 0

    def stand_in(word: re.Match[str]) -> str:
        nonlocal count
        if len(word[0]) <= 2 or word[0].lower() in _KEPT:
            return word[0]
        count += 1
        return _in_case_of(word[0], _composed(draw, f"place {count}"))

    made = _WORD.sub(stand_in, text)
    return _figures(draw, made, "") if count or any(c.isdecimal() for c in made) else ""


def _number(draw: Draw, entity: str, text: str, whole: str) -> str:
    """Every figure and letter by one of its kind, counted from the end, as spellings differ in front."""
    kept = re.match(r"[^\W\d_]{1,4}(?=[^\w]|\d)", text) if entity in _TYPED else None
    head = kept[0] if kept else ""
    letters = "abcdef" if entity == "DEVICE" else "abcdefghijklmnopqrstuvwxyz"
    made = _figures(draw, text[len(head) :], letters)
    return head + made if any(c.isalnum() for c in made) else ""


def _figures(draw: Draw, text: str, letters: str) -> str:
    made = []
    for i, c in enumerate(reversed([c for c in text if c.isalnum()])):
        if c.isdecimal():
            made.append(str(draw(f"{i}", 10)))
        else:
            letter = letters[draw(f"{i}", len(letters))] if letters else c
            made.append(letter.upper() if c.isupper() else letter)
    return "".join(made.pop() if c.isalnum() else c for c in text)


def _phone(draw: Draw, entity: str, text: str, whole: str) -> str:
    """The country and a leading trunk 0 stay; a group of figures that began with 2 to 9 still does."""
    country = re.match(r"\s*\(?(?:\+|00)\d{1,3}(?=[^\d]|\d{7})", text)
    head = country[0] if country else ""
    old, new = text[len(head) :], _figures(draw, text[len(head) :], "")

    def first(at: int) -> str:
        begins = old[at].isdecimal() and (at == 0 or not old[at - 1].isdecimal())
        if not begins:
            return new[at]
        return old[at] if old[at] in "01" else str(2 + int(new[at]) % 8) if new[at].isdecimal() else new[at]

    return head + "".join(first(at) for at in range(len(old)))


def _card(draw: Draw, entity: str, text: str, whole: str) -> str:
    """The first figure, which says the scheme, stays; the last makes the checksum hold."""
    made = list(_figures(draw, text, ""))
    places = [i for i, c in enumerate(text) if c.isdecimal()]
    if not places:
        return ""
    made[places[0]] = text[places[0]]
    for last in "0123456789":
        made[places[-1]] = last
        if luhn("".join(made[i] for i in places)):
            break
    return "".join(made)


def _iban(draw: Draw, entity: str, text: str, whole: str) -> str:
    """The country stays and the check digits hold (ISO 13616)."""
    account = _figures(draw, text[4:], "abcdefghijklmnopqrstuvwxyz")
    code = compact(account + text[:2])
    if not code.isascii() or not text[:2].isalpha():
        return ""
    number = int("".join(str(int(c, 36)) for c in code) + "00")
    return f"{text[:2]}{98 - number % 97:02}{account}"


def _ssn(draw: Draw, entity: str, text: str, whole: str) -> str:
    """900 to 999 with a middle below 50: neither a social security number nor a taxpayer's is issued there."""
    made = list(_figures(draw, text, ""))
    places = [i for i, c in enumerate(text) if c.isdecimal()]
    if len(places) == 9:
        made[places[0]] = "9"
        made[places[3]] = str(draw("middle", 5))
    return "".join(made)


def _ip(draw: Draw, entity: str, text: str, whole: str) -> str:
    """From the ranges for benchmarks (RFC 2544) and documentation (RFC 3849); a private address stays in its range."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if address.version == 6:
        return str(ipaddress.IPv6Address((0x20010DB8 << 96) + draw("v6", 1 << 64)))
    for network in _PRIVATE:
        if address in network:
            return str(network[draw("v4", network.num_addresses)])
    return f"198.{18 + draw('0', 2)}.{draw('1', 256)}.{draw('2', 256)}"


def _formless(draw: Draw, entity: str, text: str, whole: str) -> str:
    return ""


Maker = Callable[[Draw, str, str, str], str]
_MAKERS: dict[str, Maker] = {
    "PERSON": _person,
    "EMAIL": _email,
    "PHONE": _phone,
    "ADDRESS": _place,
    "LOCATION": _place,
    "ORGANIZATION": _place,
    "CARD": _card,
    "IBAN": _iban,
    "SSN": _ssn,
    "IP": _ip,
    **dict.fromkeys((*_TYPED, "DEVICE", "SECRET"), _number),
}
