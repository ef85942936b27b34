"""What is put in the place of an identifier: operators on the interface of presidio-anonymizer.

Presidio's own `hash` is salted anew for every entity and its `encrypt` is not authenticated, so those here are keyed:
HMAC for tokens, stand-ins and date shifts, AES-GCM for what may be read again. Each is a pure function of its text and
parameters: `entity_type`; `key`, the tenant's; `of`, the identifier that the text is a part of; `subject` and
`subject_key`, whose record it is; `names`, whether a text names somebody known; `day_first`, for dates in figures.
"""

import re
from collections.abc import Mapping
from typing import Any

from presidio_anonymizer.entities import InvalidParamError
from presidio_anonymizer.operators import Mask, Operator, OperatorType

from governance.privacy.dates import OLDEST_DECADE, general_date, moved_date
from governance.privacy.policy import OperatorName
from governance.privacy.pseudonyms import days_of, token
from governance.privacy.subject_keys import seal
from governance.privacy.surrogates import Names, surrogate

Params = dict[str, Any]

# Three-figure ZIP areas of fewer than 20,000 people (HIPAA safe harbour, census of 2000): told as 000.
_FEW_PEOPLE = re.compile("036|059|063|102|203|556|692|790|821|823|830|831|878|879|884|890|893")
_ZIP = re.compile(r"(?<![\w-])(\d{3})\d{2}(?:-\d{4})?(?!\w)\s*$")
_OLD = re.compile(r"\b(?:ninety|hundred)\b", re.IGNORECASE)


class _Operator(Operator):
    """One of ours: `work` is its function, `needs` the parameters without which it does not run."""

    name: OperatorName
    needs: tuple[str, ...] = ("entity_type",)

    def work(self, text: str, params: Params) -> str:
        raise NotImplementedError

    def operate(self, text: str, params: Params | None = None) -> str:
        return self.work(text, params or {})

    def validate(self, params: Params | None = None) -> None:
        if missing := [need for need in self.needs if not (params or {}).get(need)]:
            raise InvalidParamError(f"operator {self.name} needs {', '.join(missing)}")

    def operator_name(self) -> str:
        return self.name

    def operator_type(self) -> OperatorType:
        return OperatorType.Anonymize


class Token(_Operator):
    """`[PERSON 4F7A2C]`: one for all spellings of one identifier."""

    name = "token"
    needs = ("entity_type", "key")

    def work(self, text: str, params: Params) -> str:
        return token(params["key"], params["entity_type"], params.get("of") or text)


class Surrogate(_Operator):
    """A plausible stand-in of the same kind and form."""

    name = "surrogate"
    needs = ("entity_type", "key")

    def work(self, text: str, params: Params) -> str:
        names: Names = params.get("names") or (lambda _: False)
        return surrogate(params["key"], params["entity_type"], text, params.get("of") or "", names)


class Shift(_Operator):
    """The date, moved by the subject's own number of days: intervals stay. Births before 1940 stay one group."""

    name = "shift"
    needs = ("entity_type", "key", "subject")

    def work(self, text: str, params: Params) -> str:
        entity = params["entity_type"]
        general = general_date(entity, text)
        if general == f"[BIRTHDATE <{OLDEST_DECADE}]":
            return general
        moved = moved_date(text, days_of(params["key"], params["subject"]), params.get("day_first", False))
        names: Names = params.get("names") or (lambda _: False)
        return general if moved is None or names(moved) else moved


class Generalize(_Operator):
    """A date's year, a birth's decade, an age's ten years up to 90+, a ZIP code's first three figures."""

    name = "generalize"

    def work(self, text: str, params: Params) -> str:
        entity = params["entity_type"]
        if entity == "AGE":
            return _age_band(text)
        if entity == "ADDRESS":
            area = _ZIP.search(text)
            return f"[ADDRESS {'000' if _FEW_PEOPLE.fullmatch(area[1]) else area[1]}]" if area else "[ADDRESS]"
        return general_date(entity, text)


def _age_band(text: str) -> str:
    figures = re.search(r"\d+", text)
    if figures is None:
        return "90+" if _OLD.search(text) else "[AGE]"
    age = int(figures[0])
    return "90+" if age >= 90 else f"{age // 10 * 10}-{age // 10 * 10 + 9}"


class Masked(_Operator):
    """As many asterisks as there were characters."""

    name = "mask"

    def work(self, text: str, params: Params) -> str:
        return str(Mask().operate(text, {"masking_char": "*", "chars_to_mask": len(text), "from_end": False}))


class Encrypt(_Operator):
    """What the subject's key opens again. Without one, as after an erasure, a token that nothing opens."""

    name = "encrypt"
    needs = ("entity_type", "key")

    def work(self, text: str, params: Params) -> str:
        if not params.get("subject_key"):
            return token(params["key"], params["entity_type"], params.get("of") or text)
        return seal(params["subject_key"], params["entity_type"], text)


OPERATORS: Mapping[OperatorName, type[_Operator]] = {
    kind.name: kind for kind in (Token, Surrogate, Shift, Generalize, Masked, Encrypt)
}
