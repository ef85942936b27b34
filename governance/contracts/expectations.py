"""What the content of a dataset must be to train a model on it, by Great Expectations, with pages to read.

The rules are checked on a slim table (lengths, hashes, labels), so memory stays small and no text or name of a person
gets into the pages. Nothing leaves the machine: analytics are off, and the pages refer to no other host.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.tenants import Model

BATCH_ROWS = 20_000
TEXT_SHARE = 0.99  # of rows with a text, and one of a usable length
DISTINCT_SHARE = 0.5  # of rows that are not the same person saying the same thing again
LABEL_SHARE = 0.5  # a column with more classes than half its rows is no label

_BOUNDS = {"min": "_value", "max": "_value", "mostly": ""}

# What a browser would fetch from other hosts by itself when somebody opens a page.
_ELSEWHERE = re.compile(
    r"""<script[^>]*\bsrc="https?:[^>]*>\s*</script>|<(?:link|img)[^>]*"https?:[^>]*>|url\(['"]?https?:[^)]*\)"""
)
_STYLE = (
    "<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left}.show-scrollbars{overflow:auto}"
    ".modal{display:none}</style></head>"
)


@dataclass(frozen=True)
class Expectations:
    """The verdict: table rows (expectation, column, success, observed, wanted) and the entry page of the Data Docs."""

    success: bool
    results: list[dict[str, Any]]
    docs_index: Path


def expectations(rows: Path, model: Model, docs: Path) -> Expectations:
    """Check the content of rows.parquet against `model` and build Data Docs under `docs`."""
    import great_expectations as gx
    from great_expectations.checkpoint import UpdateDataDocsAction
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    docs.mkdir(parents=True, exist_ok=True)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    context.add_data_docs_site("docs", _site(docs))
    asset = context.data_sources.add_pandas(model.dataset).add_dataframe_asset("rows")
    suite = context.suites.add(gx.ExpectationSuite("content", expectations=_rules(gx.expectations, model)))
    batches = asset.add_batch_definition_whole_dataframe("all")
    definition = gx.ValidationDefinition(name="content", data=batches, suite=suite)
    checkpoint = gx.Checkpoint(
        name="content",
        validation_definitions=[context.validation_definitions.add(definition)],
        actions=[UpdateDataDocsAction(name="docs", site_names=["docs"])],
    )
    outcome = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": slim_table(rows, model)})
    for page in docs.rglob("*.html"):
        page.write_text(_ELSEWHERE.sub("", page.read_text()).replace("</head>", _STYLE, 1))
    (result,) = outcome.run_results.values()
    return Expectations(bool(outcome.success), [_result_row(one) for one in result.results], docs / "index.html")


def slim_table(rows: Path, model: Model) -> Any:
    """A pandas frame: `text_length`, `label`, `person` and `person_and_text` (64-bit hashes); null where blank."""
    import pandas as pd

    columns = list(dict.fromkeys([*model.text, model.label, model.subject]))
    parts = []
    with pq.ParquetFile(rows) as parquet:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            text = pc.binary_join_element_wise(
                *(batch[name].cast("string") for name in model.text), " ", null_handling="skip"
            )
            length = pc.utf8_length(pc.utf8_trim_whitespace(text)).to_pandas().astype("float64")
            person = batch[model.subject].cast("string").to_pandas()
            hashes = pd.util.hash_pandas_object(person, index=False)
            both = hashes * 31 + pd.util.hash_pandas_object(text.to_pandas(), index=False)
            parts.append(
                pd.DataFrame(
                    {
                        "text_length": length.where(length > 0),
                        "label": batch[model.label].cast("string").to_pandas().astype("object"),
                        "person": hashes.where(person.notna()),
                        "person_and_text": both,
                    }
                )
            )
    if not parts:
        return pd.DataFrame({"text_length": [], "label": [], "person": [], "person_and_text": []})
    return pd.concat(parts, ignore_index=True).astype({"label": "category"})


def _rules(expect: Any, model: Model) -> list[Any]:
    declared = [model.contract.fields[name] for name in model.text]
    shortest = max(1, *(field.min_length or 1 for field in declared))
    longest = [field.max_length for field in declared]
    most = sum(length + 1 for length in longest if length) if all(longest) else None
    length = {"column": "text_length", "mostly": TEXT_SHARE}
    return [
        expect.ExpectTableRowCountToBeBetween(min_value=1),
        expect.ExpectColumnValuesToNotBeNull(**length),
        expect.ExpectColumnValuesToBeBetween(**length, min_value=shortest, max_value=most),
        expect.ExpectColumnValuesToNotBeNull(column="label"),
        expect.ExpectColumnUniqueValueCountToBeBetween(column="label", min_value=2),
        expect.ExpectColumnProportionOfUniqueValuesToBeBetween(column="label", max_value=LABEL_SHARE),
        expect.ExpectColumnValuesToNotBeNull(column="person"),
        expect.ExpectColumnUniqueValueCountToBeBetween(column="person", min_value=2),
        expect.ExpectColumnProportionOfUniqueValuesToBeBetween(column="person_and_text", min_value=DISTINCT_SHARE),
    ]


def _site(docs: Path) -> Any:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


def _result_row(result: Any) -> dict[str, Any]:
    config = result.expectation_config
    bounds = [(name, config.kwargs.get(f"{name}{end}")) for name, end in _BOUNDS.items()]
    found = result.result
    observed = found.get("observed_value")
    if observed is None:
        observed = f"{found.get('unexpected_percent') or 0:.2f} % are not"
    return {
        "expectation": config.type.removeprefix("expect_").replace("_", " "),
        "column": config.kwargs.get("column", ""),
        "success": bool(result.success),
        "observed": str(observed),
        "wanted": ", ".join(f"{name} {value}" for name, value in bounds if value is not None),
    }
