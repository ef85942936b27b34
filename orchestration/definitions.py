"""The one assembler: assets, checks, jobs, sensors, schedules and resources as Dagster loads them.

Nothing is connected to while this loads; heavy libraries are imported by the steps that need them.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.audit.assets import audit_log
from assets.deployment.assets import build_deployment
from assets.detection.assets import pii_detector
from assets.evaluation.assets import validation_report
from assets.ingestion.assets import client_bucket, raw_dataset
from assets.lifecycle.assets import gc_report, retention_report
from assets.normalization.assets import normalized_dataset
from assets.privacy.assets import scrubbed_dataset
from assets.release.assets import key_change, signed_artifact, trust_report
from assets.routing.assets import model_fingerprints
from assets.training.assets import lora_adapter
from orchestration.execution import executor
from orchestration.jobs import jobs
from orchestration.resources import build_resources
from orchestration.schedules import build_schedules
from orchestration.sensors import sensors
from orchestration.settings import load_settings


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Definitions for this installation's settings; tests and other environments override single resources."""
    settings = load_settings()
    return dg.Definitions(
        assets=[
            client_bucket,
            raw_dataset,
            normalized_dataset,
            pii_detector,
            scrubbed_dataset,
            lora_adapter,
            validation_report,
            signed_artifact,
            model_fingerprints,
            *build_deployment(list(settings.company().regions)),
            retention_report,
            gc_report,
            trust_report,
            key_change,
            audit_log,
        ],
        jobs=jobs,
        sensors=sensors,
        schedules=build_schedules(settings.environment),
        resources={**build_resources(), **(resource_overrides or {})},
        executor=executor(settings.executor),
    )


defs = build_defs()
