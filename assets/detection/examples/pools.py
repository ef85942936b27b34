"""Made-up people, places and numbers to draw from: Faker's lists of many countries, one pool a locale."""

import random
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Locale → how often its people turn up. Faker's Cyrillic ones are written in Latin letters.
LOCALES = {
    "en_US": 10, "en_GB": 7, "en_IN": 7, "de_DE": 6, "en_AU": 2, "en_CA": 2, "en_NZ": 1, "fr_FR": 3, "es_ES": 3,
    "es_MX": 3, "it_IT": 3, "pt_BR": 2, "pt_PT": 1, "nl_NL": 2, "pl_PL": 2, "cs_CZ": 2, "sk_SK": 1, "hu_HU": 2,
    "ro_RO": 1, "hr_HR": 1, "sl_SI": 1, "sv_SE": 2, "no_NO": 2, "da_DK": 2, "fi_FI": 2, "tr_TR": 2, "id_ID": 2,
    "fil_PH": 1, "vi_VN": 1, "et_EE": 1, "lt_LT": 1, "lv_LV": 1, "az_AZ": 1, "sq_AL": 1, "zu_ZA": 1, "yo_NG": 1,
    "ig_NG": 1, "tw_GH": 1, "en_KE": 1, "en_PK": 2, "en_BD": 1, "ru_RU": 2, "uk_UA": 1, "bg_BG": 1, "zh_CN": 2,
    "ja_JP": 2, "ko_KR": 2,
}  # fmt: skip
DRAWN = 250  # of each kind, locale by locale

_CYRILLIC = dict(
    zip(
        map(ord, "абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґ"),
        "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch _ y _ e yu ya i yi ye g".replace("_", "").split(
            " "
        ),
        strict=True,
    )
)


@dataclass(frozen=True)
class Pool:
    """What people of one country are called, where they live and how they write a number."""

    first: list[str]
    last: list[str]
    city: list[str]
    street: list[str]
    postcode: list[str]
    phone: list[str]
    company: list[str]


@cache
def words() -> dict[str, list[str]]:
    """Section → its words, of words.txt."""
    lines = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").splitlines()
    sections = (line.split(": ", 1) for line in lines if line and not line.startswith("#"))
    return {name: values.split(" | ") for name, values in sections}


@cache
def english() -> dict[str, list[str]]:
    """Common English words, phrases and occupations: Faker's."""
    from faker import Faker
    from faker.providers.job.en_US import Provider as Jobs
    from faker.providers.lorem.en_US import Provider as Lorem

    fake = Faker("en_US")
    fake.seed_instance(7)
    phrases = {
        kind: sorted({getattr(fake, maker)() for _ in range(600)})
        for kind, maker in (("catch", "catch_phrase"), ("bs", "bs"))
    }
    return {"word": sorted(set(Lorem.word_list)), "job": sorted(set(Jobs.jobs)), **phrases}


@cache
def pool(locale: str) -> Pool:
    """The pool of a locale, always the same; parts that Faker lacks there are those of the United States."""
    from faker import Faker

    fake = Faker(locale)
    fake.seed_instance(7)
    for provider in fake.get_providers():
        if isinstance(listed := getattr(provider, "cities", None), list):  # Italy's come from a set, in any order
            provider.cities = sorted(listed)
    romanized = locale in ("zh_CN", "ja_JP", "ko_KR")
    names = ["first_romanized_name", "last_romanized_name"] if locale == "ja_JP" else ["first_name", "last_name"]
    if locale == "ko_KR":
        first, last = words()["koreangiven"], words()["koreanfamily"]
    elif locale == "zh_CN":
        full = [name.split() for name in _drawn(fake, "romanized_name")]
        first, last = [name[0] for name in full], [name[-1] for name in full]
    else:
        first, last = (_drawn(fake, name) for name in names)
    if romanized:
        usual = pool("en_US")
        return Pool(
            first, last, words()["bigcity"], usual.street, usual.postcode, _drawn(fake, "phone_number"), usual.company
        )
    kinds = ("city", "street_name", "postcode", "phone_number", "company")
    return Pool(first, last, *(_drawn(fake, kind) for kind in kinds))


def invented(rng: random.Random) -> str:
    """A name that nobody bears, so that names are learned by where they stand and not by heart."""
    said = words()
    heads, hearts, tails = said["syllablehead"], said["syllableheart"], [*said["syllabletail"], ""]
    parts = (rng.choice(heads) + rng.choice(hearts) for _ in range(rng.choice([1, 2, 2, 3])))
    return ("".join(parts) + rng.choice(tails)).capitalize()


def _drawn(fake: object, kind: str) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            values = {str(getattr(fake, kind)()).translate(_CYRILLIC_BOTH) for _ in range(DRAWN)}
        except AttributeError:  # the locale has no such provider
            return list(getattr(pool("en_US"), {"street_name": "street", "phone_number": "phone"}.get(kind, kind)))
    return sorted(values)


_CYRILLIC_BOTH = _CYRILLIC | {ord(chr(code).upper()): latin.capitalize() for code, latin in _CYRILLIC.items()}
