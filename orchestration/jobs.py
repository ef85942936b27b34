"""The jobs: what a sensor, a schedule or a person launches as one run."""

import dagster as dg

build_release = dg.define_asset_job(
    "build_release",
    selection=dg.AssetSelection.assets(
        "raw_dataset",
        "normalized_dataset",
        "scrubbed_dataset",
        "lora_adapter",
        "validation_report",
        "signed_artifact",
        "model_fingerprints",
    ),
    tags={"pedigree/work": "build"},  # dagster.yaml leaves room beside builds: a rollback never waits for one
    description="From a tenant's deliveries to a signed release: one partition, one run.",
)

promote = dg.define_asset_job(
    "promote",
    selection=dg.AssetSelection.assets("promoted_model"),
    description="Make a signed release answer in a region. Rollback is the same job at an older release.",
)

observe_regions = dg.define_asset_job(
    "observe_regions",
    selection=dg.AssetSelection.assets("live_model"),
    description="Ask each region's Triton what it really serves.",
)

apply_retention = dg.define_asset_job("apply_retention", selection=dg.AssetSelection.assets("retention_report"))

collect_garbage = dg.define_asset_job("collect_garbage", selection=dg.AssetSelection.assets("gc_report"))

change_keys = dg.define_asset_job("change_keys", selection=dg.AssetSelection.assets("key_change"))

refresh_trust = dg.define_asset_job("refresh_trust", selection=dg.AssetSelection.assets("trust_report"))

verify_audit_log = dg.define_asset_job("verify_audit_log", selection=dg.AssetSelection.assets("audit_log"))

jobs = [
    build_release,
    promote,
    observe_regions,
    apply_retention,
    collect_garbage,
    change_keys,
    refresh_trust,
    verify_audit_log,
]
