"""The released detector: where it lies, how it is checked before it reads, and the digest that says which it was.

Its record is one of the line's, of the release `detector.pii@N`. Its files are signed with the key `detector`, and a
signed statement says that its gate passed. Where none was released the rules and spaCy's small model read.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from governance.custody.blobs import CENTRAL_BUCKET, Ref
from governance.custody.canonical import canonical_json, sha256_document, sha256_file
from governance.custody.keys import KeyRefused, TrustedKeys
from governance.custody.provenance import TEST_RESULT, passed_report
from governance.custody.records import Record, fetch_files, read_passed
from governance.custody.signature import SIGNATURE, SignatureRefused, signed_files, signer_of
from governance.custody.statements import StatementRefused, open_statement
from governance.custody.store import NotFound, ObjectStore
from governance.privacy import nobody, sight
from governance.privacy.patterns import RULES, WRITTEN
from governance.privacy.rule import Rule
from governance.privacy.tagger import tokens

TENANT = "detector"  # whose prefix and key the detector's are; no client is called so
STAGE = "pii_detector"
GATE = "attestations/gate.json"
REPORT = "report.json"
NETWORK = "network.safetensors"
SETTINGS = "detector.json"
DEFINING = (SETTINGS, NETWORK)

_POINTER = f"{TENANT}/pii/released.json"


class DetectorRefused(RuntimeError):
    """A released detector cannot be trusted or used; the message says why and what to do."""


class Reader(NamedTuple):
    """What will read: the released detector in `folder` (None: rules and spaCy), its digest, record and base."""

    name: str
    digest: str
    folder: Path | None
    record: Ref | None = None
    base_sha256: str = ""

    @property
    def lineage(self) -> dict[str, str]:
        """What a scrubbed dataset's record says of who read it."""
        return {"name": self.name, "digest": self.digest}

    @property
    def inputs(self) -> dict[str, Ref]:
        """The link from a scrubbed dataset's record to the detector's."""
        return {STAGE: self.record} if self.record else {}


def released(store: ObjectStore) -> Ref | None:
    """The record of the detector that scrubs now; None while none was released."""
    try:
        return Ref.model_validate_json(store.read(CENTRAL_BUCKET, _POINTER))
    except NotFound:
        return None


def point_to(store: ObjectStore, ref: Ref) -> None:
    """From now on this detector scrubs."""
    store.put(CENTRAL_BUCKET, _POINTER, canonical_json(ref.model_dump()))


def tagger_digest(folder: Path) -> str:
    """sha256 of the canonical list of {name, sha256} of the files that define a tagger."""
    return sha256_document([{"name": name, "sha256": sha256_file(folder / name)} for name in DEFINING])


def fetch_reader(store: ObjectStore, ref: Ref | None, folder: Path, trusted: TrustedKeys) -> Reader:
    """The detector of `ref`, fetched to `folder` and verified; without a ref the rules and spaCy.

    Raises DetectorRefused, CheckFailed, DigestMismatch, NotFound.
    """
    if ref is None:
        from governance.privacy.model_names import MODEL

        distribution = MODEL.replace("_", "-")
        return Reader("rules and spaCy", _cascade(RULES, f"{MODEL} {version(distribution)}"), None)
    record = read_passed(store, ref)
    fetch_files(store, record, folder)
    _verify(record, folder, trusted)
    digest = _cascade(WRITTEN, tagger_digest(folder))
    return Reader(record.release, digest, folder, ref, json.loads((folder / SETTINGS).read_bytes())["base"])


def _cascade(rules: tuple[Rule, ...], names: str) -> str:
    """Digest of everything that decides what is found: the rules and lists in this code, and who reads the names."""
    table = [[rule.entity, rule.score, rule.regex.pattern, rule.regex.flags] for rule in rules]
    lists = {"nobody": nobody.DECIDING, "sight": sight.DECIDING, "tokens": tokens.DECIDING}
    return sha256_document({"rules": table, "names": names, **lists})


def _verify(record: Record, folder: Path, trusted: TrustedKeys) -> None:
    try:
        signature = (folder / SIGNATURE).read_bytes()
        key = signer_of(signature, trusted.release(TENANT))
        signed = signed_files(signature, key)
        said = open_statement((folder / GATE).read_bytes(), key, TEST_RESULT)
        report = passed_report(said)
    except (KeyRefused, SignatureRefused, StatementRefused, FileNotFoundError) as refused:
        raise _refused(record, str(refused)) from refused
    if signed != {name: sha256_file(folder / name) for name in (*DEFINING, REPORT)}:
        raise _refused(record, "its files are not those that were signed")
    if said.subject[0].digest != {"sha256": tagger_digest(folder)} or report.sha256 != signed[REPORT]:
        raise _refused(record, "its gate passed another detector")


def _refused(record: Record, why: str) -> DetectorRefused:
    return DetectorRefused(f"{record.release} cannot be trusted: {why}; materialize pii_detector again")
