"""What assets are handed at run time, each made from the settings when a run needs it, never when code loads.

A resource is one thing: the store, the declarations, the keys, the catalogue, the regions, a folder to work in.
"""

from pathlib import Path
from typing import Any

import dagster as dg

from assets.deployment.promote import RegionHome
from assets.line import Pages
from governance.custody.manifest import Environment
from governance.custody.store import ObjectStore
from governance.tenants import Company
from orchestration.attribution import environment
from orchestration.references import references
from orchestration.settings import CHECKOUT, load_settings


@dg.resource
def store(_: dg.InitResourceContext) -> ObjectStore:
    return load_settings().store()


@dg.resource
def company(_: dg.InitResourceContext) -> Company:
    return load_settings().company()


@dg.resource
def keys_dir(_: dg.InitResourceContext) -> Path:
    return load_settings().keys_dir


@dg.resource
def catalogue(_: dg.InitResourceContext) -> str:
    """MLflow's tracking URI."""
    return load_settings().mlflow_uri


@dg.resource
def regions(_: dg.InitResourceContext) -> dict[str, RegionHome]:
    settings = load_settings()
    declared = settings.company().regions
    first = next(iter(declared))
    return {
        name: RegionHome(
            name,
            settings.region_root(name),
            settings.triton.get(name, ""),
            settings.replicas.get(name, ""),
            leader=None if name == first else first,
        )
        for name in declared
    }


@dg.resource
def work(_: dg.InitResourceContext) -> Path:
    """Where runs put what they fetch; the nightly collection clears what a killed run left."""
    folder = load_settings().state_dir / "work"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@dg.resource
def examples_dir(_: dg.InitResourceContext) -> Path:
    """Labelled examples for the PII detector, as JSONL."""
    return load_settings().examples_dir


@dg.resource
def ray_address(_: dg.InitResourceContext) -> str:
    """The Ray cluster that scrubs; empty: this machine's cores do."""
    return load_settings().ray_address


@dg.resource
def pages(_: dg.InitResourceContext) -> Pages:
    """Where checks leave pages for people, such as Data Docs."""
    settings = load_settings()
    return Pages(settings.pages_dir, settings.pages_url)


@dg.resource
def environment_of_run(_: dg.InitResourceContext) -> Environment:
    """Which code, image and environment runs this."""
    return environment(CHECKOUT)


def build_resources() -> dict[str, Any]:
    """Every resource by the name that assets ask for it."""
    return {
        "store": store,
        "company": company,
        "keys_dir": keys_dir,
        "catalogue": catalogue,
        "regions": regions,
        "work": work,
        "examples_dir": examples_dir,
        "ray_address": ray_address,
        "pages": pages,
        "environment": environment_of_run,
        "references": references,
    }
