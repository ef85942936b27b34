"""What the router reads of a prompt, and fingerprints are made of: its time is bounded, whatever a client sends."""

import re

CHARACTERS, WORDS = 256, 46  # of the latter: words, signs, and each character of a script without spaces
_WORD = re.compile(r"[\u3040-\u9fff]|[^\W\u3040-\u9fff]+|[^\w\s]")


def prompt_head(text: str) -> str:
    """The first WORDS of the first CHARACTERS of a prompt."""
    head = text[:CHARACTERS]
    for number, word in enumerate(_WORD.finditer(head), 1):
        if number == WORDS:
            return head[: word.end()]
    return head
