"""Scrubbed data that another detector read is stale in Dagster, and fresh again once the new one has read it."""

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from orchestration.definitions import build_defs

RELEASE = "stclare.triage-notes@1"
DETECTOR, ROWS, SCRUBBED = (dg.AssetKey(name) for name in ("pii_detector", "normalized_dataset", "scrubbed_dataset"))


def materialized(instance: dg.DagsterInstance, key: dg.AssetKey, version: str, read: dict[str, str]) -> None:
    """What a run of this asset leaves in Dagster: its data version and those of what it read."""
    tags = {
        "dagster/data_version": version,
        "dagster/data_version_is_user_provided": "true",
        "dagster/code_version": "1",
    }
    tags |= {f"dagster/input_data_version/{name}": seen for name, seen in read.items()}
    tags |= {f"dagster/input_event_pointer/{name}": "NULL" for name in read}
    partition = None if key == DETECTOR else RELEASE
    instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, tags=tags))


def test_a_new_detector_makes_scrubbed_data_stale_until_it_has_read_it() -> None:
    graph = build_defs().get_repository_def().asset_graph
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("release", [RELEASE])

        def status() -> StaleStatus:
            resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
            return resolver.get_status(SCRUBBED, RELEASE)

        def scrubbed_by(detector: str) -> None:
            materialized(
                instance, SCRUBBED, f"scrubbed by {detector}", {"normalized_dataset": "rows", "pii_detector": detector}
            )

        materialized(instance, DETECTOR, "one", {})
        materialized(instance, dg.AssetKey("raw_dataset"), "raw", {})
        materialized(instance, ROWS, "rows", {"raw_dataset": "raw"})
        scrubbed_by("one")
        assert status() == StaleStatus.FRESH
        materialized(instance, DETECTOR, "one", {})  # trained again to the same bits
        assert status() == StaleStatus.FRESH
        materialized(instance, DETECTOR, "two", {})
        assert status() == StaleStatus.STALE
        scrubbed_by("two")
        assert status() == StaleStatus.FRESH
