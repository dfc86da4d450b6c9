"""What all tests share: where the real datasets are, and a small fitted schema."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# Tests may import torch before `danlu.design`, which sets this too: spinning threads made a step of an LSTM on a busy
# machine 70 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same examples in every run, so that what lands has passed them; `HYPOTHESIS_PROFILE=search` looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real datasets: `DANLU_DATA`, or `../shared/data` beside the checkout. Skips where it is absent."""
    folder = Path(os.environ.get("DANLU_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").exists():
        pytest.skip("the real datasets are not here: set DANLU_DATA to their folder")
    return folder
