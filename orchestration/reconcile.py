"""MLflow and Dagster as catalogues: what they lack or have wrong is repaired from what is signed, never the reverse.

With both databases gone, this brings back the partitions that a rollback is launched at, and the registry.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from assets.ingestion.requests import requests
from assets.line import releases
from assets.training.tracking import ALIAS
from governance.custody.keys import trusted_keys
from governance.custody.records import pointed
from governance.custody.store import ObjectStore
from governance.tenants import Release
from governance.trust.client import refresh
from governance.trust.live import LivePointer, live_models, live_pointer
from governance.trust.releases import Vouched, vouched_releases
from orchestration.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

RELEASE, DIGEST = "pedigree.release", "pedigree.digest"


@dataclass(frozen=True)
class Repair:
    catalogue: str
    what: str
    done: str


def reconcile(settings: Settings, instance: dg.DagsterInstance) -> list[Repair]:
    """Everything that was repaired. Raises TrustRefused."""
    store, company = settings.store(), settings.company()
    view = refresh(store, trusted_keys(settings.keys_dir))
    held = {tenant: vouched_releases(view, tenant) for tenant in company.tenants}
    pointers = [
        pointer
        for region in company.regions
        for model in live_models(view, region)
        if (pointer := live_pointer(view, model, region))
    ]
    requested = [
        Release(tenant=tenant, task=task, number=request.number)
        for tenant, task, _ in company.each_model()
        for request in requests(store, tenant, task)
    ]
    everything = [vouched for of_tenant in held.values() for vouched in of_tenant]
    names = sorted({*map(str, requested), *(str(vouched.release) for vouched in everything)})
    return [
        *_partitions(instance, names),
        *_materializations(store, instance, everything, pointers),
        *_registry(settings.mlflow_uri, store, everything),
    ]


def _partitions(instance: dg.DagsterInstance, names: list[str]) -> Iterator[Repair]:
    known = set(instance.get_dynamic_partitions(str(releases.name)))
    if missing := [name for name in names if name not in known]:
        instance.add_dynamic_partitions(str(releases.name), missing)
    for name in missing:
        yield Repair("Dagster", name, "partition added")


def _materializations(
    store: ObjectStore, instance: dg.DagsterInstance, held: list[Vouched], pointers: list[LivePointer]
) -> Iterator[Repair]:
    """Events that say where each came from; Dagster shows them as materialized outside of a run."""
    wanted = [
        ("signed_artifact", str(v.release), pointed(store, v.release, "signed_artifact").sha256, {"release": v.digest})
        for v in held
    ]
    wanted += [
        ("promoted_model", f"{p.region}|{p.release}", p.digest, {"reason": p.reason, "approver": p.approver})
        for p in pointers
    ]
    for asset, partition, version, metadata in wanted:
        key = dg.AssetKey(asset)
        records = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
        if instance.fetch_materializations(records, limit=1).records:
            continue
        tags = {"dagster/data_version": version}
        instance.report_runless_asset_event(
            dg.AssetMaterialization(key, partition=partition, metadata=metadata, tags=tags)
        )
        yield Repair("Dagster", f"{asset} {partition}", "materialization added")


def _registry(uri: str, store: ObjectStore, held: list[Vouched]) -> Iterator[Repair]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    models = {vouched.release.served_name for vouched in held}
    registered = {model.name for model in client.search_registered_models()}
    for name in sorted(models - registered):
        client.create_registered_model(name)
    for name in sorted(models):
        yield from _versions(client, store, name, [v for v in held if v.release.served_name == name])


def _versions(client: "MlflowClient", store: ObjectStore, name: str, held: list[Vouched]) -> Iterator[Repair]:
    versions: dict[str, ModelVersion] = {
        v.tags.get(RELEASE, ""): v for v in client.search_model_versions(f"name = '{name}'")
    }
    for vouched in held:
        release = str(vouched.release)
        if (version := versions.get(release)) is None:
            source = pointed(store, vouched.release, "signed_artifact").uri
            tags = {RELEASE: release, DIGEST: vouched.digest}
            versions[release] = client.create_model_version(name, source=source, tags=tags)
            yield Repair("MLflow", release, "version added")
        elif version.tags.get(DIGEST) != vouched.digest:
            client.set_model_version_tag(name, version.version, DIGEST, vouched.digest)
            yield Repair("MLflow", release, f"digest corrected, it was {version.tags.get(DIGEST)}")
    newest = versions[str(held[-1].release)].version
    if str(client.get_registered_model(name).aliases.get(ALIAS)) != str(newest):
        client.set_registered_model_alias(name, ALIAS, newest)
        yield Repair("MLflow", str(held[-1].release), f"is {ALIAS!r} now")
