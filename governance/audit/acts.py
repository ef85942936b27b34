"""What an entry of the audit log says. It names releases, regions and keys, and the staff who act; never a subject.

An entry can never be taken back. So a person about whom records are kept appears as the keyed pseudonym of
governance/privacy/pseudonyms.py alone: destroying the key is the erasure. Identifiers that have a written form are
replaced in the free text; names have none, so a reason must not hold one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from governance.custody.canonical import canonical_json
from governance.custody.keys import RELEASE
from governance.privacy.patterns import NUMBERS, ONLINE, PHONES
from governance.tenants import Release

What = Literal[
    "promotion",
    "rollback",
    "automatic return",
    "refusal",
    "signing",
    "approval",
    "key creation",
    "key rotation",
    "key revocation",
    "release revocation",
    "retention",
    "garbage collection",
    "erasure",
]

LONGEST_REASON = 600
_IDENTIFIERS = [rule for rule in (*ONLINE, *NUMBERS, *PHONES) if rule.entity in {"EMAIL", "SSN", "MRN", "PHONE"}]


def without_identifiers(text: str) -> str:
    """The text in one line, as the log takes it."""
    for rule in _IDENTIFIERS:
        text = rule.regex.sub(lambda found, entity=rule.entity: f"[{entity}]", text)  # type: ignore[misc]
    return " ".join(text.split())[:LONGEST_REASON]


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Act(BaseModel):
    """Who did what to which model, release, region, key or subject, and why.

    `who`: the approver, or the part of Pedigree that acted by itself. `pointer`: the number of the live pointer that
    the act publishes. `digests`: what was acted on, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    what: What
    who: str = Field(min_length=1, max_length=200)
    why: Annotated[str, AfterValidator(without_identifiers)] = Field(min_length=1)
    tenant: str | None = None
    model: str | None = None
    release: str | None = None
    region: str | None = None
    pointer: int | None = None
    key: str | None = None
    subject: UUID | None = None
    digests: dict[str, Sha256] = {}


RecordAct = Callable[[Act], object]
"""What an actor is given to write its acts with: `append` for this store, these keys and this run."""


def entry(act: Act, index: int, at: datetime, run: str | None, salt: str) -> bytes:
    """One line of canonical JSON: a leaf of the tree.

    A proof shows the hash of a neighbour, which may be another tenant's; the salt keeps it from being guessed.
    """
    said: dict[str, Any] = act.model_dump(mode="json", exclude_none=True)
    said |= {"index": index, "at": at.isoformat(), "salt": salt}
    return canonical_json(said | ({"run": run} if run else {}))


def publishing(release: Release, digest: str, region: str, number: int, before: str | None, who: str, why: str) -> Act:
    """The act that writes live pointer `number`; `before` is the release that answers until then."""
    older = before is not None and Release.parse(before).number > release.number
    return Act(
        what="rollback" if older else "promotion",
        who=who,
        why=why,
        tenant=release.tenant,
        model=release.model,
        release=str(release),
        region=region,
        pointer=number,
        digests={"release": digest},
    )


def returning(release: Release, region: str, why: str, digest: str | None = None, number: int | None = None) -> Act:
    """A failed probe's way back to `release` by live pointer `number`; without these, the release is withdrawn."""
    return Act(
        what="automatic return",
        who="automatic return",
        why=why,
        tenant=release.tenant,
        model=release.model,
        release=str(release),
        region=region,
        pointer=number,
        digests={"release": digest} if digest else {},
    )


def revoking(what: str, reason: str, approver: str) -> Act:
    """A release (`tenant.task@number`) or a key (`tenant.release`, `promotion`) is not believed any more.

    The reason is worded as in the pointers that go back because of it, so that those lead to this entry.
    """
    if what == "promotion":
        return Act(what="key revocation", who=approver, why=f"the promotion key was revoked: {reason}", key=what)
    if what.endswith(RELEASE):
        tenant = what.removesuffix(RELEASE)
        why = f"the release key of {tenant} was revoked: {reason}"
        return Act(what="key revocation", who=approver, why=why, tenant=tenant, key=what)
    release = Release.parse(what)
    why = f"{release} was revoked: {reason}"
    return Act(what="release revocation", who=approver, why=why, model=release.model, release=what)


@contextmanager
def refusal_recorded(record: RecordAct, release: Release, region: str, who: str) -> Iterator[None]:
    """Whatever ends the promotion that `who` approved is an entry, too; then it is raised as it was."""
    try:
        yield
    except Exception as refused:
        about = {"tenant": release.tenant, "model": release.model, "release": str(release), "region": region}
        try:
            record(Act(what="refusal", who=who, why=str(refused) or type(refused).__name__, **about))
        except Exception as unrecorded:  # the log or the store may be what refused
            refused.add_note(f"this refusal is not in the audit log: {unrecorded}")
        raise


def subject_of(said: dict[str, Any]) -> str:
    """What an entry is about, in one phrase."""
    names = [said.get(name) for name in ("release", "model", "tenant", "key", "subject")]
    thing = next((str(name) for name in names if name), "everything")
    return f"{thing} in {said['region']}" if said.get("region") else thing
