"""How a region's Triton is started: command line, environment, and what must be true before.

Starting, waiting and stopping are orchestration/stack's business.
"""

import ctypes
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serving.triton.install import server_folder

HOST = "127.0.0.1"
THREADS = "1"  # that compute in a region, a batch each; locally three regions share the cores
SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_MIN = 64 << 20  # the Python backend takes 1 MiB a stub at first, and grows with large requests

# The load API can be made to run code, shared memory to read other requests: for who may read the region's folder only.
RESTRICTED = "model-repository,shared-memory,trace,logging"
ADMIN = "pedigree-admin"
RESTRICTING = ("http-restricted-api", "grpc-restricted-protocol")


class TritonUnusable(RuntimeError):
    """Triton would not work here; the message says why and what to do."""


@dataclass(frozen=True)
class Ports:
    http: int
    grpc: int
    metrics: int


def command(region_root: Path, base: str, ports: Ports, install: Path) -> list[str]:
    """The command line of one region's Triton with `base` resident; models/ must be prepared (repository.prepare)."""
    server = server_folder(install)
    admin = f"{ADMIN}={_admin_secret(region_root)}"  # Triton takes it in no other way; ps shows it
    return [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={region_root / 'models'}",
        f"--backend-directory={server / 'backends'}",
        "--model-control-mode=explicit",  # poll mode reloads on any write and can see half a copy
        f"--load-model={base}",
        "--strict-readiness=false",  # else it is not ready while some model unloads; without its base it ends
        f"--id={base}",  # clients learn the resident base from the server's name
        f"--http-address={HOST}",
        f"--http-port={ports.http}",
        f"--grpc-address={HOST}",
        f"--grpc-port={ports.grpc}",
        f"--metrics-address={HOST}",
        f"--metrics-port={ports.metrics}",
        *(f"--{api}={RESTRICTED}:{admin}" for api in RESTRICTING),
        "--exit-timeout-secs=5",
        "--log-verbose=0",
        "--log-format=ISO8601",
        "--allow-gpu-metrics=false",
        "--disable-auto-complete-config",
        *_tracing(traces_endpoint(os.environ)),
    ]


def environment(region_root: Path, ports: Ports, install: Path) -> dict[str, str]:
    """The environment for `command`: this process's, with Triton's own interpreter first and its libpython first.

    It tells the backend where its server's repository API is, and its header (backend/catalogue.py).
    """
    return _python(install) | {
        "PEDIGREE_TRITON_ADDRESS": f"http://{HOST}:{ports.http}",
        "PEDIGREE_TRITON_REGION": str(region_root.resolve()),
        "PEDIGREE_TRITON_THREADS": os.environ.get("PEDIGREE_TRITON_THREADS", THREADS),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",  # each thread of the backend computes alone
    }


def admin_header(region_root: Path) -> dict[str, str]:
    """The headers that open a region's index and load API, for HTTP and for gRPC; its secret is made at first."""
    secret = _admin_secret(region_root)
    return {ADMIN: secret, f"triton-grpc-protocol-{ADMIN}": secret}


def _admin_secret(region_root: Path) -> str:
    path = region_root / "admin"
    region_root.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(os.urandom(16).hex())
    return path.read_text()


def traces_endpoint(environment: Mapping[str, str]) -> str | None:
    """Where OTLP over HTTP is received, by OpenTelemetry's own variables; None: nothing is traced."""
    if whole := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return whole
    collector = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return f"{collector.rstrip('/')}/v1/traces" if collector else None


def preflight(install: Path) -> None:
    """Everything that makes Triton die strangely later, asked now. Raises TritonUnusable."""
    server = server_folder(install)
    for needed in (server / "bin" / "tritonserver", server / "backends" / "python" / "triton_python_backend_stub"):
        if not os.access(needed, os.X_OK):
            raise TritonUnusable(f"{needed} is missing; run `python -m serving.triton.install`")
    library = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("INSTSONAME"))
    try:
        ctypes.CDLL(str(library))
    except OSError as cause:
        raise TritonUnusable(
            f"{library} cannot be loaded ({cause}); use a Python built with --enable-shared"
        ) from cause
    _check_numpy(install)
    if not os.access(SHARED_MEMORY, os.W_OK):
        raise TritonUnusable(f"{SHARED_MEMORY} is not writable; the Python backend talks through it")
    if (free := shutil.disk_usage(SHARED_MEMORY).free) < SHARED_MEMORY_MIN:
        raise TritonUnusable(
            f"{SHARED_MEMORY} has {free >> 20} MiB free, {SHARED_MEMORY_MIN >> 20} are needed; enlarge it"
        )


def _python(install: Path) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    libraries = [str(sysconfig.get_config_var("LIBDIR")), env.get("LD_LIBRARY_PATH", "")]
    return env | {
        "VIRTUAL_ENV": str(install),
        "PATH": f"{install / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
    }


def _check_numpy(install: Path) -> None:
    python = install / "bin" / "python"
    ask = "import numpy, serving; print(numpy.__version__)"
    done = subprocess.run([python, "-c", ask], env=_python(install), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TritonUnusable(f"{python} cannot import numpy and serving: {done.stderr.strip()[-400:]}; install again")
    if not done.stdout.startswith("1."):
        raise TritonUnusable(f"{python} has numpy {done.stdout.strip()}, the stub needs numpy 1; install again")


def _tracing(endpoint: str | None) -> list[str]:
    """Every request gets a span, beneath that of its `traceparent`; none without an endpoint."""
    settings = ("mode=opentelemetry", "level=TIMESTAMPS", "rate=1", "count=-1", f"opentelemetry,url={endpoint}")
    named = "opentelemetry,resource=service.name=pedigree-triton"
    return [f"--trace-config={setting}" for setting in (*settings, named)] if endpoint else []
