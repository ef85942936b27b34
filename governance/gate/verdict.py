"""The gate's verdict as signing and promotion ask for it: from the report's own bytes, never from a Dagster run."""

from governance.custody.blobs import Ref, read_blob
from governance.custody.records import read_record
from governance.custody.store import ObjectStore
from governance.gate.report import GateReport, require_passed
from governance.tenants import Release


def require_gate(store: ObjectStore, report: Ref, release: Release, adapter: Ref) -> GateReport:
    """The gate report behind the record `report`, if it passed this adapter of this release.

    Raises GateRefused, DigestMismatch when the report was edited, NotFound.
    """
    document = read_record(store, report).files["report.json"]
    body = read_blob(store, document)
    return require_passed(
        body, expect_sha256=document.sha256, expect_release=str(release), expect_adapter=adapter.sha256
    )
