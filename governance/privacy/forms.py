"""A set of strings that may be large: eight bytes of each are kept, in a file that processes share.

What is kept is a keyed hash, so the file names nobody. Of 10 million members, a string that is none of them is taken
for one with a chance of one in 10^12.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
PENDING = 1 << 18  # forms that are gathered before they are sorted in


class Forms:
    """Members are asked for many at a time."""

    def __init__(self, key: bytes, hashes: Hashes | None = None) -> None:
        self.key, self.hashes = key, np.empty(0, np.uint64) if hashes is None else hashes
        self.pending: set[str] = set()

    @classmethod
    def open(cls, key: bytes, file: Path) -> "Forms":
        """The set that `save` wrote, mapped into memory rather than read."""
        return cls(key, np.load(file, mmap_mode="r"))

    def add(self, forms: Iterable[str]) -> None:
        self.pending.update(forms)
        if len(self.pending) >= PENDING:
            self._settle()

    def save(self, file: Path) -> None:
        self._settle()
        np.save(file, self.hashes)

    def members(self, forms: Iterable[str]) -> set[str]:
        """Which of these are in the set."""
        self._settle()
        asked = list(dict.fromkeys(forms))
        if not asked or not len(self.hashes):
            return set()
        hashes = self._hashed(asked)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return {asked[i] for i in np.flatnonzero(self.hashes[places] == hashes)}

    def _settle(self) -> None:
        if self.pending:
            self.hashes = np.union1d(self.hashes, self._hashed(self.pending))
            self.pending.clear()

    def _hashed(self, forms: Iterable[str]) -> Hashes:
        raw = b"".join(
            hashlib.blake2b(form.encode("utf-8", "surrogatepass"), digest_size=8, key=self.key).digest()
            for form in forms
        )
        return np.frombuffer(raw, np.uint64)
