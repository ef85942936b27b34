"""Dagster as three processes: one code server, and the web server and the daemon that both use it.

The instance is the checkout's dagster.yaml with its paths made absolute, so that a run, the daemon and a command line
in any folder find the same database.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestration.settings import CHECKOUT, PREFIX, Settings
from orchestration.stack.ports import HOST, accepts
from orchestration.stack.supervisor import Part, StackError

CODE_PORTS: Mapping[str, int | None] = {"grpc": None}
WEBSERVER_PORTS: Mapping[str, int | None] = {"http": 3000}

STATE = """{
  locationStatusesOrError { ... on WorkspaceLocationStatusEntries { entries { loadStatus } } }
  workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
    __typename ... on PythonError { message } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatTime } } }
}"""


def address(ports: Mapping[str, int]) -> str:
    return f"http://{HOST}:{ports['http']}"


def dagster_home(settings: Settings) -> Path:
    return settings.state_dir / "dagster_home"


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which every Dagster process of this installation runs, and with it every run."""
    return os.environ | {
        "DAGSTER_HOME": str(dagster_home(settings)),
        f"{PREFIX}STATE_DIR": str(settings.state_dir),
        f"{PREFIX}COMPANY_FILE": str(settings.company_file),
    }


def write_instance(settings: Settings) -> None:
    """Write this installation's dagster.yaml: the checkout's, with `.pedigree/…` under the state_dir."""
    declared = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text())
    home = dagster_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(yaml.safe_dump(_moved(declared, settings.state_dir), sort_keys=False))


def code_server(settings: Settings, ports: Mapping[str, int]) -> Part:
    """Serves the definitions and launches runs as its children; "Reload" in the UI makes it load them anew."""
    options = ["--location-name", "pedigree", "-f", "orchestration/definitions.py", "-d", str(CHECKOUT)]
    return Part(
        name="dagster-code",
        command=module("dagster", "code-server", "start", "-h", HOST, "-p", str(ports["grpc"]), *options),
        environment=environment(settings),
        address=f"{HOST}:{ports['grpc']}",
        ready=lambda started: _serves(ports["grpc"]),
        prepare=lambda: write_instance(settings),
    )


def webserver(settings: Settings, ports: Mapping[str, int], code: Mapping[str, int]) -> Part:
    """The UI; it is ready when it has loaded the definitions."""
    options = ["-h", HOST, "-p", str(ports["http"]), *_grpc(code)]
    return Part(
        name="dagster-webserver",
        command=module("dagster_webserver", *options),
        environment=environment(settings),
        address=address(ports),
        ready=lambda started: _definitions_loaded(ask(address(ports))),
    )


def daemon(settings: Settings, web: Mapping[str, int], code: Mapping[str, int]) -> Part:
    """Sensors, schedules, the run queue; it is ready when each of its daemons has given a sign since it started."""
    return Part(
        name="dagster-daemon",
        command=module("dagster._daemon", "run", *_grpc(code)),
        environment=environment(settings),
        address=f"{address(web)}/deployment/daemons",
        ready=lambda started: _daemons_alive(ask(address(web)), started),
    )


def ask(url: str) -> dict[str, Any] | None:
    """What the web server says of definitions and daemons; None while it does not answer."""
    request = urllib.request.Request(
        f"{url}/graphql", json.dumps({"query": STATE}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return dict(json.load(reply)["data"])
    except (OSError, ValueError, TypeError):
        return None


def _definitions_loaded(state: dict[str, Any] | None) -> bool:
    entries = state["workspaceOrError"]["locationEntries"] if state else []
    loaded = [entry["locationOrLoadError"] or {} for entry in entries]
    for entry in loaded:
        if entry.get("__typename") == "PythonError":
            message = entry["message"].strip()
            raise StackError(f"the definitions do not load: {message}\nCorrect them, then `pedigree down` and `up`.")
    return bool(loaded) and all(entry.get("__typename") == "RepositoryLocation" for entry in loaded)


def _daemons_alive(state: dict[str, Any] | None, started: float) -> bool:
    daemons = state["instance"]["daemonHealth"]["allDaemonStatuses"] if state else []
    required = [daemon for daemon in daemons if daemon["required"]]
    return bool(required) and all(
        daemon["healthy"] and (daemon["lastHeartbeatTime"] or 0) >= started for daemon in required
    )


def _serves(port: int) -> bool:
    """The gRPC health of Dagster's own service."""
    if not accepts(port):
        return False
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(f"{HOST}:{port}") as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="DagsterApi"), timeout=3
            )
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a Python module in this environment."""
    return [sys.executable, "-m", name, *arguments]


def _grpc(code: Mapping[str, int]) -> list[str]:
    return ["--grpc-host", HOST, "--grpc-port", str(code["grpc"])]


def _moved(value: Any, state_dir: Path) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, state_dir) for key, item in value.items()}
    if isinstance(value, str) and value.startswith(".pedigree/"):
        return str(state_dir / value.removeprefix(".pedigree/"))
    return value
