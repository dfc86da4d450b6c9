"""Serving a bundle over HTTP: raw ASGI on uvicorn, never torch."""

from danlu.serve.server import serve

__all__ = ["serve"]
