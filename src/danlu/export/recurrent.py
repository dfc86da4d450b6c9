"""Plain recurrent layers in ONNX: torch's exporter would write every step by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Operations of torch that its exporter has no ONNX for → what writes them."""
    import torch

    return {torch.ops.aten.rnn_tanh.input: _rnn}


def _rnn(
    input: Any,
    hx: Any,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, Any]:
    """One node `RNN` for each layer of one direction, with biases and the batch first, as `Recurrent` has them.

    Named as torch names the arguments of `aten::rnn_tanh.input`.
    """
    from onnxscript import opset20

    op: Any = opset20
    assert has_biases, "Recurrent has biases"
    assert batch_first, "Recurrent has the batch first"
    assert not bidirectional, "Recurrent has a layer for each direction"
    steps_TBC, ends = op.Transpose(input, perm=[1, 0, 2]), []
    for layer in range(num_layers):
        weights, states, bias, other_bias = params[4 * layer : 4 * layer + 4]
        first_1BD = op.Slice(hx, [layer], [layer + 1], [0])
        steps_T1BD, end_1BD = op.RNN(
            steps_TBC,
            op.Unsqueeze(weights, [0]),
            op.Unsqueeze(states, [0]),
            op.Unsqueeze(op.Concat(bias, other_bias, axis=0), [0]),
            None,
            first_1BD,
            hidden_size=hx.shape[2],
        )
        steps_TBC = op.Squeeze(steps_T1BD, [1])
        ends.append(end_1BD)
    last = ends[0] if len(ends) == 1 else op.Concat(*ends, axis=0)
    return op.Transpose(steps_TBC, perm=[1, 0, 2]), last
