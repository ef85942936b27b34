"""The bias audit record: who ranked, by which rules, and what each group's visibility was before and after.

Counts by group only: no candidate's name and nothing of a request, so the record may be kept as long as the audit
log. Exposure is the sum of 1 / log2(1 + place) over a group's candidates (Singh, Joachims 2018, arXiv 1802.07281), as a
share of the exposure that all candidates have.
"""

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from governance.custody.canonical import canonical_json, sha256_document
from governance.fairness.rules import FairnessRules
from governance.tenants import Declared

Number = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda value: round(value, 6))]


class GroupExposure(Declared):
    """`exposure_…`: share of all exposure, by score and as re-ranked. `top_…`: candidates in the first places."""

    group: str
    candidates: int
    exposure_before: Number
    exposure_after: Number
    top_before: int
    top_after: int


class BiasAudit(Declared):
    """`moved`: candidates that stand elsewhere than by score alone."""

    about: str
    rules_sha256: str
    candidates: int
    top: int
    moved: int
    groups: tuple[GroupExposure, ...]

    def canonical(self) -> bytes:
        """The bytes that an audit log keeps."""
        return canonical_json(self.model_dump(mode="json"))


def audit_of(about: str, rules: FairnessRules, places: Sequence[tuple[str | None, int, int]]) -> BiasAudit:
    """From each candidate's group, place by score and place as re-ranked."""
    declared = rules.model_dump(mode="json")
    declared["groups"] = {group: sorted(names) for group, names in rules.groups.items()}
    return BiasAudit(
        about=about,
        rules_sha256=sha256_document(declared),
        candidates=len(places),
        top=rules.top,
        moved=sum(before != after for _, before, after in places),
        groups=tuple(_exposure(group, rules.top, places) for group in sorted(rules.groups)),
    )


def _exposure(group: str, top: int, places: Sequence[tuple[str | None, int, int]]) -> GroupExposure:
    own = [(before, after) for named, before, after in places if named == group]
    everything = sum(_seen(after) for _, _, after in places) or 1.0
    return GroupExposure(
        group=group,
        candidates=len(own),
        exposure_before=sum(_seen(before) for before, _ in own) / everything,
        exposure_after=sum(_seen(after) for _, after in own) / everything,
        top_before=sum(before <= top for before, _ in own),
        top_after=sum(after <= top for _, after in own),
    )


def _seen(place: int) -> float:
    return 1 / math.log2(1 + place)
