"""What every benchmark shares: its flags, the table for people, the JSON for a later comparison. No measuring here."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

Row = Mapping[str, Any]


def arguments(description: str, whole: str = "") -> argparse.Namespace:
    """The flags of every benchmark, parsed from the command line: `json`, `quick`, `data`; `whole` where it is told.

    From then on SIGTERM unwinds as an exit does, so that the servers of a benchmark that is told to end are stopped.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures here as JSON")
    parser.add_argument("--quick", action="store_true", help="small inputs: does it run, not how fast")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of data sets")
    if whole:
        parser.add_argument("--whole", action="store_true", help=whole)
    return parser.parse_args()


def publish(name: str, args: argparse.Namespace, measures: Mapping[str, float], rows: Sequence[Row]) -> None:
    """Print `rows` and `measures` as tables; write the whole to `args.json` where it is given."""
    console = Console()
    for _, alike in groupby(rows, key=tuple):  # a table for rows of the same columns, or none could be read
        console.print(_table(name, list(alike)))
    console.print(_table("measures", [{"measure": key, "value": value} for key, value in measures.items()]))
    if args.json is not None:
        document = {
            "benchmark": name,
            "machine": machine(),
            "commit": commit(),
            "measures": dict(measures),
            "rows": [dict(row) for row in rows],
        }
        partial = args.json.with_name(f".{args.json.name}.partial")
        partial.write_text(json.dumps(document, indent=2) + "\n")
        partial.rename(args.json)
        console.print(f"written to {args.json}")


def machine() -> dict[str, Any]:
    """What the figures depend on. Memory in GiB."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def peak_rss_mb() -> float:
    """The most memory this process ever held (MB). Not ru_maxrss, which a child inherits from its parent."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def commit() -> str:
    """The checkout's commit, `+changes` where the tree differs from it, `unknown` outside a checkout."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        table.add_column(column, justify="right" if isinstance(rows[0].get(column), int | float) else "left")
    for row in rows:
        table.add_row(*(_cell(row.get(column, "")) for column in columns))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
