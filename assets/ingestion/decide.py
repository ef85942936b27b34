"""What the delivery sensor decides, as a function of plain values; the sensor only reads, asks it, and reports."""

from collections.abc import Iterable

from assets.ingestion.landing import ManifestObject
from assets.ingestion.requests import NEW_DELIVERY, Request


def new_deliveries(manifests: Iterable[ManifestObject], requests: Iterable[Request]) -> list[ManifestObject]:
    """The closed deliveries that no release was requested for yet, oldest first.

    Nothing is decided by time: objects of one second, and a listing that was seen before, are told apart by key and
    etag alone. A manifest that was written again with other content counts as new, so that its refusal is seen.
    """
    served = {(request.manifest_key, request.etag) for request in requests if request.cause == NEW_DELIVERY}
    unserved = {(m.key, m.etag): m for m in manifests if (m.key, m.etag) not in served}
    return sorted(unserved.values(), key=lambda manifest: (manifest.last_modified, manifest.key))
