"""A detector is a release like any other: gated, signed, pinned; what was changed or failed is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assets.detection.build import Built
from assets.detection.reading import reader_now
from assets.detection.release import GateFailed, release_detector
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import trusted_keys
from governance.custody.records import read_record, write_record
from governance.custody.store import ObjectStore
from governance.privacy.released import NETWORK, DetectorRefused, point_to, released
from governance.tenants import Company, load_company
from tests.assets.detection.conftest import Detector

COMPANY: Company = load_company(Path(__file__).parents[3] / "pedigree.yaml")
PLAN = {"seed": 1}


@pytest.fixture(autouse=True)
def nothing_released(store: ObjectStore) -> Iterator[None]:
    yield
    store.delete(CENTRAL_BUCKET, "detector/pii/released.json")


def test_what_was_released_reads_and_is_named_by_its_digest(
    store: ObjectStore, tmp_path: Path, untrained: Detector, judged: Callable[[bool], Built]
) -> None:
    trusted = trusted_keys(tmp_path)
    fallback, _ = reader_now(store, COMPANY, trusted, tmp_path / "none")
    release_detector(store, tmp_path, untrained(tmp_path / "one", 1), judged(True), PLAN)
    one, make = reader_now(store, COMPANY, trusted, tmp_path / "fetched")
    assert one.name == "detector.pii@1" and len({one.digest, fallback.digest}) == 2
    assert all(span.recognizer for span in make()(["Ask Ana Silva, ana@example.com"])[0])


def test_the_same_detector_is_released_once_and_a_new_one_takes_its_place(
    store: ObjectStore, tmp_path: Path, untrained: Detector, judged: Callable[[bool], Built]
) -> None:
    first = release_detector(store, tmp_path, untrained(tmp_path / "a", 1), judged(True), PLAN)
    assert release_detector(store, tmp_path, untrained(tmp_path / "b", 1), judged(True), PLAN) == first
    second = release_detector(store, tmp_path, untrained(tmp_path / "c", 2), judged(True), PLAN)
    assert released(store) == second
    assert read_record(store, second).release == "detector.pii@2"


def test_a_detector_that_fails_its_gate_leaves_the_old_one_scrubbing(
    store: ObjectStore, tmp_path: Path, untrained: Detector, judged: Callable[[bool], Built]
) -> None:
    standing = release_detector(store, tmp_path, untrained(tmp_path / "a", 1), judged(True), PLAN)
    with pytest.raises(GateFailed, match="recall"):
        release_detector(store, tmp_path, untrained(tmp_path / "b", 2), judged(False), PLAN)
    assert released(store) == standing


def test_weights_of_another_detector_under_this_signature_are_refused(
    store: ObjectStore, tmp_path: Path, untrained: Detector, judged: Callable[[bool], Built]
) -> None:
    good = read_record(store, release_detector(store, tmp_path, untrained(tmp_path / "a", 1), judged(True), PLAN))
    other = read_record(store, release_detector(store, tmp_path, untrained(tmp_path / "b", 2), judged(True), PLAN))
    mixed = good.model_copy(update={"files": {**good.files, NETWORK: other.files[NETWORK]}})
    point_to(store, write_record(store, mixed))
    with pytest.raises(DetectorRefused, match="not those that were signed"):
        reader_now(store, COMPANY, trusted_keys(tmp_path), tmp_path / "fetched")


def test_a_detector_signed_with_an_unknown_key_is_refused(
    store: ObjectStore, tmp_path: Path, untrained: Detector, judged: Callable[[bool], Built]
) -> None:
    release_detector(store, tmp_path / "theirs", untrained(tmp_path / "a", 1), judged(True), PLAN)
    release_keys = tmp_path / "ours"
    from governance.custody.keys import create_keys

    create_keys(release_keys, ["detector"])
    with pytest.raises(DetectorRefused, match="key"):
        reader_now(store, COMPANY, trusted_keys(release_keys), tmp_path / "fetched")
