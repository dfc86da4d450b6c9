"""Step 2: columns in → encoders → fusion → head.

This is the first package that imports torch. Waiting threads must sleep, not spin: on a busy machine two spinning ones made
a small step 10–30 times slower, and sleeping ones cost nothing on a quiet machine.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from danlu.base.devices import need

need("torch", "train")

from danlu.design.assemble import assemble, design
from danlu.design.describe import Description, describe
from danlu.design.network import Encoded, Network
from danlu.design.outputs import outputs
from danlu.design.trained import Trained

__all__ = ["Description", "Encoded", "Network", "Trained", "assemble", "describe", "design", "outputs"]
