"""MLflow: the catalogue of runs and registered models, and its page. One process tree, SQLite, no job runner."""

import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from orchestration.settings import Settings
from orchestration.stack.ports import HOST
from orchestration.stack.supervisor import Part

PORTS: Mapping[str, int | None] = {"http": 5000}


def address(ports: Mapping[str, int]) -> str:
    return f"http://{HOST}:{ports['http']}"


def part(settings: Settings, ports: Mapping[str, int]) -> Part:
    """The tracking server; database and artifacts lie in `<state_dir>/mlflow`."""
    home = settings.state_dir / "mlflow"
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", HOST, "--port", str(ports["http"]), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"),
        *("--artifacts-destination", str(home / "artifacts")),
    ]
    return Part(
        name="mlflow",
        command=command,
        environment=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        address=address(ports),
        ready=lambda started: answers(f"{address(ports)}/health"),
        prepare=lambda: _make(home),
        working_directory=settings.state_dir,
    )


def answers(url: str) -> bool:
    """Whether a GET of `url` ends in 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def _make(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
