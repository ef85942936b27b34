"""Roots and proofs against the definitions of RFC 9162, written out recursively; what is changed does not verify."""

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.audit.tree import (
    Hash,
    Range,
    consistency_ranges,
    consistent,
    grown,
    included,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    range_root,
    root,
)

MANY = settings(max_examples=150, deadline=None)
SIZES = st.integers(1, 70)


def naive_root(bodies: list[bytes]) -> Hash:
    if not bodies:
        return sha256(b"").digest()
    if len(bodies) == 1:
        return sha256(b"\x00" + bodies[0]).digest()
    half = split(len(bodies))
    return sha256(b"\x01" + naive_root(bodies[:half]) + naive_root(bodies[half:])).digest()


def naive_inclusion(index: int, bodies: list[bytes]) -> list[Hash]:
    if len(bodies) == 1:
        return []
    half = split(len(bodies))
    if index < half:
        return [*naive_inclusion(index, bodies[:half]), naive_root(bodies[half:])]
    return [*naive_inclusion(index - half, bodies[half:]), naive_root(bodies[:half])]


def naive_consistency(old: int, bodies: list[bytes], known: bool = True) -> list[Hash]:
    if old == len(bodies):
        return [] if known else [naive_root(bodies)]
    half = split(len(bodies))
    if old <= half:
        return [*naive_consistency(old, bodies[:half], known), naive_root(bodies[half:])]
    return [*naive_consistency(old - half, bodies[half:], False), naive_root(bodies[:half])]


def split(size: int) -> int:
    half = 1
    while half * 2 < size:
        half *= 2
    return half


class Tree:
    """A tree grown leaf by leaf, keeping beside each leaf what the log keeps."""

    def __init__(self, size: int) -> None:
        self.bodies = [b"entry %d" % index for index in range(size)]
        self.peaks: list[tuple[Hash, ...]] = [()]
        for index, body in enumerate(self.bodies):
            self.peaks.append(grown(self.peaks[-1], index, leaf_hash(body)))
        self.reads: list[int] = []

    def read(self, index: int) -> tuple[Hash, ...]:
        self.reads.append(index)
        return (*self.peaks[index], leaf_hash(self.bodies[index]))

    def roots(self, ranges: list[Range]) -> list[Hash]:
        return [range_root(each, self.read) for each in ranges]

    def root(self, size: int) -> Hash:
        return naive_root(self.bodies[:size])


@MANY
@given(st.integers(0, 70))
def test_a_grown_tree_has_the_root_of_the_definition(size: int) -> None:
    tree = Tree(size)
    assert root(tree.peaks[-1]) == tree.root(size)
    assert len(tree.peaks[-1]) == size.bit_count()


@MANY
@given(SIZES, st.data())
def test_any_range_from_a_subtree_s_start_has_the_root_of_its_leaves(size: int, data: st.DataObject) -> None:
    tree, end = Tree(size), data.draw(st.integers(1, size))
    assert range_root((0, end), tree.read) == tree.root(end)


@MANY
@given(SIZES, st.data())
def test_inclusion_is_proved_as_the_definition_says_and_only_there(size: int, data: st.DataObject) -> None:
    tree, index = Tree(size), data.draw(st.integers(0, size - 1))
    proof = tree.roots(inclusion_ranges(index, size))
    leaf, top = leaf_hash(tree.bodies[index]), tree.root(size)
    assert proof == naive_inclusion(index, tree.bodies)
    assert included(leaf, index, size, proof, top)
    other = data.draw(st.integers(-2, size + 1).filter(lambda at: at != index))
    assert not included(leaf, other, size, proof, top)
    assert not included(leaf_hash(b"another"), index, size, proof, top)
    assert not included(leaf, index, size, [*proof, top], top)
    assert not included(leaf, index, size, proof[:-1], top) or not proof
    for at in range(len(proof)):
        assert not included(leaf, index, size, changed(proof, at), top)


@MANY
@given(SIZES, st.data())
def test_consistency_is_proved_as_the_definition_says_and_only_there(size: int, data: st.DataObject) -> None:
    tree, old = Tree(size), data.draw(st.integers(1, size))
    proof = tree.roots(consistency_ranges(old, size))
    before, now = tree.root(old), tree.root(size)
    assert proof == naive_consistency(old, tree.bodies)
    assert consistent(old, size, proof, before, now)
    forked = naive_root([*tree.bodies[: old - 1], b"another"])
    assert not consistent(old, size, proof, forked, now)
    assert not consistent(old, size, proof, before, forked)
    assert not consistent(old, size, [*proof, now], before, now)
    assert not consistent(0, size, proof, before, now)
    assert not consistent(size + 1, size, proof, before, now)
    for at in range(len(proof)):
        assert not consistent(old, size, changed(proof, at), before, now)


def changed(proof: list[Hash], at: int) -> list[Hash]:
    return [node_hash(each, each) if index == at else each for index, each in enumerate(proof)]


def test_a_proof_from_a_long_log_reads_few_entries() -> None:
    tree = Tree(10_000)
    for index in (0, 4_095, 5_000, 9_999):
        tree.reads.clear()
        proof = tree.roots(inclusion_ranges(index, 10_000))
        assert included(leaf_hash(tree.bodies[index]), index, 10_000, proof, root(tree.peaks[-1]))
        assert len(tree.reads) <= 2 * 14
    tree.reads.clear()
    tree.roots(consistency_ranges(6_543, 10_000))
    assert len(tree.reads) <= 3 * 14


def test_the_published_vectors_of_certificate_transparency() -> None:
    """The eight leaves that the reference implementations of RFC 6962, whose hashes these are, test themselves with."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    peaks: tuple[Hash, ...] = ()
    for index, leaf in enumerate(leaves):
        peaks = grown(peaks, index, leaf_hash(bytes.fromhex(leaf)))
    assert root(peaks).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
