"""The request path as `pedigree up` starts it: a token of the command line gets an answer from the gateway."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from orchestration import stack
from orchestration.settings import Settings, load_settings
from orchestration.stack import supervisor
from orchestration.stack.ports import HOST

PEDIGREE = Path(sys.executable).parent / "pedigree"
PARTS = ["kafka", "redis", "gateway", "worker-1", "worker-2"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = load_settings(state_dir=tmp_path_factory.mktemp("state"))
    try:
        yield stack.start(settings, PARTS)
    finally:
        stack.stop(settings)


def pedigree(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PEDIGREE_STATE_DIR": str(settings.state_dir), "COLUMNS": "200"}
    return subprocess.run([PEDIGREE, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_token_and_api_key_of_the_command_line_are_let_in(settings: Settings) -> None:
    for command in ("token", "api-key"):
        credentials = pedigree(settings, command, "northbank").stdout.strip()
        headers = {"Authorization": f"Bearer {credentials}"}
        reply = httpx.post(f"{settings.gateway_url}/v1/embeddings", json={"input": "x"}, headers=headers, timeout=30)
        assert reply.status_code == 200, reply.text
        assert len(reply.json()["data"][0]["embedding"]) == 384
    unknown = pedigree(settings, "token", "nobody")
    assert unknown.returncode == 1
    assert "no tenant 'nobody'" in unknown.stderr


def test_the_gateway_routes_by_the_policies_of_the_checkout(settings: Settings) -> None:
    assert httpx.get(f"{settings.gateway_url}/readyz", timeout=30).json()["policies"] == "ok"
    headers = {"Authorization": f"Bearer {pedigree(settings, 'token', 'northbank').stdout.strip()}"}
    reply = httpx.post(f"{settings.gateway_url}/v1/route", json={"input": "x"}, headers=headers, timeout=30)
    assert (reply.status_code, reply.json()["detail"]) == (404, "no model may answer: none is live")


def test_each_part_is_healthy_on_loopback_and_keeps_its_state_in_the_state_dir(settings: Settings) -> None:
    health = {part.part: part for part in stack.health(settings)}
    assert all(health[name].healthy for name in PARTS)
    ledger = supervisor.read_ledger(settings.state_dir)
    family = [process for name in PARTS for process in supervisor.processes_of(ledger[name])]
    listening = [c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {address.removeprefix("::ffff:") for address in listening} == {HOST}
    assert (settings.state_dir / "gateway" / "issuer.json").stat().st_mode & 0o777 == 0o600
