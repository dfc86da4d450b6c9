"""Make the virtual environments of all peers: one command, some minutes of downloads the first time.

    python benchmarks/train/environments.py [FOLDER] [--toolkits lightning,keras-jax]

Each toolkit has its own (`FOLDER/lightning`, …; by default in `.bench`), with torch at the release in `constraints.txt`
and all else as new as its requirements let it be. What is there already is left as it is.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import TOOLKITS, Toolkit

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".bench"


def python_of(folder: Path, toolkit: Toolkit) -> Path:
    """The interpreter that runs a toolkit's script."""
    return folder / toolkit.environment / "bin" / "python" if toolkit.environment else Path(sys.executable)


def make(folder: Path, toolkit: Toolkit) -> str:
    """Make one environment; gives what went wrong, or ""."""
    python = python_of(folder, toolkit)
    if (python.parent.parent / ".ready").exists():
        return ""
    (torch,) = re.findall(r"^torch==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    links = [word for link in os.environ.get("PIP_FIND_LINKS", "").split() for word in ("--find-links", link)]
    with tempfile.TemporaryDirectory() as name:
        overrides = Path(name) / "overrides.txt"
        # A requirement whose marker is never true is none.
        overrides.write_text("".join(f"{one}; python_version < '3'\n" for one in toolkit.without))
        packages = [torch if one == "torch" else one for one in toolkit.packages]
        uv = [sys.executable, "-m", "uv"]
        commands = [
            [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(python.parent.parent)],
            [
                *uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                str(python),
                *links,
                "--overrides",
                str(overrides),
                *packages,
            ],
        ]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return done.stderr.strip() or done.stdout.strip()
    (python.parent.parent / ".ready").touch()
    return ""


def main() -> None:
    """Make them one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--toolkits", default=",".join(name for name, one in TOOLKITS.items() if one.environment))
    given = parser.parse_args()
    failed = []
    for name in given.toolkits.split(","):
        fault = make(given.folder, TOOLKITS[name])
        print(f"{name}: {fault or 'ready'}", flush=True)
        failed += [name] if fault else []
    sys.exit(f"not made: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
