"""Packed weights: the same answers and the same derivatives as the plain product; what is trained is left alone."""

import torch
from torch import nn

from serving.engine.packed import pack, pack_frozen


def test_packed_weights_answer_as_the_plain_ones_do() -> None:
    torch.manual_seed(2)
    linear, rows = nn.Linear(48, 20), torch.randn(3, 5, 48)
    wanted = linear(rows)
    pack(linear)
    torch.testing.assert_close(linear(rows), wanted, atol=1e-5, rtol=0)
    assert linear.weight.numel() == 0  # held once


def test_what_lies_before_frozen_weights_is_trained_as_before() -> None:
    torch.manual_seed(3)
    model, rows = nn.Sequential(nn.Linear(16, 48), nn.GELU(), nn.Linear(48, 7)), torch.randn(5, 4, 16)
    model[2].requires_grad_(False)
    plain = _step(model, rows)
    pack_frozen(model)
    for packed, wanted in zip(_step(model, rows), plain, strict=True):
        torch.testing.assert_close(packed, wanted, atol=1e-5, rtol=0)


def test_weights_that_are_trained_are_not_packed() -> None:
    model, rows = nn.Sequential(nn.Linear(8, 8)), torch.randn(2, 8)
    pack_frozen(model)
    with torch.no_grad():
        model[0].weight.zero_()
    torch.testing.assert_close(model(rows), model[0].bias.expand(2, 8))


def test_bfloat16_answers_as_before_in_bfloat16() -> None:
    torch.manual_seed(4)
    linear, rows = nn.Linear(48, 20).to(torch.bfloat16), torch.randn(3, 5, 48, dtype=torch.bfloat16)
    wanted = linear(rows)
    pack(linear)
    assert linear(rows).dtype == torch.bfloat16
    torch.testing.assert_close(linear(rows), wanted, atol=2**-8, rtol=2**-7)  # one step of its eight bits
    assert linear.weight.numel() == (0 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else 20 * 48)


def _step(model: nn.Sequential, rows: torch.Tensor) -> list[torch.Tensor]:
    """The answer, and the derivative of its squares by the first weights."""
    model.zero_grad()
    answer = model(rows)
    answer.square().sum().backward()
    return [answer.detach(), model[0].weight.grad.clone()]
