"""Step 5: smaller and faster variants, measured beside fp32."""

from danlu.compress.variant import Variant, Variants

__all__ = ["Variant", "Variants", "compress"]


def __getattr__(name: str) -> object:
    """`compress` is imported when it is asked for: it brings torch."""
    if name == "compress":
        from danlu.compress.step import compress

        return compress
    raise AttributeError(name)
