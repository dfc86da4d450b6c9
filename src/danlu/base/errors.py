"""What can go wrong, as one tree.

    DanluError                     anything a person can mend; `exit_code` is what the CLI ends with
    ├── RecipeError                the recipe: carries every fault at once
    ├── DataError                  the data: a file, a column, a row
    ├── MissingExtraError          a part of danlu that is not installed
    ├── StorageError               a disk that is full or may not be written
    ├── RunError                   the run folder: in use, damaged, of another recipe
    ├── TrainingError              training cannot go on
    │   └── NonFiniteLossError     the loss became NaN or infinite
    ├── ExportError                a network or variant that cannot be exported
    ├── BundleError                a bundle that is damaged or not ours
    ├── ParityError                what would be served is not what was trained
    └── RequirementError           what `require` asks is not met (exit code 3)

Every error carries its fields (`message`, `where`, `hint`, and those of its class), so that the CLI, the server and
a page render one thing, and survives pickling between processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing wrong in a recipe.

    Attributes:
        path: the option, with dots ("train.optimizer.lr").
        message: what was given and what is allowed, without the path.
        file: the recipe's file, or "" for one made in Python.
        line: line in that file, from 1; 0 where there is none.
        column: column in that line, from 1; 0 where there is none.
        hint: how to mend it ("did you mean epochs?"), or "".
    """

    path: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""

    def __str__(self) -> str:
        head = f"{self.path} {self.message}" if self.path else self.message
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        tail = " · ".join(part for part in (place, f"fix: {self.hint}" if self.hint else "") if part)
        return f"{head}\n  {tail}" if tail else head


class DanluError(Exception):
    """A fault that a person can mend.

    Args:
        message: what happened: what was given and what is allowed.
        where: the place ("census.csv, column age, row 17"), or "".
        hint: how to mend it, or "".
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        tail = " · ".join(part for part in (self.where, f"fix: {self.hint}" if self.hint else "") if part)
        return f"{self.message}\n  {tail}" if tail else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def _rebuild(kind: type[DanluError], args: tuple[Any, ...], fields: dict[str, Any]) -> DanluError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.__dict__.update(fields)
    return error


class RecipeError(DanluError):
    """A recipe with one or more faults, all of them, sorted by line."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line, fault.column, fault.path)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class DataError(DanluError):
    """Data that cannot be used as it is. `where` names file, column and row."""

    exit_code = 2


class MissingExtraError(DanluError):
    """A package that an extra would install is not there."""

    exit_code = 2

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package}", hint=f"pip install 'danlu[{extra}]'")
        self.package = package
        self.extra = extra


class StorageError(DanluError):
    """A file could not be written; what stood there before still stands."""


class RunError(DanluError):
    """A run folder that cannot be used: in use by another process, damaged, or of another recipe."""


class TrainingError(DanluError):
    """Training cannot go on."""


class NonFiniteLossError(TrainingError):
    """The loss, or a gradient, became NaN or infinite.

    Args:
        step: the step that gave it, from 0.
        rows: the rows it began with, as numbers in the training split; the whole batch where it is not of some rows.
        gradients: the largest gradients, as (parameter, largest absolute value), largest first.
        loss: the loss's value.
        what: "loss" or "gradient".
        origin: what it began in: "layer encoders.0.dense.layers.0", "weight head.0.weight", "input scalars", …; ""
            where that cannot be told.
    """

    def __init__(
        self,
        *,
        step: int,
        loss: float,
        rows: Sequence[int],
        gradients: Sequence[tuple[str, float]],
        what: str = "loss",
        origin: str = "",
    ) -> None:
        shown = ", ".join(map(str, rows[:8])) + (", …" if len(rows) > 8 else "")
        largest = ", ".join(f"{name} {value:.3g}" for name, value in gradients[:3])
        became = f"the loss became {loss}" if what == "loss" else "a gradient is no longer finite"
        began = f"it began in {origin}; " if origin else ""
        super().__init__(
            f"{became} at step {step} ({began}training rows {shown}; largest gradients: {largest})",
            where="train/nonfinite.json",
            hint=_NONFINITE_HINTS.get(
                origin.split(" ")[0], "lower train.optimizer.lr, set train.clip_norm, or look at these rows"
            ),
        )
        self.step, self.loss, self.rows, self.gradients = step, loss, tuple(rows), tuple(gradients)
        self.origin = origin


_NONFINITE_HINTS = {
    "input": "look at these rows of the data",
    "target": "look at these rows of the data",
    "weight": "the weights themselves have grown past all bounds: lower train.optimizer.lr, or set train.clip_norm",
}


class ExportError(DanluError):
    """A network or a variant that cannot be exported."""


class BundleError(DanluError):
    """A bundle that is damaged, of a format we do not know, or not a bundle."""


class ParityError(DanluError):
    """What would be served is not what was trained."""


class RequirementError(DanluError):
    """What `require` asks is not met.

    Args:
        rows: one (name, asked, got, met) for every requirement, as they are shown.
    """

    exit_code = 3

    def __init__(self, rows: Sequence[tuple[str, str, str, bool]]) -> None:
        missed = [f"{name} is {got}, asked {asked}" for name, asked, got, met in rows if not met]
        super().__init__("not released: " + "; ".join(missed), hint="train a better model or change `require`")
        self.rows = tuple(rows)


def nearest(word: str, choices: Sequence[str]) -> str:
    """The choice most like `word`, or "" where none is near."""
    from difflib import get_close_matches

    found = get_close_matches(word.lower(), [choice.lower() for choice in choices], n=1, cutoff=0.55)
    return next((choice for choice in choices if found and choice.lower() == found[0]), "")
