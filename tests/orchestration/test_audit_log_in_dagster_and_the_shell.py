"""The audit log as people meet it: the asset and its check, the region's observation, the commands. No region runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from assets.line import releases
from governance.audit.log import entry_key
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.store import ObjectStore
from orchestration import cli
from orchestration.definitions import build_defs
from tests.conftest import StartStack
from tests.orchestration.conftest import REGION

RELEASE = "loomworks.log-triage@1"


@pytest.fixture(scope="module")
def here(
    start_stack: StartStack, small_company: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """An installation of its own with a store; a promotion was refused in it."""
    folder = tmp_path_factory.mktemp("dagster")
    with (
        pytest.MonkeyPatch.context() as environment,
        dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance,
    ):
        environment.setenv("PEDIGREE_COMPANY_FILE", str(small_company))
        environment.setenv("COLUMNS", "250")
        settings = start_stack("seaweedfs")
        environment.setenv("PEDIGREE_STATE_DIR", str(settings.state_dir))
        instance.add_dynamic_partitions(str(releases.name), [RELEASE])
        here = SimpleNamespace(store=settings.store(), instance=instance, defs=build_defs())
        config = {"reason": "past the gate", "approver": "the test"}
        refused = run(
            here,
            "promote",
            partition_key=dg.MultiPartitionKey({"region": REGION, "release": RELEASE}),
            run_config={"ops": {"promoted_model": {"config": config}}},
        )
        assert not refused.success
        yield here


def run(here: SimpleNamespace, job: str, **how: Any) -> dg.ExecuteInProcessResult:
    return here.defs.resolve_job_def(job).execute_in_process(instance=here.instance, raise_on_error=False, **how)


def typed(*words: object) -> Result:
    return CliRunner().invoke(cli.app, [str(word) for word in ("audit", *words)])


def last_entry(store: ObjectStore) -> tuple[int, str]:
    key = [info.key for info in store.list(CENTRAL_BUCKET, entry_key(0)[:-10])][-1]
    return int(key[-10:]), key


def test_who_what_and_why_are_a_table_and_the_region_countersigns(here: SimpleNamespace) -> None:
    seen = run(here, "observe_regions", partition_key=REGION)
    assert [check.passed for check in seen.get_asset_check_evaluations()] == [True]
    result = run(here, "verify_audit_log")
    (check,) = result.get_asset_check_evaluations()
    assert check.passed, check.description
    (shown,) = result.asset_materializations_for_node("audit_log")
    newest, *keys = [record.data for record in shown.metadata["acts"].records]  # type: ignore[union-attr]
    assert (newest["what"], newest["of"], newest["who"]) == ("refusal", f"{RELEASE} in {REGION}", "the test")
    assert newest["why"].startswith(f"{RELEASE} has no signed_artifact yet") and newest["run"]
    assert {"audit", "loomworks.release", "promotion", "root-1", f"witness-{REGION}"} < {act["of"] for act in keys}
    (seen_by,) = shown.metadata["seen"].records  # type: ignore[union-attr]
    assert seen_by.data == {"region": REGION, "entries": len(keys) + 1}


def test_the_commands_show_prove_and_verify(here: SimpleNamespace, tmp_path: Path) -> None:
    last, _ = last_entry(here.store)
    told = typed("verify")
    assert told.exit_code == 0 and f"{last + 1} entries under one signed root" in " ".join(told.output.split())
    told = typed("show", "--model", "loomworks/log-triage")
    assert told.exit_code == 0 and "refusal" in told.output and "key creation" not in told.output
    assert typed("prove", last, "--into", tmp_path).exit_code == 0
    assert json.loads((tmp_path / f"audit-{last}.json").read_text())["what"] == "refusal"
    assert (tmp_path / f"audit-{last}.tlog-proof").read_text().startswith("c2sp.org/tlog-proof@v1\n")
    assert typed("growth", 2, "--into", tmp_path).exit_code == 0
    assert (tmp_path / "audit-from-2.growth").read_text().startswith("old 2\n")
    told = typed("prove", last + 1)
    assert told.exit_code == 1 and f"no checkpoint covers an entry {last + 1}" in " ".join(told.output.split())


def test_an_edited_entry_is_named_by_check_command_and_observation(here: SimpleNamespace) -> None:
    """The last: it harms the log for good."""
    assert run(here, "observe_regions", partition_key=REGION).success
    last, key = last_entry(here.store)
    good = here.store.read(CENTRAL_BUCKET, key)
    here.store.put(CENTRAL_BUCKET, key, good.replace(b"the test", b"somebody"))
    (check,) = run(here, "verify_audit_log").get_asset_check_evaluations()
    assert not check.passed and f"entry {last} is not what was signed there" in str(check.description)
    told = typed("verify")
    assert told.exit_code == 1 and f"entry {last} is not what was signed" in " ".join(told.output.split())
    here.store.delete(CENTRAL_BUCKET, "_audit/checkpoint", every_version=True)
    (check,) = run(here, "observe_regions", partition_key=REGION).get_asset_check_evaluations()
    assert not check.passed and f"{REGION} does not countersign the audit log" in str(check.description)
