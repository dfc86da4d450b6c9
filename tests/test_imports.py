"""What is not imported: a light start is a list of modules, not a time."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"torch", "polars", "numpy", "pydantic", "onnxruntime", "sklearn", "pandas", "pyarrow", "PIL", "ruamel", "rich"}


def imported(code: str) -> set[str]:
    """The top-level packages that a fresh process has imported after `code`."""
    code = f"{code}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split("\n")[-2].split())


def test_import_danlu_brings_in_the_standard_library_alone() -> None:
    found = imported("import danlu") - imported("pass") - set(sys.stdlib_module_names)
    assert found == {"danlu"}


def test_help_and_version_import_nothing_heavy() -> None:
    assert not HEAVY & imported("from danlu.cli.app import execute; execute(['--help'])")
    # Where a command is chosen, typer looks at its parameters, which it does with pydantic.
    for arguments in (["version"], ["run", "--help"]):
        assert not (HEAVY - {"pydantic"}) & imported(f"from danlu.cli.app import execute; execute({arguments})")


def test_reading_a_bundle_or_data_needs_no_torch() -> None:
    modules = (
        "bundle.bundle",
        "prepare.sources.reading",
        "evaluate.metrics",
        "columns.column",
        "recipe.reading",
        "tasks.task",
    )
    code = "\n".join(f"import danlu.{module}" for module in modules)
    assert not {"torch", "sklearn", "onnxruntime", "PIL", "pandas"} & imported(code)
