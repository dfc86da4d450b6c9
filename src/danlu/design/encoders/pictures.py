"""What encoders of pictures advise for their training."""

from __future__ import annotations

from danlu.design.advice import Advice, augmentation


def picture_advice() -> Advice:
    """Colour pictures are mirrored; all are moved a little."""
    return Advice(augment=(augmentation("flip", pictures="colour"), augmentation("crop")))
