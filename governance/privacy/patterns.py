"""Identifiers that have a written form, each a rule of a regular expression and often a checksum: one table.

Names without a form of their own are not here (recognizers.py asks a model for those).
"""

import ipaddress
import re

from governance.privacy.rule import Check, rule
from governance.privacy.wordings import PEOPLE, PLACES


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
        ipaddress.ip_address(text.replace("[.]", "."))
    except ValueError:
        return None
    return 0.95 if any(c.isdecimal() for c in text) else None


def _digits(fewest: int, most: int, score: float = 0.75) -> Check:
    return lambda text: score if fewest <= len(digits_of(text)) <= most else None


_DASH = r"\-\u2010-\u2015\u2212"
_SEP = rf"[\s.·{_DASH}]"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_YEAR = r"(?:1[89]|20)\d{2}"
_TIME = r"(?:[T\s]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s?[ap]m)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_DATE = (
    rf"(?:{_YEAR}[/.{_DASH}]\d{{1,2}}[/.{_DASH}]\d{{1,2}}{_TIME}"
    rf"|\d{{1,2}}[/{_DASH}]\d{{1,2}}[/{_DASH}](?:{_YEAR}|\d{{2}}){_TIME}"
    rf"|\d{{1,2}}\s?[./]\s?\d{{1,2}}\s?[./]\s?{_YEAR}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s{_DASH}](?:of\s)?{_MONTH}(?:,?[\s{_DASH}](?:{_YEAR}|'\d\d))?"
    rf"|{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s{_YEAR})?)(?![\w%])"
)
_CODE = rf"(?=[\w{_DASH}/]{{0,12}}\d)[A-Z0-9](?:[{_DASH}/]?[A-Z0-9]){{3,24}}"
_IS = rf"(?:\s?(?:number|no\b\.?|num\b\.?|id\b|code)){{0,2}}(?:\s(?:is|was|of))?[\s:#=({_DASH}]{{0,4}}"

_NOBODYS_HOME = "app|default|deploy|ec2-user|jenkins|node|public|Public|root|runner|shared|Shared|ubuntu|vagrant"
_NO_HANDLE = (  # who is called, and what stands behind this sign in code
    "all|author|autowired|bean|channel|charset|classmethod|component|controller|dataclass|deprecated|everyone|"
    "font-face|here|home|import|inject|keyframes|media|override|param|property|pytest|returns?|school|see|service|"
    "since|staticmethod|suppresswarnings|team|test|throws|todo|work"
)
_NOBODYS_LOGIN = (
    "admin|administrator|anonymous|default|false|guest|is|name|nil|nobody|none|not|null|password|postgres|root|service|"
    "system|test|the|true|undefined|unknown|user|username|was"
)
_SPOKEN = "zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple"
_PROFILES = r"(?:linkedin|twitter|x|facebook|instagram|tiktok|github|gitlab|reddit)\.com|t\.me"
_UPI = "ok[a-z]{3,10}|ybl|ibl|axl|apl|upi|paytm|pt(?:yes|sbi|hdfc|axis)|icici|sbi|hdfcbank|axisbank|kotak|yesbank"

ONLINE = (
    rule("EMAIL", 1.0, r"(?<![\w.+%'-])[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+", cues="@"),
    rule("EMAIL", 0.9, rf"(?<![\w.+%'-])[\w.-]{{2,64}}@(?:{_UPI})\b(?!\.\w)", cues="@"),
    rule(
        "EMAIL",
        0.9,
        r"\b[\w.+-]{1,64}(?:\sdot\s[\w-]{1,63}){0,3}\sat\s[\w-]{1,63}(?:\sdot\s[\w-]{2,63}){1,3}\b",
        cues="dot",
    ),
    rule(
        "EMAIL",
        0.9,
        r"\b[\w.+-]{1,64}\s?[\[(]\s?at\s?[\])]\s?[\w-]{1,63}",
        r"(?:\s?(?:\.|[\[(]\s?dot\s?[\])])\s?[\w-]{1,63}){1,4}",
        cues="[ (",
    ),
    rule(  # the owner of a home folder
        "USERNAME",
        0.9,
        rf"(?:/home/|/Users/|\\(?:Users|home)\\)(?!(?:{_NOBODYS_HOME})\b)(?P<v>[\w.-]{{2,32}})",
        case=True,
        cues="/home/ /users/ \\users\\ \\home\\",
    ),
    rule(  # user=jroe, user 'jroe', "username": "jroe", Username: jroe
        "USERNAME",
        0.85,
        r"\b(?:user(?:[_ ]?name|[_ ]?id)?(?:=|\s(?='[\w.-]{2,32}'))|(?:user[_ ]?name|user[_ ]?id|login[_ ]name):\s?|",
        r"user(?:[_ ]?name|[_ ]?id)?\"\s?:\s?(?=\"[\w.-]{2,32}\"))[\"']?",
        rf"(?!(?:{_NOBODYS_LOGIN})\b)(?P<v>[a-z][\w.-]{{1,31}}+)(?<![.-])(?![\w@({{])",
        cues="user login",
    ),
    rule(  # a handle; what is called, imported or scoped by this sign is code
        "USERNAME",
        0.85,
        rf"(?<![\w.+%'/@{_DASH}])@(?!(?:{_NO_HANDLE}|\d{{1,2}}[ap]m)\b)",
        r"(?=\w{0,29}[^\W\d])\w{2,30}+(?:[.-]\w{1,30}+){0,3}+(?![(/])",
        cues="@",
    ),
    rule("URL", 0.95, r"(?:\bhttps?://|\bwww\.)[^\s<>\"']{3,300}(?<![.,;:!?)\]}])", cues="http www."),
    rule("URL", 0.9, rf"(?<![\w.])(?:{_PROFILES})/[\w@./-]{{2,200}}(?<![.])", cues="/"),
    rule("IP", 0.95, r"(?<![\w.])(?:\d{1,3}(?:\.|\[\.\])){3}\d{1,3}(?!\w|\.\d)", check=_ip),
    rule(
        "IP",
        0.95,
        r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])",
        check=_ip,
    ),
    rule("DEVICE", 0.9, rf"(?<![\w:])(?:[0-9a-f]{{2}}[:{_DASH}]){{5}}[0-9a-f]{{2}}(?![\w:])"),
    rule("SECRET", 0.9, r"\beyJ[\w-]{8,}(?:\.[\w-]{4,}){0,2}|\bAKIA[A-Z0-9]{12,20}\b", case=True, cues="eyj akia"),
    rule(
        "SECRET",
        0.9,
        r"\b(?:sk|pk|ghp|gho|xox[abp]|glpat)[_-](?=\w{0,40}\d)\w{12,}",
        case=True,
        cues="sk pk gh xox glpat",
    ),
)

NUMBERS = (
    rule(  # a number as it is said; of which kind remains open
        "SECRET",
        0.8,
        rf"\b(?:(?:{_SPOKEN})[\s,.{_DASH}]{{1,3}}){{6,30}}(?:{_SPOKEN})\b",
        cues="zero two three four five six seven eight nine",
    ),
    rule(  # what proves that a card or an account is one's own
        "SECRET",
        0.85,
        rf"\b(?:cvv2?|cvc2?|pin|otp|pass\s?code|(?:security|verification)\scode){_IS}(?P<v>\d{{3,8}})\b",
        cues="cvv cvc pin otp pass security verification",
    ),
    rule(  # where on earth, in degrees
        "LOCATION",
        0.85,
        r"\b(?:lat(?:itude)?|lon(?:g(?:itude)?)?|lng)\b[\"'\s:=]{1,4}(?P<v>[+-]?\d{1,3}\.\d{3,})",
        cues="lat lon lng",
    ),
    rule(  # both together; three or more are a vector
        "LOCATION",
        0.85,
        r"(?<![\w.,+-])(?<!\d[,;]\s)[+-]?\d{1,2}\.\d{3,}(?:°?\s?[NS])?[,;]\s?[+-]?\d{1,3}\.\d{3,}(?:°?\s?[EW]\b)?",
        r"(?![\w.]|[,;]\s?[+-]?\d)",
        cues="gps coord locat posit geo map tracker",
    ),
    rule("SSN", 0.9, rf"(?<![\w{_DASH}])\d{{3}}[\s{_DASH}]\d{{2}}[\s{_DASH}]\d{{4}}(?![\w{_DASH}])"),
    rule("SSN", 0.95, rf"\b(?:ssn|social\ssecurity){_IS}(?P<v>\d[\d\s{_DASH}]{{2,12}}\d)\b", cues="ssn social"),
    rule("CARD", 0.6, rf"(?<![\w.])\d(?:[\s{_DASH}]?\d){{12,18}}(?!\w)", check=_card),
    rule("IBAN", 0.6, r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,3})?\b", check=_iban, case=True),
    rule("IBAN", 0.6, r"\b[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\b", check=_iban),
    rule("MRN", 0.95, rf"\bmrn[\s:#{_DASH}]{{0,3}}\d(?:[{_DASH}]?[A-Z0-9]){{3,19}}\b", cues="mrn"),
    rule(
        "MRN",
        0.9,
        r"\b(?:mrn|nhs|uhid|(?:medical|hospital|health|chart|patient|pt)\s?(?:record|file|chart)?)",
        rf"{_IS}(?P<v>{_CODE})\b",
        cues="mrn nhs uhid medical hospital health chart patient pt",
    ),
    rule("MRN", 0.9, r"\bnhs\D{0,12}(?P<v>\d{3}\s\d{3}\s\d{4})\b", cues="nhs"),
    rule(
        "ACCOUNT",
        0.85,
        r"\b(?:account|acct?|a/c|policy|member(?:ship)?|insurance|subscriber|customer|employee|staff|passport|visa|",
        r"licen[cs]e|national|routing|sort\scode|tax|vat|npi|dea|claim|aadhaar|pan|nric|card|iban|bic|swift|user|",
        rf"reference){_IS}(?P<v>{_CODE})\b",
        check=_digits(4, 34, 0.85),
        cues="account acc a/c policy member insurance subscriber customer employee staff passport visa licen national "
        "routing sort tax vat npi dea claim aadhaar pan nric card iban bic swift user reference",
    ),
    rule(
        "ACCOUNT",
        0.85,
        rf"\b(?:nid|emp|ins|pol|dl|rx|acct?|cust|pat|mem|clm|bio|uhid|prov)[{_DASH}#]{{1,2}}{_CODE}\b",
    ),
    rule("ACCOUNT", 0.7, r"\b(?:[STFGM]\d{7}[A-Z]|[A-Z]{5}\d{4}[A-Z])\b", case=True),  # NRIC, PAN
    rule("ACCOUNT", 0.7, r"\b(?=[A-Z0-9]{0,16}\d{4})[A-HJ-NPR-Z0-9]{17}\b", check=_digits(6, 16, 0.7), case=True),
    rule("ACCOUNT", 0.7, r"\b\d{2}-\d{2}-\d{2}\s\d{8}\b|\b\d{4}\s\d{4}\s\d{4}\b"),  # sort code, Aadhaar
    rule("ACCOUNT", 0.55, rf"\b(?:[A-Z]{{2,5}}[{_DASH}]\d{{6,}}|[A-Z]\d{{3}}(?:[{_DASH}]\d{{4}}){{2}})\b", case=True),
    rule("ACCOUNT", 0.55, r"\b(?=[A-Z\d]{0,2}[A-Z])[A-Z\d]{1,3}\d{6,9}[A-Z]?\b", case=True),
    rule("ACCOUNT", 0.5, r"(?<![\w.,])\d{8,}(?!\w|[.,]\d)"),
)

DATES = (
    rule(
        "BIRTHDATE",
        0.95,
        r"\b(?:dob|d\.o\.b\.?|date\sof\sbirth|birth\s?da(?:te|y)|born)",
        rf"(?:\s(?:is|was|on|in))?[\s:=(,\"{_DASH}]{{0,4}}(?P<v>{_DATE})",
        cues="dob d.o.b birth born",
    ),
    rule("DATE", 0.8, rf"(?<![\w.{_DASH}])(?P<v>{_DATE})"),
    rule(
        "DATE",
        0.6,
        r"\b(?:on|arrived|admitted|seen|since|from|until|till|before|after|dated?)\s(?P<v>[01]?\d/[0-3]?\d|[0-3]?\d\.[01]?\d\.)",
        r"(?![\w/%])",
        cues="on arrived admitted seen since from until till before after date",
    ),
    rule(
        "AGE",
        0.9,
        rf"(?<![\w.,/])(?P<v>9\d|1[0-2]\d)(?=[\s{_DASH}]?(?:years?|yrs?|y\.?/?o\b|yo\b)",
        rf"(?![\s{_DASH}](?:ago|later|warranty)))",
        cues="year yr yo y/o y.o yo",
    ),
    rule(
        "AGE",
        0.9,
        r"\b(?:age|aged|turn(?:s|ed|ing)?)(?:\s(?:is|of))?[\s:=]{0,3}(?P<v>9\d|1[0-2]\d)(?![\w.,%]\d|\w|\s?%)",
        cues="age turn",
    ),
    rule(
        "AGE",
        0.8,
        r"\b(?:(?:wo)?man|(?:fe)?male|lady|gentleman|grand(?:mother|father)|(?-i:[A-Z][a-z]{2,20}))(?:,\s|\s\()",
        r"(?P<v>9\d|1[0-2]\d)(?=[,;)]|\.\s|$)",
    ),
    rule("AGE", 0.7, r"(?<![\w.,/])(?P<v>9\d)(?=[MF]\b|\s(?:fe)?male\b)", case=True),
    rule(
        "AGE",
        0.9,
        rf"\b(?P<v>ninety(?:[\s{_DASH}](?:one|two|three|four|five|six|seven|eight|nine))?",
        rf"|(?:one|a)\shundred(?:\sand\s\w{{3,9}})?)(?=[\s{_DASH}]years?[\s{_DASH}]old)",
        cues="ninety hundred",
    ),
)

PHONES = (
    rule(
        "PHONE",
        0.9,
        rf"(?<![\w+])(?:\+|\b00)[1-9]\d{{0,2}}(?:{_SEP}{{0,2}}\(?\d{{1,5}}\)?){{2,6}}(?:\s?x\d{{1,6}})?(?!\w)",
        check=_digits(8, 21, 0.9),
    ),
    rule(  # US
        "PHONE",
        0.85,
        rf"(?<![\w+.{_DASH}])(?:1{_SEP})?(?:\(\d{{3}}\){_SEP}?|\d{{3}}{_SEP})\d{{3}}{_SEP}\d{{4}}",
        r"(?:\s?(?:x|ext\.?)\s?\d{1,6})?(?!\w)",
    ),
    rule(  # UK, IN, DE with the trunk 0
        "PHONE",
        0.75,
        rf"(?<![\w+.])(?:\(0\d{{2,5}}\)\s?|0[1-9]\d{{1,4}}[\s/.{_DASH}]{{1,3}})\d{{2,8}}(?:{_SEP}\d{{2,6}}){{0,4}}(?!\w)",
        check=_digits(9, 13),
    ),
    rule(  # IN mobile, SG
        "PHONE",
        0.6,
        rf"(?<![\w+.])(?:[6-9]\d{{4}}[\s{_DASH}]\d{{5}}|[689]\d{{3}}[\s{_DASH}]\d{{4}})(?!\w|[\s{_DASH}]\d)",
    ),
    rule(
        "PHONE",
        0.6,
        rf"(?<![\w+.,/{_DASH}])\(?\d{{2,3}}\)?[\s{_DASH}]\d{{3}}[\s{_DASH}]\d{{3}}(?![\w/,]|[.{_DASH}\s]\d)",
    ),
    rule(
        "PHONE",
        0.85,
        rf"\b(?:phone|tel|telephone|mobile|cell|fax|call|ph|whatsapp){_IS}(?:(?:me|us|him|her|them)\s)?(?:(?:on|at)\s)?",
        rf"(?P<v>[+(]?\d[\d\s().{_DASH}]{{5,18}}\d)",
        check=_digits(7, 15, 0.85),
        cues="phone tel mobile cell fax call ph whatsapp",
    ),
)

RULES = (*ONLINE, *NUMBERS, *DATES, *PHONES, *PLACES, *PEOPLE)
WRITTEN = (*ONLINE, *NUMBERS, *DATES, *PHONES, *PLACES)  # where a tagger reads the names
