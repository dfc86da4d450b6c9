"""Trainings of every family, killed at random moments and started again, end with the weights of the unbroken ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


def kill(kills: int, seed: int) -> dict[str, Any]:
    """What the harness found; in a process of its own, since it forks."""
    command = [sys.executable, "-m", "tests.recipes.kill_harness", "--kills", str(kills), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["total"]["wrong"] == 0, found
    assert done.returncode == 0
    return found


def test_a_sample_of_kills() -> None:
    found = kill(12, seed=7)
    assert found["total"]["kills"] >= 12
    assert len(found["families"]) == 12


@pytest.mark.slow
def test_two_hundred_kills_over_all_families() -> None:
    found = kill(200, seed=1)
    assert found["total"]["kills"] >= 200
    assert all(one["kills"] >= 12 for one in found["families"].values())
    assert found["total"]["damaged"] > 0
    assert found["total"]["asked"] > 0
