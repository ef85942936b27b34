"""Whether the region's Triton answers with the release that it was switched to."""

import time

from governance.tenants import Release
from serving.triton.client import Reply, RequestFailed, ask, status

PROBE = "Is this the release that was promoted?"
PROBE_SECONDS = 60.0
LOOK_SECONDS = 0.05


class ProbeFailed(RuntimeError):
    """The region did not come to answer with the release."""


def probe(address: str, release: Release, digest: str, patience: float = PROBE_SECONDS) -> Reply:
    """Ask until the release of this digest answers. Raises ProbeFailed with Triton's own reason, or the last answer."""
    deadline, last = time.monotonic() + patience, "no answer"
    while time.monotonic() < deadline:
        try:
            reply = ask(address, release.served_name, [PROBE])
            if reply.release_digest == digest:
                return reply
            last = f"it answers with {reply.model_version}"
            refused = status(address)["models"].get(release.served_name, {}).get("refused")
            if refused and refused["version"] == release.number:
                raise ProbeFailed(f"Triton does not mount {release}: {refused['reason']}")
        except RequestFailed as error:
            last = str(error)
        time.sleep(LOOK_SECONDS)
    raise ProbeFailed(f"{address} did not answer with {release} within {patience:.0f} s ({last})")
