"""Step 5: smaller and faster variants, measured beside fp32.

`compress` brings torch, so it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from danlu.compress.variant import Variant, Variants

if TYPE_CHECKING:
    from danlu.compress.step import compress

__all__ = ["Variant", "Variants", "compress"]


def __getattr__(name: str) -> Any:
    if name == "compress":
        from danlu.compress.step import compress

        return compress
    raise AttributeError(f"module {__name__} has no attribute {name}")
