"""Convolutions over the steps of series, some of which end early, and over pictures.

Shapes: B batch, T steps, H height, W width, C channels in, D channels out, K steps that a kernel covers.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

_VECTOR = 16  # numbers of 32 bits in the widest vector of a processor


class Conv1d(nn.Conv1d):
    """y_t = b + Σ_k W_k x_{t+k−K/2}, in the precision of its own weights; as many steps come out as go in.

    Before the first step and after the last one stand zeros: half of K − 1 on either side, or all of them before
    where it is causal.

    Args:
        in_dim: C.
        out_dim: D.
        kernel: K, odd but where it is causal.
        dilation: distance of the steps that a kernel covers.
        causal: whether a step sees only those before it, and itself.
        bias: whether there is a b.
    """

    def __init__(
        self, in_dim: int, out_dim: int, kernel: int, *, dilation: int = 1, causal: bool = False, bias: bool = True
    ) -> None:
        reach = (kernel - 1) * dilation
        super().__init__(in_dim, out_dim, kernel, dilation=dilation, bias=bias, padding=0 if causal else reach // 2)
        self.before = reach if causal else 0
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, values_BCT: Tensor) -> Tensor:
        """(B, C, T) → (B, D, T)."""
        values_BCT = values_BCT.to(self.weight.dtype)
        if self.before:
            values_BCT = functional.pad(values_BCT, (self.before, 0))
        return super().forward(values_BCT)


class Conv2d(nn.Conv2d):
    """A 3 × 3 convolution without bias, in the precision of its own weights; zeros stand around what goes in."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__(in_dim, out_dim, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, D, H, W)."""
        return super().forward(values_BCHW.to(self.weight.dtype))


class Thinned(nn.Conv2d):
    """A 1 × 1 convolution with a stride: what the stride leaves out is left out before it. The same numbers."""

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, D, H / stride, W / stride)."""
        down, right = self.stride
        return functional.conv2d(values_BCHW[:, :, ::down, ::right], self.weight, self.bias)


def thinned(module: nn.Module) -> None:
    """Make the module's 1 × 1 convolutions of few channels with a stride `Thinned`, parameters and names as they are.

    Where the channels lie last and are fewer than fill a vector, torch's own writes beyond its memory while it computes
    the gradient of their weights: oneDNN 3.12, https://github.com/uxlfoundation/oneDNN/issues/6035. With more channels
    torch's own is right, and faster.
    """
    for layer in module.modules():
        if type(layer) is not nn.Conv2d or layer.kernel_size != (1, 1) or layer.stride == (1, 1):
            continue
        if layer.in_channels < _VECTOR and layer.groups == 1 and layer.padding == (0, 0):
            layer.__class__ = Thinned


def present_as(mask_BT: Tensor | None, values: Tensor) -> Tensor | None:
    """(B, T) bool as (B, 1, T) of the values' precision: 1 for steps that are there; None where all are."""
    return None if mask_BT is None else mask_BT.unsqueeze(1).to(values.dtype)


def kept(values_BCT: Tensor, present_B1T: Tensor | None) -> Tensor:
    """Values with zeros for padding, as before the first step and after the last one."""
    return values_BCT if present_B1T is None else values_BCT * present_B1T
