"""Settings of one installation: addresses, secrets, paths. What a company declares is in pedigree.yaml instead.

A value comes from the environment (`PEDIGREE_…`), else from `<state_dir>/settings.toml`, else from what the local
stack wrote about itself into `<state_dir>/stack.toml`, else from its default. A relative path is relative to the
checkout, so every process of one installation reads the same file.
"""

import os
import tomllib
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    exceptions,
)

from governance.custody.store import ObjectStore
from governance.tenants import Company, load_company
from serving.replication.trial import Switch

CHECKOUT = Path(__file__).resolve().parent.parent
PREFIX = "PEDIGREE_"


def anchored(path: Path) -> Path:
    """`path`, absolute; a relative one is taken from the checkout."""
    return (CHECKOUT / path.expanduser()).resolve()


Anchored = Annotated[Path, AfterValidator(anchored)]


class SettingsError(ValueError):
    """The settings cannot be used; the message names the setting, where it was set, and the rule."""


class Window(BaseModel):
    """Hours of the day, UTC; `end` before `start` means that it goes over midnight."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    start: time
    end: time

    def contains(self, moment: time) -> bool:
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


class Settings(BaseSettings):
    """Everything that differs between two installations. Read it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True
    )

    state_dir: Anchored = Path(".pedigree")
    company_file: Anchored = Path("pedigree.yaml")
    keys_dir: Anchored = Field(
        default_factory=lambda done: done["state_dir"] / "keys", description="signing keys and the keys of surrogates"
    )
    s3_endpoint: str | None = Field(None, description="None is AWS")
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_region: str = "us-east-1"
    mlflow_uri: str = Field(default_factory=lambda done: f"sqlite:///{done['state_dir'] / 'mlflow' / 'mlflow.db'}")
    triton: dict[str, str] = Field({}, description="region → http://host:port")
    replicas: dict[str, str] = Field({}, description="region → http://host:port of its replica")
    replication_seconds: float = Field(5.0, gt=0, description="between two looks of a replica; a promotion wakes it")
    replication_bandwidth: float | None = Field(None, gt=0, description="bytes a second for a replica; None: no limit")
    replication_disk_reserve: int = Field(256 << 20, ge=0, description="bytes that a replica leaves free on its disk")
    switch: Switch = Field(Switch(), description="how a region goes over to a new version")
    environment: Literal["local", "production"] = "local"
    executor: Literal["in_process", "k8s"] = "in_process"
    ray_address: str = Field(
        "", description="the Ray cluster that scrubs; its nodes see this state_dir; `local` starts one; empty: no Ray"
    )
    alert_webhook: str | None = Field(None, description="where a failed build is reported, as a JSON POST")
    dagster_url: str = "http://127.0.0.1:3000"
    gateway_url: str = "http://127.0.0.1:8080"
    pages_url: str | None = Field(None, description="where `pages_dir` is served; None: pages are named by their path")
    broker_log: Literal["memory", "s3"] = Field(
        "memory", description="where the local broker keeps its log; in s3 it outlives a kill, and answers take longer"
    )
    training_window: Window | None = Field(None, description="when scheduled training may start; None is always")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        state_dir = init_settings().get("state_dir") or env_settings().get("state_dir") or ".pedigree"
        folder = anchored(Path(state_dir))
        written = TomlConfigSettingsSource(settings_cls, toml_file=stack_file(folder))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, settings_file(folder)), written

    def region_root(self, region: str) -> Path:
        """Where a region keeps `models`, `staging` and `archive`, on one file system."""
        return self.state_dir / "regions" / region

    @property
    def pages_dir(self) -> Path:
        """Where checks leave pages for people."""
        return self.state_dir / "pages"

    @property
    def examples_dir(self) -> Path:
        """Where labelled examples are added that the PII detector learns from beside its own."""
        return self.state_dir / "labelled"

    def company(self) -> Company:
        """What the company declares. Raises governance.tenants.ConfigurationError."""
        return load_company(self.company_file)

    def store(self) -> ObjectStore:
        """A client of the object store. Raises SettingsError when none is configured."""
        if not self.s3_access_key:
            raise SettingsError(
                f"no object store is configured in {settings_file(self.state_dir)}; "
                f"run `pedigree up`, or set {PREFIX}S3_ENDPOINT, {PREFIX}S3_ACCESS_KEY and {PREFIX}S3_SECRET_KEY"
            )
        return ObjectStore(self.s3_endpoint, self.s3_access_key, self.s3_secret_key.get_secret_value(), self.s3_region)


def settings_file(state_dir: Path) -> Path:
    return state_dir / "settings.toml"


def stack_file(state_dir: Path) -> Path:
    return state_dir / "stack.toml"


def load_settings(**given: Any) -> Settings:
    """The settings of this installation; values in `given` win, e.g. `state_dir`. Raises SettingsError."""
    folder = anchored(Path(given.get("state_dir") or os.environ.get(f"{PREFIX}STATE_DIR") or ".pedigree"))
    try:
        return Settings(**given)
    except tomllib.TOMLDecodeError as broken:
        raise SettingsError(f"{settings_file(folder)} is not TOML: {broken}; correct it") from broken
    except exceptions.SettingsError as broken:
        raise SettingsError(f'{broken}; give a setting with parts as JSON, e.g. {{"mumbai": "…"}}') from broken
    except ValidationError as invalid:
        faults = "; ".join(f"{_where(error['loc'], folder)}: {error['msg']}" for error in invalid.errors())
        raise SettingsError(faults) from invalid


def _where(location: tuple[int | str, ...], folder: Path) -> str:
    name = ".".join(map(str, location))
    variable = f"{PREFIX}{str(location[0]).upper()}"
    return (
        f"{name} (in the environment as {variable})" if variable in os.environ else f"{name} in {settings_file(folder)}"
    )
