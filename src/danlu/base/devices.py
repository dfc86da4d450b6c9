"""Which device a run uses."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from danlu.base.errors import DanluError, MissingExtraError


def need(package: str, extra: str) -> ModuleType:
    """Import a package that an extra brings. Raises MissingExtraError, which names the extra."""
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(package, extra)
    return importlib.import_module(package)


def wait_passively() -> None:
    """Let idle threads of arithmetic sleep, unless the environment says otherwise; before torch is loaded.

    By default they spin: beside a busy neighbour a small step then takes many times as long.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def choose_device(name: str = "auto") -> str:
    """The torch device for `auto`, or `name` itself once it is known to be there.

    Raises:
        DanluError: a device was named that this machine does not have.
    """
    torch = need("torch", "train")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there.get(name.split(":")[0], False):
        have = ", ".join(device for device, present in there.items() if present)
        raise DanluError(f"train.device is {name}; this machine has {have}", hint="set train.device to auto")
    return name
