"""Imports go down only; `pyproject.toml` ([tool.importlinter]) draws the layers."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_module_imports_only_from_layers_above_it() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_package_is_in_the_drawing() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    there = {
        f"danlu.{path.stem}"
        for path in (ROOT / "src/danlu").iterdir()
        if (path.is_dir() and (path / "__init__.py").exists()) or (path.suffix == ".py" and path.stem != "__init__")
    }
    assert there == set(layers)


def test_torch_is_the_version_that_was_tried_and_torchvision_is_absent() -> None:
    from importlib.metadata import version
    from importlib.util import find_spec

    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split())
    assert version("torch").split("+")[0] == pins["torch"]
    assert find_spec("torchvision") is None, "beside this torch it breaks every transformers model"
