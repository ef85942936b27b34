"""The roles of the trust repository: their names, paths, keys, and how long what they say holds."""

from datetime import timedelta

from governance.custody.keys import RELEASE, ROOT_KEYS, release_key_name
from governance.tenants import Release

METADATA, TARGETS = "_trust/metadata/", "_trust/targets/"  # no tenant's name begins so
PROMOTION = "promotion"
TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")
ROOT_THRESHOLD = 2
RETIRED = "x-pedigree-retired"  # of a delegation: ids of the keys that sign nothing new, whose releases still hold
REVOKED = "x-pedigree-revoked"  # of a tenant's role: target path → why it does not hold any more

_EXPIRY = {
    "root": timedelta(days=365),
    "targets": timedelta(days=365),
    PROMOTION: timedelta(days=90),
    "snapshot": timedelta(days=7),
    "timestamp": timedelta(days=1),
}


def expiry(role: str) -> timedelta:
    return _EXPIRY.get(role, timedelta(days=365))


def keys_of(role: str) -> tuple[str, ...]:
    """Names of the keys that sign for a role."""
    return ROOT_KEYS if role == "root" else (role,)


def role_of(key: str) -> str:
    """The role that a key signs for."""
    return "root" if key in ROOT_KEYS else key


def tenant_role(tenant: str) -> str:
    return release_key_name(tenant)


def is_tenant_role(role: str) -> bool:
    return role.endswith(RELEASE)


def paths_of(role: str) -> list[str]:
    """The target paths that a delegated role may speak for. A `*` never spans a `/`."""
    return ["live/*/*/*"] if role == PROMOTION else [f"{role.removesuffix(RELEASE)}/*/*"]


def release_path(release: Release) -> str:
    return f"{release.tenant}/{release.task}/{release.number}.json"


def live_path(region: str, model: str) -> str:
    return f"live/{region}/{model}.json"


def target_key(path: str, sha256: str) -> str:
    """Where a target's bytes lie: TUF's consistent snapshots put the digest before the file's name."""
    folder, _, name = path.rpartition("/")
    return f"{TARGETS}{folder}/{sha256}.{name}"
