"""The contract once more, by pandera, on the Parquet that was written: what was meant is what lies there.

Batch by batch, in bounded memory. On pandas frames: pandera skips value checks on lazy Polars ones.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from governance.contracts.row_model import arrow_schema
from governance.tenants import Contract, ContractField

BATCH_ROWS = 8_192
MOST_FAILURES = 10_000


def contract_failures(rows: Path, contract: Contract) -> list[dict[str, Any]]:
    """What in `rows` breaks the contract, as table rows: column, check, failures, example. Empty is good.

    `example` is the first failing row as delivery/file:row; failures count values, or 1 for a column as a whole.
    Counting ends with the batch that reaches MOST_FAILURES: then it is not rows that are wrong.
    """
    import pandas as pd
    from pandera.errors import SchemaErrors

    schema = _frame_schema(contract)
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    with pq.ParquetFile(rows) as parquet:
        for batch in _batches(parquet):
            frame = batch.to_pandas(types_mapper=pd.ArrowDtype)
            try:
                schema.validate(frame, lazy=True)
            except SchemaErrors as errors:
                for case in errors.failure_cases.to_dict("records"):
                    of_column = case["schema_context"] == "Column"
                    key = (str(case["column"] if of_column else case["failure_case"]), str(case["check"]))
                    counts[key] += 1
                    examples.setdefault(key, _place(frame, case["index"]))
            if counts.total() >= MOST_FAILURES:
                break
    return [
        {"column": column, "check": check, "failures": count, "example": examples[column, check]}
        for (column, check), count in sorted(counts.items())
    ]


def _batches(parquet: pq.ParquetFile) -> Any:
    """The file's batches; one empty batch for an empty file, so that its columns are checked too."""
    if parquet.metadata.num_rows:
        return parquet.iter_batches(batch_size=BATCH_ROWS)
    return [pa.RecordBatch.from_pylist([], schema=parquet.schema_arrow)]


def _frame_schema(contract: Contract) -> Any:
    import pandas as pd
    import pandera.pandas as pandera

    columns = {}
    for field in arrow_schema(contract):
        checks = _checks(contract.fields[field.name]) if field.name in contract.fields else []
        columns[field.name] = pandera.Column(pd.ArrowDtype(field.type), checks, nullable=field.nullable)
    return pandera.DataFrameSchema(columns, strict=True)


def _checks(field: ContractField) -> list[Any]:
    from pandera.pandas import Check

    checks = []
    if field.type == "string" and (field.min_length is not None or field.max_length is not None):
        checks.append(Check.str_length(field.min_length, field.max_length))
    if field.minimum is not None:
        checks.append(Check.ge(field.minimum))
    if field.maximum is not None:
        checks.append(Check.le(field.maximum))
    if field.one_of is not None and field.type == "string":
        checks.append(Check.isin(field.one_of))
    elif field.one_of is not None:
        checks.append(Check(lambda column: column.astype(str).isin(field.one_of), name="one_of"))
    return checks


def _place(frame: Any, index: Any) -> str:
    if index is None or index != index:
        return "the whole column"
    row = frame.loc[index]
    return f"{row['delivery']}/{row['file']}:{row['row']}"
