"""Sentences whose label one word gives away."""

import random

from assets.training.split import Examples


def sentences(rows: int, seed: int, labels: tuple[str, ...] = ("card", "loan")) -> Examples:
    """`rows` short sentences of differing length, each with one word that gives its label away."""
    words = {"card": ["plastic", "chip"], "loan": ["mortgage", "interest"], "app": ["password", "screen"]}
    filler = ["please", "tell", "me", "about", "my", "new", "one", "today", "because", "it", "is", "late"]
    draw = random.Random(seed)
    chosen = [labels[i % len(labels)] for i in range(rows)]
    texts = []
    for label in chosen:
        sentence = draw.sample(filler, draw.randint(2, 7))
        sentence.insert(draw.randint(0, len(sentence)), draw.choice(words[label]))
        texts.append(" ".join(sentence))
    return Examples(texts=texts, labels=chosen)
