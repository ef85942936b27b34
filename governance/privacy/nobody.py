"""What a reader of names marks and nobody is known by: signs, currencies, ranks, a word that lacks its capital.

And what so many share that it leads to nobody by itself: a year, a country that nobody is said to be of.
"""

import re
from collections.abc import Sequence

from governance.privacy.names import fold, is_common
from governance.privacy.spans import Span

NAMES = frozenset({"PERSON", "LOCATION", "ORGANIZATION", "NRP"})
OLDEST = 120  # years
DOUBTFUL = {"ORGANIZATION": 0.75, "LOCATION": 0.5, "PERSON": 0.4}  # without its capital it is believed from here on
FEWEST_DIGITS = 3  # of a number that somebody can be called by
NEAR = 40  # characters beside a span that may say what it is
AROUND = 200  # characters to each side in which a writer's capitals are looked for


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split(","))


# Of the world's countries and continents the names in use.
COUNTRIES = _phrases(
    "africa, antarctica, asia, europe, north america, south america, latin america, america, middle east, "
    "afghanistan, albania, algeria, andorra, angola, argentina, armenia, australia, austria, azerbaijan, bahamas, "
    "bahrain, bangladesh, barbados, belarus, belgium, belize, benin, bhutan, bolivia, bosnia, "
    "bosnia and herzegovina, botswana, brazil, britain, great britain, brunei, bulgaria, burkina faso, burundi, "
    "cambodia, cameroon, canada, cape verde, chad, chile, china, colombia, congo, costa rica, croatia, cuba, cyprus, "
    "czechia, czech republic, denmark, djibouti, dominican republic, ecuador, egypt, el salvador, england, eritrea, "
    "estonia, eswatini, ethiopia, fiji, finland, france, gabon, gambia, georgia, germany, ghana, greece, greenland, "
    "grenada, guatemala, guinea, guyana, haiti, honduras, hong kong, hungary, iceland, india, indonesia, iran, iraq, "
    "ireland, northern ireland, israel, italy, ivory coast, jamaica, japan, jordan, kazakhstan, kenya, kosovo, kuwait, "
    "kyrgyzstan, laos, latvia, lebanon, lesotho, liberia, libya, liechtenstein, lithuania, luxembourg, macedonia, "
    "north macedonia, madagascar, malawi, malaysia, maldives, mali, malta, mauritania, mauritius, mexico, moldova, "
    "monaco, mongolia, montenegro, morocco, mozambique, myanmar, namibia, nepal, netherlands, holland, new zealand, "
    "nicaragua, niger, nigeria, norway, oman, pakistan, palestine, panama, papua new guinea, paraguay, peru, "
    "philippines, poland, portugal, puerto rico, qatar, romania, russia, rwanda, samoa, san marino, saudi arabia, "
    "scotland, senegal, serbia, seychelles, sierra leone, singapore, slovakia, slovenia, somalia, south africa, "
    "korea, south korea, north korea, south sudan, spain, sri lanka, sudan, suriname, sweden, switzerland, syria, "
    "taiwan, tajikistan, tanzania, thailand, togo, tonga, trinidad and tobago, tunisia, turkey, turkmenistan, uganda, "
    "ukraine, united arab emirates, uae, united kingdom, uk, u k, united states, united states of america, usa, us, "
    "u s, u s a, uruguay, uzbekistan, venezuela, vietnam, wales, yemen, zambia, zimbabwe"
)
CURRENCIES = _phrases(
    "aed, ars, aud, bgn, brl, cad, chf, clp, cny, cop, czk, dkk, egp, eur, gbp, hkd, huf, idr, ils, inr, jpy, krw, "
    "mxn, myr, ngn, nok, nzd, php, pkr, pln, ron, rub, sar, sek, sgd, thb, try, twd, uah, usd, vnd, zar, btc, eth, "
    "crypto, bitcoin, ether, dollar, dollars, euro, euros, pound, pounds, rupee, rupees, ruble, rubles, rouble, "
    "roubles, yen, yuan, peso, pesos, krona, zloty"
)
# How one pays, and with whose card.
_PAYMENTS = _phrases(
    "american express, amex, mastercard, visa, maestro, paypal, apple, apple pay, apple watch, google, google pay, "
    "samsung pay, android pay, direct debit, standing order, international transfer, international transfers"
)
# Alone they name nobody; beside a name they may be a part of it.
_BARE = _phrases(
    "a, an, and, as, at, by, city, club, community, country, county, for, from, guardian, in, maiden, of, on, or, "
    "orchestra, s, street, the, to, town, village"
)
_WORD = re.compile(r"[^\W_]+")
_OF_SOMEBODY = re.compile(
    r"\b(?:lives?|lived|living|born|raised|grew|origin(?:ally)?|native|citizens?|nationals?|moved|settled|resid(?:es?|ed|ing)|"
    r"residents?|immigrated|emigrated|travel(?:l?ed|l?ing)?|visit(?:ed|ing)?|fl(?:y|ew|ying)|returned|returning)\b",
    re.IGNORECASE,
)
_PAYMENT = re.compile(rf"\b(?:{'|'.join(sorted(_PAYMENTS, key=len, reverse=True))})\b", re.IGNORECASE)
_YEAR = re.compile(r"(?:1[89]|20)\d\d")
# A rank or a number before, a length of time behind: no age.
_RANKED = re.compile(r"(?:\b(?:top|version|page|chapter|part|level|no\.?)\s|#\s?)$", re.IGNORECASE)
_LASTED = re.compile(r"\s?\+|[\s-](?:years?|yrs?)[\s-](?:of|ago|later|experience|warranty)\b", re.IGNORECASE)
# All of it that decides, for the digest of a detector.
DECIDING = {
    "words": sorted(COUNTRIES | CURRENCIES | _PAYMENTS | _BARE),
    "patterns": [p.pattern for p in (_OF_SOMEBODY, _YEAR, _RANKED, _LASTED)],
    "numbers": [OLDEST, DOUBTFUL, FEWEST_DIGITS, NEAR, AROUND],
}


def somebody(text: str, spans: Sequence[Span]) -> list[Span]:
    """The spans of a reader without those that by their writing or their surroundings are no identifier."""
    return [span for span in spans if not _nobody(text, span)]


def _nobody(text: str, span: Span) -> bool:
    words = _WORD.findall(fold(text[span.start : span.end]))
    if all(word in _BARE for word in words):
        return True
    if span.entity == "AGE":
        return _no_age(text, span, words)
    if span.entity == "PHONE":
        return sum(map(str.isdecimal, text[span.start : span.end])) < FEWEST_DIGITS
    if span.entity not in NAMES:
        return False
    money = span.entity != "PERSON" and words[-1] in CURRENCIES
    return money or all(map(is_common, words)) or _pays(text, span) or _lacks_capital(text, span)


def _no_age(text: str, span: Span, words: list[str]) -> bool:
    too_old = all(word.isdecimal() and int(word[:6]) > OLDEST for word in words)
    before = text[max(0, span.start - 12) : span.start]
    return too_old or bool(_RANKED.search(before) or _LASTED.match(text, span.end))


def _pays(text: str, span: Span) -> bool:
    """Whether it is a way to pay, or a part of one: the American of American Express."""
    ways = _PAYMENT.finditer(text, max(0, span.start - NEAR), span.end + NEAR)
    return any(way.start() <= span.start and span.end <= way.end() for way in ways)


def _lacks_capital(text: str, span: Span) -> bool:
    """Whether it is a doubtful name: one small word of somebody who writes capitals."""
    word = text[span.start : span.end]
    if span.score >= DOUBTFUL.get(span.entity, 0) or not word.islower() or " " in word:
        return False
    return any(c.isupper() for c in text[max(0, span.start - AROUND) : span.end + AROUND])


def identifying(text: str, spans: list[Span]) -> list[Span]:
    """The spans, or none where all that they say is shared by too many to lead to anybody."""
    return [] if all(_shared(text, span) for span in spans) else spans


def _shared(text: str, span: Span) -> bool:
    written = text[span.start : span.end]
    if span.entity == "DATE":
        return _YEAR.fullmatch(written) is not None
    named = " ".join(word for word in _WORD.findall(fold(written)) if word != "the")
    mine = _OF_SOMEBODY.search(text, max(0, span.start - NEAR), span.start)
    return span.entity in NAMES and named in COUNTRIES and not mine
