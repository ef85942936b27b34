"""Telling a person that something failed: the log always, a webhook (a JSON `{"text": …}` POST) where one is set."""

import json
import urllib.request
from collections.abc import Callable


def alert(webhook: str | None, text: str, log: Callable[[str], None]) -> None:
    """Report `text`. A webhook that does not answer is logged, never raised: the alert must not fail the sensor."""
    log(text)
    if not webhook:
        return
    request = urllib.request.Request(
        webhook, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=5):
            pass
    except OSError as error:
        log(f"the alert webhook did not take the message: {error}")
