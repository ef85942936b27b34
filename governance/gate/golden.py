"""The golden evaluation set of a model: what every candidate must hold on, whatever its delivery says.

Grown only by the held-out subjects of releases that passed, one version a release (its number), bounded in size. The
rows kept are those of the smallest sha256(record_id): a uniform sample of all that ever passed, the same everywhere.
"""

import hashlib
import json

import pyarrow as pa
import pyarrow.compute as pc

LIMIT = 6000
COLUMNS = ("record_id", "subject_id", "delivery", "text", "label", "group")
_SEEN = b"pedigree.deliveries"  # schema metadata: a small delivery may lose all its rows to the limit, not its name


class GoldenUnusable(ValueError):
    """Rows cannot be evaluated on; the message names the column and the remedy."""


def grow(golden: pa.Table | None, held_out: pa.Table, release: str) -> pa.Table:
    """The next version: `golden` and what `release`, which passed, held out. A record keeps its first label."""
    rows = evaluation_rows(held_out)
    rows = rows.append_column("origin", pa.array([release] * rows.num_rows, pa.string()))
    deliveries = _deliveries(golden) | set(rows["delivery"].to_pylist())
    if golden is not None:
        rows = pa.concat_tables([golden.select(rows.column_names).replace_schema_metadata(None), rows])
    return capped(rows).replace_schema_metadata({_SEEN: json.dumps(sorted(deliveries))})


def judge_sets(golden: pa.Table | None, held_out: pa.Table) -> dict[str, pa.Table]:
    """What a candidate is judged on: `golden`, and `new`, the held-out rows of deliveries that golden has not seen.

    A set without rows is left out: a retrain without a new delivery is judged on golden alone, a first release on new.
    """
    rows, seen = evaluation_rows(held_out), pa.array(sorted(_deliveries(golden)), pa.string())
    new = capped(rows.filter(pc.invert(pc.is_in(rows["delivery"], value_set=seen))))
    sets = {"golden": evaluation_rows(golden), "new": new} if golden is not None else {"new": new}
    return {name: table for name, table in sets.items() if table.num_rows}


def evaluation_rows(table: pa.Table) -> pa.Table:
    """The columns the gate needs, as strings. Raises GoldenUnusable on a missing column or an empty cell."""
    columns = []
    for name in COLUMNS:
        if name not in table.column_names:
            if name != "group":
                raise GoldenUnusable(f"evaluation rows lack the column {name!r}; materialize scrubbed_dataset again")
            columns.append(pa.nulls(table.num_rows, pa.string()))
            continue
        column = table[name].cast(pa.string())
        if name != "group" and column.null_count:
            raise GoldenUnusable(f"{column.null_count} evaluation rows have no {name}; the contract must require it")
        columns.append(column)
    return pa.table(columns, names=list(COLUMNS))


def table_sha256(table: pa.Table) -> str:
    """sha256 of the rows in record order: one value, however the file that carries them was written."""
    digest = hashlib.sha256()
    for row in table.select(list(COLUMNS)).sort_by("record_id").to_pylist():
        for name in COLUMNS:
            value = row[name]
            field = b"\xff" if value is None else value.encode()
            digest.update(len(field).to_bytes(8, "big") + field)
    return digest.hexdigest()


def capped(table: pa.Table) -> pa.Table:
    """At most LIMIT rows, in record order, each record once."""
    ids = table["record_id"].to_pylist()
    first = {record: row for row, record in reversed(list(enumerate(ids)))}
    kept = sorted(first, key=lambda record: hashlib.sha256(record.encode()).digest())[:LIMIT]
    return table.take(pa.array([first[record] for record in sorted(kept)], pa.int64()))


def _deliveries(golden: pa.Table | None) -> set[str]:
    if golden is None:
        return set()
    if _SEEN not in (golden.schema.metadata or {}):
        raise GoldenUnusable("the golden set does not say which deliveries it has seen; use one that `grow` wrote")
    return set(json.loads(golden.schema.metadata[_SEEN]))
