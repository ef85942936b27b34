"""The made-up documents: the same from the same seed, every mark on the letters it names, no kind in two uses."""

import os
import subprocess
import sys

from assets.detection.examples.generate import generate, kinds, manual, varied
from governance.privacy.labels import ENTITIES
from governance.privacy.tagger.tokens import tokenize


def test_the_same_seed_gives_the_same_documents() -> None:
    assert list(generate(200, 3)) == list(generate(200, 3)) != list(generate(200, 4))


def test_another_process_draws_the_same_documents() -> None:
    """Also one that orders its sets otherwise."""
    code = "from assets.detection.examples.generate import generate; print(list(generate(400, 3)))"
    said = [
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
        for seed in ("1", "2")
    ]
    assert said[0].stdout == said[1].stdout != b""


def test_every_mark_lies_on_an_identifier_and_on_nothing_else() -> None:
    for example in [e for use in ("train", "develop", "held") for e in generate(600, 5, use)]:
        for span in example.spans:
            written = example.text[span.start : span.end]
            assert written == written.strip() != "" and span.label in ENTITIES, (example.text, span)
        assert "{" not in example.text.replace('{"', "") or '"' in example.text, example.text


def test_a_kind_that_judges_is_never_trained_on() -> None:
    trained, judging = ({e.source for e in generate(2000, 1, use)} for use in ("train", "held"))
    assert trained and judging and not trained & judging
    assert {k.use for k in kinds()} == {"train", "develop", "held"}


def test_the_kinds_hold_every_entity_that_the_tagger_learns() -> None:
    assert {s.label for e in generate(4000, 1) for s in e.spans} == set(ENTITIES)


def test_varied_examples_keep_their_marks() -> None:
    examples = list(generate(300, 8))
    for one, other in zip(examples, varied(examples, 2), strict=True):
        assert [s.label for s in other.spans] == [s.label for s in sorted(one.spans, key=lambda s: s.start)]


def test_the_manual_names_nobody_and_is_read_whole() -> None:
    pages = list(manual(20, 1))
    assert all(not page.spans and tokenize(page.text).spans for page in pages)
