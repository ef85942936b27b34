"""Fingerprints of live releases: read once from the central store, kept by release digest."""

import asyncio
from functools import cache

import structlog

from governance.custody.blobs import DigestMismatch
from governance.tenants import Release
from serving.gateway.problems import Problem
from serving.router import Fingerprint, FingerprintRefused
from serving.router.published import read_fingerprint
from serving.store import central_store

MOST_KEPT = 1000  # of about 100 KB
AGAIN_SECONDS = 10.0  # after which one that was not there is looked for again
PATIENCE = 5.0
UNREAD = "the fingerprints of the live models cannot be read now; try again"

log = structlog.get_logger()
_store = cache(central_store)


class Fingerprints:
    """Each digest is read by one task, and whoever needs it waits for that; the task's result is what is kept."""

    def __init__(self) -> None:
        self._reads: dict[str, asyncio.Task[Fingerprint | None]] = {}

    async def of(self, release: str, digest: str) -> Fingerprint | None:
        """None: there is none that could be used. Raises Problem 503 when the store does not answer."""
        if digest not in self._reads:
            if len(self._reads) >= MOST_KEPT:
                del self._reads[next(iter(self._reads))]
            self._reads[digest] = asyncio.create_task(self._read(release, digest))
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(self._reads[digest])
        except TimeoutError:
            raise Problem(503, UNREAD, 1) from None

    async def _read(self, release: str, digest: str) -> Fingerprint | None:
        found = None
        try:
            found = await asyncio.to_thread(lambda: read_fingerprint(_store(), Release.parse(release), digest))
        except (FingerprintRefused, DigestMismatch) as refused:
            log.error("fingerprint refused", release=release, reason=str(refused))
        except Exception as fault:  # the store has a dozen errors: they all mean that it does not answer
            log.error("fingerprint not read", release=release, reason=str(fault))
            raise Problem(503, UNREAD, AGAIN_SECONDS) from fault
        finally:
            if found is None:
                asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._reads.pop, digest, None)
        return found
