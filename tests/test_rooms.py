import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def test_no_room_imports_from_a_room_above_it() -> None:
    checked = lint_imports(CHECKOUT)
    assert checked.returncode == 0, checked.stdout


def test_the_rule_notices_an_import_that_breaks_it(tmp_path: Path) -> None:
    for room in ("orchestration", "assets", "serving", "governance"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    assert lint_imports(tmp_path).returncode == 0
    (tmp_path / "governance" / "above.py").write_text("import serving\n")
    (tmp_path / "serving" / "forbidden.py").write_text("import dagster\n")
    broken = lint_imports(tmp_path)
    assert broken.returncode == 1
    assert "governance is not allowed to import serving" in broken.stdout
    assert "serving is not allowed to import dagster" in broken.stdout
