"""The weights of pre-trained checkpoints that a network's encoders start from."""

from __future__ import annotations

from collections.abc import Sequence

from danlu.base.errors import DanluError, Fault, RecipeError
from danlu.design.network import Network
from danlu.design.networks.pretrained import PretrainedEncoder
from danlu.prepare.prepared import Finding
from danlu.recipe.schema import Recipe
from danlu.recipe.sections import encoder_of


def take_checkpoints(recipe: Recipe, network: Network) -> list[Finding]:
    """Give every pre-trained encoder its checkpoint's weights.

    Returns:
        A note for each of which a part starts by chance.

    Raises:
        RecipeError: a checkpoint is not there any more, or its weights cannot be read or do not fit.
    """
    types = {one.name: one.type for one in network.schema.inputs}
    findings = []
    for part, module in zip(network.description.get("encoders", ()), network.encoders, strict=False):
        if not isinstance(module, PretrainedEncoder):
            continue
        name = part["columns"][0]
        key, choice = encoder_of(recipe.design, name, types[name])
        assert choice is not None, "no column type brings a pre-trained encoder by itself"
        place = f"design.encoders.{key}"
        checkpoint = choice.build("encoders").found(place)
        try:
            fresh = module.take(checkpoint.folder) if part["weights"] else ["all"]
        except DanluError as error:
            raise RecipeError([Fault(path=f"{place}.checkpoint", message=error.message, hint=error.hint)]) from error
        if fresh:
            findings.append(_finding(name, checkpoint.name, fresh))
    return findings


def _finding(column: str, checkpoint: str, fresh: Sequence[str]) -> Finding:
    some = ", ".join(fresh[:6]) + (f" and {len(fresh) - 6} more" if len(fresh) > 6 else "")
    return Finding(
        key="fresh_weights",
        severity="note",
        message=f"{column}: the checkpoint {checkpoint} does not hold these weights, which start fresh: {some}",
        columns=(column,),
        remedy="use a checkpoint that holds them, if they are to be pre-trained too",
        evidence={"fresh": list(fresh)},
    )
