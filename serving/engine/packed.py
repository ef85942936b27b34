"""Products of frozen weights in oneDNN's own layout: on a CPU a third more rows a second than by the plain ones.

docs/decisions/2026-11-28-packed-weights.md has the measurements. torch gives the operators no public name; its compiler
calls them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Product = Callable[[Tensor], Tensor]


def pack(linear: nn.Linear) -> None:
    """Let `linear` answer with packed weights, and let the plain ones go; as before where nothing is to be gained."""
    if _gains(linear.weight):
        linear.forward = _packed(linear.weight, linear.bias)  # type: ignore[assignment]
        linear.weight.data = linear.weight.new_empty(0)


def pack_frozen(model: nn.Module) -> None:
    """Pack the linear modules of `model` whose weights are not trained; what lies before them can still be trained.

    The plain weights stay beside the packed ones.
    """
    for linear in model.modules():
        if isinstance(linear, nn.Linear) and not linear.weight.requires_grad and _gains(linear.weight):
            linear.forward = _differentiable(linear)  # type: ignore[assignment]


def _gains(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return weight.dtype is torch.float32 or bool(
        weight.dtype is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def _packed(weight: Tensor, bias: Tensor | None = None) -> Product:
    held = torch.ops.mkldnn._reorder_linear_weight(weight.detach())

    def product(rows: Tensor) -> Tensor:
        answer: Tensor = torch.ops.mkldnn._linear_pointwise(rows.contiguous(), held, bias, "none", [], "")
        return answer

    return product


def _differentiable(linear: nn.Linear) -> Product:
    """With a derivative by the rows: by the product with the transposed weights."""
    there, back = _packed(linear.weight, linear.bias), _packed(linear.weight.detach().T.contiguous())

    def product(rows: Tensor) -> Tensor:
        answer: Tensor = _Frozen.apply(rows, there, back)
        return answer

    return product


class _Frozen(torch.autograd.Function):
    """rows → there(rows), whose derivative is gradient → back(gradient)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, there: Product, back: Product) -> Tensor:
        ctx.back = back
        return there(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return ctx.back(gradients[0]), None, None
