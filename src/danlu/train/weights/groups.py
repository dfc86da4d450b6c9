"""Which weights an optimizer treats alike: hidden matrices, other matrices, and the rest, which is not decayed.

Not decayed are biases, norms and all other vectors, and embeddings: a decay shrinks a row of an embedding at every
step, though its value is seen in few of them, and a norm or a bias holds a level, not a direction.
Source: minGPT's `configure_optimizers` (biases, LayerNorm, Embedding), `rtdl_revisiting_models` 0.0.2
(`make_parameter_groups`: the tokenizer too) and timm 1.0 (`param_groups_weight_decay`: all vectors).
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from danlu.design.layers.members import MemberLinear

Group = Literal["hidden", "matrix", "rest"]
ORDER: tuple[Group, ...] = ("matrix", "hidden", "rest")  # as they lie in the flat buffers

_NOT_DECAYED = (
    nn.Embedding,
    nn.EmbeddingBag,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.modules.batchnorm._NormBase,
)
_WHOLE_MATRIX = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # others stack several matrices in one parameter


def parameter_groups(network: nn.Module) -> dict[str, Group]:
    """The group of each trainable parameter, in the network's order.

    A module names those of its own parameters that are embeddings by a class attribute `undecayed`, a tuple of names.

    Args:
        network: any module; the last matrix of its part `head`, where it has one, is its output layer.

    Returns:
        parameter → `hidden` (the matrix of a linear or convolutional layer that is not the output layer), `matrix`
        (all others of two or more dimensions that are decayed) or `rest`.
    """
    groups: dict[str, Group] = {}
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                groups[f"{path}.{name}" if path else name] = _group(module, name, parameter)
    output = f"{output_layer(network)}.weight"
    if output in groups:
        groups[output] = "matrix"
    return {name: groups[name] for name, _ in network.named_parameters() if name in groups}


def _group(module: nn.Module, name: str, parameter: nn.Parameter) -> Group:
    undecayed: tuple[str, ...] = getattr(type(module), "undecayed", ())
    if parameter.dim() < 2 or isinstance(module, _NOT_DECAYED) or name in undecayed:
        return "rest"
    return "hidden" if isinstance(module, _WHOLE_MATRIX) else "matrix"


def half_parameters(network: nn.Module) -> frozenset[str]:
    """The parameters that take part in bf16 products where a run asks for them.

    Those of linear, convolutional and recurrent layers, biases included, but not of the output layer: its products are
    small, and what a loss takes is to be exact. A layer of which a part is fixed stays as it is: its weights would be
    of two precisions. So does all of a module with the class attribute `exact`, whose layers take what they are given.
    """
    output = output_layer(network)
    exact = tuple(f"{path}." for path, module in network.named_modules() if getattr(type(module), "exact", False))
    return frozenset(
        f"{path}.{name}" if path else name
        for path, module in network.named_modules()
        if isinstance(module, (*_WHOLE_MATRIX, nn.RNNBase)) and path != output and not path.startswith(exact)
        if all(parameter.requires_grad for parameter in module.parameters(recurse=False))
        for name, _ in module.named_parameters(recurse=False)
    )


def output_layer(network: nn.Module) -> str | None:
    """The path of the last linear layer in the part `head`."""
    kinds = (*_WHOLE_MATRIX, MemberLinear)
    linear = [path for path, module in network.named_modules() if isinstance(module, kinds)]
    return next((path for path in reversed(linear) if path.startswith("head.")), None)
