"""The gate report as a document: canonical JSON, rounded numbers, no NaN. What follows from it is rules.py."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from governance.custody.canonical import canonical_json
from governance.gate.labels import COLLAPSE, speaks_of_other_labels
from governance.gate.latency import is_slow
from governance.gate.noninferiority import Verdict

Number = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda value: round(value, 6))]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SetName = Literal["golden", "new"]
LIVE: Final = "live champion"
BEST: Final = "best-ever champion"
LIVE_AND_BEST: Final = "live and best-ever champion"
BASELINE: Final = "frozen base with linear head"
Against = Literal["live champion", "best-ever champion", "live and best-ever champion", "frozen base with linear head"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class Judged(Section):
    """What the report speaks of: `adapter` is the digest of the lora_adapter record."""

    release: str
    adapter: Sha256
    base: Sha256


class EvaluationSet(Section):
    name: SetName
    sha256: Sha256
    rows: int
    subjects: int
    labels: int


class Metric(Section):
    """candidate − champion with one-sided 95 % bounds; margin 0 asks for an improvement."""

    metric: Literal["macro F1", "accuracy"]
    candidate: Number
    champion: Number
    difference: Number
    lower: Number
    upper: Number
    margin: Number
    verdict: Verdict


class Power(Section):
    rows: int
    subjects: int
    rows_needed: int
    subjects_needed: int
    discordance: Number

    @property
    def sufficient(self) -> bool:
        return self.rows >= self.rows_needed and self.subjects >= self.subjects_needed


class Comparison(Section):
    """One opponent on one set. `unknown_labels`: labels that the champion lacks → rows that bear them."""

    against: Literal[
        "live champion", "best-ever champion", "live and best-ever champion", "frozen base with linear head"
    ]
    champion: str
    champion_sha256: Sha256
    evaluation_set: SetName
    metrics: tuple[Metric, ...]
    power: Power
    unknown_labels: dict[str, int] = {}


class LabelScore(Section):
    """F1 of one label on one set: candidate, and the first champion."""

    evaluation_set: SetName
    label: str
    rows: int
    candidate: Number
    champion: Number


class Latency(Section):
    """Milliseconds of single requests; `ratio` of p95. None where there was nobody to compare with."""

    against: str | None
    pairs: int
    candidate_p50: Number
    candidate_p95: Number
    champion_p50: Number | None = None
    champion_p95: Number | None = None
    ratio: Number | None = None
    lower: Number | None = None
    upper: Number | None = None
    limit: Number

    @property
    def slow(self) -> bool:
        return self.ratio is not None and self.lower is not None and is_slow(self.ratio, self.lower, self.limit)


class BiasGroup(Section):
    name: str
    rows: int
    accuracy: Number
    difference: Number | None
    lower: Number | None
    upper: Number | None


class Bias(Section):
    method: Literal["group difference", "gender swap", "not measurable"]
    column: str | None
    rows: int
    difference: Number
    upper: Number
    limit: Number
    exceeded: bool
    blocking: bool
    groups: tuple[BiasGroup, ...]


class LabelDrift(Section):
    champion: str
    golden: Number
    new: Number
    drop: Number
    lower: Number
    unknown_rows: int
    new_rows: int

    @property
    def relabelled(self) -> bool:
        return speaks_of_other_labels(self.unknown_rows, self.new_rows)

    @property
    def collapsed(self) -> bool:
        return self.relabelled or self.lower > COLLAPSE


class GateReport(Section):
    """Everything the gate measured for one candidate, and its verdict."""

    schema_: Literal["pedigree/gate/v1"] = Field("pedigree/gate/v1", alias="schema")
    subject: Judged
    sets: tuple[EvaluationSet, ...]
    comparisons: tuple[Comparison, ...]
    label_scores: tuple[LabelScore, ...]
    latency: Latency
    bias: Bias
    label_drift: LabelDrift | None
    environment: dict[str, str | int]
    passed: bool
    reasons: tuple[str, ...]

    @property
    def macro_f1(self) -> float:
        """The candidate's on the golden set; on its own held-out rows for a first release."""
        return self._metric("macro F1")

    @property
    def accuracy(self) -> float:
        return self._metric("accuracy")

    @property
    def improvement(self) -> bool:
        """More than parity: better in macro F1 than every opponent on every set."""
        return all(m.verdict == "improvement" for _, m in self.each_metric() if m.metric == "macro F1")

    def each_metric(self) -> list[tuple[Comparison, Metric]]:
        return [(comparison, metric) for comparison in self.comparisons for metric in comparison.metrics]

    def canonical(self) -> bytes:
        return canonical_json(self.model_dump(mode="json", by_alias=True))

    def _metric(self, name: str) -> float:
        return next(metric.candidate for _, metric in self.each_metric() if metric.metric == name)
