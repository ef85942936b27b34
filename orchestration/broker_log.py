"""Keeps the broker's log in S3 short: the broker deletes nothing, and lists all of a partition for whoever reads of it.

What nobody waits for any more goes; offsets stay, so who reads goes on where it was.
"""

import signal
import sys
import threading
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from governance.custody.store import ObjectStore
from orchestration.settings import load_settings
from orchestration.stack.kafka import BUCKET, shortened_file

KEPT = timedelta(seconds=90)  # no request's deadline is later than 60
LOOK_SECONDS = 5.0


def main() -> None:
    """Look until SIGTERM."""
    settings, ended = load_settings(), threading.Event()
    store = settings.store()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    while not ended.is_set():
        try:
            delete_before(store, datetime.now(UTC) - KEPT)
            shortened_file(settings).touch()
        except (BotoCoreError, ClientError) as fault:  # the next look finds what this one left
            print(f"the broker's log was not shortened: {fault}", file=sys.stderr, flush=True)
        ended.wait(LOOK_SECONDS)


def delete_before(store: ObjectStore, moment: datetime) -> None:
    """Delete the batches written before then."""
    old = [each.key for each in store.list(BUCKET, "") if each.key.endswith(".batch") and each.last_modified < moment]
    store.delete_all(BUCKET, old)


if __name__ == "__main__":
    main()
