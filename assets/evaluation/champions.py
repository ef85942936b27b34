"""Against whom a candidate is judged, and on what: the signed releases of its model that came before it."""

from dataclasses import dataclass
from pathlib import Path

from governance.custody.blobs import CENTRAL_BUCKET, Ref
from governance.custody.keys import trusted_keys
from governance.custody.live import read_live
from governance.custody.records import Record, pointed, read_record, release_key
from governance.custody.store import ObjectStore
from governance.gate.report import GateReport
from governance.gate.verdict import require_gate
from governance.tenants import Company, Release


@dataclass(frozen=True)
class Signed:
    """A release that passed and was signed: its bundle, what its gate measured, the golden set it left."""

    release: Release
    bundle: Record
    report: GateReport
    golden: Ref


def signed_before(store: ObjectStore, candidate: Release) -> list[Signed]:
    """The signed releases of the candidate's model with a smaller number, oldest first."""
    found = []
    for number in range(1, candidate.number):
        release = candidate.model_copy(update={"number": number})
        if store.stat(CENTRAL_BUCKET, release_key(release, "signed_artifact")):
            found.append(_read_signed(store, release))
    return found


def champions(store: ObjectStore, company: Company, keys_dir: Path, candidate: Release) -> list[Signed]:
    """The live champion and the best ever, if any; one entry when they are the same release.

    Live is what the first region of the rollout order answers with. Best ever is the highest macro F1 of all signed
    releases: comparing with the live one alone would let the margins of many releases add up.
    """
    signed = signed_before(store, candidate)
    if not signed:
        return []
    best = max(signed, key=lambda each: each.report.macro_f1)
    live = next((each for each in signed if str(each.release) == _live_release(store, company, keys_dir, candidate)), best)
    return [live] if live is best else [live, best]


def _live_release(store: ObjectStore, company: Company, keys_dir: Path, candidate: Release) -> str | None:
    for region in company.regions:
        if pointer := read_live(store, candidate.tenant, candidate.task, region, trusted_keys(keys_dir)):
            return pointer.release
    return None


def _read_signed(store: ObjectStore, release: Release) -> Signed:
    bundle = read_record(store, pointed(store, release, "signed_artifact"))
    report = require_gate(store, bundle.inputs["validation_report"], release, bundle.inputs["lora_adapter"])
    golden = read_record(store, bundle.inputs["validation_report"]).files["golden.parquet"]
    return Signed(release, bundle, report, golden)
