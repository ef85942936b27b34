"""What the local stack makes up for itself: credentials, addresses, keys, buckets; in production others give them."""

import contextlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.ingestion.manifest import landing_bucket
from governance.audit.keys import create_audit_keys
from governance.audit.log import record_new_keys
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.durable import create_once, replace
from governance.custody.keys import create_keys, trusted_keys
from governance.privacy.pseudonyms import TenantKeyError, create_tenant_key
from orchestration.attribution import approver
from orchestration.settings import Settings, stack_file
from orchestration.stack.kafka import BUCKET as BROKER_BUCKET


def kept_secret(file: Path) -> str:
    """The 256-bit secret in `file`, hex; made at the first call."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        create_once(file, secrets.token_hex(32).encode(), 0o600)
    return file.read_text().strip()


def create_missing_keys(settings: Settings) -> None:
    """Signing keys and keys of the surrogates where there are none yet, and the root of trust in every region."""
    from governance.trust.keys import create_anchor

    tenants, regions = settings.company().tenants, settings.company().regions
    create_keys(settings.keys_dir, tenants, regions)
    create_audit_keys(settings.keys_dir, {region: settings.region_root(region) for region in regions})
    create_anchor(settings.keys_dir)
    for region in regions:
        give_trust(settings, region)
    for tenant in tenants:
        with contextlib.suppress(TenantKeyError):  # it has one, and keeps it
            create_tenant_key(settings.keys_dir, tenant)


def give_trust(settings: Settings, region: str) -> None:
    """What a region is given once: the first root. A region that was wiped is given it again."""
    given = settings.region_root(region) / "trusted" / "root.json"
    given.parent.mkdir(parents=True, exist_ok=True)
    create_once(given, (trusted_keys(settings.keys_dir).folder / "root.json").read_bytes(), 0o644)


def create_missing_buckets(settings: Settings) -> None:
    """The central bucket with the trust repository, the landing bucket of every tenant, and one for a broker's log."""
    from governance.trust.keys import establish

    store, tenants = settings.store(), settings.company().tenants
    for bucket in [CENTRAL_BUCKET, *map(landing_bucket, tenants)]:
        store.ensure_bucket(bucket)
    if settings.broker_log == "s3":
        store.ensure_bucket(BROKER_BUCKET, versioned=False)
    establish(store, settings.keys_dir, tenants)


def record_created_keys(settings: Settings) -> None:
    """The audit log begins with the keys that sign it and everything else."""
    record_new_keys(settings.store(), settings.keys_dir, approver())


def write_stack_settings(settings: Settings, addresses: Mapping[str, Any]) -> None:
    """Put the stack's addresses (str, or dict of str) and S3 credentials into stack.toml; credentials are kept."""
    values: dict[str, Any] = {
        "s3_access_key": settings.s3_access_key or f"local{secrets.token_hex(8)}",
        "s3_secret_key": settings.s3_secret_key.get_secret_value() or secrets.token_urlsafe(32),
        **addresses,
    }
    lines = [f"{key} = {_toml(value)}\n" for key, value in values.items()]
    text = "".join(["# Written by `pedigree up`. Your own settings go to settings.toml.\n", *lines])
    replace(stack_file(settings.state_dir), text.encode(), 0o600)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {json.dumps(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
