"""The network: every encoder, then fusion, then the head.

Shapes: B batch, T tokens, D width, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

from torch import Tensor, nn

from danlu.columns.schema import Schema, Slot
from danlu.design.layers.mean_answer import MeanAnswer
from danlu.design.link import LogLink, UnitLink
from danlu.tasks.task import Task


@dataclass(frozen=True)
class Encoded:
    """What an encoder gives.

    Attributes:
        values: (B, D), or (B, T, D) where it keeps tokens apart.
        mask: (B, T) bool, True for tokens that are there; None where all are.
        members: whether the T vectors are those of the members of an ensemble in one network.
    """

    values: Tensor
    mask: Tensor | None = None
    members: bool = False


class EncoderModule(Protocol):
    """What an encoder's `build` returns: an `nn.Module` with its width.

    An ensemble in one network also has `num_members`, and gives a vector for each of them. Where fusion and head keep
    members apart (both have `keeps_members`), each member is trained by its own loss, and what they say is averaged;
    elsewhere their vectors are tokens like any others.
    """

    width: int

    def __call__(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """The encoded columns; `inputs` are the network's inputs by name."""


class Encoder(Protocol):
    """An encoder's options. `joins`: one instance takes all its columns together; else each column has its own.

    It may have more methods: `advice() -> Advice`, what its training should be where the recipe leaves it open;
    `column_options(type) -> Mapping`, the options that a column of this type must have for it; and `described(place)`,
    the same options with all that is needed to build it where the files that it names are not. A class attribute
    `paths` names those of its options that are files or folders.
    """

    joins: ClassVar[bool]
    kinds: ClassVar[tuple[str, ...]]

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for these fields (an `EncoderModule`)."""


class Network(nn.Module):
    """A whole network: inputs by name in, outputs of the task out.

    Args:
        schema: the fitted columns: names, dtypes and shapes of the inputs.
        task: what is predicted: how outputs are read.
        encoders: modules from inputs to `Encoded`.
        fusion: module from a list of `Encoded` to (B, D).
        head: module from (B, D) to (B, K).
        link: module from the head's scores to the outputs, where they are not the same.
        members: module from the members' scores (B, M, K) to those of all (B, K), where the network is an ensemble in
            one; the head then gives the former.
        missing: place of an encoder, as text → module from what it gives, and the inputs, to what stands for it in rows
            without its column.
        description: the design in JSON-able form; from it and the schema the same network is built again.
    """

    def __init__(
        self,
        *,
        schema: Schema,
        task: Task,
        encoders: Sequence[nn.Module],
        fusion: nn.Module,
        head: nn.Module,
        link: LogLink | UnitLink | None = None,
        members: MeanAnswer | None = None,
        missing: Mapping[str, nn.Module] | None = None,
        description: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.schema, self.task, self.description = schema, task, description
        self.encoders = nn.ModuleList(encoders)
        self.fusion = fusion
        self.head = head
        self.link = link
        self.members = members
        self.missing = nn.ModuleDict(missing) if missing else None

    @property
    def num_members(self) -> int:
        """How many members it has, each with scores of its own; 1 for most networks."""
        return 1 if self.members is None else self.members.num_members

    def train(self, mode: bool = True) -> Self:
        """As of any module, but parts whose weights are all fixed stay as they answer: no dropout, no moving means."""
        super().train(mode)
        for module in [one for part in (*self.encoders, self.head) for one in part.modules()]:
            weights = list(module.parameters())
            if weights and not any(weight.requires_grad for weight in weights):
                module.eval()
        return self

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """(B, K) outputs: what the task reads, and what is exported.

        Args:
            inputs: scalars (B, S) float32, codes (B, C) int32 or int64, image_i (B, H, W, C) uint8, series_i (B, T, C)
                float32, tokens_i (B, T) int32; those the schema names.
        """
        scores_BK = self.scores(inputs)
        outputs: Tensor = scores_BK if self.link is None else self.link(scores_BK)
        return outputs

    def scores(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """(B, K) scores: what a loss takes; the outputs, unless there is a link."""
        found = self.member_scores(inputs)
        together: Tensor = found if self.members is None else self.members(found)
        return together

    def member_scores(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """(B, M, K) scores of each member; the scores, unless the network is an ensemble in one."""
        encoded = self.encoded(inputs)
        if self.members is None:
            encoded = [replace(one, members=False) if one.members else one for one in encoded]
        found: Tensor = self.head(self.fusion(encoded))
        return found if self.link is None else found + self.link.start

    def encoded(self, inputs: Mapping[str, Tensor]) -> list[Encoded]:
        """What each encoder gives; for rows without its column, what is learned in its stead."""
        found: list[Encoded] = [encoder(inputs) for encoder in self.encoders]
        for place, missing in self.missing.items() if self.missing else ():
            found[int(place)] = missing(found[int(place)], inputs)
        return found

    def rows_apart(self, scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The members' scores, and the target, as a loss takes them: each member's are rows of their own.

        Args:
            scores: what `member_scores` gave.
            target: (B, …).

        Returns:
            (B · M, K) and (B · M, …); what was given, unless the network is an ensemble in one.
        """
        if self.members is None:
            return scores, target
        return scores.flatten(0, 1), target.repeat_interleave(self.num_members, 0)
