"""A pre-trained network of Hugging Face's transformers for texts, pictures or sounds, fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.advice import Advice, optimizer, schedule
from danlu.design.checkpoint import Checkpoint, found_checkpoint
from danlu.design.checkpoint_columns import column_options

if TYPE_CHECKING:
    from torch import nn

# Options that only one way of tuning reads.
_OF_MODES: Mapping[str, tuple[str, ...]] = {
    "last_layers": ("last_n",),
    "lora_rank": ("lora",),
    "lora_alpha": ("lora",),
    "lora_dropout": ("lora",),
    "lora_targets": ("lora",),
    "layer_decay": ("full", "last_n"),
    "unfreeze": ("full", "last_n"),
    "gradient_checkpointing": ("full", "last_n", "lora"),
}
_UNSET = (None, False, 0, "")
# Step sizes of a network of BERT's width: 2e-5 to 5e-5 for all weights, and LoRA's about five times those.
_LR = {"full": 5e-5, "last_n": 1e-4, "lora": 2.5e-4}
_WIDTH = 768


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A pre-trained network of Hugging Face's transformers for texts, pictures or sounds, fine-tuned.

    The checkpoint makes its column fit: its tokenizer, its size and colours of pictures, its rate of sounds become the
    column's, so that serving needs neither torch nor transformers. Weights are read from safetensors only. Attention
    runs in torch's fused kernel and has no dropout. A run and its bundle hold all that they need of the checkpoint.

    Attributes:
        checkpoint: a folder in the Hugging Face layout, or a model on the hub, `OWNER/NAME`, which is fetched once.
        tune: what is trained: all weights (`full`), only what comes after the encoder (`frozen`), small matrices
            beside the fixed ones (`lora`; they are merged when the model is deployed), or the last layers (`last_n`).
        last_layers: with `last_n` the layers that are trained, counted from the end; 2 where it is not set.
        lora_rank: with `lora` the rank r of the small matrices; 16 where it is not set.
        lora_alpha: with `lora` what the small matrices' product is multiplied by, times r; 2 r where it is not set.
        lora_dropout: with `lora` the share of their inputs silenced in training.
        lora_targets: with `lora` the last names of the linear layers that get them; where it is not set, all
            linear layers of the network's layers, those between attentions too.
        layer_decay: step sizes shrink by this factor from each layer to the one before; 1 where it is not set.
        unfreeze: epochs in which the layers thaw one after the other, from the last to the first; in the first epoch
            only what comes after the encoder is trained. 0 trains all from the start.
        gradient_checkpointing: keep only each layer's input for the backward pass and compute the rest again: less
            memory, a third more time, the same gradients.
        dropout: share of the values silenced in training wherever the architecture has a dropout outside of its
            attention; the checkpoint's own where it is not set.
        pooling: the `mean` of the tokens or places, the `first` token, the `last` one, the checkpoint's own `pooler`,
            and with `none` all tokens.
        config: the architecture; filled in from the checkpoint.
        weights: a hash of the checkpoint's weights; filled in from it.
        licence: as the checkpoint states it; filled in from it.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("tokens", "image", "series")
    paths: ClassVar[tuple[str, ...]] = ("checkpoint",)

    checkpoint: str
    tune: Literal["full", "frozen", "lora", "last_n"] = "full"
    last_layers: Annotated[int, Ge(1)] | None = None
    lora_rank: Annotated[int, Ge(1), Le(1024)] | None = None
    lora_alpha: Annotated[float, Gt(0)] | None = None
    lora_dropout: Annotated[float, Ge(0), Lt(1)] | None = None
    lora_targets: list[str] | None = None
    layer_decay: Annotated[float, Gt(0), Le(1)] | None = None
    unfreeze: Annotated[int, Ge(0), Le(1000)] = 0
    gradient_checkpointing: bool = False
    dropout: Annotated[float, Ge(0), Lt(1)] | None = None
    pooling: Literal["mean", "first", "last", "pooler", "none"] = "mean"
    config: dict[str, Any] | None = None
    weights: str = ""
    licence: str = ""

    def described(self, place: str) -> Pretrained:
        """The same with architecture and hash of its checkpoint: with them it is built where the folder is not.

        Args:
            place: of the encoder in the recipe, for faults.

        Raises:
            RecipeError: there is no such checkpoint, its weights are pickled, or an option would not be read.
        """
        faults = [
            Fault(
                path=f"{place}.{name}",
                message=f"is set, but tune is {self.tune}",
                hint=f"leave it out, or set tune to {' or '.join(modes)}",
            )
            for name, modes in _OF_MODES.items()
            if getattr(self, name) not in _UNSET and self.tune not in modes
        ]
        if faults:
            raise RecipeError(faults)
        if self.config is not None:
            return self
        found = self.found(place)
        told = {"config": found.config, "weights": found.hash, "licence": found.licence or ""}
        return replace(self, checkpoint=found.name, **told)  # type: ignore[arg-type]

    def found(self, place: str) -> Checkpoint:
        """The checkpoint. Raises RecipeError where there is none that can be used."""
        return found_checkpoint(self.checkpoint, place)

    def column_options(self, type: str) -> Mapping[str, Any]:
        """What a column of this type must be like for the checkpoint. Raises RecipeError."""
        return column_options(self.found(f"design.encoders.{type}"), type)

    def advice(self) -> Advice:
        """Three epochs of small steps that rise at first and fall to zero, as BERT is fine-tuned; the last is kept.

        A narrower network takes larger steps: 5e-5 at BERT's width of 768, 1e-4 at 384 (measured: docs/log.md). The
        validation loss is often least after the first epoch, when the answers are not at their best yet: later ones
        are more often right, and surer of it than they should be. What a fixed encoder gives is computed once for
        each row, so that many epochs cost little.

        Source: Devlin et al., "BERT", 2019, appendix A.3; Hu et al., "LoRA", 2021, appendix D; step sizes by width:
        Yang et al., "Tensor Programs V", 2022.
        """
        if self.tune == "frozen":
            return _advice(3e-3, epochs=60, patience=8)
        lr = _LR[self.tune] * _WIDTH / self._width()
        return _advice(lr, epochs=3 + self.unfreeze, patience=2, best_from=0.9)

    def _width(self) -> int:
        """Of the network's layers, where its architecture says so by the name that BERT's has for it."""
        found = (self.config or {}).get("hidden_size")
        return found if isinstance(found, int) and found > 0 else _WIDTH

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column, with weights by chance. Raises RecipeError where options do not go together."""
        (slot,) = slots
        whole = self.described(f"design.encoders.{slot.column}")
        from danlu.design.networks.pretrained import PretrainedEncoder

        return PretrainedEncoder(whole, slot)


def _advice(lr: float, **told: Any) -> Advice:
    """What all ways of tuning have in common."""
    return Advice(
        optimizer=optimizer("adamw", lr=lr),
        schedule=schedule("linear", warmup=0.1),
        batch_size=32,
        clip_norm=1.0,
        **told,
    )
