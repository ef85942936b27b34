"""What a delivery is: where it lies, how it and its files may be named, and the manifest that closes it.

Uploading one is delivery.py, freezing one is snapshot.py; both trust only what is said here.
"""

import json
import re
import unicodedata
from collections import Counter
from typing import Annotated, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from governance.custody.canonical import canonical_json
from governance.tenants import Slug

MANIFEST = "_MANIFEST.json"
MAX_MANIFEST_BYTES = 16 << 20
MAX_FILE_BYTES = 5 << 30  # what S3 takes as one conditional write, which is how a file is frozen
MAX_NAME_BYTES = 200  # a file system's 255, less what a temporary name adds

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
_DELIVERY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_SLUG: TypeAdapter[str] = TypeAdapter(Slug)


class DeliveryRefused(ValueError):
    """A delivery cannot be taken; the message names the delivery, the file and the remedy."""


def refuse(delivery: str, what: str, remedy: str) -> NoReturn:
    raise DeliveryRefused(f"delivery {delivery!r} refused: {what}; {remedy}")


def file_name(name: str) -> str:
    """`name` as a delivery keeps it: NFC. Raises ValueError when it cannot be the name of a delivered file."""
    normal = unicodedata.normalize("NFC", name)
    if any(unicodedata.category(c) in _UNPRINTABLE for c in normal):
        raise ValueError(f"the file name {name!a} has control characters or is not UTF-8")
    if fault := _name_fault(normal):
        raise ValueError(f"the file name {name!r} {fault}")
    return normal


def _name_fault(name: str) -> str | None:
    if not name.strip():
        return "is empty"
    if "/" in name or "\\" in name:
        return "has a slash"
    if ".." in name or name.startswith("."):
        return "starts with a dot or has '..' in it"
    if name == MANIFEST:
        return "is the name of the manifest itself"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    return None


def delivery_name(name: str) -> str:
    """`name` if it can be a delivery's. Raises ValueError."""
    if not _DELIVERY.fullmatch(name) or ".." in name:
        raise ValueError(f"{name!r} cannot name a delivery: use up to 80 of A-Z a-z 0-9 . _ -, no '..'")
    return name


def slug(kind: str, name: str) -> str:
    """`name` if it is a slug. Raises ValueError saying which `kind` of name is wrong."""
    try:
        return _SLUG.validate_python(name)
    except ValidationError:
        raise ValueError(
            f"{name!r} cannot name a {kind}: use lowercase letters, digits and single '-', a letter first"
        ) from None


def landing_bucket(tenant: str) -> str:
    return f"landing-{slug('tenant', tenant)}"


def prefix_of(dataset: str, delivery: str) -> str:
    return f"{slug('dataset', dataset)}/{delivery_name(delivery)}/"


class DeliveredFile(BaseModel):
    """One file as the manifest lists it; `size` in bytes, `sha256` in lowercase hex."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    name: Annotated[str, AfterValidator(file_name)]
    size: int = Field(gt=0, le=MAX_FILE_BYTES)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What closes a delivery: every file of it with size and sha256. Written last, once."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    schema_: Literal["pedigree/delivery/v1"] = Field("pedigree/delivery/v1", alias="schema")
    tenant: str
    dataset: str
    delivery: Annotated[str, AfterValidator(delivery_name)]
    files: tuple[DeliveredFile, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def names_differ(self) -> "Manifest":
        name, times = Counter(file.name for file in self.files).most_common(1)[0]
        if times > 1:
            raise ValueError(f"the file {name!r} is listed {times} times")
        return self

    def body(self) -> bytes:
        return canonical_json(self.model_dump(mode="json", by_alias=True))


def parse_manifest(body: bytes, tenant: str, dataset: str, delivery: str) -> Manifest:
    """The manifest in `body`, which was found under this tenant's dataset and delivery. Raises DeliveryRefused."""
    remedy = f"correct {MANIFEST} or deliver again under a new name with `pedigree deliver`"
    try:
        manifest = Manifest.model_validate(json.loads(body))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as broken:
        refuse(delivery, f"its {MANIFEST} is not JSON ({broken})", remedy)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(map(str, first["loc"])) or "document"
        refuse(delivery, f"its {MANIFEST} is wrong at {where}: {first['msg'].removeprefix('Value error, ')}", remedy)
    said, found = (manifest.tenant, manifest.dataset, manifest.delivery), (tenant, dataset, delivery)
    if said != found:
        refuse(delivery, f"its {MANIFEST} belongs to {'/'.join(said)}, it lies under {'/'.join(found)}", remedy)
    return manifest
