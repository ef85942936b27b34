"""A contract made executable: the Pydantic model of one row, its faults in sentences, and the Arrow schema of many.

Reading files and writing Parquet is the business of assets/normalization; checks over a whole dataset lie beside this.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

import pyarrow as pa
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)
from pydantic_core import PydanticCustomError

from governance.contracts.coercions import as_boolean, as_date, as_number, as_string, as_timestamp
from governance.tenants import ConfigurationError, Contract, ContractField

_KINDS: dict[str, tuple[type, Callable[[Any], Any], pa.DataType]] = {
    "string": (str, as_string, pa.string()),
    "integer": (int, as_number, pa.int64()),
    "number": (float, as_number, pa.float64()),
    "boolean": (bool, as_boolean, pa.bool_()),
    "timestamp": (datetime, as_timestamp, pa.timestamp("us", tz="UTC")),
    "date": (date, as_date, pa.date32()),
}
_LENGTHS, _BOUNDS = ("min_length", "max_length"), ("minimum", "maximum")
_UNFIT = {kind: _LENGTHS if kind in ("integer", "number") else _LENGTHS + _BOUNDS for kind in _KINDS}
_UNFIT["string"] = _BOUNDS
_INT64 = 2**63
_RULES = {
    "missing": "required",
    "string_too_short": "min_length",
    "string_too_long": "max_length",
    "greater_than_equal": "minimum",
    "less_than_equal": "maximum",
}
_OWN_RULES = {"required", "one_of"}

PROVENANCE = (
    pa.field("delivery", pa.string(), nullable=False),
    pa.field("file", pa.string(), nullable=False),
    pa.field("row", pa.int64(), nullable=False),
    pa.field("extras", pa.string(), nullable=False),
)


def names_of(column: str, field: ContractField) -> tuple[str, ...]:
    """The dotted names under which a delivery may bring `column`, in the order in which they are tried."""
    return tuple(dict.fromkeys((field.path or column, column, *field.aliases)))


def row_model(contract: Contract) -> type[BaseModel]:
    """The model of one row. It takes nested objects and flat ones whose keys are dotted paths.

    Instances hold plain Python values; an optional column that is missing, null or blank is None. Raises
    pydantic.ValidationError, which `faults` turns into sentences. Building it raises ConfigurationError.
    """
    columns: dict[str, Any] = {}
    for column, field in contract.fields.items():
        if unfit := sorted(rule for rule in _UNFIT[field.type] if getattr(field, rule) is not None):
            raise ConfigurationError(f"contract column {column!r} is of type {field.type}, which has no {unfit}")
        default = ... if field.required else None
        columns[column] = (_annotation(field), Field(default, validation_alias=_alias(column, field)))
    return create_model("Row", __config__=ConfigDict(extra="ignore", loc_by_alias=False), **columns)


def arrow_schema(contract: Contract) -> pa.Schema:
    """The contract's columns, then `delivery`, `file`, `row`, `extras`. Raises ConfigurationError on a taken name."""
    if taken := sorted({field.name for field in PROVENANCE} & set(contract.fields)):
        raise ConfigurationError(f"contract columns {taken} are names that every dataset has; rename them, use `path`")
    columns = [
        pa.field(column, _KINDS[field.type][2], nullable=not field.required)
        for column, field in contract.fields.items()
    ]
    return pa.schema([*columns, *PROVENANCE])


def faults(error: ValidationError, contract: Contract) -> list[tuple[str, str]]:
    """What is wrong with a row: `(rule, sentence)` each, e.g. `("text: min_length", "column 'text' breaks …")`.

    Sentences hold no value of the row, so they may be shown where the row may not.
    """
    found = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        column, kind = str(fault["loc"][0]), fault["type"]
        rule = kind if kind in _OWN_RULES else _RULES.get(kind, "type")
        if rule == "required":
            names = " or ".join(names_of(column, contract.fields[column]))
            sentence = f"column {column!r} is missing or blank (looked for {names})"
        else:
            reason = fault["msg"].removeprefix("Value error, ")
            sentence = f"column {column!r} ({contract.fields[column].type}) breaks {rule}: {reason}"
        found.append((f"{column}: {rule}", sentence))
    return found


def _alias(column: str, field: ContractField) -> AliasChoices:
    choices: list[str | AliasPath] = []
    for name in names_of(column, field):
        choices.append(name)
        if "." in name:
            choices.append(AliasPath(*name.split(".")))
    return AliasChoices(*choices)


def _annotation(field: ContractField) -> Any:
    kind, coerce, _ = _KINDS[field.type]
    bounds = {"min_length": field.min_length, "max_length": field.max_length, "ge": field.minimum, "le": field.maximum}
    if field.type == "integer":
        bounds = {"ge": -_INT64, "le": _INT64 - 1} | {key: value for key, value in bounds.items() if value is not None}
    rules: list[Any] = [Field(**{key: value for key, value in bounds.items() if value is not None})]  # type: ignore[call-overload]
    if field.type == "number":
        rules.append(Field(allow_inf_nan=False))
    if field.one_of is not None:
        rules.append(AfterValidator(_one_of(frozenset(field.one_of))))
    ruled = Annotated[(kind, *rules)]  # type: ignore[valid-type]
    return (
        Annotated[ruled, BeforeValidator(_required(coerce))]
        if field.required
        else Annotated[ruled | None, BeforeValidator(coerce)]
    )


def _required(coerce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def coerce_present(value: Any) -> Any:
        if (coerced := coerce(value)) is None:
            raise PydanticCustomError("required", "the value is blank")
        return coerced

    return coerce_present


def _one_of(allowed: frozenset[str]) -> Callable[[Any], Any]:
    listed = ", ".join(sorted(allowed))

    def check(value: Any) -> Any:
        if str(value) not in allowed:
            raise PydanticCustomError("one_of", "the value is none of {allowed}", {"allowed": listed})
        return value

    return check
