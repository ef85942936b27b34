"""What a fairness filter is asked to keep: which candidates form groups, and each group's share of the top."""

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from governance.tenants import Declared

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class FairnessRules(Declared):
    """`groups`: group → names of its candidates; a candidate in none is bound by nothing.

    `at_least`, `at_most`: group → its share of every prefix of the first `top` places, rounded down and up.
    """

    groups: dict[Name, frozenset[Name]]
    at_least: dict[Name, Share] = Field(default_factory=dict)
    at_most: dict[Name, Share] = Field(default_factory=dict)
    top: int = Field(10, ge=1, le=1000)

    @model_validator(mode="after")
    def can_be_kept(self) -> "FairnessRules":
        if unknown := sorted((self.at_least.keys() | self.at_most.keys()) - self.groups.keys()):
            raise ValueError(f"shares of groups {unknown}, declared are {sorted(self.groups)}")
        names = [name for members in self.groups.values() for name in members]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice} are in two groups; a candidate has one")
        if sum(self.at_least.values()) > 1:
            raise ValueError(f"the smallest shares add up to {sum(self.at_least.values()):.2f}, more than the whole")
        if crossed := sorted(name for name, low in self.at_least.items() if low > self.at_most.get(name, 1)):
            raise ValueError(f"groups {crossed} must have more than they may have")
        return self

    def group_of(self, name: str) -> str | None:
        return next((group for group, members in self.groups.items() if name in members), None)
