"""No live pointer without its entry, refusals are entries too, and keys are where the log begins."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from assets.deployment import promote as promotion
from assets.deployment.promote import PromotionFailed, RegionHome, promote, put_back_returned
from governance.audit.acts import Act, RecordAct, refusal_recorded, revoking
from governance.audit.checkpoint import AuditRefused
from governance.audit.find import announced, newest, row
from governance.audit.keys import create_audit_keys, log_public
from governance.audit.log import append, read_head, record_new_keys
from governance.custody.canonical import canonical_json, sha256_bytes
from governance.custody.keys import ROLE_KEYS, create_keys, private_key
from governance.trust.live import LivePointer, read_live, write_live
from governance.trust.releases import publish_release
from serving.replication.statement import RegionStatement, write_statement
from tests.governance.audit.conftest import Log
from tests.governance.test_trace import Line, MakeLine, make_line

__all__ = ["make_line"]
Promote = Callable[[RecordAct], object]


@pytest.fixture
def line(make_line: MakeLine) -> Line:
    return make_line()


@pytest.fixture
def promoting(line: Line, keys_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Promote:
    """Promotes the line's release once more in a region that never says anything."""
    monkeypatch.setattr(promotion, "PATIENCE", 0.2)
    create_keys(keys_dir, [], ["mumbai"])
    home = RegionHome("mumbai", tmp_path / "mumbai", "http://127.0.0.1:9", "http://127.0.0.1:9")
    return lambda record: promote(line.store, keys_dir, home, line.release, "a try", "grace", lambda text: None, record)


def pointer(line: Line) -> LivePointer:
    live = read_live(line.store, line.release.tenant, line.release.task, "mumbai", line.trusted)
    assert live
    return live


def acts(line: Line, model: str | None = "this") -> list[dict]:
    size = read_head(line.store, log_public(line.trusted)).checkpoint.size
    return newest(line.store, size, 10, line.release.model if model else None)


def test_a_promotion_and_its_automatic_return_are_announced_before_their_pointers(
    line: Line, keys_dir: Path, promoting: Promote
) -> None:
    record = partial(append, line.store, keys_dir, run="run-1")
    with (
        pytest.raises(PromotionFailed, match="did not say"),
        refusal_recorded(record, line.release, "mumbai", "grace"),
    ):
        promoting(record)
    assert [(said["what"], said.get("pointer"), said["who"]) for said in acts(line)] == [
        ("refusal", None, "grace"),
        ("automatic return", 3, "automatic return"),
        ("promotion", 2, "grace"),
        ("promotion", 1, "tests"),
    ]
    assert announced(line.store, line.trusted, pointer(line)) == acts(line)[1]["index"]
    assert row(acts(line)[0])["why"].startswith("mumbai did not say within")
    assert acts(line)[0]["run"] == "run-1"
    assert line.trace().whole, [*line.trace().broken()]


def test_a_region_that_returned_by_itself_has_its_pointer_put_back_once(line: Line, keys_dir: Path) -> None:
    create_keys(keys_dir, [], ["mumbai"])
    newer, body = line.release.model_copy(update={"number": 2}), canonical_json({"a": "manifest"})
    publish_release(line.store, keys_dir, newer, body, {})
    tried = write_live(line.store, keys_dir, newer, sha256_bytes(body), "mumbai", "better", "tests", pointer(line))
    said = RegionStatement(
        region="mumbai",
        model=line.release.model,
        pointer=tried.sha256,
        asked=str(newer),
        release=str(line.release),
        digest=line.digest,
        since=tried.at,
        at=tried.at,
        refused="3 of its 9 requests failed",
        returned=True,
    )
    write_statement(line.store, said, private_key(keys_dir, "mumbai.region"))
    home = RegionHome("mumbai", keys_dir, "http://127.0.0.1:9", "http://127.0.0.1:9")
    told = [put_back_returned(line.store, keys_dir, home, partial(append, line.store, keys_dir)) for _ in range(2)]
    assert told == [[f"mumbai returned from {newer} to {line.release}: 3 of its 9 requests failed"], []]
    assert (pointer(line).release, pointer(line).number) == (str(line.release), 3)
    assert [(act["what"], act["why"]) for act in acts(line)[:-1]] == [
        ("automatic return", "3 of its 9 requests failed")
    ]
    assert announced(line.store, line.trusted, pointer(line)) == acts(line)[0]["index"]


def test_what_cannot_be_announced_is_not_promoted(line: Line, promoting: Promote) -> None:
    def refuse(act: Act) -> None:
        raise RuntimeError(f"no entry for the {act.what}")

    before = pointer(line)
    with pytest.raises(RuntimeError, match="no entry for the promotion"):
        promoting(refuse)
    assert pointer(line) == before


def test_a_return_that_cannot_be_announced_is_not_published(line: Line, promoting: Promote) -> None:
    """The region itself went back already; the next append and promotion mend the pointer."""

    def only_the_promotion(act: Act) -> None:
        if act.what != "promotion":
            raise RuntimeError("the log went away")

    with pytest.raises(RuntimeError, match="the log went away"):
        promoting(only_the_promotion)
    assert pointer(line).number == 2


def test_pointers_that_go_back_after_a_revocation_lead_to_its_entry(line: Line, keys_dir: Path) -> None:
    """The entry is written once, before anyone knows which regions it moves."""
    append(line.store, keys_dir, revoking("northbank.release", "the key\nleaked", "grace"))
    why = "the release key of northbank was revoked: the key\nleaked"
    write_live(line.store, keys_dir, line.release, line.digest, "mumbai", why, "grace", pointer(line))
    assert announced(line.store, line.trusted, pointer(line)) == acts(line, None)[0]["index"]
    write_live(line.store, keys_dir, line.release, line.digest, "mumbai", why, "another", pointer(line))
    with pytest.raises(AuditRefused, match="announces live pointer 3"):
        announced(line.store, line.trusted, pointer(line))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("promotion", ("key revocation", "promotion", None)),
        ("northbank.release", ("key revocation", "northbank.release", None)),
        ("northbank.intents@3", ("release revocation", None, "northbank.intents@3")),
    ],
)
def test_a_revocation_says_what_it_is_of(what: str, said: tuple[str, str | None, str | None]) -> None:
    act = revoking(what, "it leaked", "grace")
    assert (act.what, act.key, act.release) == said and act.why.endswith("was revoked: it leaked")


def test_a_refusal_that_cannot_be_written_hides_nothing(line: Line) -> None:
    def broken(act: Act) -> None:
        raise ValueError("entry 3 is gone")

    with (
        pytest.raises(RuntimeError, match="the gate") as refused,
        refusal_recorded(broken, line.release, "mumbai", "grace"),
    ):
        raise RuntimeError("the gate did not pass")
    assert refused.value.__notes__ == ["this refusal is not in the audit log: entry 3 is gone"]


def test_every_key_is_an_entry_once(log: Log) -> None:
    create_keys(log.keys_dir, ["northbank"])
    for _ in range(2):
        record_new_keys(log.store, log.keys_dir, "the test")
    created = [said["key"] for said in newest(log.store, log.size(), 50)]
    assert sorted(created) == sorted({"audit", "northbank.release", "witness-mumbai", "witness-frankfurt", *ROLE_KEYS})
    create_keys(log.keys_dir, ["northbank", "stclare"])
    create_audit_keys(log.keys_dir, log.regions)
    record_new_keys(log.store, log.keys_dir, "the test")
    (newer,) = newest(log.store, log.size(), 1)
    assert newer["key"] == "stclare.release" and log.size() == len(created) + 1


def test_the_newest_of_one_model_are_found_behind_many_others(log: Log) -> None:
    act = Act(what="approval", who="ada", why="looked at it", model="stclare/triage-notes")
    append(log.store, log.keys_dir, act)
    log.append(130)
    (said,) = newest(log.store, log.size(), 5, "stclare/triage-notes")
    assert said["index"] == 0
    assert [said["index"] for said in newest(log.store, log.size(), 3)] == [130, 129, 128]
