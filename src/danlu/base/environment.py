"""The machine and the versions a run was made with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

LIBRARIES = (
    "danlu",
    "torch",
    "onnxruntime",
    "onnx",
    "numpy",
    "polars",
    "pydantic",
    "safetensors",
    "scikit-learn",
    "pillow",
)


def versions() -> dict[str, str]:
    """Versions of the libraries that results depend on; those not installed are left out. Nothing is imported."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, Any]:
    """As `environment.json` holds it: no user name, host name or path."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "libraries": versions(),
    }
