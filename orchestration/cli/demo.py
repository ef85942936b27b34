"""demo: the whole story on a stack of its own."""

from rich.console import Console


def demo() -> None:
    """Three tenants, from delivery to answers in three regions, drift, a stopped release, rollback, trace."""
    from orchestration.demo.story import tell

    tell(Console())
