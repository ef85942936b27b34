"""How a region goes over to a new version: tried in the old one's shadow first, watched for its first minutes after.

The region's Triton mirrors and counts (serving/triton/backend/shadows.py); here is what its numbers mean. The gate has
judged how good a release is: the shadow finds what is broken here, so its limits are wide.
"""

import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from governance.tenants import Release
from serving.replication.probe import PROBE, PROBE_SECONDS, ProbeFailed
from serving.triton.client import RegionDown, RequestFailed, ask, status

QUIET_SECONDS = 0.5  # a model that nobody asked for so long has no traffic to mirror
FEW = 5  # of fewer requests than these, one decides about agreement and time: they are not judged
LOOK_SECONDS, MOUNT_LOOK_SECONDS = 0.25, 0.025


class Switch(BaseModel):
    """When a region switches to a new version, and when it returns from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    share: float = Field(0.2, ge=0, le=1, description="of the requests, put to the new version too; 0: no shadow")
    requests: int = Field(20, gt=0, description="mirrored ones that are enough")
    seconds: float = Field(10.0, gt=0, description="waited for them at most")
    agreement: float = Field(0.5, ge=0, le=1, description="least share that is answered with the same labels")
    slowdown: float = Field(3.0, gt=0, description="most times as long as the old version that the new one may take")
    failures: float = Field(0.02, ge=0, le=1, description="most share of requests that may fail, mirrored or live")
    watch_seconds: float = Field(120.0, ge=0, description="after the switch, in which a failing version goes back")


class TrialFailed(ProbeFailed):
    """The new version did not do in the shadow of the old one, which goes on answering."""


class FirstMinutesFailed(RuntimeError):
    """The new version answered, failed, and the region returned to the one before."""


def try_beside(address: str, release: Release, switch: Switch) -> str:
    """What the shadow showed, once that is enough, in a sentence. Raises ProbeFailed where it does not mount,
    TrialFailed."""
    seen, began = _mounted(address, release), time.monotonic()
    while not _enough(seen, time.monotonic() - began, switch):
        time.sleep(LOOK_SECONDS)
        seen = _seen(address, release) or seen
    if fault := faults(seen, switch):
        raise TrialFailed(f"{release} did not do in the shadow of the version that answers: {fault}; {told(seen)}")
    return told(seen)


def told(seen: dict[str, Any]) -> str:
    """The numbers of a trial as a sentence."""
    if not seen["asked"]:
        return "no request came that could be mirrored"
    timed = f", in {seen['slowdown']:.2f} times the time" if seen["slowdown"] else ""
    return (
        f"{seen['mirrored']} of {seen['asked']} requests were mirrored, {seen['agreed']} answered with the same "
        f"labels{timed}, {seen['failed']} failed"
    )


def faults(seen: dict[str, Any], switch: Switch) -> str:
    """What exceeds the limits; nothing where all is well."""
    mirrored, found = seen["mirrored"], []
    if seen["failed"] > switch.failures * mirrored:
        found.append(f"more than {switch.failures:.0%} failed")
    if mirrored >= FEW and seen["agreed"] < switch.agreement * mirrored:
        found.append(f"less than {switch.agreement:.0%} agree")
    if mirrored >= FEW and (seen["slowdown"] or 0) > switch.slowdown:
        found.append(f"it takes more than {switch.slowdown:g} times as long")
    return " and ".join(found)


def failing(address: str, release: Release, digest: str, switch: Switch) -> str | None:
    """Why the release that was switched to must not go on. Where nobody answers no version would, so that is none."""
    try:
        now = status(address)["models"].get(release.served_name, {})
        failed, asked = now.get("failed", 0), now.get("failed", 0) + now.get("answered", 0)
        if now.get("digest") == digest and failed > switch.failures * asked:
            return f"{failed} of its {asked} requests failed"
        reply = ask(address, release.served_name, [PROBE])
    except RegionDown:
        return None
    except RequestFailed as error:
        return str(error)
    return None if reply.release_digest == digest else f"{reply.model_version} answers in its place"


def _enough(seen: dict[str, Any], seconds: float, switch: Switch) -> bool:
    quiet = seconds >= QUIET_SECONDS and not seen["asked"]
    return quiet or seen["mirrored"] >= switch.requests or seconds >= switch.seconds


def _mounted(address: str, release: Release) -> dict[str, Any]:
    """The trial as it begins."""
    deadline = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < deadline:
        if seen := _seen(address, release):
            if seen["refused"]:
                raise ProbeFailed(f"Triton does not mount {release}: {seen['refused']}")
            return seen
        time.sleep(MOUNT_LOOK_SECONDS)
    raise ProbeFailed(f"{address} did not mount {release} within {PROBE_SECONDS:.0f} s")


def _seen(address: str, release: Release) -> dict[str, Any] | None:
    """What Triton counted of the trial; None where it does not try the release, or does not say."""
    try:
        seen = status(address)["models"].get(release.served_name, {}).get("shadow")
    except RequestFailed:
        return None
    return dict(seen) if seen and seen["release"] == str(release) else None
