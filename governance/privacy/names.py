"""Names as text: titles, parts, what cannot be one, and the one form that all spellings of a name share."""

import re
import unicodedata


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TITLES = _words(
    "mr mrs ms miss mx dr prof professor doctor sir madam rev nurse capt captain sgt col colonel lt herr frau shri smt "
    "md phd rn jr sr esq dds"
)

# Names that are also everyday words: as parts of a name they count only where they are written with a capital.
ORDINARY = _words(
    "able and art august bell berry best bill black bond bright brown burns can case cash christian church clay cook "
    "cross day dean drew ever faith field fish ford forest fox frank friday gay good grace grant gray green hall hand "
    "hardy hill holly hope house hunter ivy jack joy june king knight lane law long love low major mark marsh mason "
    "may miles mills monday moon noble north page parish park pat patience pearl penny pike pope price prince rich "
    "river rob rod rose ruby rusty savage skip small son song south star sterling stone storm strong summer sunday "
    "sunny swift thing trip van violet walker wall ward wells west white will winter wise wood young the not for you "
    "your our her him his she all one"
)

# Headings, greetings and things that bear a capital where a name may stand.
_NOT_NAMES = _words(
    "yes no not hi hello hey thanks thank okay ok please sorry good dear regards sincerely email mail phone tel fax "
    "contact address date dob time name names patient patients client customer doctor nurse summary report note notes "
    "discharge admission progress nursing transcript encounter clinical history medication medications labs lab result "
    "results assessment plan impression findings vitals temp bp hr ct mri ecg ekg xray head chest abdomen record mrn "
    "information education denies reports presents presented complains states unknown none n/a re id ssn info number "
    "insurance policy card account bank pay transfer payment app top-up topup login password pin atm visa mastercard "
    "apple google service server error warning exception timeout connection request user admin root the this that we "
    "i you he she it they my your his her our their there and or but if when where why how what who which is are was "
    "were do does did can could will would should have has had been i've i'm i'll i'd it's that's don't can't "
    "didn't won't let's disease disorder syndrome failure infection department chronic acute pulmonary mellitus "
    "medicine surgery monday tuesday wednesday thursday friday saturday sunday january february march april june "
    "july august september october november december cancel delete kib mib gib call called ask tell see met "
    "man woman boy girl lady gentleman male female mother father mum mom dad wife husband son daughter brother sister "
    "partner family relative friend carer neighbour neighbor baby child infant staff team physician everyone someone "
    "nobody who people person resident caller sender pt bot agent god today tomorrow yesterday yesterdays transaction "
    "transactions transfers withdrawal withdrawals debit application identity verification currency watch"
)

# A word with such an end is a substance, a finding or a procedure, however it is capitalised.
_MEDICAL = re.compile(
    r"(?:cillin|mycin|azole|olol|pril|sartan|statin|zepam|zolam|pine|idine|prazine|amine|idone|codone|morphine|formin|"
    r"gliptin|parin|cycline|floxacin|triptan|setron|profen|oxin|oxetine|itis|osis|(?:an|leuk|ur|glyc|isch|sept)a?emia|"
    r"ectomy|otomy|ostomy|oscopy|pathy|plasty|iogram|alogram|mmogram|graphy|algia|[a-z]{4}oma|uria|pnoe?a|penia|megaly|"
    r"tension|thyroidism|betes|matosus)$"
)
_WORD = re.compile(r"\S+")
# What may stand between two names, or a heading and a name, that a model takes for one.
_SEPARATOR = re.compile(r"\s+[-–—]\s+|[\n\r\t:|=/<>\[\]{}()\"]+|(?<!\S)\S{0,40}\d\S*")
_PARTICLES = _words("de da di del della do dos du la le les van von der den ten ter al el bin ibn abu zu af av")


def fold(text: str) -> str:
    """Compatibility form without case, accents and invisible characters: for comparing, not for offsets."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if unicodedata.category(c) not in ("Mn", "Cf", "Cc"))


def name_parts(name: str) -> list[str]:
    """The words of a name without titles and possessives, in order: `Dr. Ana O'Neil-Ruiz's` → Ana, O'Neil, Ruiz."""
    words = re.split(r"[\s,;_/|+()\"-]+", re.sub(r"['’`]s\b", "", name))
    return [w for word in words if (w := word.strip(".'’`:")) and fold(w) not in TITLES]


def normal_name(name: str) -> str:
    """One form for `Wilson, Thomas`, `THOMAS WILSON` and `Mr. Thomas Wilson`; a surname alone stays that."""
    last, comma, first = name.partition(",")
    return " ".join(fold(part) for part in name_parts(f"{first} {last}" if comma else name))


def may_be_name(text: str) -> bool:
    """Whether a proper name, as a recognizer saw it, can be one: no figures, no heading, greeting or medical word."""
    parts = name_parts(text)
    if not parts or any(c.isdecimal() or c in "@\\_" for c in text):
        return False
    if all(part.islower() for part in parts) or (len(parts) == 1 and parts[0].isupper()):
        return False
    return not any(word in _NOT_NAMES or _MEDICAL.search(word) for word in map(fold, parts))


def names_within(text: str) -> list[tuple[int, int]]:
    """Offsets of the names in `Progress Note - Kevin Johnson`: cut at separators, common words trimmed off."""
    cuts = [match.span() for match in _SEPARATOR.finditer(text)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(text)]
    trimmed = (_trim(text, start, end) for start, end in zip(starts, ends, strict=True))
    return [(start, end) for start, end in trimmed if start < end and may_be_name(text[start:end])]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    words = [(m.start(), m.end()) for m in _WORD.finditer(text, start, end)]
    while words and _outside(text[slice(*words[0])]):
        words.pop(0)
    while words and _outside(text[slice(*words[-1])]):
        words.pop()
    return (words[0][0], words[-1][1]) if words else (start, start)


def _outside(word: str) -> bool:
    return is_common(word) or (word.islower() and word not in _PARTICLES)


def is_common(word: str) -> bool:
    """Whether a capitalised word is a heading, a greeting, a day or another word that names nobody."""
    return fold(word).strip(".,;:!?'’") in _NOT_NAMES
