"""Against whom a candidate is judged: the signed releases of its model that came before it."""

from dataclasses import dataclass
from pathlib import Path

from governance.custody.blobs import CENTRAL_BUCKET, Ref
from governance.custody.keys import trusted_keys
from governance.custody.records import Record, pointed, read_record, release_key
from governance.custody.store import ObjectStore
from governance.gate.report import BEST, LIVE, LIVE_AND_BEST, Against, GateReport, best_ever
from governance.gate.verdict import require_gate
from governance.tenants import Company, Release
from governance.trust.live import read_live


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


def champions(
    store: ObjectStore, company: Company, keys_dir: Path, candidate: Release, signed: list[Signed]
) -> dict[Against, Signed]:
    """Role → release: the live champion and the best ever; one entry when they are the same.

    Live is what the first region of the rollout order answers with; before any promotion only the best ever counts.
    """
    best = best_ever(each.report for each in signed)
    by_name = {str(each.release): each for each in signed}
    if best is None:
        return {}
    live = _live_release(store, company, keys_dir, candidate)
    if live == best.subject.release:
        return {LIVE_AND_BEST: by_name[live]}
    roles: dict[Against, Signed] = {BEST: by_name[best.subject.release]}
    return {LIVE: by_name[live], **roles} if live in by_name else roles


def _live_release(store: ObjectStore, company: Company, keys_dir: Path, candidate: Release) -> str | None:
    for region in company.regions:
        if live := read_live(store, candidate.tenant, candidate.task, region, trusted_keys(keys_dir)):
            return live.release
    return None


def _read_signed(store: ObjectStore, release: Release) -> Signed:
    bundle = read_record(store, pointed(store, release, "signed_artifact"))
    report = require_gate(store, bundle.inputs["validation_report"], release, bundle.inputs["lora_adapter"])
    golden = read_record(store, bundle.inputs["validation_report"]).files["golden.parquet"]
    return Signed(release, bundle, report, golden)
