"""What a region says of itself: which release answers since when, or why it refuses. Signed with the region's key.

A SLSA verification summary (https://slsa.dev/spec/v1.0/verification_summary) in DSSE, one object a model and region.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import PrivateKey, PublicKey
from governance.custody.statements import StatementRefused, open_statement, sign_statement, statement
from governance.custody.store import NotFound, ObjectStore

VERIFICATION_SUMMARY = "https://slsa.dev/verification_summary/v1"


class RegionStatement(BaseModel):
    """`release` with release digest `digest` answers since `since`; both None where no release does.

    pointer: sha256 of the live pointer that was followed. refused: why it is not what answers, None where it is.
    returned: it did answer, failed in its first minutes, and the region went back by itself.
    shadow: what the release showed beside the one before it, None where it was not tried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    region: str
    model: str
    pointer: str
    asked: str
    release: str | None
    digest: str | None
    since: datetime | None
    at: datetime
    refused: str | None
    returned: bool = False
    shadow: str | None = None


def statement_key(region: str, model: str) -> str:
    return f"_regions/{region}/{model}.json"


def write_statement(store: ObjectStore, said: RegionStatement, key: PrivateKey) -> None:
    envelope = sign_statement(
        statement(said.release or "nothing", said.digest or "0" * 64, VERIFICATION_SUMMARY, _predicate(said)), key
    )
    store.put(CENTRAL_BUCKET, statement_key(said.region, said.model), envelope)


def read_statement(store: ObjectStore, region: str, model: str, key: PublicKey) -> RegionStatement | None:
    """What the region said last, None where it never did. Raises StatementRefused.

    An old statement put back is for the caller to see, by its pointer.
    """
    try:
        envelope = store.read(CENTRAL_BUCKET, statement_key(region, model))
    except NotFound:
        return None
    said = open_statement(envelope, key, VERIFICATION_SUMMARY)
    try:
        told = RegionStatement.model_validate(said.predicate["pedigree"])
    except (KeyError, ValidationError) as broken:
        raise StatementRefused(f"does not say what a region says: {broken}") from broken
    if (told.region, told.model) != (region, model):
        raise StatementRefused(f"is of {told.model} in {told.region}")
    return told


def _predicate(said: RegionStatement) -> dict[str, Any]:
    return {
        "verifier": {"id": f"urn:pedigree:region:{said.region}"},
        "timeVerified": said.at.isoformat(),
        "resourceUri": f"urn:pedigree:{said.region}/{said.model}",
        "policy": {"uri": "urn:pedigree:live-pointer", "digest": {"sha256": said.pointer}},
        "verificationResult": "FAILED" if said.refused else "PASSED",
        "verifiedLevels": [],
        "pedigree": said.model_dump(mode="json"),
    }
