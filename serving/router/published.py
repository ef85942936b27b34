"""Finding the fingerprint of a release that is live, in the central bucket."""

from governance.custody.blobs import read_blob
from governance.custody.records import pointed, read_record
from governance.custody.store import NotFound, ObjectStore
from governance.tenants import Release
from serving.router.fingerprint import FACTS, TENSORS, Fingerprint, FingerprintRefused, from_files

STAGE = "model_fingerprints"


def read_fingerprint(store: ObjectStore, release: Release, digest: str) -> Fingerprint | None:
    """The fingerprint that was made of the release of this digest, or None before it is made.

    What it returns never changes, so a caller may keep it by digest. Raises FingerprintRefused when it is of another
    release, DigestMismatch when it was altered.
    """
    try:
        record = read_record(store, pointed(store, release, STAGE))
    except NotFound:
        return None
    if not {TENSORS, FACTS} <= record.files.keys():
        raise FingerprintRefused(f"the {STAGE} of {release} holds {sorted(record.files)}; materialize it again")
    fingerprint = from_files({name: read_blob(store, record.files[name]) for name in (TENSORS, FACTS)})
    facts = fingerprint.facts
    if (facts.release, facts.release_digest) != (str(release), digest):
        raise FingerprintRefused(
            f"the fingerprint of {release} is of {facts.release}, {facts.release_digest[:16]}…, live is {digest[:16]}…"
        )
    return fingerprint
