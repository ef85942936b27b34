"""What software built a release: the installed packages, their digest, and a CycloneDX 1.6 bill of materials."""

import json
import re
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, distributions
from typing import Any

from governance.custody.canonical import sha256_bytes


@dataclass(frozen=True, order=True)
class Package:
    """An installed package; `licence` as its metadata words it, "" where it says none."""

    name: str
    version: str
    licence: str


def installed() -> list[Package]:
    """Every package that Python sees, sorted by normalized name; of two versions the one that an import finds."""
    found: dict[str, Package] = {}
    for distribution in distributions():
        meta = distribution.metadata
        name = re.sub(r"[-_.]+", "-", meta["Name"] or "").lower()
        if name and name not in found:
            found[name] = Package(name, distribution.version, _licence(meta))
    return sorted(found.values())


def lock_digest(packages: list[Package]) -> str:
    """sha256 of the sorted lines `name==version`: what was really installed, whatever a lock file says."""
    return sha256_bytes("".join(f"{package.name}=={package.version}\n" for package in sorted(packages)).encode())


def sbom() -> dict[str, Any]:
    """CycloneDX 1.6 JSON of this environment: a component a package, with version, licence and purl."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    licences = LicenseFactory()
    components = []
    for package in installed():
        purl = PackageURL("pypi", name=package.name, version=package.version)
        components.append(
            Component(
                type=ComponentType.LIBRARY,
                name=package.name,
                version=package.version,
                bom_ref=str(purl),
                purl=purl,
                licenses=[licences.make_from_string(package.licence)] if package.licence else (),
            )
        )
    bill: dict[str, Any] = json.loads(JsonV1Dot6(Bom(components=components)).output_as_string())
    del bill["dependencies"]  # without edges it would say that nothing depends on anything
    return bill


def packages_of(bill: dict[str, Any]) -> list[Package]:
    """Names and versions that an SBOM lists; of another document, none."""
    listed = bill.get("components")
    components = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [Package(str(each.get("name")), str(each.get("version")), "") for each in components]


def _licence(meta: PackageMetadata) -> str:
    """The SPDX expression if there is one, else the classifiers; the free-text field only if it is a name."""
    if expression := meta.get_all("License-Expression"):
        return str(expression[0])
    classifiers = {c.split(" :: ")[-1] for c in meta.get_all("Classifier", []) if c.startswith("License :: ")}
    free_text = "".join(meta.get_all("License", [])).strip()
    named = free_text if len(free_text) <= 60 and "\n" not in free_text else ""
    return ", ".join(sorted(classifiers)) or named
