"""Faults that several encoders and fusions have in common. No torch here."""

from __future__ import annotations

from danlu.base.errors import Fault, RecipeError


def check_heads(place: str, num_heads: int, width: int) -> None:
    """Raise RecipeError where the heads of an attention do not divide its width.

    Args:
        place: of the encoder or the fusion in the recipe.
        num_heads: heads.
        width: that they share.
    """
    if not width % num_heads:
        return
    fits = [count for count in range(1, width + 1) if not width % count]
    near = [max(count for count in fits if count < num_heads), *[count for count in fits if count > num_heads][:1]]
    message = f"is {num_heads}, which does not divide width ({width})"
    hint = f"set num_heads to {' or '.join(map(str, near))}"
    raise RecipeError([Fault(path=f"{place}.num_heads", message=message, hint=hint)])


def check_odd(place: str, option: str, value: int) -> None:
    """Raise RecipeError where a number of steps has no middle one.

    Args:
        place: of the encoder in the recipe.
        option: its name.
        value: what it is.
    """
    if value % 2:
        return
    message, hint = f"is {value}, an even number", f"set {option} to {value - 1} or {value + 1}"
    raise RecipeError([Fault(path=f"{place}.{option}", message=message, hint=hint)])
