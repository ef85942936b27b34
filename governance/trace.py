"""The promise: from what a region answers, back to the client's files, from signed documents and digests alone.

Every link is verified again; one that does not hold is named, and the rest of the line is still shown. Asks neither
Dagster nor MLflow: their run ids come from the signed provenance.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from governance.audit.find import announced, removal_announced
from governance.custody.blobs import Ref, blob_ref, read_blob
from governance.custody.canonical import CHUNK
from governance.custody.keys import KeyRefused, PublicKey, TrustedKeys, key_id
from governance.custody.manifest import MANIFEST, STAGES, ReleaseManifest, parse_manifest
from governance.custody.records import Record, pointed, read_record
from governance.custody.sbom import packages_of
from governance.custody.signature import SIGNATURE, signed_files, signer_of
from governance.custody.store import NotFound, ObjectStore, StoreError
from governance.custody.tombstones import tombstone_of
from governance.custody.verify import ATTESTATION_FILES, RELEASE_FILES, SIGNED_FILES, attested, check_signed
from governance.gate.report import GateRefused, require_passed
from governance.tenants import Release
from governance.trust.client import View, refresh
from governance.trust.live import LivePointer, live_pointer
from governance.trust.releases import read_release
from governance.trust.roles import release_path

LINE = tuple(reversed(STAGES))


@dataclass(frozen=True)
class TraceNode:
    """One link: what it is, its digest or value, whether it holds, and the links behind it."""

    name: str
    value: str
    ok: bool = True
    detail: str = ""
    children: tuple["TraceNode", ...] = ()

    @property
    def whole(self) -> bool:
        """Whether this link and every one behind it holds."""
        return self.ok and all(child.whole for child in self.children)

    def broken(self) -> Iterator["TraceNode"]:
        """The links that do not hold."""
        if not self.ok:
            yield self
        for child in self.children:
            yield from child.broken()

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "verdict": "ok" if self.ok else "broken",
            "detail": self.detail,
            "children": [child.to_json() for child in self.children],
        }


class BrokenLink(ValueError):
    """A document is what its digest says, but does not lead where it should."""


REFUSALS = (GateRefused, KeyRefused, StoreError, KeyError, ValueError)  # ours are of these kinds; each names its object


@dataclass(frozen=True)
class _Line:
    """What every link of one release is held against."""

    store: ObjectStore
    manifest: ReleaseManifest
    digest: str
    trusted: TrustedKeys
    keys: Sequence[PublicKey]

    @property
    def key(self) -> PublicKey:
        """The one of the tenant's keys that signed it; the present one until the signature was read."""
        return self.keys[0]

    @property
    def release(self) -> Release:
        return Release.parse(self.manifest.release)


def trace(
    store: ObjectStore, tenant: str, task: str, region: str, trusted: TrustedKeys, answer: dict[str, str] | None = None
) -> TraceNode:
    """The line of the model `tenant/task` in `region`.

    `answer`: what the region's Triton replied, `model_version` and `release_digest`; None where it was not asked.
    """
    view: View | None = None
    pointer: LivePointer | None = None
    links: list[TraceNode] = []
    try:
        view = refresh(store, trusted)
        links.append(_trust(view))
        pointer = live_pointer(view, f"{tenant}/{task}", region)
        links.append(_pointer(pointer))
        if pointer:
            links.append(_audit_entry(store, pointer, trusted))
    except REFUSALS as refused:
        links.append(TraceNode("live pointer", region, False, _sentence(refused)))
    if answer is not None:
        links.insert(0, _answer(answer, pointer))
    if pointer:
        links.append(trace_release(store, pointer.release, pointer.digest, trusted, view))
    elif answer is not None:
        links.append(trace_release(store, answer["model_version"], answer["release_digest"], trusted, view))
    return TraceNode("model", f"{tenant}/{task} in {region}", children=tuple(links))


def trace_release(store: ObjectStore, release: str, digest: str, trusted: TrustedKeys, view: View | None) -> TraceNode:
    """The line of release `tenant.task@N`, from its digest back to the deliveries. view: None if it cannot be had."""
    value = f"{release} {digest}"
    try:
        tenant = Release.parse(release).tenant
        manifest = parse_manifest(read_blob(store, blob_ref(tenant, digest, 0)))
        if manifest.release != release:
            raise BrokenLink(f"the manifest of this digest is that of {manifest.release}")
        line = _Line(store, manifest, digest, trusted, trusted.release(tenant))
    except REFUSALS as refused:
        return TraceNode("release", value, False, _sentence(refused))
    base = TraceNode("base", f"{manifest.base.name} {manifest.base.sha256}")
    vouched = (_vouched(view, line),) if view else ()
    return TraceNode("release", value, children=(*vouched, *_signed(line), base, _stage(line, 0)))


def render(node: TraceNode) -> tuple[str, list[Any]]:
    """The tree as (label, [the same for each child]), for any tree widget; a label is one line without markup."""
    label = f"{'✔' if node.ok else '✘'} {node.name}: {node.value}{f' ({node.detail})' if node.detail else ''}"
    return label, [render(child) for child in node.children]


def _link(name: str, value: str, check: Callable[[], str], children: tuple[TraceNode, ...] = ()) -> TraceNode:
    try:
        return TraceNode(name, value, True, check(), children)
    except REFUSALS as refused:
        return TraceNode(name, value, False, _sentence(refused), children)


def _sentence(refused: Exception) -> str:
    return f"it has no entry {refused}" if isinstance(refused, KeyError) else str(refused)


def _answer(answer: dict[str, str], pointer: LivePointer | None) -> TraceNode:
    value = f"{answer['model_version']} {answer['release_digest']}"
    if pointer is None:
        return TraceNode("answer", value, False, "no live pointer vouches for what answers")
    if (answer["release_digest"], answer["model_version"]) != (pointer.digest, pointer.release):
        return TraceNode("answer", value, False, f"the region should answer with {pointer.release} {pointer.digest}")
    return TraceNode("answer", value)


def _trust(view: View) -> TraceNode:
    roles = [f"{role} {version} until {until}" for role, (version, until) in view.versions().items()]
    return TraceNode("trust repository", roles[0], True, "; ".join(roles[1:]))


def _vouched(view: View, line: _Line) -> TraceNode:
    def check() -> str:
        if (vouched := read_release(view, line.release)).digest != line.digest:
            raise BrokenLink(f"the tenant vouches for release digest {vouched.digest}")
        return f"by {line.release.tenant}, with {len(vouched.files)} files"

    return _link("vouched for", release_path(line.release), check)


def _pointer(pointer: LivePointer | None) -> TraceNode:
    if pointer is None:
        return TraceNode("live pointer", "none", False, "no release was promoted here; materialize promoted_model")
    detail = f"signed; approved by {pointer.approver} at {pointer.at:%Y-%m-%d %H:%M:%S} UTC: {pointer.reason}"
    return TraceNode("live pointer", f"number {pointer.number} names {pointer.release}", True, detail)


def _audit_entry(store: ObjectStore, pointer: LivePointer, trusted: TrustedKeys) -> TraceNode:
    try:
        index = announced(store, trusted, pointer)
    except REFUSALS as refused:
        return TraceNode("audit entry", "none", False, _sentence(refused))
    return TraceNode("audit entry", str(index), True, "announces this pointer; its place in the log is proved")


def _signed(line: _Line) -> tuple[TraceNode, ...]:
    """The links that hang on the release folder's files."""
    try:
        files = read_record(line.store, pointed(line.store, line.release, "signed_artifact")).files
    except REFUSALS as refused:
        return (TraceNode("signed_artifact", str(line.release), False, _sentence(refused)),)
    with suppress(*REFUSALS):  # the signature's own link says why
        line = replace(line, keys=[signer_of(read_blob(line.store, files[SIGNATURE]), line.keys)])
    return (
        _link("signature", f"key {key_id(line.key)}", lambda: _check_signature(line, files)),
        _gate(line, files),
        _provenance(line, files),
        _environment(line, files),
    )


def _check_signature(line: _Line, files: dict[str, Ref]) -> str:
    if odd := sorted(files.keys() ^ RELEASE_FILES):
        raise BrokenLink(f"a release does not consist of this: {', '.join(odd)} is missing or was added")
    found = {name: files[name].sha256 for name in SIGNED_FILES}
    check_signed(found, signed_files(read_blob(line.store, files[SIGNATURE]), line.key))
    if found != {file.name: file.sha256 for file in line.manifest.files} | {MANIFEST: line.digest}:
        raise BrokenLink(f"the signed files are not those of release digest {line.digest}")
    for name in SIGNED_FILES:
        _check_blob(line, files[name])
    return f"OpenSSF Model Signing; {len(SIGNED_FILES)} files, every byte checked"


def _attested(line: _Line, files: dict[str, Ref], name: str) -> dict[str, Any]:
    envelope = read_blob(line.store, files[ATTESTATION_FILES[name]])
    return attested(name, envelope, line.key, line.manifest, line.digest).predicate


def _gate(line: _Line, files: dict[str, Ref]) -> TraceNode:
    def check() -> str:
        said = _attested(line, files, "gate")
        report = Ref.model_validate(said["report"])
        adapter = line.manifest.came_from["lora_adapter"].sha256
        require_passed(read_blob(line.store, report), report.sha256, line.manifest.release, adapter)
        return f"{', '.join(said['passedTests'])}; report {report.sha256}"

    return _link("gate", "PASSED", check)


def _provenance(line: _Line, files: dict[str, Ref]) -> TraceNode:
    runs: list[TraceNode] = []

    def check() -> str:
        said = _attested(line, files, "provenance")
        built_from = {item["digest"].get("sha256") for item in said["buildDefinition"]["resolvedDependencies"]}
        if lacking := sorted(s for s, ref in line.manifest.came_from.items() if ref.sha256 not in built_from):
            raise BrokenLink(f"it does not name the {', '.join(lacking)} that the manifest names")
        details = said["runDetails"]
        runs.append(TraceNode("Dagster run", details["metadata"]["invocationId"]))
        runs.extend(TraceNode("MLflow run", item["uri"].removeprefix("runs:/")) for item in details["byproducts"])
        return f"{details['metadata']['startedOn']} to {details['metadata']['finishedOn']}"

    node = _link("provenance", "SLSA v1", check)
    return replace(node, children=tuple(runs))


def _environment(line: _Line, files: dict[str, Ref]) -> TraceNode:
    environment = line.manifest.environment

    def check() -> str:
        return f"{len(packages_of(_attested(line, files, 'sbom')))} packages in the SBOM"

    code = (
        TraceNode("git sha", environment.git_sha),
        TraceNode("image digest", environment.image_digest or "not in an image"),
    )
    return _link("environment lock", environment.lock_sha256, check, code)


def _stage(line: _Line, position: int) -> TraceNode:
    """A stage's record and files, and behind it the stages that it came from."""
    stage, upstream = LINE[position], (LINE[position + 1] if position + 1 < len(LINE) else None)
    ref = line.manifest.came_from[stage]

    def check() -> str:
        record = read_record(line.store, ref)
        if (record.stage, record.release) != (stage, line.manifest.release):
            raise BrokenLink(f"its record is that of {record.stage} of {record.release}")
        if upstream and record.inputs[upstream] != line.manifest.came_from[upstream]:
            raise BrokenLink(f"it was made from another {upstream} than the manifest names")
        if stage == "lora_adapter" and any(record.files[f.name].sha256 != f.sha256 for f in line.manifest.files):
            raise BrokenLink("its files are not the adapter that was signed")
        expired = [name for name, blob in sorted(record.files.items()) if not _check_blob(line, blob)]
        gone = [f"expired by retention: {', '.join(expired)}"] if expired else []
        return "; ".join([_facts(record), f"{len(record.files) - len(expired)} files checked", *gone])

    behind = (_stage(line, position + 1),) if upstream else _deliveries(line)
    return _link(stage, ref.sha256, check, behind)


def _facts(record: Record) -> str:
    """The countable facts, `quarantined 31`; checks and nested facts are for the record's own readers."""
    counts = [(k, v) for k, v in record.facts.items() if isinstance(v, int | float) and not isinstance(v, bool)]
    return ", ".join(f"{name} {value:,}" for name, value in counts) or "no counts"


def _deliveries(line: _Line) -> tuple[TraceNode, ...]:
    try:
        record = read_record(line.store, line.manifest.came_from["raw_dataset"])
        rows = read_record(line.store, line.manifest.came_from["normalized_dataset"]).facts.get("rows_by_delivery", {})
        return tuple(_delivery(delivery, rows) for delivery in record.facts["deliveries"])
    except REFUSALS:
        return ()  # the stage's own link says why


def _delivery(delivery: dict[str, Any], rows: dict[str, Any]) -> TraceNode:
    name, folder = delivery["delivery"], delivery["manifest_key"].rpartition("/")[0]
    files = tuple(
        TraceNode(
            "file", f"{folder}/{f['name']} {f['sha256']}", True, f"version {f['version_id']}, {f['size']:,} bytes"
        )
        for f in delivery["files"]
    )
    counted = f"{rows[name]:,} rows; " if name in rows else ""
    detail = f"{counted}manifest {delivery['manifest_sha256']}, version {delivery['version_id']}"
    return TraceNode("delivery", name, True, detail, files)


def _check_blob(line: _Line, ref: Ref) -> bool:
    """Hash the blob again; False where retention removed it and said so. Raises BrokenLink, NotFound, AuditRefused."""
    digest = hashlib.sha256()
    try:
        with line.store.open(*ref.bucket_and_key) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    except NotFound:
        tombstone = tombstone_of(line.store, line.release.tenant, ref.sha256)
        if tombstone is None:
            raise
        removal_announced(line.store, line.trusted, line.release.tenant, tombstone.removed.sha256, tombstone.at)
        return False
    if digest.hexdigest() != ref.sha256:
        raise BrokenLink(f"{ref.uri} was altered: its sha256 is {digest.hexdigest()}, recorded was {ref.sha256}")
    return True
