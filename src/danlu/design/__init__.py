"""Step 2: columns in → encoders → fusion → head.

The modules below are the first that import torch. Waiting threads must sleep, not spin, and torch reads that once, so
it is set here: on a busy machine two spinning threads made a small step 10–30 times slower, and sleeping ones cost
nothing on a quiet one. The names are imported when they are asked for: a recipe is read, and its faults are told,
without torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from danlu.design.assemble import assemble, design
    from danlu.design.description import Description, describe
    from danlu.design.forward import outputs
    from danlu.design.network import Encoded, Network
    from danlu.design.trained import Trained

__all__ = ["Description", "Encoded", "Network", "Trained", "assemble", "describe", "design", "outputs"]

_HOMES = {
    "Description": "description",
    "Encoded": "network",
    "Network": "network",
    "Trained": "trained",
    "assemble": "assemble",
    "describe": "description",
    "design": "assemble",
    "outputs": "forward",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from importlib import import_module

    from danlu.base.devices import need

    need("torch", "train")
    module = import_module(f"danlu.design.{_HOMES[name]}")
    # All of its names at once: importing `assemble` has put the module itself where the function is to stand.
    globals().update({own: getattr(module, own) for own, home in _HOMES.items() if home == _HOMES[name]})
    return globals()[name]
