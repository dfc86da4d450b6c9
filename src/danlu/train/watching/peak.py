"""How fast this machine multiplies matrices: what the share of the peak on the progress line is of.

Shown, and nothing else: no choice is made by it, since a stop-watch never says the same twice.
"""

from __future__ import annotations

import contextlib
import platform
import time
from pathlib import Path
from typing import Any

from danlu.base.errors import DanluError
from danlu.base.files import read_json, write_json

_SIZE = 768  # a product of 0.9 GFLOP: past it the rate no longer rises, and it takes milliseconds
_LEAST_S = 0.02
_LEAST_PRODUCTS = 4
_PASSES = 3  # forward, and the two products of backward


def peak(precision: str, threads: int, cache: Path | None = None) -> float:
    """Operations a second of large matrix products, measured once on each machine and then remembered.

    Args:
        precision: `fp32` or `bf16`.
        threads: that torch has been set to.
        cache: the folder where it is remembered; by default the user's cache folder.
    """
    import torch

    path = (cache or _cache()) / "peak.json"
    key = f"{processor()}, {threads} threads, {precision}, torch {torch.__version__}"
    known: dict[str, Any] = {}
    with contextlib.suppress(DanluError):
        known = read_json(path)
    if not isinstance(known, dict) or not isinstance(known.get(key), (int, float)):
        known = {**(known if isinstance(known, dict) else {}), key: measure(precision)}
        with contextlib.suppress(DanluError):
            write_json(path, known, sync=False)
    return float(known[key])


def measure(precision: str) -> float:
    """Operations a second of the fastest of some products (a multiply-add counts two); takes 20 ms or more."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.ones((_SIZE, _SIZE), dtype=dtype), torch.ones((_SIZE, _SIZE), dtype=dtype)
    product = torch.empty_like(left)
    torch.mm(left, right, out=product)
    start, best, count = time.perf_counter(), float("inf"), 0
    while time.perf_counter() - start < _LEAST_S or count < _LEAST_PRODUCTS:
        begun = time.perf_counter()
        torch.mm(left, right, out=product)
        best, count = min(best, time.perf_counter() - begun), count + 1
    return float(2 * _SIZE**3 / best)


def share_of_peak(flops: int, rows_per_second: float, operations: float) -> float:
    """The share of the peak that training reaches: 3 × forward operations of a row × rows a second ÷ the peak."""
    return _PASSES * flops * rows_per_second / operations


def processor() -> str:
    """The processor's name and the machine's."""
    name = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{platform.node()}, {name or platform.machine()}"


def _cache() -> Path:
    from platformdirs import user_cache_path

    return Path(user_cache_path("danlu", appauthor=False))
