"""What a region really serves: its Triton's answers and its disk, held against the signed live pointers."""

from dataclasses import dataclass, replace
from pathlib import Path

from assets.deployment.promote import RegionHome
from governance.custody.keys import KeyRefused, trusted_keys
from governance.custody.statements import StatementRefused
from governance.custody.store import ObjectStore
from governance.custody.verify import ReleaseRefused, verify_release
from governance.tenants import Company, Release
from governance.trust.errors import TrustRefused
from governance.trust.live import LivePointer, read_live
from serving.engine.base import base_digest, base_folder
from serving.replication.probe import PROBE
from serving.replication.statement import read_statement
from serving.triton import repository
from serving.triton.client import RequestFailed, ask


@dataclass(frozen=True)
class Observed:
    """One model in one region. `fault` is a sentence when what answers is not what was promoted.

    said: the region's own signed word, why it refuses or since when it answers.
    """

    model: str
    promoted: str
    answers: str
    digest: str
    fault: str | None
    said: str = "nothing"

    def row(self) -> dict[str, str]:
        return {
            "model": self.model,
            "promoted": self.promoted,
            "answers": self.answers,
            "digest": self.digest,
            "verdict": self.fault or "as promoted",
            "the region says": self.said,
        }


def observe(store: ObjectStore, company: Company, keys_dir: Path, home: RegionHome) -> list[Observed]:
    """Every model that has a live pointer in this region, as it is now."""
    bases = {name: base_digest(base_folder(base)) for name, base in company.bases.items()}
    seen = []
    for tenant, task, model in company.each_model():
        try:
            live = read_live(store, tenant, task, home.name, trusted_keys(keys_dir))
        except TrustRefused as refused:
            seen.append(Observed(f"{tenant}/{task}", "nothing trusted", "not asked", "", str(refused)))
            continue
        if live:
            said, refuses = _said(store, keys_dir, home.name, live)
            found = observe_model(home, keys_dir, live, bases[model.base])
            faults = [each for each in (found.fault, said if refuses else None) if each]
            seen.append(replace(found, said=said, fault="; ".join(faults) or None))
    return seen


def _said(store: ObjectStore, keys_dir: Path, region: str, pointer: LivePointer) -> tuple[str, bool]:
    """The region's own word on the pointer, and whether it is a refusal."""
    try:
        said = read_statement(store, region, pointer.model, trusted_keys(keys_dir).region(region))
    except (StatementRefused, KeyRefused) as refused:
        return f"what {region} said of {pointer.model} {refused}", True
    if said is None or said.pointer != pointer.sha256:
        return f"nothing of pointer {pointer.number} yet", False
    if said.refused:
        return f"{region} refuses {said.asked}: {said.refused}", True
    return f"{said.release} since {said.since:%Y-%m-%d %H:%M:%S} UTC", False


def observe_model(home: RegionHome, keys_dir: Path, pointer: LivePointer, base_sha256: str) -> Observed:
    """The region's answer and its files for one model, held against `pointer`."""
    release = Release.parse(pointer.release)
    fault: str | None = None
    try:
        reply = ask(home.address, release.served_name, [PROBE])
    except RequestFailed as error:
        fault = f"{home.name} does not answer for {release.model}: {error}"
        return Observed(release.model, pointer.release, "nothing", "", fault)
    if reply.release_digest != pointer.digest:
        fault = f"{home.name} answers for {release.model} with {reply.model_version}, promoted is {pointer.release}"
    else:
        try:
            folder = repository.release_folder(home.root, release)
            verify_release(folder, trusted_keys(keys_dir), release.model, pointer.digest, base_sha256)
        except ReleaseRefused as refused:
            fault = f"{home.name}'s files of {release} are not what was signed: {refused}"
    return Observed(release.model, pointer.release, reply.model_version, reply.release_digest, fault)
