"""What `pedigree.yaml` may not declare is refused by name."""

from pathlib import Path

import pytest

from governance.tenants import ConfigurationError, load_company

SHIPPED = (Path(__file__).parents[2] / "pedigree.yaml").read_text()


def test_no_model_takes_the_name_by_which_the_router_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "pedigree.yaml"
    file.write_text(SHIPPED.replace("triage-notes:", "auto:"))
    with pytest.raises(ConfigurationError, match=r"tenants\.stclare.*`auto`"):
        load_company(file)
