import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from governance.custody.sbom import Package, installed, lock_digest, packages_of


def test_the_sbom_is_valid_cyclonedx_and_names_what_is_installed(packages: dict[str, Any]) -> None:
    bill = packages["sbom"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    by_name = {component["name"]: component for component in bill["components"]}
    assert by_name["cryptography"]["purl"].startswith("pkg:pypi/cryptography@")
    assert by_name["cryptography"]["licenses"]
    assert {"torch", "model-signing", "pydantic"} <= by_name.keys()


def test_the_sbom_and_the_lock_digest_speak_of_the_same_packages(packages: dict[str, Any]) -> None:
    assert lock_digest(packages_of(packages["sbom"])) == lock_digest(installed()) == packages["lock"]


def test_another_version_is_another_lock_digest() -> None:
    one, two = Package("a", "1", ""), Package("b", "2", "")
    assert lock_digest([one, two]) == lock_digest([two, one])
    assert lock_digest([one]) != lock_digest([one, two]) != lock_digest([one, Package("b", "3", "")])
