"""An installation small enough for a test: one region, one tenant, margins as wide as its few rows allow."""

from pathlib import Path

import pytest
import yaml

from orchestration.settings import CHECKOUT

REGION = "mumbai"


@pytest.fixture(scope="session")
def small_company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pedigree.yaml with loomworks alone in one region."""
    declared = yaml.safe_load((CHECKOUT / "pedigree.yaml").read_text())
    declared["regions"] = {REGION: declared["regions"][REGION]}
    declared["tenants"] = {"loomworks": declared["tenants"]["loomworks"]}
    model = declared["tenants"]["loomworks"]["models"]["log-triage"]
    model["gate"] = {"margin_f1": 0.08, "margin_accuracy": 0.08, "latency_ratio": 3.0}
    model["training"] |= {"evaluation_share": 0.4}  # few rows: more of them train
    company = tmp_path_factory.mktemp("company") / "pedigree.yaml"
    company.write_text(yaml.safe_dump(declared))
    return company
