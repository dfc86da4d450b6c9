"""Step 6: the parity proof, the requirements and the release.

The serving side of the proof runs without torch; so `deploy`, which needs it, is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from danlu.deploy.step import deploy

__all__ = ["deploy"]


def __getattr__(name: str) -> Any:
    if name == "deploy":
        from danlu.deploy.step import deploy

        return deploy
    raise AttributeError(f"module {__name__} has no attribute {name}")
