"""Prepare Triton beside the running environment: `python -m serving.triton.install`.

The wheel carries a real Triton 2.51; only its server, Python backend and stub are used. The stub was built against
numpy 1 (with numpy 2 a BYTES input kills it), so it runs in an environment of its own at <sys.prefix>/triton, which
sees everything that is installed here and lays numpy 1.26 over it.
"""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

WHEEL = "nvidia-pytriton==0.7.0"
NUMPY = "numpy==1.26.4"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


class InstallFailed(RuntimeError):
    """Triton's environment could not be prepared; the message names the step."""


def location() -> Path:
    """Where Triton's environment belongs for the running interpreter."""
    return Path(sys.prefix) / "triton"


def site_packages(install: Path) -> Path:
    return install / "lib" / PYTHON / "site-packages"


def server_folder(install: Path) -> Path:
    """The wheel's tree with bin/, backends/ and python_backend_stubs/."""
    return site_packages(install) / "pytriton" / "tritonserver"


def install(target: Path) -> bool:
    """Make `target` complete; False when it already was. Raises InstallFailed."""
    stamp = target / "installed.json"
    wanted = json.dumps({"wheel": WHEEL, "numpy": NUMPY, "python": sys.version, "sees": sysconfig.get_path("purelib")})
    if stamp.is_file() and stamp.read_text() == wanted:
        return False
    shutil.rmtree(target, ignore_errors=True)
    venv.create(target, symlinks=True, with_pip=False)
    site = site_packages(target)
    # addsitedir, not a bare path: the .pth files there (an editable checkout is one) must be read too.
    (site / "pedigree.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    _pip(site, WHEEL)
    _pip(site, NUMPY)
    _place_stub(server_folder(target))
    stamp.write_text(wanted)
    return True


def _pip(site: Path, requirement: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*command, "--target", str(site), requirement], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallFailed(f"pip could not install {requirement} into {site}: {done.stderr.strip()[-800:]}")


def _place_stub(server: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise InstallFailed(f"{WHEEL} has no Python backend stub for Python {version}; use Python 3.8 to 3.13")
    placed = server / "backends" / "python" / stub.name
    shutil.copyfile(stub, placed)
    for program in (placed, server / "bin" / "tritonserver"):
        program.chmod(0o755)


if __name__ == "__main__":
    print("Triton is ready" if install(location()) else "Triton was ready", "at", location())
