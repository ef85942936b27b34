"""Addresses, hospitals and people by the words that stand in them or beside them: rules that look for capitals."""

from governance.privacy.names import names_within
from governance.privacy.rule import Check, Rule, rule

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
# What an address goes on with, so that no sentence is taken for one.
_MORE_PLACE = rf"(?:,?\s{{1,3}}(?:{_WORD}|#?\d{{1,6}}[A-Za-z]?(?:[-/]\d{{1,5}})?|and|de|la|of|the)){{1,9}}?"
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


def _name(text: str) -> float | None:
    return 0.8 if names_within(text) == [(0, len(text))] else None


def _titled(text: str) -> float | None:
    return 0.9 if text.isupper() or names_within(text) == [(0, len(text))] else None


PLACES = (
    rule(
        "ADDRESS",
        0.9,
        r"(?<![\w.,])\d{1,6}[A-Za-z]?(?:[-/]\d{1,5})?,?\s{1,3}(?:[NSEW]{1,2}\.?\s)?",
        rf"(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th))\s{{1,3}}){{1,4}}{_STREET}{_UNIT}{_TOWN}",
        case=True,
    ),
    rule(
        "ADDRESS",
        0.85,
        rf"\b[A-ZÄÖÜ][\wäöüß-]{{2,30}}{_STREET_IN_ONE}\s\d{{1,4}}[a-z]?(?:[-/]\d{{1,4}})?\b{_UNIT}{_TOWN}",
        case=True,
    ),
    rule(
        "ADDRESS",
        0.85,
        r"(?<![\w.,])\d{1,6}\s[^.!?\n]{3,60}?,?\s{1,3}(?:[Aa]pt|[Ss]uite|[Uu]nit)\.?\s\d{1,5}",
        rf"(?:{_TOWN}(?:,?\s{{1,3}}{_WORD}(?: {_WORD}){{0,2}}(?:,?\s\d{{4,6}})?)?)?",
        case=True,
        cues="apt suite unit",
    ),
    rule(
        "ADDRESS",
        0.7,
        r"\b(?:address|lives?\s(?:at|on)|resid(?:es|ing)\s(?:at|on))(?:\sis)?\s?[:\s]\s{0,3}",
        r"(?P<v>(?=[^.?!\n;,]{0,60}\d)[^.?!\n;,]{6,90})",
        cues="address live resid",
    ),
    rule(
        "ADDRESS",
        0.85,
        rf"\b{_WORD}(?:\s{_WORD}){{0,2}},\s{{1,3}}[A-Z]{{2}},?\s{{1,3}}\d{{5}}(?:-\d{{4}})?\b",
        case=True,
    ),
    rule("ADDRESS", 0.7, rf"\b{_POSTCODE}\b", case=True),
    rule(
        "ADDRESS",
        0.85,
        rf"(?<![\w.,])(?:(?:Flat|Studio|Unit|Apartment)\s)?\d{{1,6}}[A-Za-z]?(?:/\d{{1,5}})?{_MORE_PLACE}",
        rf",?\s(?:{_POSTCODE}|[A-Z]{{2}}\s\d{{5}}(?:-\d{{4}})?)\b",
        case=True,
    ),
    rule(
        "ADDRESS",
        0.8,
        rf"(?<![\w.,])(?:\d{{1,4}}(?:/\d{{1,5}})?|H\.?\s?No\.?\s\d{{1,4}}){_MORE_PLACE},?[\s-]{{1,3}}\d{{6}}\b",
        case=True,
    ),
    rule(
        "ADDRESS",
        0.8,
        r"\bp\.?\s?o\.?\sbox\s\d{1,6}\b|\b(?:apt|flat|apartment)\.?\s(?:no\.?\s)?#?\d{1,5}\b|",
        r"\b(?:blk|block)\s\d{1,4}[A-Z]?\b|\bSingapore\s\d{6}\b|(?<!\w)#\d{2}-\d{2,4}\b|",
        r"\b(?:psc|unit|cmr)\s\d{1,5},?\sbox\s\d{1,5}(?:[,\s]{1,3}[AFD]PO\sA[APE]\s\d{5})?",
        cues="box apt flat apartment blk block singapore # psc unit cmr",
    ),
    rule(
        "ADDRESS",
        0.8,
        r"\b(?:zip|postal|post)(?:\s?code)?\W{1,3}(?:is\s)?",
        r"(?P<v>(?=[A-Z\s-]{0,4}\d)[A-Z0-9]{2,5}(?:[\s-]?[A-Z0-9]{2,4})?)\b",
        cues="zip post",
    ),
    rule(
        "ORGANIZATION",
        0.8,
        rf"\b(?:{_WORD} (?:(?:of|and|the|for|&) ){{0,2}}){{1,4}}{_CARE}(?: of (?:the )?{_WORD}(?: {_WORD})?)?",
        case=True,
        cues="hospital clinic infirmary hospice medical health nursing care pharmacy sanatorium surgical klinikum "
        "krankenhaus",
    ),
)


def _person(score: float, *pattern: str, check: Check | None = _name) -> Rule:
    return rule("PERSON", score, *pattern, check=check, case=True)


PEOPLE = (
    _person(0.9, rf"\b{_TITLE}\s(?P<v>(?:[A-Z]\.\s?){{0,2}}{_NAME})", check=_titled),
    _person(
        0.8,
        rf"\b{_ROLE}\"?\s?[:=,]\s{{0,2}}\"?(?:{_TITLE}\s)?",
        rf"(?P<v>{_NAME_WORD}{_MORE_NAME}{{1,3}}|{_NAME_WORD}(?=\s?[,.;()\n\"&|]|\s*$))",
    ),
    _person(
        0.8,
        rf"(?P<v>\b{_NAME_WORD} (?:[A-Z]\.? )?{_NAME_WORD})(?=,?\s\(?(?:MRN|DOB|[Dd]ate of [Bb]irth)\b)",
    ),
    _person(0.8, rf"\b(?:[Pp]atient|PATIENT|[Pp]t|{_KIN}),? (?P<v>{_NAME})"),
    _person(0.7, rf"(?:^|[.:!?\n]\s{{0,2}})(?P<v>{_NAME_WORD}(?: {_NAME_WORD})?)(?= {_ACTS}\b)"),
    _person(0.8, rf"\b{_ABOUT} (?P<v>{_NAME_WORD} (?:[A-Z]\.? )?{_NAME_WORD})"),
    _person(
        0.85,
        r"\b(?i:my\sname\sis|my\sname's|i\sam\scalled)\s",
        rf"(?P<v>[^\W\d_][\w'’-]{{1,30}}(?:\s{_NAME_WORD}){{0,2}})",
        check=None,
    ),
)
