"""What runs by the clock, declared per environment: a schedule that names no cron for an environment is an error."""

from collections.abc import Iterator

import dagster as dg

from assets.ingestion.landing import closed_deliveries
from assets.ingestion.requests import request_release
from assets.line import releases
from orchestration.jobs import (
    apply_retention,
    build_release,
    collect_garbage,
    observe_regions,
    refresh_trust,
    verify_audit_log,
)
from orchestration.sensors import release_run
from orchestration.settings import load_settings

# environment → schedule → cron; None: declared, not running there.
CRONS: dict[str, dict[str, str | None]] = {
    "local": {
        "retrain": None,
        "retention": None,
        "garbage": None,
        "observation": "*/10 * * * *",
        "trust": "7 */6 * * *",
        "audit": "15 * * * *",
    },
    "production": {
        "retrain": "0 22 1,15 * *",
        "retention": "0 3 * * 0",
        "garbage": "0 2 * * *",
        "observation": "*/5 * * * *",
        "trust": "7 * * * *",
        "audit": "0 4 * * *",
    },
}


def build_schedules(environment: str) -> list[dg.ScheduleDefinition]:
    """The schedules of one environment. Raises ValueError when the environment is not declared."""
    if environment not in CRONS:
        raise ValueError(f"no schedules for environment {environment!r}; declared: {', '.join(CRONS)}")
    production = CRONS["production"]
    crons = CRONS[environment]

    def options(name: str) -> dict:
        running = dg.DefaultScheduleStatus.RUNNING if crons[name] else dg.DefaultScheduleStatus.STOPPED
        return {"name": name, "cron_schedule": crons[name] or production[name], "default_status": running}

    @dg.schedule(job=build_release, **options("retrain"))
    def retrain(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
        """Biweekly: a new release of every model from all its deliveries so far."""
        tick = context.scheduled_execution_time.isoformat()
        return list(_retrain_runs(context.instance, tick)) or dg.SkipReason("no model has a delivery yet")

    return [
        retrain,
        dg.ScheduleDefinition(job=apply_retention, **options("retention")),
        dg.ScheduleDefinition(job=collect_garbage, **options("garbage")),
        dg.ScheduleDefinition(job=refresh_trust, **options("trust")),
        _observation(options("observation")),
        dg.ScheduleDefinition(job=verify_audit_log, **options("audit")),
    ]


def _observation(options: dict) -> dg.ScheduleDefinition:
    @dg.schedule(job=observe_regions, **options)
    def observation(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        """Every few minutes, each region: does it serve what was promoted?"""
        tick = context.scheduled_execution_time.isoformat()
        regions = load_settings().company().regions
        return [dg.RunRequest(run_key=f"{region}#{tick}", partition_key=region) for region in regions]

    return observation


def _retrain_runs(instance: dg.DagsterInstance, tick: str) -> Iterator[dg.RunRequest]:
    settings = load_settings()
    store, company = settings.store(), settings.company()
    for tenant, task, model in company.each_model():
        if manifests := closed_deliveries(store, tenant, model.dataset):
            release = request_release(store, tenant, task, manifests[-1], cause=f"retrain {tick}")
            instance.add_dynamic_partitions(str(releases.name), [str(release)])
            yield release_run(release, company, f"{release.model}#{tick}")
