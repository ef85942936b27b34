"""How many names a metric's label may take."""

from collections.abc import Callable


def bounded(most: int) -> Callable[[str], str]:
    """A function that gives back the first `most` different names that it hears, and `other` for all further ones."""
    known: set[str] = set()

    def label(name: str) -> str:
        if name not in known and len(known) >= most:
            return "other"
        known.add(name)
        return name

    return label
