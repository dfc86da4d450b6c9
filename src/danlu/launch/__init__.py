"""Where step 3 runs: in this process, or in several that torch's elastic agent starts and watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from danlu.launch.step import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        from danlu.launch.step import train

        return train
    raise AttributeError(f"module {__name__} has no attribute {name}")
