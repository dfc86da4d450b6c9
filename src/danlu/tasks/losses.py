"""What training makes small: a component of its own, apart from the task, which says how outputs are read.

Shapes: B batch, K outputs (or classes).

A loss takes scores: the head's outputs. Where it has a link (`poisson`), the network's outputs are the link of them
(`design/link.py`), so that whatever reads outputs needs to know of no loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, cast

from annotated_types import Ge, Gt, Le, Lt, MinLen

from danlu import catalog
from danlu.base.errors import RecipeError
from danlu.recipe.components import OwnChoice

if TYPE_CHECKING:
    from torch import Tensor

    from danlu.recipe.schema import Recipe
    from danlu.tasks.task import Task

Reduction = Literal["mean", "sum"]
VALIDATION_LOSS = "validation_loss"

_CLASSES = ("binary", "multiclass")
_NUMBER = ("regression",)
_SUM, _NO_CLASS = 2, -100  # how torch's own kernels are told of a sum, and of a code that is none


class Loss(Protocol):
    """What training needs of a loss.

    Attributes:
        tasks: the tasks it fits.
        monitor: what early stopping watches when the recipe names nothing: a metric, `validation_loss`, or "" for the
            task's own.
        link: the link between scores and outputs; "" where they are the same.

    One may have two attributes more: `weighs_rows`, False where a row counts as one whatever its classes' weights are;
    `target_options`, what the target column must be told; and a method `for_task(task) -> Loss`, the same with what it
    needs to know of the task.
    """

    tasks: ClassVar[tuple[str, ...]]
    monitor: ClassVar[str]
    link: ClassVar[str]

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            scores_BK: (B, K) scores.
            target_B: (B,) codes, or encoded numbers (with a link: numbers in the target's own unit).
            class_weights_K: (K,) weights of the classes, or None.
            reduction: `sum` of the rows' losses, each times its class's weight; or their `mean`, divided by the sum of
                those weights.
        """


@dataclass(frozen=True, kw_only=True)
class Mse:
    """Mean squared error of the scaled number; its best answer is the mean."""

    tasks: ClassVar[tuple[str, ...]] = _NUMBER
    monitor: ClassVar[str] = ""
    link: ClassVar[str] = ""

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """(y − x)²."""
        from torch.nn.functional import mse_loss

        return mse_loss(scores_BK[:, 0], target_B.to(scores_BK.dtype), reduction=reduction)

    def gradient(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, divisor: Tensor | int
    ) -> tuple[float, Tensor]:
        """2 (x − y) / divisor; see `score_gradient`."""
        errors_BK = scores_BK - target_B[:, None]
        flat = errors_BK.view(-1)
        return float(flat.dot(flat) / divisor), errors_BK.mul_(2 / divisor)


@dataclass(frozen=True, kw_only=True)
class Mae:
    """Mean absolute error of the scaled number; its best answer is the median, which bears outliers."""

    tasks: ClassVar[tuple[str, ...]] = _NUMBER
    monitor: ClassVar[str] = "mae"
    link: ClassVar[str] = ""

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """|y − x|."""
        from torch.nn.functional import l1_loss

        return l1_loss(scores_BK[:, 0], target_B.to(scores_BK.dtype), reduction=reduction)


@dataclass(frozen=True, kw_only=True)
class Huber:
    """Squared for small errors, absolute for large ones.

    Source: Huber, "Robust Estimation of a Location Parameter", 1964.

    Attributes:
        delta: error from which on it is absolute, of the scaled number (deviations, with `scale: standard`).
    """

    tasks: ClassVar[tuple[str, ...]] = _NUMBER
    monitor: ClassVar[str] = "validation_loss"
    link: ClassVar[str] = ""

    delta: Annotated[float, Gt(0)] = 1.0

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """(y − x)² / 2 up to delta, delta · (|y − x| − delta / 2) beyond."""
        from torch.nn.functional import huber_loss

        return huber_loss(scores_BK[:, 0], target_B.to(scores_BK.dtype), reduction=reduction, delta=self.delta)


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """Pinball loss: its best answer is a quantile of what may come, whatever the target's scale.

    Source: Koenker and Bassett, "Regression Quantiles", 1978.

    Attributes:
        quantile: share of rows that are to lie below the answer.
        quantiles: several of them, which are all answered and do not cross, such as `[0.05, 0.5, 0.95]`; the answer is
            the one nearest the median.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression", "quantiles")
    monitor: ClassVar[str] = "validation_loss"
    link: ClassVar[str] = ""

    quantile: Annotated[float, Gt(0), Lt(1)] = 0.5
    quantiles: Annotated[tuple[Annotated[float, Gt(0), Lt(1)], ...], MinLen(2)] | None = None

    @property
    def target_options(self) -> Mapping[str, Any]:
        """What the target must be told, so that it is answered."""
        return {} if self.quantiles is None else {"quantiles": self.quantiles}

    def for_task(self, task: Task) -> Quantile:
        """The same with the quantiles that the task answers."""
        levels = task.target.options.get("quantiles")
        return replace(self, quantiles=tuple(levels) if levels else None)

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """Quantile · (y − x) where y is above, (1 − quantile) · (x − y) where it is below; the mean over several."""
        import torch

        levels_K = scores_BK.new_tensor(self.quantiles or (self.quantile,))
        errors_BK = target_B.to(scores_BK.dtype)[:, None] - scores_BK
        losses_BK = torch.maximum(levels_K * errors_BK, (levels_K - 1) * errors_BK)
        return losses_BK.mean() if reduction == "mean" else losses_BK.sum() / scores_BK.shape[1]


@dataclass(frozen=True, kw_only=True)
class Poisson:
    """Counts, by a rate whose logarithm the head gives; the answer is the rate, the count to expect.

    The target is a number from 0 on with `scale: standard`, `robust` or `none`. The network's output is the rate on the
    target's own scale, so that a bundle is read and served like any other regression.
    """

    tasks: ClassVar[tuple[str, ...]] = _NUMBER
    monitor: ClassVar[str] = "validation_loss"
    link: ClassVar[str] = "log"

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """exp(x) − y · x, the negative log likelihood but for a constant; y counts, x the rate's logarithm."""
        from torch.nn.functional import poisson_nll_loss

        return poisson_nll_loss(scores_BK[:, 0], target_B.to(scores_BK.dtype), log_input=True, reduction=reduction)


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """Negative log likelihood of the true class.

    Attributes:
        label_smoothing: share of the truth that is spread evenly over all classes.
    """

    tasks: ClassVar[tuple[str, ...]] = _CLASSES
    monitor: ClassVar[str] = ""
    link: ClassVar[str] = ""

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """−log p(true class), each class times its weight."""
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        if scores_BK.shape[1] == 1 and not self.label_smoothing:
            weights_B = None if class_weights_K is None else class_weights_K[target_B.long()]
            by = "sum" if weights_B is not None else reduction
            truth_B = target_B.to(scores_BK.dtype)
            loss = binary_cross_entropy_with_logits(scores_BK[:, 0], truth_B, weight=weights_B, reduction=by)
            return loss / weights_B.sum() if weights_B is not None and reduction == "mean" else loss
        logits_BK = with_first(scores_BK)
        smoothing = self.label_smoothing
        return cross_entropy(
            logits_BK, target_B.long(), weight=class_weights_K, reduction=reduction, label_smoothing=smoothing
        )

    def gradient(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, divisor: Tensor | int
    ) -> tuple[float, Tensor] | None:
        """Weight · (p − y) / divisor, p being the classes' probabilities; see `score_gradient`."""
        import torch

        if self.label_smoothing:
            return None
        if scores_BK.shape[1] == 1:
            weights_B1 = None if class_weights_K is None else class_weights_K[target_B.long(), None]
            truth_B1 = target_B.to(scores_BK.dtype)[:, None]
            loss = torch.binary_cross_entropy_with_logits(scores_BK, truth_B1, weights_B1, None, _SUM)
            gradient_BK = scores_BK.sigmoid().sub_(truth_B1)
            return loss.item() / float(divisor), gradient_BK.mul_(
                1 / divisor if weights_B1 is None else weights_B1 / divisor
            )
        codes_B = target_B.long()
        log_p_BK = torch._log_softmax(scores_BK, 1, False)  # the kernels that autograd calls
        loss = torch._C._nn.nll_loss_nd(log_p_BK, codes_B, class_weights_K, _SUM, _NO_CLASS)  # type: ignore[arg-type]
        told = loss.item() / float(divisor)
        share = loss.fill_(1 / float(divisor))
        by_log_p = torch.ops.aten.nll_loss_backward(share, log_p_BK, codes_B, class_weights_K, _SUM, _NO_CLASS, loss)
        gradient_BK = torch._log_softmax_backward_data(by_log_p, log_p_BK, 1, log_p_BK.dtype)
        return told, gradient_BK


@dataclass(frozen=True, kw_only=True)
class Focal:
    """Cross-entropy that counts rows the less, the surer they are right: for many easy rows and few hard ones.

    Source: Lin et al., "Focal Loss for Dense Object Detection", 2017; its α is `train.class_weights`.

    Attributes:
        gamma: how fast sure rows lose their weight; 0 is cross-entropy.
    """

    tasks: ClassVar[tuple[str, ...]] = _CLASSES
    monitor: ClassVar[str] = "validation_loss"
    link: ClassVar[str] = ""

    gamma: Annotated[float, Ge(0), Le(20)] = 2.0

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """−(1 − p)^gamma · log p, p being the true class's probability.

        (1 − p)^gamma is taken as exp(gamma · log(1 − p)), whose gradient is finite for every gamma and p.
        """
        import torch

        codes_B, logits_BK = target_B.long(), with_first(scores_BK)
        norm_B = logits_BK.logsumexp(1)
        true_BK = torch.nn.functional.one_hot(codes_B, logits_BK.shape[1]).bool()
        others_B = logits_BK.masked_fill(true_BK, -torch.inf).logsumexp(1)
        log_p_B = logits_BK.gather(1, codes_B[:, None])[:, 0] - norm_B
        losses_B = -torch.exp(self.gamma * (others_B - norm_B)) * log_p_B
        if class_weights_K is None:
            return losses_B.mean() if reduction == "mean" else losses_B.sum()
        weights_B = class_weights_K[codes_B]
        loss = (losses_B * weights_B).sum()
        return loss / weights_B.sum() if reduction == "mean" else loss


def with_first(scores_BK: Tensor) -> Tensor:
    """(B, K) logits; a lone one is of the second of two classes, and the first's is 0."""
    import torch

    return torch.nn.functional.pad(scores_BK, (1, 0)) if scores_BK.shape[1] == 1 else scores_BK


def score_gradient(
    loss: Loss, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, divisor: Tensor | int
) -> tuple[float, Tensor]:
    """The loss of a batch and its gradient by the scores, by the loss's own formula where it tells one (`gradient`).

    Args:
        loss: what is made small.
        scores_BK: (B, K) scores, without a graph.
        target_B: as of `Loss.value`.
        class_weights_K: as of `Loss.value`.
        divisor: the sum of the rows' losses is divided by it.

    Returns:
        The loss, and (B, K).
    """
    import torch

    formula = getattr(loss, "gradient", None)
    if formula and (found := formula(scores_BK, target_B, class_weights_K, divisor)):
        told: tuple[float, Tensor] = found
        return told
    with torch.enable_grad():
        leaf_BK = scores_BK.detach().requires_grad_()
        value = loss.value(leaf_BK, target_B, class_weights_K, "sum") / divisor
        (gradient_BK,) = torch.autograd.grad(value, leaf_BK)
    return float(value), gradient_BK


def default_loss(task: Task) -> Loss:
    """The loss that a task has when the recipe names none."""
    loss: Loss = catalog.find("losses", task.loss)()
    return _for_task(loss, task)


def _for_task(loss: Loss, task: Task) -> Loss:
    """A loss with what it needs to know of the task."""
    if not hasattr(loss, "for_task"):
        return loss
    found: Loss = loss.for_task(task)
    return found


def row_weights(loss: Loss, class_weights: Tensor | None) -> Tensor | None:
    """The weights by which rows count in a step: the classes', unless a row has many classes and counts as one."""
    return class_weights if getattr(loss, "weighs_rows", True) else None


def loss_for(recipe: Recipe, task: Task) -> Loss:
    """The loss that a recipe asks for.

    Raises:
        RecipeError: it does not fit the task, or has an option that would be ignored.
    """
    choice = recipe.train.loss
    if choice is None:
        return default_loss(task)
    if isinstance(choice, OwnChoice):
        return cast("Loss", own_loss(recipe, choice, task))  # what a class says there, the instance says here
    loss: Loss = choice.build("losses")
    if task.name not in loss.tasks:
        fits = [name for name in catalog.names("losses") if task.name in catalog.find("losses", name).tasks]  # type: ignore[attr-defined]
        message = f"is {choice.name}, but the target {task.target.name} makes this a {task.name} task"
        raise RecipeError([recipe.fault(("train", "loss"), message, f"use {', '.join(fits)}, or leave it out")])
    if isinstance(loss, Quantile) and task.name == "quantiles" and loss.quantile != Quantile.quantile:
        message = f"is {loss.quantile:g}, but several quantiles of {task.target.name} are answered"
        raise RecipeError([recipe.fault(("train", "loss", "quantile"), message, "put it among quantiles")])
    return _for_task(loss, task)


@dataclass(frozen=True)
class OwnLoss:
    """A user's own loss, given in Python. It is used in training alone: no bundle holds it.

    Attributes:
        given: an object with the method `value`; `monitor` if it has one.
        tasks: the task it is used for.
    """

    given: Any
    tasks: tuple[str, ...]

    link: ClassVar[str] = ""

    @property
    def monitor(self) -> str:
        """Its own, or the loss on the validation rows."""
        return str(getattr(self.given, "monitor", VALIDATION_LOSS))

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """What the object says."""
        found: Tensor = self.given.value(scores_BK, target_B, class_weights_K, reduction)
        return found


def own_loss(recipe: Recipe, choice: OwnChoice, task: Task) -> OwnLoss:
    """A user's own loss, tried on a few rows.

    Raises:
        RecipeError: it does not fit the task, fails, gives no scalar that depends on the scores, or its sum is not its
            mean times the rows, which batches that are accumulated need.
    """
    import torch

    def refuse(message: str, hint: str) -> RecipeError:
        return RecipeError([recipe.fault(("train", "loss"), f"is {choice.name}, {message}", hint)])

    tasks = getattr(choice.component, "tasks", (task.name,))
    if task.name not in tasks:
        raise refuse(f"which is for {', '.join(tasks)}; the target makes this a {task.name} task", "use another loss")
    if getattr(choice.component, "link", ""):
        raise refuse("which has a link; only losses of the catalogue may", "leave link out")
    loss, found = OwnLoss(choice.component, (task.name,)), {}
    scores_BK = torch.linspace(-1, 1, 4 * task.num_outputs).reshape(4, -1).requires_grad_()
    is_number = not task.target.fields[0].num_codes
    target_B = torch.tensor([0.5, -0.5, 0.0, 1.0]) if is_number else torch.tensor([0, 1, 1, 0])
    for reduction in ("mean", "sum"):
        try:
            value = loss.value(scores_BK, target_B, None, reduction)
        except Exception as error:  # whatever a user's code raises is a fault of the recipe
            text = f"which fails on 4 rows: {type(error).__name__}: {error}"
            raise refuse(
                text, "value takes (B, K) scores, (B,) codes or numbers, weights or None, and mean or sum"
            ) from error
        if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
            raise refuse(
                "whose value is no scalar tensor that depends on the scores", "compute it by torch's operations"
            )
        found[reduction] = value.item()
    if abs(found["sum"] - 4 * found["mean"]) > 1e-4 * max(1.0, abs(found["sum"])):
        told = f"whose sum over 4 rows is {found['sum']:.4g}, but its mean is {found['mean']:.4g}"
        raise refuse(told, "heed the argument reduction: sum adds the rows' losses, mean divides that by the rows")
    return loss
