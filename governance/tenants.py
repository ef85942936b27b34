"""What `pedigree.yaml` declares: regions, bases, tenants, and each tenant's models.

Only declarations live here. Addresses, secrets and paths of one installation are settings (orchestration/settings.py).
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from governance.privacy.labels import Entity
from governance.privacy.policy import OperatorName, unfit

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
FieldType = Literal["string", "integer", "number", "boolean", "timestamp", "date"]


class ConfigurationError(ValueError):
    """`pedigree.yaml` cannot be used; the message names the file, the entry and the rule."""


class Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Region(Declared):
    aws: str


class Base(Declared):
    """Resident foundation weights: a Python package that carries them, a local path, or a hub id.

    `dtype`: in which they are served, and so in which the gate measures.
    """

    package: str | None = None
    path: str | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def one_source(self) -> "Base":
        if (self.package is None) == (self.path is None):
            raise ValueError("a base names either `package` or `path`")
        return self


class ContractField(Declared):
    """One column of a dataset. `path` is where it sits in nested JSON (dotted); aliases are other names it may bear."""

    type: FieldType
    path: str | None = None
    aliases: tuple[str, ...] = ()
    required: bool = True
    min_length: int | None = None
    max_length: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    one_of: tuple[str, ...] | None = None


class Contract(Declared):
    fields: dict[str, ContractField]
    quarantine_share: float = Field(0.05, ge=0, le=1, description="share of bad rows above which the build stops")


class Bias(Declared):
    group: str | None = Field(None, description="column whose groups are compared; without it gender words are swapped")
    max_difference: float = 0.10
    blocking: bool = False


class Gate(Declared):
    margin_f1: float = 0.03
    margin_accuracy: float = 0.03
    latency_ratio: float = 1.25
    bias: Bias = Bias()


class Training(Declared):
    rank: int = 16
    alpha: int = 32
    dropout: float = Field(0.1, ge=0, lt=1, description="of the hidden states")
    targets: tuple[str, ...] = ("query", "key", "value", "dense")
    epochs: int = 4
    learning_rate: float = 1e-3
    batch_size: int = 32
    label_smoothing: float = 0.05
    masking: float = Field(0.1, ge=0, lt=1, description="share of the tokens that a step does not see")
    contrast: float = Field(0.5, ge=0, description="weight of the supervised contrastive loss beside the head's own")
    max_tokens: int = 64
    patience: int = 2
    seed: int = 17
    evaluation_share: float = Field(0.2, gt=0, lt=1, description="share of subjects held out for the gate")
    validation_share: float = Field(0.1, gt=0, lt=1, description="share of the other subjects for early stopping")


class Model(Declared):
    """One `tenant/task`. Column names below are names of the contract's fields."""

    task: Literal["text-classification"] = "text-classification"
    dataset: Slug
    base: Slug
    text: tuple[str, ...]
    label: str
    subject: str
    identifiers: tuple[str, ...] = ()
    contract: Contract
    gate: Gate = Gate()
    training: Training = Training()

    @model_validator(mode="after")
    def columns_exist(self) -> "Model":
        used = {*self.text, self.label, self.subject, *self.identifiers, *filter(None, [self.gate.bias.group])}
        if unknown := sorted(used - set(self.contract.fields)):
            raise ValueError(f"columns {unknown} are not in the contract {sorted(self.contract.fields)}")
        return self


class Privacy(Declared):
    """What is put in the place of an identifier, by entity (governance/privacy/policy.py has choices and defaults).

    `day_first`: whether 03/04/2025 is in April, where dates are shifted.
    """

    operators: dict[Entity, OperatorName] = {}
    day_first: bool = False

    @model_validator(mode="after")
    def operators_fit(self) -> "Privacy":
        if fault := unfit(self.operators):
            raise ValueError(fault)
        return self


class Tenant(Declared):
    tier: Literal["enterprise", "free"]
    retention_days: int = Field(gt=0)
    privacy: Privacy = Privacy()
    models: dict[Slug, Model]

    @model_validator(mode="after")
    def one_model_a_dataset(self) -> "Tenant":
        datasets = [model.dataset for model in self.models.values()]
        if len(set(datasets)) != len(datasets):
            raise ValueError(f"two models share a dataset: {sorted(datasets)}")
        return self

    @model_validator(mode="after")
    def auto_is_free(self) -> "Tenant":
        if "auto" in self.models:
            raise ValueError("no model may be named `auto`: who asks for it leaves the choice to the router")
        return self


class Company(Declared):
    regions: dict[Slug, Region]
    bases: dict[Slug, Base]
    tenants: dict[Slug, Tenant]

    @model_validator(mode="after")
    def bases_exist(self) -> "Company":
        for tenant, task, model in self.each_model():
            if model.base not in self.bases:
                raise ValueError(f"{tenant}/{task} wants base {model.base!r}, declared are {sorted(self.bases)}")
        return self

    def each_model(self) -> list[tuple[str, str, Model]]:
        """Every `(tenant, task, model)` in the order of the file."""
        return [(tenant, task, m) for tenant, t in self.tenants.items() for task, m in t.models.items()]

    def tenant(self, tenant: str) -> Tenant:
        """The tenant of that name. Raises ConfigurationError naming what is declared."""
        if tenant not in self.tenants:
            raise ConfigurationError(f"no tenant {tenant!r} in pedigree.yaml; declared: {', '.join(self.tenants)}")
        return self.tenants[tenant]

    def model(self, tenant: str, task: str) -> Model:
        """The model `tenant/task`. Raises ConfigurationError naming what is declared."""
        if task not in (models := self.tenant(tenant).models):
            raise ConfigurationError(f"tenant {tenant!r} has no model {task!r}; declared: {', '.join(models)}")
        return models[task]

    def task_of_dataset(self, tenant: str, dataset: str) -> str:
        """The task whose model is trained on `dataset`. Raises ConfigurationError."""
        models = self.tenant(tenant).models
        for task, model in models.items():
            if model.dataset == dataset:
                return task
        known = ", ".join(model.dataset for model in models.values())
        raise ConfigurationError(f"tenant {tenant!r} has no dataset {dataset!r}; declared: {known}")


class Release(BaseModel):
    """A release's name, `tenant.task@number`: the Dagster partition key, and what a reply calls model@version."""

    model_config = ConfigDict(frozen=True)
    tenant: Slug
    task: Slug
    number: int = Field(gt=0)

    @classmethod
    def parse(cls, key: str) -> "Release":
        """From `tenant.task@number`. Raises ConfigurationError on any other form."""
        if not (match := re.fullmatch(r"([a-z0-9-]+)[./]([a-z0-9-]+)@([1-9][0-9]*)", key)):
            raise ConfigurationError(f"{key!r} is not a release; the form is tenant.task@number, e.g. acme.intents@3")
        return cls(tenant=match[1], task=match[2], number=int(match[3]))

    @property
    def model(self) -> str:
        return f"{self.tenant}/{self.task}"

    @cached_property
    def served_name(self) -> str:
        """The model's name in a Triton repository."""
        return f"{self.tenant}.{self.task}"

    def __str__(self) -> str:
        return f"{self.tenant}.{self.task}@{self.number}"


def load_company(path: Path) -> Company:
    """Read and validate `pedigree.yaml`. Raises ConfigurationError naming file, entry and rule."""
    try:
        declared: Any = yaml.safe_load(path.read_text())
        return Company.model_validate(declared)
    except FileNotFoundError as missing:
        raise ConfigurationError(f"{path} does not exist; copy the example from the repository") from missing
    except yaml.YAMLError as broken:
        raise ConfigurationError(f"{path} is not YAML: {broken}") from broken
    except ValidationError as invalid:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in invalid.errors())
        raise ConfigurationError(f"{path}: {faults}") from invalid
