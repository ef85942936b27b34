"""Sensors only look, ask a pure function, and report. What counts as new is `assets.ingestion.decide`.

A delivery becomes a release by a write-once request in the store; Dagster's partition and run follow from it. So a
lost cursor or a lost database rebuilds nothing twice, and of two sensors one wins.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from assets.ingestion.decide import new_deliveries
from assets.ingestion.landing import closed_deliveries
from assets.ingestion.requests import request_release, requests
from assets.line import releases
from governance.custody.store import ObjectStore
from governance.tenants import Company, Model, Release
from orchestration.jobs import build_release
from orchestration.settings import load_settings

# Enterprise tenants' builds leave the queue first.
PRIORITY = {"enterprise": "10", "free": "0"}


@dg.sensor(job=build_release, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def delivery_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """A closed delivery becomes a release partition and one run of build_release, in one tick."""
    settings = load_settings()
    window = settings.training_window
    if window and not window.contains(datetime.now(UTC).time()):
        return dg.SkipReason(f"builds wait for the training window, {window.start} to {window.end} UTC")
    store, company = settings.store(), settings.company()
    known = set(context.instance.get_dynamic_partitions(str(releases.name)))
    asked = [request for each in company.each_model() for request in _requests(store, company, each, known)]
    if not asked:
        return dg.SkipReason("no new delivery")
    return dg.SensorResult(
        run_requests=asked,
        dynamic_partitions_requests=[releases.build_add_request([str(request.partition_key) for request in asked])],
    )


def _requests(
    store: ObjectStore, company: Company, each: tuple[str, str, Model], known: set[str]
) -> Iterator[dg.RunRequest]:
    """Run requests for every release of one model that was asked for and that Dagster does not know yet."""
    tenant, task, model = each
    manifests = closed_deliveries(store, tenant, model.dataset)
    for manifest in new_deliveries(manifests, requests(store, tenant, task)):
        request_release(store, tenant, task, manifest)
    for request in requests(store, tenant, task):
        release = Release(tenant=tenant, task=task, number=request.number)
        if str(release) not in known:
            yield release_run(release, company, f"{request.manifest_key}#{request.etag}#{request.cause}")


def release_run(release: Release, company: Company, run_key: str) -> dg.RunRequest:
    """One run of build_release, with the tags that people search by."""
    return dg.RunRequest(
        run_key=run_key,
        partition_key=str(release),
        tags={
            "pedigree/tenant": release.tenant,
            "pedigree/model": release.model,
            "dagster/priority": PRIORITY[company.tenants[release.tenant].tier],
        },
    )


@dg.run_failure_sensor(
    name="failure_sensor", monitored_jobs=[build_release], default_status=dg.DefaultSensorStatus.RUNNING
)
def failure_sensor(context: dg.RunFailureSensorContext) -> None:
    """Say in one sentence which release stopped where and why; an operator's webhook gets it too where one is set."""
    from orchestration.alerts import alert

    release = context.partition_key or "no partition"
    steps = [event.step_key for event in context.get_step_failure_events() if event.step_key]
    alert(
        load_settings().alert_webhook,
        f"{context.dagster_run.job_name} of {release} failed at {', '.join(steps) or 'start'}: "
        f"{context.failure_event.message}",
        context.log.error,
    )


sensors = [delivery_sensor, failure_sensor]
