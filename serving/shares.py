"""Who has less than an equal part of what is held or in work: such a tenant need not wait for the others."""

from collections import Counter


def has_less(counts: Counter[str], tenant: str) -> bool:
    """Whether the tenant counts less than an equal part of all, itself among those who share."""
    return counts[tenant] * len({*counts, tenant}) < counts.total()
