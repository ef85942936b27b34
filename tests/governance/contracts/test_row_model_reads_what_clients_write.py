"""A contract takes the forms that clients write, refuses what could mean two things, and says why in a sentence."""

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from governance.contracts.coercions import as_boolean, as_date, as_number, as_string, as_timestamp
from governance.contracts.row_model import arrow_schema, faults, row_model
from governance.tenants import ConfigurationError, Contract


def contract(**fields: dict[str, Any]) -> Contract:
    return Contract.model_validate({"fields": fields})


def read(kind: str, value: Any, **rules: Any) -> Any:
    return row_model(contract(x={"type": kind, **rules})).model_validate({"x": value}).x  # type: ignore[attr-defined]


def rules_broken(declared: Contract, row: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        row_model(declared).model_validate(row)
    return faults(refused.value, declared)


MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-04T05:06:07Z",
        "2026-03-04 05:06:07",
        "2026-03-04T10:36:07+05:30",
        "1772600767",
        1772600767,
        1772600767000,
        "1772600767000",
        1772600767000000,
        1772600767.0,
        "03/04/2026 05:06:07",
        "4.3.2026 05:06:07",
        "4 Mar 2026 05:06:07",
        "March 4, 2026 5:06:07 AM",
        MOMENT,
    ],
)
def test_one_moment_in_many_forms(written: Any) -> None:
    assert read("timestamp", written) == MOMENT
    assert read("timestamp", written).utcoffset().total_seconds() == 0


@pytest.mark.parametrize(
    "written", ["1980-12-31", "19801231", 19801231, "12/31/1980", "31.12.1980", "1980-12-31T23:00"]
)
def test_one_day_in_many_forms(written: Any) -> None:
    assert read("date", written) == date(1980, 12, 31)


@pytest.mark.parametrize(
    "written", ["31/12/1980", "yesterday", "12/31/80", True, [1], 10**25, "0001-01-01T00:00+14:00"]
)
def test_a_time_that_would_be_a_guess_is_refused(written: Any) -> None:
    assert rules_broken(contract(x={"type": "timestamp"}), {"x": written})[0][0] == "x: type"


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("string", " a b ", "a b"),
        ("string", 17, "17"),
        ("string", 17.0, "17"),
        ("string", 1.5, "1.5"),
        ("string", True, "true"),
        ("integer", " 17 ", 17),
        ("integer", 17.0, 17),
        ("number", "1e3", 1000.0),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
    ],
)
def test_values_are_read_as_their_type(kind: str, written: Any, value: Any) -> None:
    assert read(kind, written) == value


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("string", {"a": 1}),
        ("string", 1.5e300),
        ("integer", "1.5"),
        ("integer", True),
        ("integer", 2**63),
        ("number", "1,5"),
        ("number", "inf"),
        ("boolean", "maybe"),
    ],
)
def test_values_of_another_type_are_refused(kind: str, written: Any) -> None:
    (rule, sentence), *_ = rules_broken(contract(x={"type": kind}), {"x": written})
    assert rule.startswith("x: ")
    assert "'x'" in sentence


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "timestamp", "date"])
@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_is_none_where_optional_and_a_fault_where_required(kind: str, blank: Any) -> None:
    assert read(kind, blank, required=False) is None
    (rule, _), *_ = rules_broken(contract(x={"type": kind}), {"x": blank})
    assert rule == "x: required"


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.datetimes())
def test_nothing_but_a_value_error_comes_out_of_a_coercion(value: Any) -> None:
    for coerce in (as_string, as_number, as_boolean, as_timestamp, as_date):
        try:
            coerce(value)
        except ValueError as refused:
            assert str(refused)


def test_a_column_is_found_at_its_path_its_name_or_an_alias() -> None:
    model = row_model(contract(user={"type": "string", "path": "actor.user.id", "aliases": ["who.id", "userId"]}))
    rows: list[dict[str, Any]] = [
        {"actor": {"user": {"id": "7"}}},
        {"actor.user.id": "7"},
        {"user": "7"},
        {"who": {"id": 7}},
        {"userId": 7.0},
        {"userId": "8", "user": "9", "actor": {"user": {"id": "7"}}},
    ]
    assert {model.model_validate(row).user for row in rows} == {"7"}  # type: ignore[attr-defined]


def test_faults_name_column_rule_and_where_it_was_looked_for_but_no_value() -> None:
    declared = contract(
        note={"type": "string", "min_length": 4, "max_length": 6, "path": "body.note"},
        level={"type": "string", "one_of": ["low", "high"]},
        size={"type": "number", "minimum": 0, "maximum": 10},
    )
    found = dict(rules_broken(declared, {"level": "secret-1", "size": 11}))
    assert list(found) == ["note: required", "level: one_of", "size: maximum"]
    assert "body.note or note" in found["note: required"]
    assert "high, low" in found["level: one_of"]
    assert "secret-1" not in str(found)
    found = dict(rules_broken(declared, {"note": "abc", "level": "low", "size": -1}))
    assert list(found) == ["note: min_length", "size: minimum"]
    assert [rule for rule, _ in rules_broken(declared, {"note": "abcdefg", "level": "low", "size": 1})] == [
        "note: max_length"
    ]


def test_the_arrow_schema_types_every_column_and_refuses_a_taken_name() -> None:
    schema = arrow_schema(contract(a={"type": "timestamp"}, b={"type": "date", "required": False}))
    assert schema.field("a") == pa.field("a", pa.timestamp("us", tz="UTC"), nullable=False)
    assert schema.field("b") == pa.field("b", pa.date32())
    assert schema.names == ["a", "b", "delivery", "file", "row", "extras"]
    with pytest.raises(ConfigurationError, match="row"):
        arrow_schema(contract(row={"type": "string"}))


@pytest.mark.parametrize(("kind", "rule"), [("integer", "min_length"), ("string", "minimum"), ("date", "maximum")])
def test_a_rule_that_cannot_hold_for_a_type_is_a_configuration_error(kind: str, rule: str) -> None:
    with pytest.raises(ConfigurationError, match=rule):
        row_model(contract(x={"type": kind, rule: 3}))
