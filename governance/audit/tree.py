"""The Merkle tree of RFC 9162, section 2.1: hashes, growth and proofs, as pure functions over sha256 digests.

A tree of n leaves is held as its peaks: the roots of the perfect subtrees that the binary digits of n name, largest
first (11 leaves: peaks over 8, 2 and 1). Beside each leaf the log keeps the peaks before it, and every hash that a
proof needs follows from a few of those.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from hashlib import sha256

Hash = bytes  # 32 bytes
Range = tuple[int, int]  # the leaves from the first index up to, not including, the second

PeaksAndLeaf = Callable[[int], Sequence[Hash]]
"""For a leaf's index: the peaks of the tree before it, then its own hash."""


def leaf_hash(body: bytes) -> Hash:
    return sha256(b"\x00" + body).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    return sha256(b"\x01" + left + right).digest()


def root(peaks: Sequence[Hash]) -> Hash:
    """The root of the tree with these peaks."""
    if not peaks:
        return sha256().digest()
    return reduce(lambda right, left: node_hash(left, right), reversed(peaks))


def grown(peaks: Sequence[Hash], size: int, leaf: Hash) -> tuple[Hash, ...]:
    """The peaks when `leaf` is added to a tree of `size` leaves."""
    merged = (size ^ (size + 1)).bit_length() - 1  # the lowest peaks, as many as `size` ends in ones
    kept = len(peaks) - merged
    return (*peaks[:kept], root((*peaks[kept:], leaf)))


def range_root(leaves: Range, read: PeaksAndLeaf) -> Hash:
    """The root over a range that a proof asks for, by one read for each perfect subtree in it."""
    start, end = leaves
    peaks = []
    while start < end:
        height = (end - start).bit_length() - 1
        start += 1 << height
        # The last leaf of a perfect subtree has the peaks of that subtree's left halves right before it.
        peaks.append(root(read(start - 1)[-(height + 1) :]))
    return root(peaks)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose roots prove leaf `index` in a tree of `size` leaves, from the leaf's sibling upwards."""
    start, end = 0, size
    siblings = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return siblings[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The subtrees whose roots prove that the tree of `new` leaves begins with that of `old` (0 < old <= new)."""
    start, end = 0, new
    proof = []
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append((middle, end))
            end = middle
        else:
            proof.append((start, middle))
            start = middle
    if start:
        proof.append((start, end))
    return proof[::-1]


def included(leaf: Hash, index: int, size: int, proof: Sequence[Hash], expected: Hash) -> bool:
    """Whether `proof` leads from the leaf to the root `expected` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            at, last = _up_to_a_right_child(at, last)
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected


def consistent(old: int, new: int, proof: Sequence[Hash], old_root: Hash, new_root: Hash) -> bool:
    """Whether `proof` shows the tree of `new` leaves to begin with that of `old` (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else [*proof]
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            at, last = _up_to_a_right_child(at, last)
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _up_to_a_right_child(at: int, last: int) -> tuple[int, int]:
    """Past the levels at which the last node has no sibling."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
