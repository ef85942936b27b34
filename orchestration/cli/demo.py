"""demo: the whole story on a stack of its own."""

import signal
import sys

from rich.console import Console


def demo() -> None:
    """Three tenants, from delivery to answers in three regions, drift, a stopped release, rollback, trace."""
    from orchestration.demo.story import tell

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an ended demo stops its stack too
    tell(Console())
