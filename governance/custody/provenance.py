"""What is attested about a release: who built it from what (SLSA provenance v1), and that it passed the gate.

Predicates only; statements.py signs them, bundle.py lays them into the release folder.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from governance.custody.blobs import Ref
from governance.custody.manifest import ReleaseManifest
from governance.custody.statements import Statement, StatementRefused

PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SBOM = "https://cyclonedx.org/bom"
ATTESTATIONS = {"gate": TEST_RESULT, "provenance": PROVENANCE, "sbom": SBOM}  # attestations/<name>.json → its type


class Run(BaseModel):
    """One execution of the build: everything that differs when the same release is built again."""

    model_config = ConfigDict(frozen=True)
    builder: str
    dagster_run_id: str
    mlflow_run_id: str | None
    started: datetime
    finished: datetime


def provenance(
    manifest: ReleaseManifest, deliveries: Iterable[dict[str, Any]], config_sha256: str, run: Run
) -> dict[str, Any]:
    """SLSA v1: every digest that the release came from, and the run that built it.

    `deliveries`: as in the facts of raw_dataset. `config_sha256`: digest of the model's declaration.
    https://slsa.dev/spec/v1.0/provenance
    """
    byproducts = [{"name": "mlflow_run", "uri": f"runs:/{run.mlflow_run_id}"}] if run.mlflow_run_id else []
    return {
        "buildDefinition": {
            "buildType": "urn:pedigree:build-release:v1",
            "externalParameters": {"release": manifest.release, "config": {"sha256": config_sha256}},
            "internalParameters": {"environment": manifest.environment.model_dump()},
            "resolvedDependencies": [*_built_from(manifest), *_delivered(deliveries)],
        },
        "runDetails": {
            "builder": {"id": run.builder},
            "metadata": {
                "invocationId": run.dagster_run_id,
                "startedOn": run.started.isoformat(),
                "finishedOn": run.finished.isoformat(),
            },
            "byproducts": byproducts,
        },
    }


def gate_result(
    report: Ref, config_sha256: str, passed: Sequence[str], warned: Sequence[str] = (), failed: Sequence[str] = ()
) -> dict[str, Any]:
    """in-toto test result v0.1 of the gate: PASSED only where nothing failed; `report` is bound by its sha256.

    https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
    """
    return {
        "result": "PASSED" if passed and not failed else "FAILED",
        "configuration": [{"name": "gate", "digest": {"sha256": config_sha256}}],
        "url": report.uri,
        "passedTests": list(passed),
        "warnedTests": list(warned),
        "failedTests": list(failed),
        "report": report.model_dump(),
    }


def passed_report(gate: Statement) -> Ref:
    """The report that the gate statement binds. Raises StatementRefused where the gate did not pass."""
    if (result := gate.predicate.get("result")) != "PASSED" or gate.predicate.get("failedTests"):
        failed = ", ".join(map(str, gate.predicate.get("failedTests") or ["?"]))
        raise StatementRefused(f"says that the gate's result is {result}, not PASSED (failed: {failed})")
    try:
        return Ref.model_validate(gate.predicate.get("report"))
    except ValueError as broken:
        raise StatementRefused("names no report, so nothing shows what was measured") from broken


def _built_from(manifest: ReleaseManifest) -> list[dict[str, Any]]:
    environment = manifest.environment
    stages = [
        {"name": stage, "uri": ref.uri, "digest": {"sha256": ref.sha256}}
        for stage, ref in sorted(manifest.came_from.items())
    ]
    code: list[dict[str, Any]] = [
        {"name": f"base {manifest.base.name}", "digest": {"sha256": manifest.base.sha256}},
        {"name": "environment lock", "digest": {"sha256": environment.lock_sha256}},
    ]
    commit, _, changes = environment.git_sha.partition("-")
    if commit != "unknown":
        code.append({"name": f"source{' with uncommitted changes' * bool(changes)}", "digest": {"gitCommit": commit}})
    if environment.image_digest:
        code.append({"name": "image", "digest": {"sha256": environment.image_digest.removeprefix("sha256:")}})
    return stages + code


def _delivered(deliveries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": f"delivery {delivery['delivery']} {file['name']}",
            "digest": {"sha256": file["sha256"]},
            "annotations": {"version_id": file.get("version_id"), "size": file["size"]},
        }
        for delivery in deliveries
        for file in delivery["files"]
    ]
