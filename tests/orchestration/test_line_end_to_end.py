"""The whole line on real parts: deliveries into S3, the sensor, builds, the gate, signatures, Triton, the way back.

One story in order; each test is a chapter and stands on the ones before it.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.ingestion.delivery import deliver
from assets.ingestion.landing import closed_deliveries
from assets.ingestion.requests import request_release
from assets.line import releases
from governance.custody.blobs import CENTRAL_BUCKET, read_blob
from governance.custody.keys import trusted_keys
from governance.custody.records import pointed, read_record, release_key
from governance.tenants import Release
from governance.trust.live import live_history
from orchestration import cli
from orchestration.samples import generate
from orchestration.sensors import delivery_sensor
from orchestration.settings import CHECKOUT, Settings, load_settings
from serving.router import LiveModel, prompt_head, route
from serving.router.policy_file import read_routing
from serving.router.published import read_fingerprint
from serving.triton.client import Reply, ask, embed

MODEL = "loomworks.log-triage"
REGION = "mumbai"
QUESTION = "checkout | connection to the database timed out after 30 s"
ROWS, LATER_ROWS = 1500, 400


@pytest.fixture(scope="module")
def story(
    start_stack: Callable[..., Settings], small_company: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """An installation of its own, and the example deliveries of its tenant."""
    folder = tmp_path_factory.mktemp("story")
    os.environ["PEDIGREE_COMPANY_FILE"] = str(small_company)
    settings = start_stack("seaweedfs", f"replica-{REGION}")
    os.environ["PEDIGREE_STATE_DIR"] = str(settings.state_dir)
    from orchestration.definitions import build_defs

    samples = {}
    for name, rows in (("later", LATER_ROWS), ("first", ROWS)):
        drawn = [sample for sample in generate(folder / name, rows) if sample.tenant == "loomworks"]
        samples |= {sample.delivery: sample for sample in drawn if (sample.delivery == "first") == (name == "first")}
    with dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance:
        yield SimpleNamespace(settings=settings, samples=samples, instance=instance, defs=build_defs(), answers={})
    del os.environ["PEDIGREE_COMPANY_FILE"], os.environ["PEDIGREE_STATE_DIR"]


def _deliver(story: SimpleNamespace, name: str) -> None:
    sample = story.samples[name]
    deliver(story.settings.store(), sample.tenant, sample.dataset, [sample.folder], name)


def _tick(story: SimpleNamespace) -> list[str]:
    """One tick of the sensor; what it asks Dagster to do is done. The partitions of the runs that it requests."""
    with dg.build_sensor_context(instance=story.instance) as context:
        result = delivery_sensor(context)
    if isinstance(result, dg.SkipReason):
        return []
    for request in result.dynamic_partitions_requests:
        story.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    return [str(request.partition_key) for request in result.run_requests]


def _build(story: SimpleNamespace, release: str, *assets: str) -> dg.ExecuteInProcessResult:
    job = story.defs.resolve_job_def("build_release")
    selection = [dg.AssetKey(asset) for asset in assets] or None
    return job.execute_in_process(
        partition_key=release, instance=story.instance, asset_selection=selection, raise_on_error=False
    )


def _promote(story: SimpleNamespace, release: str, reason: str) -> dg.ExecuteInProcessResult:
    return story.defs.resolve_job_def("promote").execute_in_process(
        partition_key=dg.MultiPartitionKey({"region": REGION, "release": release}),
        instance=story.instance,
        run_config={"ops": {"promoted_model": {"config": {"reason": reason, "approver": "the test"}}}},
        raise_on_error=False,
    )


def _ask(story: SimpleNamespace) -> Reply:
    return ask(story.settings.triton[REGION], MODEL, [QUESTION])


def _failures(result: dg.ExecuteInProcessResult) -> str:
    errors = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error:
                errors.append(error.message)
                error = error.cause
    return " ".join(errors)


def _digest(story: SimpleNamespace, release: str) -> str:
    store = story.settings.store()
    return str(read_record(store, pointed(store, Release.parse(release), "signed_artifact")).facts["release_digest"])


def test_a_closed_delivery_becomes_one_release_and_only_one(story: SimpleNamespace) -> None:
    _deliver(story, "first")
    assert _tick(story) == [f"{MODEL}@1"]
    assert _tick(story) == []
    assert story.instance.get_dynamic_partitions(str(releases.name)) == [f"{MODEL}@1"]


def test_the_first_release_is_built_gated_and_signed(story: SimpleNamespace) -> None:
    result = _build(story, f"{MODEL}@1")
    assert result.success, _failures(result)
    assert {e.check_name for e in result.get_asset_check_evaluations()} == {
        *("contract", "expectations", "drift", "no_pii_residue", "f1", "accuracy", "latency", "bias")
    }


def test_promotion_makes_the_region_answer_with_the_release_digest(story: SimpleNamespace) -> None:
    result = _promote(story, f"{MODEL}@1", "first")
    assert result.success, _failures(result)
    story.answers[1] = _ask(story)
    assert story.answers[1].release_digest == _digest(story, f"{MODEL}@1")
    assert story.answers[1].model_version == f"{MODEL}@1"


def test_the_release_that_answers_is_routed_to_by_its_own_fingerprint(story: SimpleNamespace) -> None:
    release, digest = Release.parse(f"{MODEL}@1"), _digest(story, f"{MODEL}@1")
    fingerprint = read_fingerprint(story.settings.store(), release, digest)
    assert fingerprint is not None and fingerprint.facts.brier <= fingerprint.facts.brier_of_prior
    (vector,) = embed(story.settings.triton[REGION], [prompt_head(QUESTION)])
    live = LiveModel(release.model, str(release), digest, frozenset([REGION]), fingerprint)
    choice = route(vector, [live], read_routing(CHECKOUT / "deploy" / "routing.yaml"), region=REGION)
    assert choice.ranked[0].digest == story.answers[1].release_digest and not choice.stranger


def test_a_drifted_delivery_becomes_release_2_with_quarantine_and_drift(story: SimpleNamespace) -> None:
    _deliver(story, "second")
    assert _tick(story) == [f"{MODEL}@2"]
    result = _build(story, f"{MODEL}@2")
    assert result.success, _failures(result)
    (drift,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "drift"]
    kinds = {record.data["kind"] for record in drift.metadata["changes"].records}
    assert not drift.passed and {"added", "type changed"} <= kinds
    store = story.settings.store()
    record = read_record(store, pointed(store, Release.parse(f"{MODEL}@2"), "normalized_dataset"))
    assert 0 < record.facts["quarantined"] <= 0.02 * LATER_ROWS
    assert record.facts["rows"] + record.facts["quarantined"] == ROWS + LATER_ROWS
    assert _promote(story, f"{MODEL}@2", "second").success
    assert _ask(story).release_digest == _digest(story, f"{MODEL}@2")


def test_shuffled_labels_are_stopped_and_cannot_be_signed_or_promoted_alone(story: SimpleNamespace) -> None:
    _deliver(story, "third")
    (release,) = _tick(story)
    assert not _build(story, release).success
    alone = _build(story, release, "signed_artifact")
    assert not alone.success and "did not pass the gate" in _failures(alone)
    promoted = _promote(story, release, "past the gate")
    assert not promoted.success and "has no signed_artifact" in _failures(promoted)
    assert _ask(story).model_version == f"{MODEL}@2"


def test_a_delivery_with_drifted_labels_stays_out_of_the_next_release(story: SimpleNamespace) -> None:
    store = story.settings.store()
    manifests = closed_deliveries(store, "loomworks", "events")
    release = request_release(store, "loomworks", "log-triage", manifests[-1], cause="retrain")
    story.instance.add_dynamic_partitions(str(releases.name), [str(release)])
    assert _build(story, str(release), "raw_dataset").success
    facts = read_record(store, pointed(store, release, "raw_dataset")).facts
    assert [delivery["delivery"] for delivery in facts["deliveries"]] == ["first", "second"]
    assert [(refused["delivery"], "label drift" in refused["reason"]) for refused in facts["refused"]] == [
        ("third", True)
    ]


def test_rollback_is_a_materialization_and_answers_are_bit_identical(story: SimpleNamespace) -> None:
    assert _promote(story, f"{MODEL}@1", "rollback").success
    again = _ask(story)
    assert again.release_digest == story.answers[1].release_digest
    assert again.scores.tobytes() == story.answers[1].scores.tobytes()
    history = live_history(
        story.settings.store(), "loomworks", "log-triage", REGION, trusted_keys(story.settings.keys_dir)
    )
    assert [(each.release, each.reason) for each in history] == [
        (f"{MODEL}@1", "first"),
        (f"{MODEL}@2", "second"),
        (f"{MODEL}@1", "rollback"),
    ]


def test_a_signed_release_is_never_signed_again(story: SimpleNamespace) -> None:
    before = story.settings.store().read(CENTRAL_BUCKET, release_key(Release.parse(f"{MODEL}@1"), "signed_artifact"))
    again = _build(story, f"{MODEL}@1", "signed_artifact")
    assert not again.success and "signed already" in _failures(again)
    after = story.settings.store().read(CENTRAL_BUCKET, release_key(Release.parse(f"{MODEL}@1"), "signed_artifact"))
    assert after == before


def test_the_trace_needs_nothing_of_dagster_and_reaches_the_delivered_files(story: SimpleNamespace) -> None:
    from orchestration.tracing import trace_region

    for offline in (False, True):
        node = trace_region(load_settings(), "loomworks", "log-triage", REGION, offline)
        assert node.whole, [f"{link.name}: {link.detail}" for link in node.broken()]
    assert "events/first/events.jsonl" in json.dumps(node.to_json())


def test_the_commands_say_the_same_to_an_outsider(story: SimpleNamespace) -> None:
    verified = CliRunner().invoke(cli.app, ["verify", f"{MODEL}@1"])
    assert verified.exit_code == 0 and _digest(story, f"{MODEL}@1") in "".join(verified.output.split())
    traced = CliRunner().invoke(cli.app, ["trace", "loomworks/log-triage", "--region", REGION, "--json"])
    assert traced.exit_code == 0 and json.loads(traced.output)["children"]


def test_every_act_so_far_is_in_the_audit_log_and_the_region_countersigns_it(story: SimpleNamespace) -> None:
    seen = story.defs.resolve_job_def("observe_regions").execute_in_process(
        partition_key=REGION, instance=story.instance
    )
    assert [check.passed for check in seen.get_asset_check_evaluations()] == [True]
    result = story.defs.resolve_job_def("verify_audit_log").execute_in_process(instance=story.instance)
    (check,) = result.get_asset_check_evaluations()
    assert check.passed, check.description
    (shown,) = result.asset_materializations_for_node("audit_log")
    acts = [record.data for record in shown.metadata["acts"].records]  # type: ignore[union-attr]
    did = [(act["what"], act["of"].removesuffix(f" in {REGION}"), act["why"].split(":")[0]) for act in reversed(acts)]
    assert [each for each in did if each[0] != "key creation"] == [
        ("signing", f"{MODEL}@1", "the gate passed"),
        ("promotion", f"{MODEL}@1", "first"),
        ("signing", f"{MODEL}@2", "the gate passed"),
        ("promotion", f"{MODEL}@2", "second"),
        ("refusal", f"{MODEL}@3", f"{MODEL}@3 has no signed_artifact yet; materialize signed_artifact for it first"),
        ("rollback", f"{MODEL}@1", "rollback"),
    ]


def test_a_bit_flipped_in_the_live_region_is_found_and_the_old_bytes_keep_answering(story: SimpleNamespace) -> None:
    folder = story.settings.region_root(REGION) / "models" / MODEL / "1"
    weights = folder / "adapter_model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        result = story.defs.resolve_job_def("observe_regions").execute_in_process(
            partition_key=REGION, instance=story.instance
        )
        (check,) = result.get_asset_check_evaluations()
        assert not check.passed and "adapter_model.safetensors was altered" in str(check.description)
        assert _ask(story).scores.tobytes() == story.answers[1].scores.tobytes()
    finally:
        weights.write_bytes(good)


def test_a_flipped_bit_in_the_central_bucket_refuses_the_promotion(story: SimpleNamespace) -> None:
    store = story.settings.store()
    bundle = read_record(store, pointed(store, Release.parse(f"{MODEL}@2"), "signed_artifact"))
    weights = bundle.files["adapter_model.safetensors"]
    good = read_blob(store, weights)
    store.put(*weights.bucket_and_key, good[:-1] + bytes([good[-1] ^ 1]))
    # A verified copy that the region still holds would be used instead, and rightly.
    shutil.rmtree(story.settings.region_root(REGION) / "models" / MODEL / "2")
    try:
        result = _promote(story, f"{MODEL}@2", "tampered")
        assert not result.success and weights.uri in _failures(result) and "was altered" in _failures(result)
        assert _ask(story).model_version == f"{MODEL}@1"
    finally:
        store.put(*weights.bucket_and_key, good)


def test_an_edited_gate_report_refuses_the_promotion(story: SimpleNamespace) -> None:
    store = story.settings.store()
    bundle = read_record(store, pointed(store, Release.parse(f"{MODEL}@2"), "signed_artifact"))
    report = read_record(store, bundle.inputs["validation_report"]).files["report.json"]
    good = read_blob(store, report)
    store.put(*report.bucket_and_key, good.replace(b'"passed":true', b'"passed":tru3'))
    try:
        result = _promote(story, f"{MODEL}@2", "edited report")
        assert not result.success and "altered" in _failures(result)
    finally:
        store.put(*report.bucket_and_key, good)


def test_a_corrupt_file_in_the_work_of_a_stage_is_never_trained_on(story: SimpleNamespace, tmp_path: Path) -> None:
    store = story.settings.store()
    scrubbed = read_record(store, pointed(store, Release.parse(f"{MODEL}@2"), "scrubbed_dataset"))
    records = scrubbed.files["records.parquet"]
    good = read_blob(store, records)
    store.put(*records.bucket_and_key, good[:-1] + bytes([good[-1] ^ 1]))
    try:
        result = _build(story, f"{MODEL}@2", "lora_adapter")
        assert not result.success and records.uri in _failures(result)
    finally:
        store.put(*records.bucket_and_key, good)


def test_the_catalogues_are_repaired_from_what_is_signed(story: SimpleNamespace, tmp_path: Path) -> None:
    """Dagster's and MLflow's databases are gone: the partitions come back, and rollback and trace work."""
    from orchestration.reconcile import reconcile
    from orchestration.tracing import trace_region

    settings = load_settings(state_dir=story.settings.state_dir, mlflow_uri=f"sqlite:///{tmp_path}/mlflow.db")
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"telemetry": {"enabled": False}}) as instance:
        repaired = {(each.catalogue, each.what) for each in reconcile(settings, instance)}
        assert {("Dagster", f"{MODEL}@1"), ("MLflow", f"{MODEL}@1"), ("MLflow", f"{MODEL}@2")} <= repaired
        assert ("Dagster", f"promoted_model {REGION}|{MODEL}@1") in repaired
        assert reconcile(settings, instance) == []
        moved = SimpleNamespace(instance=instance, defs=story.defs)
        for release in (f"{MODEL}@2", f"{MODEL}@1"):
            result = _promote(moved, release, "without its databases")
            assert result.success, _failures(result)
    assert _ask(story).scores.tobytes() == story.answers[1].scores.tobytes()
    assert trace_region(settings, "loomworks", "log-triage", REGION, True).whole
