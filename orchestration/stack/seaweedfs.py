"""SeaweedFS: the local object store. In production the same settings point at AWS S3."""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from governance.custody.durable import replace
from governance.custody.store import ObjectStore
from orchestration.settings import PREFIX, Settings
from orchestration.stack.local import kept_secret
from orchestration.stack.ports import HOST
from orchestration.stack.supervisor import Part

SERVERS = ("s3", "master", "volume", "filer")
PORTS: Mapping[str, int | None] = dict.fromkeys([*SERVERS, *(f"{server}.grpc" for server in SERVERS), "admin"])


def address(ports: Mapping[str, int]) -> str:
    return f"http://{HOST}:{ports['s3']}"


def store_environment(settings: Settings) -> dict[str, str]:
    """How servers reach the store (serving/store.py)."""
    return {
        f"{PREFIX}S3_ENDPOINT": settings.s3_endpoint or "",
        f"{PREFIX}S3_ACCESS_KEY": settings.s3_access_key,
        f"{PREFIX}S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        f"{PREFIX}S3_REGION": settings.s3_region,
    }


def part(settings: Settings, ports: Mapping[str, int]) -> Part:
    """All of SeaweedFS in one process; data, identities and the key of keys lie in `<state_dir>/seaweedfs`."""
    home = settings.state_dir / "seaweedfs"
    admin_grpc = ports["admin"] + 10_000  # its own worker looks there, whatever is asked for
    command = [
        str(Path(sys.executable).parent / "weed"),
        "mini",
        f"-dir={home / 'data'}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        *(f"-{server}.port={ports[server]}" for server in SERVERS),
        *(f"-{server}.port.grpc={ports[f'{server}.grpc']}" for server in SERVERS),
        f"-admin.port={ports['admin']}",
        f"-admin.port.grpc={admin_grpc}",
        f"-s3.config={home / 's3.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-volume.preStopSeconds=0",  # nobody else has to notice first
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        "-master.electionTimeout=1s",
    ]
    environment = {"WEED_S3_SSE_KEK": kept_secret(home / "sse_kek"), "GOMEMLIMIT": "400MiB"}
    return Part(
        name="seaweedfs",
        command=command,
        environment=os.environ | environment,
        address=address(ports),
        ready=lambda started: _answers(settings, ports),
        prepare=lambda: _write_identities(settings, home),
        leftovers=tuple(f"/tmp/seaweedfs-*-{port}.sock" for port in [*ports.values(), admin_grpc]),
        working_directory=home,
    )


def _write_identities(settings: Settings, home: Path) -> None:
    (home / "data").mkdir(parents=True, exist_ok=True)
    secret = settings.s3_secret_key.get_secret_value()
    owner = {
        "name": "pedigree",
        "credentials": [{"accessKey": settings.s3_access_key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    replace(home / "s3.json", json.dumps({"identities": [owner]}).encode(), 0o600)


def _answers(settings: Settings, ports: Mapping[str, int]) -> bool:
    """Whether the volumes are in (before, objects look lost) and our own key may list the buckets."""
    if not _volumes_are_in(ports["master"]):
        return False
    secret = settings.s3_secret_key.get_secret_value()
    try:
        ObjectStore(address(ports), settings.s3_access_key, secret, settings.s3_region).client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def _volumes_are_in(master: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{master}/dir/status", timeout=2) as reply:
            return bool(json.load(reply)["Topology"]["Max"] > 0)
    except (OSError, ValueError, KeyError):
        return False
