"""Identifiers that have a written form: one table of rules, each a regular expression and often a checksum.

Names without a form of their own are not here (recognizers.py asks a model for those). A rule must be linear in the
text: a run of characters may start a match in one place only, and every other repetition is bounded.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

from governance.privacy.names import names_within

Check = Callable[[str], float | None]


class Rule(NamedTuple):
    """`check` scores what was found, None refuses it; a group named `v` narrows the find to the identifier itself.

    Where `cues` are given a match holds one of them, in small letters: a text without any need not be searched.
    """

    entity: str
    score: float
    regex: re.Pattern[str]
    check: Check | None
    cues: tuple[str, ...] = ()


def digits_of(text: str) -> str:
    return "".join(c for c in text if c.isdecimal())


def luhn(digits: str) -> bool:
    """Checksum of payment cards (ISO/IEC 7812)."""
    values = [int(d) for d in reversed(digits)]
    return (sum(values[::2]) + sum(sum(divmod(2 * v, 10)) for v in values[1::2])) % 10 == 0


def mod97(iban: str) -> bool:
    """Checksum of IBANs (ISO 13616)."""
    compact = re.sub(r"[^0-9A-Za-z]", "", iban).upper()
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _card(text: str) -> float | None:
    # A typo does not make a card number less of a card number: a failed checksum lowers the score, nothing more.
    digits = digits_of(text)
    return (1.0 if luhn(digits) else 0.6) if 13 <= len(digits) <= 19 else None


def _iban(text: str) -> float | None:
    return (1.0 if mod97(text) else 0.6) if len(digits_of(text)) >= 8 else None


def _ip(text: str) -> float | None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return None
    return 0.95 if any(c.isdecimal() for c in text) else None


def _name(text: str) -> float | None:
    return 0.8 if names_within(text) == [(0, len(text))] else None


def _titled(text: str) -> float | None:
    return 0.9 if text.isupper() or names_within(text) == [(0, len(text))] else None


def _digits(fewest: int, most: int, score: float = 0.75) -> Check:
    return lambda text: score if fewest <= len(digits_of(text)) <= most else None


_DASH = r"\-\u2010-\u2015\u2212"
_SEP = rf"[\s.{_DASH}]"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_YEAR = r"(?:1[89]|20)\d{2}"
_TIME = r"(?:[T\s]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s?[ap]m)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_DATE = (
    rf"(?:{_YEAR}[/.{_DASH}]\d{{1,2}}[/.{_DASH}]\d{{1,2}}{_TIME}"
    rf"|\d{{1,2}}[/{_DASH}]\d{{1,2}}[/{_DASH}](?:{_YEAR}|\d{{2}}){_TIME}"
    rf"|\d{{1,2}}\.\d{{1,2}}\.{_YEAR}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s{_DASH}](?:of\s)?{_MONTH}(?:,?[\s{_DASH}](?:{_YEAR}|'\d\d))?"
    rf"|{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s{_YEAR})?)(?![\w%])"
)
_CODE = rf"(?=[\w{_DASH}/]{{0,12}}\d)[A-Z0-9](?:[{_DASH}/]?[A-Z0-9]){{3,24}}"
_IS = rf"(?:\s?(?:number|no\b\.?|num\b\.?|id\b|code)){{0,2}}(?:\s(?:is|was|of))?[\s:#=({_DASH}]{{0,4}}"

_CAPITAL = r"[A-ZÀ-ÖØ-Þ]"
_WORD = rf"{_CAPITAL}[\w'’.-]{{0,30}}"
_ABOUT = (
    r"(?i:call(?:ed)?|contact(?:ed)?|phoned?|spoke\s(?:to|with)|seen\sby|discussed\swith|referred\s(?:to|by)|saw|"
    r"accompanied\sby|brought\sin\sby|met\swith|on\sbehalf\sof|lives\swith|next\sof\skin|nok|guardian|"
    r"emergency\scontact)"
)
_ACTS = (
    r"(?:lives|slept|reports|reported|denies|denied|called|visited|says|said|feels|came|states|stated|complains|"
    r"complained|refuses|refused|agreed|asked|asks|wants|works|drinks|smokes|walked|walks|phoned|wrote|lost|"
    r"was\s(?:brought|seen|admitted|taken|born|sent))"
)
_KIN = (
    r"(?i:wife|husband|son|daughter|mother|father|mum|mom|dad|brother|sister|partner|spouse|fianc[eé]e?|aunt|uncle|"
    r"niece|nephew|grand(?:mother|father|son|daughter)|neighbou?r|carer|caregiver|friend)"
)
_STREET = (
    r"(?i:street|st|avenue|ave|av|road|rd|lane|ln|drive|dr|court|ct|boulevard|blvd|way|place|pl|terrace|crescent|close|"
    r"gardens?|square|sq|parkway|pkwy|highway|hwy|circle|cir|trail|mews|walk|grove|nagar|marg|jalan)\b\.?"
)
_STREET_IN_ONE = (
    r"(?:\s?(?:[Ss]tr(?:aße|asse|\.)|(?<=[a-zß-])(?:weg|gasse|platz|allee|damm|ufer|ring)|"
    r"(?<=-)(?:Weg|Gasse|Platz|Allee|Damm|Ufer|Ring|Straße))|straat|gatan|vägen|katu|utca)"
)
_UNIT = r"(?i:,?\s{1,3}(?:apt|apartment|suite|ste|unit|flat|room|#)\.?\s?#?\w{1,6})?"
_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}"
_TOWN = (
    rf"(?:,?\s{{1,3}}{_WORD}(?:\s{_WORD}){{0,2}})?"
    rf"(?:,?\s{{1,3}}(?:[A-Z]{{2}}\s)?(?:\d{{5}}(?:-\d{{4}})?|\d{{6}}|{_POSTCODE})\b)?"
    rf"(?:(?<=\d{{5}})\s{_CAPITAL}[\w'’-]{{1,30}}(?:\s{_CAPITAL}[\w'’-]{{1,30}})?)?"
)
_CARE = (
    r"(?i:hospitals?|clinic|infirmary|hospice|medical\s(?:center|centre|group|practice)|health\s(?:center|centre|system)|"
    r"healthcare|nursing\shome|care\shome|pharmacy|sanatorium|surgical\scenter|klinikum|krankenhaus)\b"
)
_TITLE = r"(?i:mr|mrs|ms|miss|mx|dr|prof|professor|doctor|sir|rev|nurse|capt|captain|sgt|herr|frau|shri|smt)\b\.?"
_NAME_WORD = rf"{_CAPITAL}[\w'’-]{{1,30}}"
_PARTICLES = r"(?:(?:de|da|di|van|von|der|den|al|bin|la|le) ){0,2}"
_MORE_NAME = rf"(?:[ +](?:[A-Z]\.? )?{_PARTICLES}{_NAME_WORD})"
_NAME = rf"(?!(?:Dr|Mr|Mrs|Ms|Prof)\b){_NAME_WORD}{_MORE_NAME}{{0,3}}"
_ROLE = (
    r"(?i:patient|patient\sname|pt|name|full\sname|client|customer|next\sof\skin|nok|guardian|emergency\scontact|contact|"
    r"attending|physician|provider|prescriber|surgeon|consultant|referred\sby|signed(?:\sby)?|dictated\sby|"
    r"reviewed\sby|(?:best|kind|warm)?\s?regards|sincerely)"
)


def _rule(
    entity: str, score: float, *regex: str, check: Check | None = None, case: bool = False, cues: str = ""
) -> Rule:
    return Rule(entity, score, re.compile("".join(regex), 0 if case else re.IGNORECASE), check, tuple(cues.split()))


ONLINE = (
    _rule("EMAIL", 1.0, r"(?<![\w.+%'-])[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+", cues="@"),
    _rule(
        "EMAIL",
        0.9,
        r"\b[\w.+-]{1,64}\s?[\[(]\s?at\s?[\])]\s?[\w-]{1,63}",
        r"(?:\s?(?:\.|[\[(]\s?dot\s?[\])])\s?[\w-]{1,63}){1,4}",
        cues="[ (",
    ),
    _rule("URL", 0.95, r"(?:\bhttps?://|\bwww\.)[^\s<>\"']{3,300}(?<![.,;:!?)\]}])", cues="http www."),
    _rule("IP", 0.95, r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)", check=_ip),
    _rule(
        "IP",
        0.95,
        r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])",
        check=_ip,
    ),
    _rule("DEVICE", 0.9, rf"(?<![\w:])(?:[0-9a-f]{{2}}[:{_DASH}]){{5}}[0-9a-f]{{2}}(?![\w:])"),
    _rule("SECRET", 0.9, r"\beyJ[\w-]{8,}(?:\.[\w-]{4,}){0,2}|\bAKIA[A-Z0-9]{12,20}\b", case=True, cues="eyj akia"),
    _rule(
        "SECRET",
        0.9,
        r"\b(?:sk|pk|ghp|gho|xox[abp]|glpat)[_-](?=\w{0,40}\d)\w{12,}",
        case=True,
        cues="sk pk gh xox glpat",
    ),
)

NUMBERS = (
    _rule("SSN", 0.9, rf"(?<![\w{_DASH}])\d{{3}}[\s{_DASH}]\d{{2}}[\s{_DASH}]\d{{4}}(?![\w{_DASH}])"),
    _rule("SSN", 0.95, rf"\b(?:ssn|social\ssecurity){_IS}(?P<v>\d[\d\s{_DASH}]{{2,12}}\d)\b", cues="ssn social"),
    _rule("CARD", 0.6, rf"(?<![\w.])\d(?:[\s{_DASH}]?\d){{12,18}}(?!\w)", check=_card),
    _rule("IBAN", 0.6, r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,3})?\b", check=_iban, case=True),
    _rule("IBAN", 0.6, r"\b[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\b", check=_iban),
    _rule("MRN", 0.95, rf"\bmrn[\s:#{_DASH}]{{0,3}}\d(?:[{_DASH}]?[A-Z0-9]){{3,19}}\b", cues="mrn"),
    _rule(
        "MRN",
        0.9,
        r"\b(?:mrn|nhs|uhid|(?:medical|hospital|health|chart|patient|pt)\s?(?:record|file|chart)?)",
        rf"{_IS}(?P<v>{_CODE})\b",
        cues="mrn nhs uhid medical hospital health chart patient pt",
    ),
    _rule("MRN", 0.9, r"\bnhs\D{0,12}(?P<v>\d{3}\s\d{3}\s\d{4})\b", cues="nhs"),
    _rule(
        "ACCOUNT",
        0.85,
        r"\b(?:account|acct?|a/c|policy|member(?:ship)?|insurance|subscriber|customer|employee|staff|passport|visa|",
        r"licen[cs]e|national|routing|sort\scode|tax|vat|npi|dea|claim|aadhaar|pan|nric|card|iban|bic|swift|user|",
        rf"reference){_IS}(?P<v>{_CODE})\b",
        check=_digits(4, 34, 0.85),
        cues="account acc a/c policy member insurance subscriber customer employee staff passport visa licen national "
        "routing sort tax vat npi dea claim aadhaar pan nric card iban bic swift user reference",
    ),
    _rule(
        "ACCOUNT",
        0.85,
        rf"\b(?:nid|emp|ins|pol|dl|rx|acct?|cust|pat|mem|clm|bio|uhid|prov)[{_DASH}#]{{1,2}}{_CODE}\b",
    ),
    _rule("ACCOUNT", 0.7, r"\b(?:[STFGM]\d{7}[A-Z]|[A-Z]{5}\d{4}[A-Z])\b", case=True),  # NRIC, PAN
    _rule("ACCOUNT", 0.7, r"\b(?=[A-Z0-9]{0,16}\d{4})[A-HJ-NPR-Z0-9]{17}\b", check=_digits(6, 16, 0.7), case=True),
    _rule("ACCOUNT", 0.7, r"\b\d{2}-\d{2}-\d{2}\s\d{8}\b|\b\d{4}\s\d{4}\s\d{4}\b"),  # sort code, Aadhaar
    _rule("ACCOUNT", 0.55, rf"\b(?:[A-Z]{{2,5}}[{_DASH}]\d{{6,}}|[A-Z]\d{{3}}(?:[{_DASH}]\d{{4}}){{2}})\b", case=True),
    _rule("ACCOUNT", 0.55, r"\b(?=[A-Z\d]{0,2}[A-Z])[A-Z\d]{1,3}\d{6,9}[A-Z]?\b", case=True),
    _rule("ACCOUNT", 0.5, r"(?<![\w.,])\d{8,}(?!\w|[.,]\d)"),
)

DATES = (
    _rule(
        "BIRTHDATE",
        0.95,
        r"\b(?:dob|d\.o\.b\.?|date\sof\sbirth|birth\s?da(?:te|y)|born)",
        rf"(?:\s(?:is|was|on|in))?[\s:=(,\"{_DASH}]{{0,4}}(?P<v>{_DATE})",
        cues="dob d.o.b birth born",
    ),
    _rule("DATE", 0.8, rf"(?<![\w.{_DASH}])(?P<v>{_DATE})"),
    _rule(
        "DATE",
        0.6,
        r"\b(?:on|arrived|admitted|seen|since|from|until|till|before|after|dated?)\s(?P<v>[01]?\d/[0-3]?\d|[0-3]?\d\.[01]?\d\.)",
        r"(?![\w/%])",
        cues="on arrived admitted seen since from until till before after date",
    ),
    _rule(
        "AGE",
        0.9,
        rf"(?<![\w.,/])(?P<v>9\d|1[0-2]\d)(?=[\s{_DASH}]?(?:years?|yrs?|y\.?/?o\b|yo\b)",
        rf"(?![\s{_DASH}](?:ago|later|warranty)))",
        cues="year yr yo y/o y.o yo",
    ),
    _rule(
        "AGE",
        0.9,
        r"\b(?:age|aged|turn(?:s|ed|ing)?)(?:\s(?:is|of))?[\s:=]{0,3}(?P<v>9\d|1[0-2]\d)(?![\w.,%]\d|\w|\s?%)",
        cues="age turn",
    ),
    _rule(
        "AGE",
        0.8,
        r"\b(?:(?:wo)?man|(?:fe)?male|lady|gentleman|grand(?:mother|father)|(?-i:[A-Z][a-z]{2,20}))(?:,\s|\s\()",
        r"(?P<v>9\d|1[0-2]\d)(?=[,;)]|\.\s|$)",
    ),
    _rule("AGE", 0.7, r"(?<![\w.,/])(?P<v>9\d)(?=[MF]\b|\s(?:fe)?male\b)", case=True),
    _rule(
        "AGE",
        0.9,
        rf"\b(?P<v>ninety(?:[\s{_DASH}](?:one|two|three|four|five|six|seven|eight|nine))?",
        rf"|(?:one|a)\shundred(?:\sand\s\w{{3,9}})?)(?=[\s{_DASH}]years?[\s{_DASH}]old)",
        cues="ninety hundred",
    ),
)

PHONES = (
    _rule(
        "PHONE",
        0.9,
        rf"(?<![\w+])(?:\+|\b00)[1-9]\d{{0,2}}(?:{_SEP}{{0,2}}\(?\d{{1,5}}\)?){{2,6}}(?:\s?x\d{{1,6}})?(?!\w)",
        check=_digits(8, 21, 0.9),
    ),
    _rule(  # US
        "PHONE",
        0.85,
        rf"(?<![\w+.{_DASH}])(?:1{_SEP})?(?:\(\d{{3}}\){_SEP}?|\d{{3}}{_SEP})\d{{3}}{_SEP}\d{{4}}",
        r"(?:\s?(?:x|ext\.?)\s?\d{1,6})?(?!\w)",
    ),
    _rule(  # UK, IN, DE with the trunk 0
        "PHONE",
        0.75,
        rf"(?<![\w+.])(?:\(0\d{{2,5}}\)\s?|0[1-9]\d{{1,4}}[\s/.{_DASH}]{{1,3}})\d{{2,8}}(?:{_SEP}\d{{2,6}}){{0,4}}(?!\w)",
        check=_digits(9, 13),
    ),
    _rule(  # IN mobile, SG
        "PHONE",
        0.6,
        rf"(?<![\w+.])(?:[6-9]\d{{4}}[\s{_DASH}]\d{{5}}|[689]\d{{3}}[\s{_DASH}]\d{{4}})(?!\w|[\s{_DASH}]\d)",
    ),
    _rule(
        "PHONE",
        0.6,
        rf"(?<![\w+.,/{_DASH}])\(?\d{{2,3}}\)?[\s{_DASH}]\d{{3}}[\s{_DASH}]\d{{3}}(?![\w/,]|[.{_DASH}\s]\d)",
    ),
    _rule(
        "PHONE",
        0.85,
        rf"\b(?:phone|tel|telephone|mobile|cell|fax|call|ph|whatsapp){_IS}(?:(?:me|us|him|her|them)\s)?(?:(?:on|at)\s)?",
        rf"(?P<v>[+(]?\d[\d\s().{_DASH}]{{5,18}}\d)",
        check=_digits(7, 15, 0.85),
        cues="phone tel mobile cell fax call ph whatsapp",
    ),
)

PLACES = (
    _rule(
        "ADDRESS",
        0.9,
        r"(?<![\w.,])\d{1,6}[A-Za-z]?(?:[-/]\d{1,5})?,?\s{1,3}(?:[NSEW]{1,2}\.?\s)?",
        rf"(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th))\s{{1,3}}){{1,4}}{_STREET}{_UNIT}{_TOWN}",
        case=True,
    ),
    _rule(
        "ADDRESS",
        0.85,
        rf"\b[A-ZÄÖÜ][\wäöüß-]{{2,30}}{_STREET_IN_ONE}\s\d{{1,4}}[a-z]?(?:[-/]\d{{1,4}})?\b{_UNIT}{_TOWN}",
        case=True,
    ),
    _rule(
        "ADDRESS",
        0.85,
        r"(?<![\w.,])\d{1,6}\s[^.!?\n]{3,60}?,?\s{1,3}(?:[Aa]pt|[Ss]uite|[Uu]nit)\.?\s\d{1,5}",
        rf"(?:{_TOWN}(?:,?\s{{1,3}}{_WORD}(?: {_WORD}){{0,2}}(?:,?\s\d{{4,6}})?)?)?",
        case=True,
        cues="apt suite unit",
    ),
    _rule(
        "ADDRESS",
        0.7,
        r"\b(?:address|lives?\s(?:at|on)|resid(?:es|ing)\s(?:at|on))(?:\sis)?\s?[:\s]\s{0,3}",
        r"(?P<v>(?=[^.?!\n]{0,60}\d)[^.?!\n;]{6,90})",
        cues="address live resid",
    ),
    _rule(
        "ADDRESS",
        0.85,
        rf"\b{_WORD}(?:\s{_WORD}){{0,2}},\s{{1,3}}[A-Z]{{2}},?\s{{1,3}}\d{{5}}(?:-\d{{4}})?\b",
        case=True,
    ),
    _rule("ADDRESS", 0.7, rf"\b{_POSTCODE}\b", case=True),
    _rule(
        "ADDRESS",
        0.85,
        r"(?<![\w.,])(?:(?:Flat|Studio|Unit|Apartment)\s\d{1,4}[A-Za-z]?,?\s{1,3})?(?:\d{1,6}[A-Za-z]?(?:/\d{1,5})?,?\s)?",
        rf"{_CAPITAL}[\w'’.-]{{0,30}}\s{_CAPITAL}[^.!?\n;:]{{2,70}}?,?\s(?:{_POSTCODE}|[A-Z]{{2}}\s\d{{5}}(?:-\d{{4}})?)\b",
        case=True,
    ),
    _rule(
        "ADDRESS",
        0.8,
        rf"(?<![\w.,])(?:\d{{1,4}}(?:/\d{{1,5}})?|H\.?\sNo\.?\s\d{{1,4}}),?\s{_CAPITAL}[^.!?\n;:]{{2,70}}?[\s-]\d{{6}}\b",
        case=True,
    ),
    _rule(
        "ADDRESS",
        0.8,
        r"\bp\.?\s?o\.?\sbox\s\d{1,6}\b|\b(?:apt|flat|apartment)\.?\s(?:no\.?\s)?#?\d{1,5}\b|",
        r"\b(?:blk|block)\s\d{1,4}[A-Z]?\b|\bSingapore\s\d{6}\b|(?<!\w)#\d{2}-\d{2,4}\b|",
        r"\b(?:psc|unit|cmr)\s\d{1,5},?\sbox\s\d{1,5}(?:[,\s]{1,3}[AFD]PO\sA[APE]\s\d{5})?",
        cues="box apt flat apartment blk block singapore # psc unit cmr",
    ),
    _rule(
        "ADDRESS",
        0.8,
        r"\b(?:zip|postal|post)(?:\s?code)?\W{1,3}(?:is\s)?",
        r"(?P<v>(?=[A-Z\s-]{0,4}\d)[A-Z0-9]{2,5}(?:[\s-]?[A-Z0-9]{2,4})?)\b",
        cues="zip post",
    ),
    _rule(
        "ORGANIZATION",
        0.8,
        rf"\b(?:{_WORD} (?:(?:of|and|the|for|&) ){{0,2}}){{1,4}}{_CARE}(?: of (?:the )?{_WORD}(?: {_WORD})?)?",
        case=True,
        cues="hospital clinic infirmary hospice medical health nursing care pharmacy sanatorium surgical klinikum "
        "krankenhaus",
    ),
)

PEOPLE = (
    _rule("PERSON", 0.9, rf"\b{_TITLE}\s(?P<v>(?:[A-Z]\.\s?){{0,2}}{_NAME})", check=_titled, case=True),
    _rule(
        "PERSON",
        0.8,
        rf"\b{_ROLE}\"?\s?[:=,]\s{{0,2}}\"?(?:{_TITLE}\s)?",
        rf"(?P<v>{_NAME_WORD}{_MORE_NAME}{{1,3}}|{_NAME_WORD}(?=\s?[,.;()\n\"&|]|\s*$))",
        check=_name,
        case=True,
    ),
    _rule(
        "PERSON",
        0.8,
        rf"(?P<v>\b{_NAME_WORD} (?:[A-Z]\.? )?{_NAME_WORD})(?=,?\s\(?(?:MRN|DOB|[Dd]ate of [Bb]irth)\b)",
        check=_name,
        case=True,
    ),
    _rule("PERSON", 0.8, rf"\b(?:[Pp]atient|PATIENT|[Pp]t|{_KIN}),? (?P<v>{_NAME})", check=_name, case=True),
    _rule(
        "PERSON",
        0.7,
        rf"(?:^|[.:!?\n]\s{{0,2}})(?P<v>{_NAME_WORD}(?: {_NAME_WORD})?)(?= {_ACTS}\b)",
        check=_name,
        case=True,
    ),
    _rule("PERSON", 0.8, rf"\b{_ABOUT} (?P<v>{_NAME_WORD} (?:[A-Z]\.? )?{_NAME_WORD})", check=_name, case=True),
    _rule(
        "PERSON",
        0.85,
        r"\b(?i:my\sname\sis|my\sname's|i\sam\scalled)\s",
        rf"(?P<v>[^\W\d_][\w'’-]{{1,30}}(?:\s{_NAME_WORD}){{0,2}})",
        case=True,
    ),
)

RULES = (*ONLINE, *NUMBERS, *DATES, *PHONES, *PLACES, *PEOPLE)
WRITTEN = (*ONLINE, *NUMBERS, *DATES, *PHONES, *PLACES)  # where a tagger reads the names
