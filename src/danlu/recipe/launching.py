"""The recipe's section `launch`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import Ge
from pydantic import model_validator

from danlu.recipe.components import located, wrong
from danlu.recipe.sections import Section


class Launch(Section):
    """Where the network is trained. It changes how long that takes, not what comes out.

    Attributes:
        engine: `inline` trains in the process that runs the recipe; `torchrun` in several on this machine, which
            torch's elastic agent starts and watches.
        workers: how many processes share each batch; `auto` takes one for each GPU, or else one for each core.
        strategy: `ddp` keeps all weights at every worker; `fsdp` shares weights, gradients and the optimizer's tensors
            out among them, for networks that are too large for one.
        max_restarts: how often all workers are started again, from the last checkpoint, after one of them died.
    """

    engine: Literal["inline", "torchrun"] = "inline"
    workers: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    strategy: Literal["ddp", "fsdp"] = "ddp"
    max_restarts: Annotated[int, Ge(0)] = 3

    @model_validator(mode="after")
    def _launches(self) -> Self:
        if self.engine == "inline":
            for name in ("workers", "strategy", "max_restarts"):
                given = getattr(self, name)
                if given != type(self).model_fields[name].default and given != 1:
                    message = f"is {given}, but launch.engine is inline, which is one process"
                    raise located([((name,), given, wrong(message, "set launch.engine to torchrun"))])
        return self
