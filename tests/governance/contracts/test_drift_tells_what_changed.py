"""Drift names real changes of a client's schema, and does not cry over bad rows or overlapping snapshots."""

from typing import Any

from governance.contracts.drift import Change, change_rows, drift
from governance.contracts.schema import DEEPEST, MOST_PATHS, SchemaSketch, flatten, schema_rows, shape


def schema(**deliveries: list[dict[str, Any]]) -> dict[str, Any]:
    documents = []
    for name, rows in deliveries.items():
        sketch = SchemaSketch()
        for row in rows:
            sketch.add(flatten(row))
        documents.append(sketch.document(name))
    return {"deliveries": documents}


def row(i: int) -> dict[str, Any]:
    return {
        "message": f"the pump {i} has failed again",
        "user": {"id": i, "mail": f"u{i}@x.org"},
        "at": f"2026-01-02T{i}",
    }


def found(changes: list[Change]) -> set[tuple[str, str]]:
    return {(change.kind, change.path) for change in changes}


FIRST = [row(i) for i in range(100)]


def test_the_first_release_and_the_same_deliveries_have_no_drift() -> None:
    assert drift(None, schema(d1=FIRST)) == []
    assert drift(schema(d1=FIRST), schema(d1=FIRST)) == []
    assert drift(schema(d1=FIRST), schema(d1=FIRST, d2=FIRST)) == []


def test_a_change_in_the_new_delivery_is_not_hidden_by_the_old_ones() -> None:
    new = [
        {
            "msg": one["message"],
            "user": {"id": str(one["user"]["id"]), "mail": one["user"]["mail"]},
            "at": 1_700_000_000 + i,
            "device": {"os": "linux"},
        }
        for i, one in enumerate(FIRST)
    ]
    changes = drift(schema(d1=FIRST), schema(d1=FIRST, d2=new))
    assert found(changes) == {
        ("renamed candidate", "msg"),
        ("type changed", "user.id"),
        ("type changed", "at"),
        ("added", "device.os"),
    }
    assert any("'message' is gone" in change.detail for change in changes)
    assert change_rows(changes)[0].keys() == {"kind", "path", "detail"}


def test_a_column_that_went_away_is_missing_not_renamed_to_an_unlike_one() -> None:
    new = [{"message": one["message"], "user": one["user"], "size": 1.5} for one in FIRST]
    assert found(drift(schema(d1=FIRST), schema(d1=FIRST, d2=new))) == {("missing", "at"), ("added", "size")}


def test_a_column_moved_to_another_place_is_a_renamed_candidate() -> None:
    new = [{"message": one["message"], "at": one["at"], "actor": one["user"]} for one in FIRST]
    assert found(drift(schema(d1=FIRST), schema(d2=new))) == {
        ("renamed candidate", "actor.id"),
        ("renamed candidate", "actor.mail"),
    }


def test_one_percent_of_broken_rows_is_no_drift() -> None:
    new = [*FIRST, {"message": 7, "uesr": 1}]
    assert drift(schema(d1=FIRST), schema(d1=FIRST, d2=new)) == []


def test_a_renaming_is_reported_once_not_again_by_the_next_release() -> None:
    renamed = [{"msg": one.pop("message"), **one} for one in map(dict, FIRST)]
    before = schema(d1=FIRST, d2=renamed)
    assert drift(before, schema(d1=FIRST, d2=renamed, d3=renamed)) == []


def test_text_columns_of_csv_change_type_by_what_they_look_like() -> None:
    old, new = [{"age": str(i)} for i in range(100)], [{"age": "older than that"}] * 100
    (change,) = drift(schema(d1=old), schema(d2=new))
    assert (change.kind, change.path) == ("type changed", "age")
    assert "integer" in change.detail


def test_the_schema_stays_bounded_whatever_the_keys() -> None:
    sketch = SchemaSketch()
    for i in range(MOST_PATHS + 500):
        sketch.add(flatten({"by_user": {f"user-{i}": 1}}))
    document = sketch.document("d")
    assert (len(document["fields"]), document["left_out"]) == (MOST_PATHS, 500)


def test_flatten_names_leaves_by_path_and_ends_at_a_depth() -> None:
    assert flatten({"a": {"b": 1, "c": None, "d": {}, "e": [{"f": 1}]}, "a.g": float("nan")}) == {
        "a.b": 1,
        "a.d": {},
        "a.e": [{"f": 1}],
    }
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"x": deep}
    assert list(flatten(deep)) == [".".join("x" * (DEEPEST + 1))]


def test_lists_show_what_their_first_element_is() -> None:
    (document,) = schema(d=[{"tags": ["a"], "items": [{"sku": 1}]}])["deliveries"]
    assert set(document["fields"]) == {"tags", "tags[]", "items", "items[].sku"}


def test_the_schema_holds_no_value_of_a_row() -> None:
    document = schema(d=[{"name": "Miriam", "mail": "miriam@clinic.example"}] * 3)
    assert "iriam" not in str(document)
    assert schema_rows(document)[0] == {
        "delivery": "d",
        "path": "mail",
        "types": "string",
        "present": 1.0,
        "looks like": "email",
    }


def test_shapes() -> None:
    values = [
        "12",
        "1.5",
        "2026-01-02T03:04",
        "2026-01-02",
        "a@b.co",
        "10.0.0.1",
        "AB-17",
        "word",
        "two words",
        "a b c d e",
    ]
    assert [shape(value) for value in values] == [
        "integer",
        "number",
        "timestamp",
        "date",
        "email",
        "ip",
        "code",
        "word",
        "words",
        "text",
    ]
