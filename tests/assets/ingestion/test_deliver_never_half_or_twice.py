"""An upload is refused by name before anything is closed, continues where it was cut off, and never changes."""

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.ingestion.delivery import deliver
from assets.ingestion.landing import closed_deliveries
from assets.ingestion.manifest import MANIFEST, DeliveryRefused, file_name
from governance.custody.canonical import sha256_file
from tests.assets.ingestion.conftest import DATASET, Client


def test_names_with_spaces_and_accents_survive(client: Client) -> None:
    decomposed = unicodedata.normalize("NFD", "entlassungen märz.csv")
    delivery = client.deliver(client.file(decomposed, b"x\n"), client.file(" 患者 & 100%+#?.csv", b"y\n"))
    names = [file.name for file in delivery.manifest.files]
    assert names == [" 患者 & 100%+#?.csv", unicodedata.normalize("NFC", decomposed)]
    for name, body in zip(names, (b"y\n", b"x\n"), strict=True):
        assert client.store.read(client.bucket, f"{DATASET}/{delivery.name}/{name}") == body


@pytest.mark.parametrize("name", ["a\nb.csv", "a\x7f.csv", "a\\b.csv", ".hidden", "a..b.csv", MANIFEST, " ", "x" * 201])
def test_a_file_name_that_could_do_harm_is_refused(client: Client, name: str) -> None:
    with pytest.raises(DeliveryRefused, match="rename the file"):
        client.deliver(client.file(name))


def test_a_file_name_that_is_not_utf8_is_refused(client: Client) -> None:
    path = Path(os.fsdecode(os.fsencode(client.folder) + b"/\xff.csv"))
    path.write_bytes(b"x\n")
    with pytest.raises(DeliveryRefused, match="not UTF-8"):
        client.deliver(path)


@given(st.text())
def test_no_accepted_name_leaves_its_folder(name: str) -> None:
    try:
        kept = file_name(name)
    except ValueError:
        return
    assert Path("/delivery", kept).resolve().parent == Path("/delivery")
    assert file_name(kept) == kept
    assert kept.isprintable() or not any(c in kept for c in "\r\n\t\0")


@pytest.mark.parametrize("wrong", ["..", "", "a/b", "a b", "Ä", "-a", "../acme"])
@pytest.mark.parametrize("place", ["tenant", "dataset", "delivery"])
def test_a_tenant_dataset_or_delivery_with_a_bad_name_is_refused(client: Client, place: str, wrong: str) -> None:
    names = {"tenant": client.tenant, "dataset": DATASET, "delivery": "march"} | {place: wrong}
    with pytest.raises(DeliveryRefused, match="cannot name a"):
        deliver(client.store, names["tenant"], names["dataset"], [client.file("a.csv")], names["delivery"])


def test_two_files_of_one_name_are_refused(client: Client) -> None:
    with pytest.raises(DeliveryRefused, match=r"would both be 'ü\.csv'"):
        client.deliver(client.file("one/u\u0308.csv"), client.file("two/\u00fc.csv"))


def test_nothing_to_deliver_is_refused(client: Client) -> None:
    (client.folder / "empty").mkdir()
    with pytest.raises(DeliveryRefused, match="no files"):
        client.deliver()
    with pytest.raises(DeliveryRefused, match="no files"):
        client.deliver(client.folder / "empty")
    with pytest.raises(DeliveryRefused, match=r"'none\.csv' is empty"):
        client.deliver(client.file("full.csv"), client.file("none.csv", b""))
    with pytest.raises(DeliveryRefused, match=r"gone\.csv is not a file"):
        client.deliver(client.folder / "gone.csv")
    assert closed_deliveries(client.store, client.tenant, DATASET) == []


def test_a_folder_means_every_file_under_it_but_hidden_ones(client: Client) -> None:
    client.file("in/a.csv"), client.file("in/deep/b.csv"), client.file("in/.DS_Store"), client.file("in/.git/c")
    delivery = client.deliver(client.folder / "in")
    assert [file.name for file in delivery.manifest.files] == ["a.csv", "b.csv"]


def test_repeating_the_command_changes_nothing(client: Client) -> None:
    first = client.deliver(client.file("a.csv"))
    before = client.closed(first.name)
    with client.counted("PutObject") as written:
        again = client.deliver(client.folder / "a.csv")
    assert (again.name, again.sent, written) == (first.name, 0, [])
    assert client.closed(first.name) == before


def test_the_same_name_with_other_content_is_refused_and_the_first_stands(client: Client) -> None:
    client.deliver(client.file("a.csv", b"first\n"), name="march")
    with pytest.raises(DeliveryRefused, match=r"'march'.*other content.*new name"):
        client.deliver(client.file("a.csv", b"other\n"), name="march")
    assert client.store.read(client.bucket, f"{DATASET}/march/a.csv") == b"first\n"


def test_an_upload_that_was_cut_off_is_not_closed_and_continues(client: Client) -> None:
    paths = [client.file(f"{n}.csv", f"{n}\n".encode()) for n in "abc"]

    def cut(params: dict[str, Any], **_: Any) -> None:
        if params["Key"].endswith("b.csv"):
            raise ConnectionResetError("cut")

    with (
        client.hooked("before-parameter-build.s3.PutObject", cut),
        pytest.raises(ConnectionResetError),
    ):
        client.deliver(*paths, name="march")
    assert closed_deliveries(client.store, client.tenant, DATASET) == []
    with client.counted("PutObject") as written:
        assert client.deliver(*paths, name="march").sent == 2
    assert [key.rsplit("/")[-1] for key in written] == ["b.csv", "c.csv", MANIFEST]


def test_a_file_that_arrived_torn_is_sent_again(client: Client) -> None:
    path = client.file("a.csv", b"whole\n")
    client.put("march", "a.csv", b"who")
    assert client.deliver(path, name="march").sent == 1
    assert client.store.read(client.bucket, f"{DATASET}/march/a.csv") == b"whole\n"


def test_what_an_abandoned_upload_left_is_not_closed_with_the_rest(client: Client) -> None:
    client.put("march", "stray.csv", b"x\n")
    with pytest.raises(DeliveryRefused, match=r"left the file 'stray\.csv'"):
        client.deliver(client.file("a.csv"), name="march")


def test_a_file_that_changes_while_it_is_sent_is_refused_and_not_taken_later(client: Client) -> None:
    path = client.file("a.csv", b"before\n")

    def change(*_: Any) -> None:
        os.utime(path, ns=(1, 1))

    with pytest.raises(DeliveryRefused, match=r"'a\.csv' changed while it was sent"):
        deliver(client.store, client.tenant, DATASET, [path], "march", change)
    assert client.store.stat(client.bucket, f"{DATASET}/march/a.csv") is None


def test_a_file_of_several_parts_arrives_whole(client: Client, tmp_path: Path) -> None:
    path = client.file("big.jsonl", os.urandom(1 << 20) * 17)
    moved = 0

    def add(_: str, count: int, size: int) -> None:
        nonlocal moved
        moved += count

    deliver(client.store, client.tenant, DATASET, [path], "big", add)
    back = tmp_path / "back"
    back.write_bytes(client.store.read(client.bucket, f"{DATASET}/big/big.jsonl"))
    assert sha256_file(back) == sha256_file(path)
    assert moved == path.stat().st_size


def test_a_tenant_without_a_bucket_can_deliver(client: Client) -> None:
    tenant = f"new-{client.tenant}"
    deliver(client.store, tenant, DATASET, [client.file("a.csv")], "march")
    assert [m.delivery for m in closed_deliveries(client.store, tenant, DATASET)] == ["march"]
