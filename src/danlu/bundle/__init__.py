"""The one saved artefact: load it and predict, with ONNX Runtime, never torch."""

from danlu.bundle.bundle import Bundle, load

__all__ = ["Bundle", "load"]
