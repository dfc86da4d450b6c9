"""Every optimizer against torch's own, step by step, in float64; and which weights it decays."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from danlu import catalog
from danlu.design import design
from danlu.train.weights.flat import FlatParameters
from danlu.train.weights.groups import parameter_groups
from danlu.train.weights.muon import Muon, orthogonalize
from danlu.train.weights.optimizers import Adagrad, Adam, AdamW, Optimizer, RmsProp, Sgd, segments
from tests.small import frame, recipe, schema

OPTIMIZERS = [name for name in catalog.names("optimizers") if name != "auto"]
Reference = Callable[[list[nn.Parameter]], Any]
PAIRS: list[tuple[Optimizer, Reference]] = [
    (Sgd(lr=0.05, momentum=0.0), lambda p: torch.optim.SGD(p, lr=0.05)),
    (
        Sgd(lr=0.05, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1),
    ),
    (
        Sgd(lr=0.05, nesterov=True, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    ),
    (Adam(lr=0.01, weight_decay=0.1), lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1)),
    (AdamW(lr=0.01, betas=(0.8, 0.99)), lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.01)),
    (RmsProp(lr=0.01, weight_decay=0.1), lambda p: torch.optim.RMSprop(p, lr=0.01, weight_decay=0.1)),
    (RmsProp(lr=0.01, momentum=0.5), lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5)),
    (Adagrad(lr=0.05), lambda p: torch.optim.Adagrad(p, lr=0.05)),
    (Adagrad(lr=0.05, weight_decay=0.1), lambda p: torch.optim.Adagrad(p, lr=0.05, weight_decay=0.1)),
]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    # A bias before a norm has gradients of rounding errors only, which some optimizers blow up.
    layers = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))
    return layers.double()


def run(left: nn.Module, ours: Optimizer, right: nn.Module, step: Callable[[int], None], num_steps: int = 20) -> None:
    """The same steps by ours on the left and by `step` on the right."""
    flat = FlatParameters(left)
    slots = {name: torch.zeros_like(flat.values) for name in ours.slots}
    parts = segments(flat, slots, ours, decay_all=True)  # as torch's own do
    generator = torch.Generator().manual_seed(1)
    for count in range(1, num_steps + 1):
        inputs = torch.randn(8, 2, 4, 4, generator=generator, dtype=torch.float64)
        flat.gradients.zero_()
        right.zero_grad()
        left(inputs).square().mean().backward()
        right(inputs).square().mean().backward()
        with torch.no_grad():
            for part in parts:
                ours.step(part, ours.lr, count)
            step(count)


def same(left: nn.Module, right: nn.Module, rtol: float = 1e-12) -> None:
    for a, b in zip(left.parameters(), right.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[f"{type(a).__name__}-{i}" for i, (a, _) in enumerate(PAIRS)])
def test_twenty_steps_equal_torchs(ours: Optimizer, theirs: Reference) -> None:
    left, right = network(), network()
    reference = theirs(list(right.parameters()))
    run(left, ours, right, lambda _: reference.step())
    same(left, right)


def test_every_optimizer_is_held_against_another() -> None:
    tested = {type(ours) for ours, _ in PAIRS} | {Muon}
    assert {catalog.find("optimizers", name) for name in OPTIMIZERS} == tested


def newton_schulz(gradient: Tensor) -> Tensor:
    """As its authors write it (muon.py of KellerJordan/Muon), without the bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = gradient.T if gradient.shape[0] > gradient.shape[1] else gradient
    x = x / (x.norm() + 1e-300)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if gradient.shape[0] > gradient.shape[1] else x


@pytest.mark.parametrize(("nesterov", "scale"), [(True, "adamw"), (True, "original"), (False, "adamw")])
def test_muon_is_its_authors_for_matrices_and_adamw_for_the_rest(nesterov: bool, scale: str) -> None:
    ours = Muon(lr=0.02, nesterov=nesterov, scale=scale, weight_decay=0.1, adamw_lr=0.003)  # type: ignore[arg-type]
    left, right = network(), network()
    matrices = [parameter for parameter in right.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in right.parameters() if parameter.dim() < 2]
    rest = torch.optim.AdamW(others, lr=0.003, weight_decay=0.1)
    means = [torch.zeros_like(parameter) for parameter in matrices]

    def step(_: int) -> None:
        rest.step()
        for parameter, mean in zip(matrices, means, strict=True):
            assert parameter.grad is not None
            mean.mul_(0.95).add_(parameter.grad, alpha=0.05)
            move = 0.05 * parameter.grad + 0.95 * mean if nesterov else mean
            flat = move.reshape(len(move), -1)
            rows, columns = flat.shape
            factor = 0.2 * math.sqrt(max(rows, columns)) if scale == "adamw" else max(1.0, rows / columns) ** 0.5
            parameter.mul_(1 - 0.02 * 0.1).sub_(0.02 * factor * newton_schulz(flat).view_as(parameter))

    run(left, ours, right, step)
    same(left, right, 1e-9)


@pytest.mark.parametrize(("scale", "theirs"), [("adamw", "match_rms_adamw"), ("original", "original")])
def test_muon_is_torchs_but_for_its_bfloat16(scale: str, theirs: str) -> None:
    layers = [nn.Sequential(nn.Flatten(), nn.Linear(32, 8, bias=False)).double() for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    start = layers[0][1].weight.detach().clone()
    reference = torch.optim.Muon(layers[1].parameters(), lr=0.02, weight_decay=0.1, adjust_lr_fn=theirs)
    run(layers[0], Muon(lr=0.02, weight_decay=0.1, scale=scale), layers[1], lambda _: reference.step(), 10)  # type: ignore[arg-type]
    left, right = (one[1].weight.detach() - start for one in layers)
    assert torch.norm(left - right) < 0.02 * torch.norm(right)


def test_an_orthogonal_step_has_singular_values_near_one() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((8, 30), (30, 8), (5, 5)):
        matrix = torch.randn(*shape, generator=generator, dtype=torch.float64)
        values = torch.linalg.svdvals(orthogonalize(matrix, 8))
        assert values.min() > 0.6
        assert values.max() < 1.3
    assert not orthogonalize(torch.zeros(3, 4), 5).any()


def decayed(optimizer: Optimizer, layers: nn.Module, *, decay_all: bool = False) -> set[str]:
    """The parameters that one step without gradients changes."""
    before = {name: parameter.detach().clone().fill_(1.0) for name, parameter in layers.named_parameters()}
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.fill_(1.0)
    flat = FlatParameters(layers)
    slots = {name: torch.zeros_like(flat.values) for name in optimizer.slots}
    with torch.no_grad():
        for part in segments(flat, slots, optimizer, decay_all=decay_all):
            optimizer.step(part, optimizer.lr, 1)
    return {name for name, parameter in layers.named_parameters() if not torch.equal(parameter, before[name])}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_norms_biases_and_embeddings_are_not_decayed(name: str) -> None:
    optimizer = catalog.find("optimizers", name)(weight_decay=0.5)
    network = design(
        recipe(design={"encoders": {"image": "cnn"}, "head": {"num_layers": 1, "width": 8}}), schema(frame())
    )
    groups = parameter_groups(network)
    assert {name for name, group in groups.items() if group == "matrix"} == {
        "encoders.0.table.numbers.weight",  # a matrix for each number, stacked
        "head.1.weight",  # the output layer
    }
    assert {name for name, group in groups.items() if group == "hidden"} == {
        *(f"encoders.0.dense.layers.{index}.weight" for index in (0, 3)),
        *(name for name in groups if name.startswith("encoders.1") and name.endswith("weight") and ".2." not in name),
        "head.0.layers.0.weight",
    }
    matrices = {name for name, group in groups.items() if group != "rest"}
    assert decayed(optimizer, network) == matrices
    assert {
        "encoders.0.table.missing",
        "encoders.0.table.categories.weight",
        "encoders.0.table.numbers.frequency",
    } <= set(groups) - matrices
    assert decayed(optimizer, network, decay_all=True) == set(groups)
    assert decayed(catalog.find("optimizers", name)(weight_decay=0.0), network, decay_all=True) == set()


def test_no_decay_is_one_kernel_call_and_decay_two() -> None:
    flat = FlatParameters(network())
    count = [
        len(segments(flat, {name: torch.zeros_like(flat.values) for name in one.slots}, one))
        for one in (Adam(), AdamW(), Muon(), Muon(weight_decay=0.0))
    ]
    assert count == [1, 2, 2, 2]
