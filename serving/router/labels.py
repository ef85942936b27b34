"""A model's labels in order, as a client sees them: by score, or through the fairness filter declared for the model."""

from collections.abc import Mapping

from governance.fairness.audit import BiasAudit
from governance.fairness.filter import Candidate, Placed, fair
from governance.fairness.rules import FairnessRules
from serving.router.policy_file import Declaration


def ranked_labels(
    scores: Mapping[str, float], model: str, digest: str, declared: Declaration
) -> tuple[list[Placed], BiasAudit | None]:
    """`scores`: label → probability, by the release of `digest` of `model` (`tenant/task`).

    The record is for the audit log; None where no rules are declared for the model. Raises FilterRefused.
    """
    rules = declared.routing.fairness.get(model)
    candidates = [Candidate(label, score) for label, score in scores.items()]
    placed, audit = fair(rules or FairnessRules(groups={}))(candidates, digest)
    return placed, audit if rules else None
