"""Keeps the broker's log in S3 short: the broker deletes nothing, and lists all of a partition for whoever reads of it.

Requests and replies that nobody waits for any more go; offsets stay, so who reads goes on where it was. Dead letters
are for people, and stay too.
"""

import signal
import sys
import threading
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from governance.custody.store import ObjectStore
from orchestration.settings import load_settings
from orchestration.stack.kafka import BUCKET, CLUSTER, shortened_file
from serving.gateway.settings import GatewaySettings
from serving.messages import REPLIES, REQUESTS

SPARE = timedelta(seconds=30)  # beyond the latest deadline of a request
LOOK_SECONDS = 5.0


def main() -> None:
    """Look until SIGTERM."""
    settings, ended = load_settings(), threading.Event()
    store, kept = settings.store(), timedelta(seconds=GatewaySettings().longest_deadline) + SPARE
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    while not ended.is_set():
        try:
            delete_before(store, datetime.now(UTC) - kept)
            shortened_file(settings).touch()
        except (BotoCoreError, ClientError) as fault:  # the next look finds what this one left
            print(f"the broker's log was not shortened: {fault}", file=sys.stderr, flush=True)
        ended.wait(LOOK_SECONDS)


def delete_before(store: ObjectStore, moment: datetime) -> None:
    """Delete the batches of requests and replies that were written before then."""
    for topic in (REQUESTS, REPLIES):
        batches = (each for each in store.list(BUCKET, topic_prefix(topic)) if each.key.endswith(".batch"))
        store.delete_all(BUCKET, [each.key for each in batches if each.last_modified < moment])


def topic_prefix(topic: str) -> str:
    """Where the broker keeps a topic."""
    return f"clusters/{CLUSTER}/topics/{topic}/"


if __name__ == "__main__":
    main()
