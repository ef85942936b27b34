"""Labels come by score, or through the filter that is declared for their model, which leaves a record."""

from serving.router import Declaration, Routing, ranked_labels

DECLARED = Declaration(
    Routing.model_validate(
        {
            "format": "pedigree/routing/v1",
            "version": 1,
            "policies": {"default": {}},
            "fairness": {"acme/offers": {"groups": {"loans": ["loan", "mortgage"]}, "at_least": {"loans": 0.5}}},
        }
    ),
    "f" * 64,
)
SCORES = {"card": 0.5, "account": 0.3, "loan": 0.15, "mortgage": 0.05}


def test_a_model_without_rules_ranks_by_score_and_leaves_no_record() -> None:
    placed, audit = ranked_labels(SCORES, "acme/intents", "d" * 64, DECLARED)
    assert [each.name for each in placed] == list(SCORES) and audit is None


def test_a_model_with_rules_is_filtered_and_the_record_names_its_release() -> None:
    placed, audit = ranked_labels(SCORES, "acme/offers", "d" * 64, DECLARED)
    assert [each.name for each in placed] == ["card", "loan", "account", "mortgage"]
    assert audit is not None and audit.about == "d" * 64 and audit.moved == 2
