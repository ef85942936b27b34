"""The clock by which a client of the trust repository judges what has expired, set wrong."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import SimpleNamespace

import pytest
from tuf.ngclient._internal import trusted_metadata_set


class Clock:
    """In the place of `datetime`."""

    def __init__(self, shift: timedelta) -> None:
        self.shift = shift

    def now(self, zone: tzinfo = UTC) -> datetime:
        return datetime.now(zone) + self.shift


def set_clock(monkeypatch: pytest.MonkeyPatch, shift: timedelta) -> None:
    """The client's clock is wrong by `shift`."""
    shifted = SimpleNamespace(datetime=Clock(shift), timezone=timezone)
    monkeypatch.setattr(trusted_metadata_set, "datetime", shifted)
