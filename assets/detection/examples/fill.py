"""What stands in a template's slots: `fill(slot)` gives a text and what it identifies, None for nobody."""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field

from assets.detection.examples.pools import LOCALES, Pool, english, invented, pool, singapore, words

Filled = tuple[str, str | None]

LABELLED = {  # sections of words.txt that are identifiers
    "country": "LOCATION", "state": "LOCATION", "bigcity": "LOCATION", "landmark": "LOCATION",
    "nationality": "NRP", "brandorg": "ORGANIZATION",
}  # fmt: skip
PLACES = ("bigcity", "bigcity", "city", "city", "city", "country", "country", "state", "landmark")
_MONTHS = words()["month"]


@dataclass
class Filler:
    """Draws from one country for most of a document, as real ones do."""

    rng: random.Random
    locale: str = field(init=False)

    def __post_init__(self) -> None:
        self.locale = self._any_locale()

    def fill(self, slot: str) -> Filled:
        """The text of `{slot}` and its label. Raises KeyError for a slot that nobody declared."""
        if maker := _MAKERS.get(slot):
            label, make = maker
            return make(self), label
        return self.rng.choice(words()[slot]), LABELLED.get(slot)

    def pool(self) -> Pool:
        return pool(self.locale if self.rng.random() < 0.7 else self._any_locale())

    def pick(self, *options: str) -> str:
        return self.rng.choice(options)

    def digits(self, pattern: str) -> str:
        """`#` a digit, `?` a capital letter, `~` either, `^` a digit but zero."""
        letters = string.ascii_uppercase
        draws = {"#": string.digits, "?": letters, "~": letters + string.digits, "^": string.digits[1:]}
        return "".join(self.rng.choice(draws[c]) if c in draws else c for c in pattern)

    def _any_locale(self) -> str:
        return self.rng.choices(list(LOCALES), list(LOCALES.values()))[0]


def _first(f: Filler) -> str:
    chance = f.rng.random()
    return invented(f.rng) if chance < 0.12 else singapore(f.rng)[0] if chance < 0.17 else f.rng.choice(f.pool().first)


def _last(f: Filler) -> str:
    chance = f.rng.random()
    if chance < 0.15:
        return invented(f.rng)
    if chance < 0.2:
        return singapore(f.rng)[1]
    name = f.rng.choice(f.pool().last)
    return f"{name}-{f.rng.choice(f.pool().last)}" if chance > 0.96 else name


def _full(f: Filler) -> str:
    first, last, chance = _first(f), _last(f), f.rng.random()
    if chance < 0.12:
        return f"{first} {f.rng.choice(string.ascii_uppercase)}{f.pick('.', '')} {last}"
    if chance < 0.17:
        return f"{first} {f.rng.choice(f.pool().first)} {last}"
    if chance < 0.2 and f.locale in ("hu_HU", "vi_VN", "zh_CN", "en_IN"):
        return f"{last} {first}"
    return (
        f"{first} {last}"
        if chance < 0.97
        else f"{first} {f.pick('van', 'de', 'von', 'al', 'della', 'O’', 'Mc')} {last}"
    )


def _name(f: Filler) -> str:
    make = f.rng.choices([_full, _first, _initialled, _listed, _last], [70, 16, 5, 4, 5])[0]
    return make(f)


def _listed(f: Filler) -> str:
    return f"{_last(f)}, {_first(f)}" + f.pick("", "", f" {f.rng.choice(string.ascii_uppercase)}.")


def _initialled(f: Filler) -> str:
    initial = f.rng.choice(string.ascii_uppercase)
    return f.pick(
        f"{initial}. {_last(f)}",
        f"{_first(f)} {initial}.",
        f"{initial}.{_first(f)[0]}. {_last(f)}",
        f"{initial} {_last(f)}",
    )


def _lowername(f: Filler) -> str:
    return f.rng.choice([_first, _first, _first, _full])(f).lower()


def _username(f: Filler) -> str:
    first, last = _ascii(_first(f)), _ascii(_last(f))
    return f.pick(
        f"{first[0]}{last}",
        f"{first}.{last}",
        f"{first}_{last}{f.digits('##')}",
        f"{first}{f.digits('##')}",
        f"{last}{first[0]}{f.digits('#')}",
    )


def _handle(f: Filler) -> str:
    return f.pick(
        _username(f),
        _username(f).title(),
        f"{_ascii(f.fill('food')[0])}{_ascii(f.fill('verb')[0])}{f.digits('#')}",
        f"The{_ascii(_first(f)).title()}",
    )


def _ascii(text: str) -> str:
    import unicodedata

    return "".join(c for c in unicodedata.normalize("NFD", text) if c.isascii() and c.isalnum()).lower() or "x"


def _email(f: Filler) -> str:
    domain = f.pick(
        "gmail.com",
        "yahoo.co.uk",
        "web.de",
        "outlook.com",
        "example.org",
        f"{_ascii(_last(f))}.com",
        f"mail.{_ascii(_last(f))}.co.in",
        "nhs.net",
        "proton.me",
    )
    return f"{_username(f)}@{domain}"


def _city(f: Filler) -> str:
    return (
        f.rng.choice(words()["bigcity"])
        if f.rng.random() < 0.25
        else invented(f.rng)
        if f.rng.random() < 0.06
        else f.rng.choice(f.pool().city)
    )


def _street(f: Filler) -> str:
    number = f.digits(f.pick("^", "^#", "^##", "^###", "^####", "^#")) + f.pick("", "", "", "a", "B", "/2", "-14")
    chance, name = f.rng.random(), f.rng.choice(f.pool().street)
    if chance < 0.15:
        name = f"{_last(f)} {f.pick('Street', 'St', 'St.', 'Road', 'Rd', 'Avenue', 'Ave', 'Lane', 'Ln', 'Drive', 'Dr', 'Court', 'Blvd', 'Way', 'Close', 'Crescent', 'Gardens', 'Terrace', 'Place', 'Nagar', 'Marg', 'Park')}"
    elif chance < 0.2:
        name = f"{f.pick('Jalan', 'Rue', 'Via', 'Calle', 'Rua', 'Avenida', 'Place', 'Boulevard', 'Lorong', 'ul.', 'Plaza', 'Camino')} {f.pick(_last(f), _full(f), _city(f))}"
    elif chance < 0.25:
        name = f"{_last(f)}{f.pick('straße', 'strasse', 'str.', 'weg', 'gasse', 'platz', 'allee', 'gatan', 'vägen', 'katu', 'tie', 'gade', 'vej', 'veien', 'straat', 'laan', ' utca', ' u.', ' tér')}"
    elif chance < 0.28:
        name = f"{f.pick('North', 'S.', 'East', 'W', 'Old', 'Upper')} {f.digits('^#')}th {f.pick('Street', 'Ave', 'Cross', 'Main')}"
    return f.pick(f"{number} {name}", f"{number} {name}", f"{name} {number}", f"{name} {number}", f"{number}, {name}")


def _unit(f: Filler) -> str:
    return f.pick("Apt. ", "Apt ", "Suite ", "Unit ", "Flat ", "#", "Ste ", "Room ", "apt. ") + f.digits(
        f.pick("^", "^#", "^##", "#?")
    )


def _address(f: Filler) -> str:
    people, chance = f.pool(), f.rng.random()
    postcode, city, street = f.rng.choice(people.postcode), _city(f), _street(f)
    if chance < 0.06:
        return f"{f.pick('Blk', 'Block', '')} {f.digits('^##')} {f.pick('Ang Mo Kio Ave', 'Bedok North St', 'Jurong West St', 'Toa Payoh Lor', 'Tampines St')} {f.digits('^#')} #{f.digits('##-###')} Singapore {f.digits('######')}".strip()
    if chance < 0.1:
        return f.pick(
            f"PSC {f.digits('####')}, Box {f.digits('####')}, APO AE {f.digits('#####')}",
            f"PO Box {f.digits('^###')}, {city}",
            f"USS {_last(f)}\nFPO AP {f.digits('#####')}",
        )
    if chance < 0.16:
        return f"{f.pick('Flat No', 'H. No.', 'Door No', 'Plot')} {f.digits('^##')}, {f.rng.choice(people.street)}, {f.pick('Near ' + f.fill('landmark')[0], _last(f) + ' Nagar', 'Sector ' + f.digits('^#'))}, {city} {f.pick('-', '')}{f.digits('^#####')}"
    sep = f.rng.choices([", ", "\n", " ", "\n ", ",\n"], [60, 15, 8, 8, 9])[0]
    unit = sep + _unit(f) if f.rng.random() < 0.3 else ""
    state = f.digits("??") if f.rng.random() < 0.5 else f.fill("state")[0]
    tail = f.pick(
        f"{postcode} {city}",
        f"{city}, {state} {postcode}",
        f"{city} {postcode}",
        f"{city}{sep}{postcode}",
        f"{city}, {state}",
        city,
        f"{city}{sep}{f.fill('country')[0]} {postcode}",
        f"{city}{sep}{state}{sep}{f.fill('country')[0]}",
        "",
        "",
    )
    return street + unit + (sep + tail if tail else "")


def _organization(f: Filler) -> str:
    said, chance = words(), f.rng.random()
    if chance < 0.22:
        return f.rng.choice(f.pool().company)
    if chance < 0.32:
        return f.rng.choice(said["brandorg"])
    if chance < 0.45:
        return f"{f.pick(f.fill('orgword')[0], _last(f), _city(f))} {f.rng.choice(said['orgtail'])}"
    if chance < 0.55:
        return f"{f.fill('orgword')[0]} {f.pick(f.fill('orgword')[0], _last(f))} {f.rng.choice(said['orgtail'])}"
    if chance < 0.62:
        return f"{_last(f)} {f.pick('&', 'and')} {f.pick('Sons', 'Co.', 'Partners', _last(f), 'Daughters')}"
    if chance < 0.7:
        return (
            f"University of {_city(f)}"
            if f.rng.random() < 0.4
            else f"{f.pick('Bank of', 'City of', 'Friends of', 'Institute of', 'Museum of')} {_city(f)}"
        )
    if chance < 0.76:
        return f"{_city(f)} {f.pick('Tigers', 'United', 'City', 'Rangers', 'Eagles', 'Warriors', 'Giants', 'Wolves', 'Dynamo', 'Knights', 'Sharks')}"
    if chance < 0.82:
        return f"The {f.pick(_last(f), f.fill('orgword')[0])} {f.pick('Band', 'Brothers', 'Foundation', 'Project', 'Gazette', 'Times', 'Herald', 'Trio', 'Group')}"
    if chance < 0.92:  # what a young company is called
        return f.pick(
            f.fill("orgword")[0] + f.pick("ly", "ify", "hub", "io", "x", "Tech", "Labs", "Health", "Pay", "Soft"),
            invented(f.rng) + f.pick("", " AI", "ix", "on", " Inc", ".com", " GmbH"),
            f"{f.pick('My', 'i', 'Open', 'e', 'Data')}{f.fill('orgword')[0]}",
        )
    return f"{_last(f)} {f.pick('Inc.', 'Ltd', 'LLC', 'GmbH', 'AG', 'Pvt. Ltd.', 'Pte Ltd', 'PLC', 'S.A.', 'B.V.', 'Oy', 'AB', 'Kft.', 's.r.o.')}"


def _hospital(f: Filler) -> str:
    lead = f.pick(
        f"St. {_first(f)}'s",
        f"{_city(f)}",
        f"{_last(f)}",
        f.fill("orgword")[0],
        f"{_city(f)} {f.fill('orgword')[0]}",
        "Mount Sinai",
        "Mercy",
        "Apollo",
        "Charité",
        "KK Women's and",
    )
    return f"{lead} {f.fill('caretail')[0]}"


def _date(f: Filler, oldest: int = 1995, newest: int = 2026) -> str:
    rng = f.rng
    year, month, day = rng.randint(oldest, newest), rng.randint(1, 12), rng.randint(1, 28)
    name = _MONTHS[month - 1]
    nth = f"{day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(day if day < 20 else day % 10, 'th') }"
    return f.pick(
        f"{year}-{month:02}-{day:02}", f"{month:02}/{day:02}/{year}", f"{month}/{day}/{year}", f"{day}/{month}/{year % 100:02}",
        f"{day:02}.{month:02}.{year}", f"{day} {name} {year}", f"{name} {day}, {year}", f"{name[:3]} {day}, {year}",
        f"{day:02}-{name[:3]}-{year}", f"{nth} {name} {year}", f"{name} {nth}", f"{nth} of {name}, {year}", f"{day} {name[:3]} {year}",
        f"{month}/{day}", f"{name[:3]}. {day}", f"{year}/{month:02}/{day:02}", f"{day:02}{name[:3].upper()}{year}",
    )  # fmt: skip


def _iso(f: Filler) -> str:
    rng = f.rng
    day = f"{rng.randint(2015, 2026)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    return (
        day
        + f.pick("T", " ")
        + _time(f, "%s:##")
        + f.pick("", ".###Z", "Z", ",###", "+00:00").replace("###", f.digits("###"))
    )


def _time(f: Filler, form: str = "%s") -> str:
    clock = f"{f.rng.randint(0, 23):02}:{f.rng.randint(0, 59):02}"
    return (
        f.digits(form % clock)
        if form != "%s"
        else f.pick(clock, clock, f"{f.rng.randint(1, 12)} {f.pick('am', 'pm', 'a.m.', 'PM')}", f"{clock} hrs")
    )


def _form(*patterns: str) -> Callable[[Filler], str]:
    return lambda f: f.digits(f.pick(*patterns))


def _number(f: Filler) -> str:
    return str(
        f.rng.choice(
            [
                f.rng.randint(1, 9),
                f.rng.randint(1, 12),
                f.rng.randint(10, 100),
                f.rng.randint(100, 1000),
                f.rng.randint(1000, 9999),
            ]
        )
    )


def _phone(f: Filler) -> str:
    return f.rng.choice(f.pool().phone) if f.rng.random() < 0.5 else _SOME_PHONE(f)


_SOME_PHONE = _form(
    "(^##) ###-####", "^##-###-####", "+1 ^## ### ####", "^##.###.####", "+44 20 7### ####", "07### ######", "+91 9#### #####", "9#### #####", "+49 30 ######",
    "0^##/######", "+65 6### ####", "9### ####", "0## ### ## ##", "+41 (0)## ### ## ##", "### ## ## ##", "## ## ## ## ##", "0#.##.##.##.##", "### ####", "0### ## ## ##",
    "(0#) #### ####", "+33 6 ## ## ## ##", "##########", "+##########", "1-800-###-####", "ext. ####", "### ### ###", "##-##-##-##",
)  # fmt: skip


def _spaced(make: Callable[[Filler], str]) -> Callable[[Filler], str]:
    return lambda f: f.pick(" ", "-", ".", "\u200b", "  ").join(make(f))


def _upper(make: Callable[[Filler], str]) -> Callable[[Filler], str]:
    return lambda f: make(f).upper()


def _lower(make: Callable[[Filler], str]) -> Callable[[Filler], str]:
    return lambda f: make(f).lower()


def _title(f: Filler) -> str:
    """Of a film, a book or a song."""
    one, two = (f.rng.choice(english()["word"]).capitalize() for _ in range(2))
    return f.pick(
        f.fill("work")[0],
        f"The {one}",
        f"{one} {two}",
        f"The {one} of {two}",
        f"My {one}",
        f"{one} and {two}",
        one,
        f"A {one} in the {two}",
        f"{invented(f.rng)}",
        f"The {invented(f.rng)} {one}",
    )


_MAKERS: dict[str, tuple[str | None, Callable[[Filler], str]]] = {
    "name": ("PERSON", _name), "full": ("PERSON", _full), "first": ("PERSON", _first), "last": ("PERSON", _last),
    "listed": ("PERSON", _listed), "initialled": ("PERSON", _initialled), "lowername": ("PERSON", _lowername),
    "lowerlast": ("PERSON", _lower(_last)), "upper": ("PERSON", _upper(_full)), "upperlast": ("PERSON", _upper(_last)),
    "upperfirst": ("PERSON", _upper(_first)), "upperlisted": ("PERSON", _upper(_listed)), "spacedname": ("PERSON", _spaced(_first)),
    "titled": ("PERSON", lambda f: f"{f.pick('Mr', 'Mrs', 'Ms', 'Dr', 'Miss')}{f.pick('', '.')} {f.pick(_last(f), _full(f))}"),
    "city": ("LOCATION", _city), "uppercity": ("LOCATION", _upper(_city)), "lowercity": ("LOCATION", _lower(_city)),
    "address": ("ADDRESS", _address), "street": ("ADDRESS", _street), "postcode": ("ADDRESS", lambda f: f.rng.choice(f.pool().postcode)),
    "org": ("ORGANIZATION", _organization), "hospital": ("ORGANIZATION", _hospital),
    "date": ("DATE", _date), "iso": ("DATE", _iso), "dob": ("BIRTHDATE", lambda f: _date(f, 1925, 2020)), "year": ("DATE", lambda f: str(f.rng.randint(1900, 2027))),
    "age": ("AGE", lambda f: str(f.rng.randint(1, 104))),
    "email": ("EMAIL", _email), "phone": ("PHONE", _phone), "spacednumber": ("PHONE", _spaced(_form("0#########"))),
    "url": ("URL", lambda f: f"{f.pick('http://', 'https://', 'https://www.', 'www.')}{_ascii(f.pick(_organization(f), _full(f)))}.{f.pick('com', 'de', 'co.uk', 'in', 'org', 'hu')}{f.pick('', '', '/', f'/{_username(f)}', '/a?id=7')}"),
    "ip": ("IP", lambda f: ".".join(str(f.rng.randint(1, 254)) for _ in range(4)) if f.rng.random() < 0.85 else "2001:db8:" + ":".join(f"{f.rng.getrandbits(16):x}" for _ in range(6))),
    "mac": ("DEVICE", lambda f: f.pick(":", "-").join(f"{f.rng.getrandbits(8):02x}" for _ in range(6))),
    "username": ("USERNAME", _username), "handle": (None, _handle),
    "ssn": ("SSN", _form("###-##-####", "### ## ####", "#########", "?? ## ## ## ?", "?#######?", "#### #### ####", "?????####?", "##/###/#####")),
    "card": ("CARD", _form("4### #### #### ####", "5###-####-####-####", "4###############", "37## ###### #####", "6011############", "30############", "5########### ", "4############")),
    "iban": ("IBAN", _form("DE## #### #### #### #### ##", "GB##????##############", "FR## #### #### #### #### #### ###", "NL##????##########", "ES######################")),
    "account": ("ACCOUNT", _form("########", "##########", "####-####-##", "############", "##-##-## ########", "?########")),
    "mrn": ("MRN", _form("#######", "MRN-#######", "########", "?######", "##-##-##", "### ### ####", "??######", "H#########")),
    "policy": ("ACCOUNT", _form("POL-#######", "???########", "?##-###-####", "#########", "INS#########", "XW?#########")),
    "passport": ("ACCOUNT", _form("?########", "??#######", "#########", "?#?######")),
    "licence": ("ACCOUNT", _form("?#######", "?####-#####-#####", "?????######??#??", "?############", "#######", "DL-#############", "####-##-####")),
    "plate": ("ACCOUNT", _form("??## ???", "???-####", "? ?? ####", "??-??-####", "?? ## ?? ####", "#???###", "S?? #### ?")),
    "idnum": ("ACCOUNT", _form("##########", "#######", "?~~~~~##", "??-######", "EMP-#####", "########", "???###", "CLM-####-#####", "#####/##", "C##-#####")),
    "secret": ("SECRET", _form("sk_live_################", "ghp_~~~~~~~~~~~~~~~~~~", "??##~~##~~", "######", "eyJ~~~~~~~~~~~~~~~.~~~~~~~~~~")),
    "num": (None, _number), "money": (None, lambda f: f.pick("$", "€", "£", "Rs. ", "S$", "USD ", "") + f.digits(f.pick("^#", "^##.##", "^,###", "^#,###.00", "^##")) + f.pick("", "", " EUR", "k", " million")),
    "dose": (None, lambda f: f.digits(f.pick("^#", "^##", "^", "0.#", "^.#")) + f.pick("mg", " mg", " mcg", "g", " units", " mL")), "pct": (None, lambda f: f.digits(f.pick("^#", "^", "^#.#")) + "%"),
    "job": (None, lambda f: f.rng.choice(english()["job"] if f.rng.random() < 0.5 else words()["job"])),
    "word": (None, lambda f: f.rng.choice(english()["word"])), "wordtitle": (None, lambda f: f.rng.choice(english()["word"]).capitalize()),
    "catch": (None, lambda f: f.rng.choice(english()["catch"])), "bs": (None, lambda f: f.rng.choice(english()["bs"])),
    "title": (None, _title), "land": (None, lambda f: f.rng.choice(words()[f.pick("country", "country", "state")] + ["the UK", "the US", "Europe", "EU", "the EU", "US", "Asia"])),
    "time": (None, _time), "PIPE": (None, lambda f: "|"), "tag": (None, lambda f: f.pick(_ascii(f.fill("work")[0]), _ascii(f.fill("event")[0]) + f.digits("##"), "fail", "nowplaying", "tbt")),
}  # fmt: skip


def _place(f: Filler) -> Filled:
    return f.fill(f.pick(*PLACES))


_MAKERS["place"] = ("LOCATION", lambda f: _place(f)[0])
