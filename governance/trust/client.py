"""Reading the trust repository as a region does: python-tuf's client over the object store.

What it has seen lies in `<trusted>/metadata`, so an old state put back is refused; an expired one is refused as well.
"""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.canonical import CHUNK
from governance.custody.keys import TrustedKeys, release_key_name
from governance.custody.store import NotFound, ObjectStore
from governance.trust.errors import TrustRefused
from governance.trust.roles import METADATA, PROMOTION, RETIRED, is_tenant_role, live_path, target_key

logging.getLogger("tuf").setLevel(logging.WARNING)


class View:
    """What the repository said at one moment; every answer is verified. Made by `refresh`."""

    def __init__(self, updater: Updater, fetcher: FetcherInterface, folder: Path) -> None:
        self._updater, self._fetcher, self._folder = updater, fetcher, folder

    def target(self, path: str) -> TargetFile | None:
        """Digest, size and custom fields of the target, None where no role that may names it. Raises TrustRefused."""
        with _named():
            return self._updater.get_targetinfo(path)

    def read(self, path: str) -> bytes | None:
        """The target's bytes. Raises TrustRefused."""
        if (target := self.target(path)) is None:
            return None
        with _named():
            body = self._fetcher.download_bytes(target_key(path, target.hashes["sha256"]), target.length)
            target.verify_length_and_hashes(body)
        return body

    def live_paths(self, prefix: str) -> list[str]:
        """The paths of live pointers under `prefix`. What they hold is for `read` to verify."""
        self.target(live_path("any", "any/any"))  # so that the role's metadata is the newest
        return sorted(path for path in self._metadata(PROMOTION).targets if path.startswith(prefix))

    def release_paths(self, tenant: str) -> list[str]:
        """The paths of the releases that the tenant vouches for."""
        self.target(f"{tenant}/any/any")
        return sorted(self._metadata(release_key_name(tenant)).targets)

    def versions(self) -> dict[str, tuple[int, str]]:
        """Version and expiry of the four top-level roles."""
        named = {role: Metadata.from_file(str(self._folder / f"{role}.json")).signed for role in _SHOWN}
        return {role: (signed.version, f"{signed.expires:%Y-%m-%d %H:%M} UTC") for role, signed in named.items()}

    def release_keys(self) -> dict[str, bytes]:
        """`<tenant>.release` and `<tenant>.release.<id>` of former ones → PEM."""
        delegations = self._metadata("targets").delegations
        found: dict[str, bytes] = {}
        for name, role in ((delegations and delegations.roles) or {}).items():
            if is_tenant_role(name) and delegations:
                former = role.unrecognized_fields.get(RETIRED, [])
                named = {name: role.keyids[0], **{f"{name}.{keyid[:16]}": keyid for keyid in former}}
                found |= {file: str(delegations.keys[keyid].keyval["public"]).encode() for file, keyid in named.items()}
        return found

    def _metadata(self, role: str) -> Targets:
        return Metadata[Targets].from_file(str(self._folder / f"{role}.json")).signed


_SHOWN = ("root", "timestamp", "snapshot", "targets")


def refresh(store: ObjectStore, trusted: TrustedKeys) -> View:
    """The newest state of the repository; the trusted release keys are brought to what it says.

    Raises TrustRefused when it is not signed, older than what was seen, expired, or cannot be reached.
    """
    anchor, folder = trusted.folder / "root.json", trusted.folder / "metadata"
    if not anchor.exists():
        raise TrustRefused(f"{anchor} is missing, so nothing can be trusted; copy it from where the keys are kept")
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock, _named():
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetcher = StoreFetcher(store)
        updater = Updater(str(folder), METADATA, fetcher=fetcher, bootstrap=anchor.read_bytes())
        updater.refresh()
        view = View(updater, fetcher, folder)
        _keep_keys(view, trusted.folder)
    return view


class StoreFetcher(FetcherInterface):
    """What the client asks for by URL is a key of the central bucket."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            stream = self._store.open(CENTRAL_BUCKET, url)
        except NotFound as missing:
            raise DownloadHTTPError(str(missing), 404) from missing
        return iter(lambda: stream.read(CHUNK), b"")


def _keep_keys(view: View, folder: Path) -> None:
    wanted = {f"{name}.pub": pem for name, pem in view.release_keys().items()}
    for name, pem in wanted.items():
        if not (file := folder / name).exists() or file.read_bytes() != pem:
            partial = file.with_name(f".{name}.partial")
            partial.write_bytes(pem)
            partial.rename(file)
    for name in {".".join(name.split(".")[:2]) for name in wanted}:  # keys of no role, such as the detector's, stay
        for file in folder.glob(f"{name}.*"):
            if file.name not in wanted:
                file.unlink(missing_ok=True)


@contextmanager
def _named() -> Iterator[None]:
    """Errors of the client as sentences of ours."""
    try:
        yield
    except ExpiredMetadataError as expired:
        raise TrustRefused(
            f"the trust repository is frozen: {expired}; run `pedigree keys refresh` where the keys are, and look at "
            "the clock here"
        ) from expired
    except (RepositoryError, DownloadLengthMismatchError) as refused:
        raise TrustRefused(f"the trust repository is refused: {refused}; restore its newest objects") from refused
    except DownloadError as failed:
        raise TrustRefused(f"the trust repository cannot be read: {failed}; is the store up?") from failed
