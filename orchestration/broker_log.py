"""Keeps the broker's log in S3 short: the broker deletes nothing, and lists all of a partition for whoever reads of it.

Requests and replies go when nobody can wait for them any more, dead letters after a week. Offsets stay, so who reads
goes on where it was.
"""

import signal
import sys
import threading
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from governance.custody.store import ObjectStore, StoreError
from orchestration.settings import load_settings
from orchestration.stack.kafka import BUCKET, CLUSTER, shortened_file
from serving.gateway.settings import GatewaySettings
from serving.messages import DEAD_LETTERS, REPLIES, REQUESTS

SPARE = timedelta(seconds=30)  # beyond the latest deadline of a request
DEAD_LETTERS_KEPT = timedelta(days=7)
LOOK_SECONDS = 10.0  # each look lists the whole log


def main() -> None:
    """Look until SIGTERM."""
    settings, ended = load_settings(), threading.Event()
    store, awaited = settings.store(), timedelta(seconds=GatewaySettings().longest_deadline) + SPARE
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    while not ended.is_set():
        try:
            shorten(store, datetime.now(UTC), awaited)
            shortened_file(settings).touch()
        except (BotoCoreError, ClientError, StoreError) as fault:  # the next look finds what this one left
            print(f"the broker's log was not shortened: {fault}", file=sys.stderr, flush=True)
        ended.wait(LOOK_SECONDS)


def shorten(store: ObjectStore, now: datetime, awaited: timedelta) -> None:
    """Delete the batches that are too old. awaited: how long a request or reply may be waited for."""
    for topic, kept in {REQUESTS: awaited, REPLIES: awaited, DEAD_LETTERS: DEAD_LETTERS_KEPT}.items():
        batches = (each for each in store.list(BUCKET, topic_prefix(topic)) if each.key.endswith(".batch"))
        store.delete_all(BUCKET, [each.key for each in batches if each.last_modified < now - kept])


def topic_prefix(topic: str) -> str:
    """Where the broker keeps a topic."""
    return f"clusters/{CLUSTER}/topics/{topic}/"


if __name__ == "__main__":
    main()
