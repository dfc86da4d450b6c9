"""The promise about memory, kept by a whole training in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "larger_than_memory.py"


@pytest.mark.slow
def test_a_set_of_two_gigabytes_trains_in_less_than_one(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARK), "--gb", "2", "--folder", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["peak_rss_mib"] < 1000
    assert found["validation"]["accuracy"] > 0.9
