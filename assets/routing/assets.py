"""model_fingerprints: what each signed release is expected to get right, for the router."""

from pathlib import Path

import dagster as dg

from assets.line import REFERENCE, building, materialized, releases
from assets.routing.publish import publish_fingerprint
from governance.custody.blobs import Ref
from governance.custody.store import ObjectStore
from governance.tenants import Company
from serving.engine import base_folder


@dg.asset(partitions_def=releases, group_name="line", io_manager_key="references", dagster_type=REFERENCE)
def model_fingerprints(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    work: dg.ResourceParam[Path],
    signed_artifact: Ref,
) -> dg.MaterializeResult:
    """From the rows that judged the release; the live pointers alone decide whether the router may use it."""
    with building(context, company, work) as (release, model, folder):
        base = company.bases[model.base]
        ref, facts = publish_fingerprint(store, release, signed_artifact, base_folder(base), base.dtype, folder)
    return materialized(ref, facts.model_dump(mode="json", exclude={"format"}))
