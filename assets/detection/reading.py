"""Which detector reads a tenant's text now, ready to be made in any process."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from governance.custody.keys import TrustedKeys
from governance.custody.store import ObjectStore
from governance.privacy.detector import build_detector, load_detector
from governance.privacy.released import DetectorRefused, Reader, fetch_reader, released
from governance.privacy.spans import Detector
from governance.tenants import Company
from serving.engine.base import base_digest, base_folder


def reader_now(
    store: ObjectStore, company: Company, trusted: TrustedKeys, folder: Path
) -> tuple[Reader, Callable[[], Detector]]:
    """The released detector, verified and fetched to `folder`, else the rules and spaCy; and how it is made.

    Raises DetectorRefused.
    """
    reader = fetch_reader(store, released(store), folder, trusted)
    if reader.folder is None:
        return reader, build_detector
    return reader, partial(load_detector, reader.folder, _base(company, reader))


def _base(company: Company, reader: Reader) -> Path:
    for folder in map(base_folder, company.bases.values()):
        if base_digest(folder) == reader.base_sha256:
            return folder
    raise DetectorRefused(
        f"{reader.name} was trained on the base {reader.base_sha256[:16]}…, which pedigree.yaml does not declare; "
        "declare it, or materialize pii_detector again"
    )
