"""Identifiers that nobody has, planted in copies of rows before a scrub: every one of them must be gone after it.

Fifteen kinds in ten formats. A person's name is declared as an identifier column of another row would declare it, so
it stands for the names that a delivery knows; the others are found by their written form alone.
"""

import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from governance.privacy.residue import without_surrogates

Random = random.Random
SYLLABLES = (
    "bal",
    "dor",
    "fen",
    "gri",
    "hul",
    "jor",
    "kav",
    "lim",
    "mor",
    "nez",
    "pol",
    "quin",
    "ras",
    "tav",
    "vex",
    "zer",
)
LONG = 7  # figures that are not drawn alike by chance
FORMATS = {
    "sentence": "For the file, the {label} is {value}, as given today.",
    "start": "{value} is the {label} on file.",
    "end": "as told on arrival, {label} {value}",
    "line": "seen today\n{value}\nno further remarks",
    "form": "{label}: {value}",
    "json": '{{"kind": "note", "{field}": "{value}"}}',
    "html": "<tr><td>{label}</td><td>{value}</td></tr>",
    "log": "level=info {field}={value} status=ok",
    "table": "{label}\t{value}\tchecked",
    "aside": "changed ({label} {value}) by request",
}
FORMS_OF_NAME = (
    "{first} {last}", "{last}, {first}", "{LAST}", "{last_lower}", "{last}s", "{first}'s", "{first_letter}. {last}",
    "Mr. {last}", "{first}\u200d {last}", "{first} {last_letter}.",
)  # fmt: skip


@dataclass(frozen=True)
class Canary:
    """`text` is planted; `secrets` are the letters and digits that may not be left; `declared`: a known name."""

    kind: str
    format: str
    text: str
    secrets: tuple[str, ...]
    declared: str | None = None


def canaries(count: int, seed: str) -> list[Canary]:
    """`count` of them, every kind in every format in turn; others for another seed."""
    rng = Random(seed)
    kinds, formats = list(KINDS), list(FORMATS)
    pairs = [(kinds[i % len(kinds)], formats[i // len(kinds) % len(formats)]) for i in range(count)]
    return [_canary(rng, kind, form) for kind, form in pairs]


def _canary(rng: Random, kind: str, form: str) -> Canary:
    label, make = KINDS[kind]
    value = make(rng)
    declared, secrets = None, tuple(_pieces(value))
    if kind == "person":
        declared = value
        value, secrets = _name(declared, form)
    text = FORMATS[form].format(label=label, field=label.lower().replace(" ", "_"), value=value)
    return Canary(kind, form, text, secrets, declared)


def _name(name: str, form: str) -> tuple[str, tuple[str, ...]]:
    first, last = name.split()
    pattern = FORMS_OF_NAME[list(FORMATS).index(form)]
    written = pattern.format(
        first=first, last=last, LAST=last.upper(), last_lower=last.lower(), first_letter=first[0], last_letter=last[0]
    )
    return written, tuple(word.lower() for word in (first, last) if word.lower() in written.lower())


def _pieces(value: str) -> Iterator[str]:
    """The whole, its figures, and each part of it that has figures."""
    yield _bare(value)
    for piece in [re.sub(r"\D", "", value), *re.split(r"[\s,./:@-]+", value)]:
        if len(bare := _bare(piece)) >= 4 and any(c.isdecimal() for c in bare):
            yield bare


def left(canary: Canary, original: str, scrubbed: str, plausible: bool = False) -> bool:
    """Whether a part of it is still there. What the row without the canary had anyway does not count.

    `plausible`: stand-ins have figures of their own, so a few that are alike show nothing.
    """
    before, after = _bare(original), _bare(without_surrogates(scrubbed))
    enough = LONG if plausible else 0
    secrets = [secret for secret in canary.secrets if len(secret) >= enough or secret.isalpha()]
    return any(secret in after and secret not in before for secret in secrets)


def _bare(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _digits(rng: Random, pattern: str) -> str:
    """`#` is a figure, `%` one from 2 to 9."""
    return re.sub("[#%]", lambda m: rng.choice("0123456789" if m[0] == "#" else "23456789"), pattern)


def _word(rng: Random, syllables: int = 3) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(syllables)).title()


def _card(rng: Random) -> str:
    digits = "4" + _digits(rng, "#" * 14)
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(digits))
    digits += str(-total % 10)
    return " ".join(digits[i : i + 4] for i in range(0, 16, 4))


def _iban(rng: Random) -> str:
    account = _digits(rng, "#" * 18)
    return f"DE{98 - int(account + '131400') % 97:02}{account}"


def _date(rng: Random) -> str:
    return f"{rng.randint(1941, 2005)}-{rng.randint(10, 12)}-{rng.randint(10, 28)}"


def _email(rng: Random) -> str:
    return f"{_word(rng)}.{_word(rng)}{_digits(rng, '##')}@{_word(rng)}.org".lower()


def _address(rng: Random) -> str:
    return f"{_digits(rng, '%###')} {_word(rng)} Street, {_word(rng)}, IL {_digits(rng, '6####')}"


def _device(rng: Random) -> str:
    return ":".join(f"{rng.randrange(256):02x}" for _ in range(6))


def _secret(rng: Random) -> str:
    return "sk_" + "".join(rng.choice(string.ascii_lowercase + string.digits) for _ in range(24)) + "7"


def _ipv4(rng: Random) -> str:
    return ".".join(str(rng.randint(100, 250)) for _ in range(4))


Kind = tuple[str, Callable[[Random], str]]
KINDS: dict[str, Kind] = {
    "person": ("contact", lambda rng: f"{_word(rng, 2)} {_word(rng)}"),
    "email": ("email", _email),
    "phone": ("phone", lambda rng: _digits(rng, "(%##) %##-####")),
    "phone abroad": ("mobile", lambda rng: _digits(rng, "+44 7### ######")),
    "ssn": ("SSN", lambda rng: _digits(rng, "%##-##-####")),
    "mrn": ("MRN", lambda rng: _digits(rng, "MRN-#######")),
    "card": ("card", _card),
    "iban": ("IBAN", _iban),
    "account": ("account", lambda rng: _digits(rng, "%#########")),
    "birth date": ("DOB", _date),
    "address": ("address", _address),
    "ip": ("client ip", _ipv4),
    "device": ("device", _device),
    "national id": ("national id", lambda rng: _digits(rng, "%### #### ####")),
    "secret": ("token", _secret),
}
