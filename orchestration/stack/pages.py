"""Pages: the folder of reports that checks leave for people, such as Data Docs, on loopback."""

import os
import sys
from collections.abc import Mapping

from orchestration.settings import Settings
from orchestration.stack.mlflow import answers
from orchestration.stack.ports import HOST
from orchestration.stack.supervisor import Part

PORTS: Mapping[str, int | None] = {"http": 5001}


def address(ports: Mapping[str, int]) -> str:
    return f"http://{HOST}:{ports['http']}"


def part(settings: Settings, ports: Mapping[str, int]) -> Part:
    """Python's own file server over `<state_dir>/pages`."""
    folder = settings.pages_dir
    return Part(
        name="pages",
        command=[sys.executable, "-m", "http.server", str(ports["http"]), "--bind", HOST, "--directory", str(folder)],
        environment=os.environ,
        address=address(ports),
        ready=lambda started: answers(address(ports)),
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
        working_directory=settings.state_dir,
    )
