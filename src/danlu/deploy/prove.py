"""The served side of the parity proof, run as a process of its own: `python -m danlu.deploy.prove FOLDER`.

It knows nothing of the trained network: it opens the candidate bundle as any server would, answers every raw test row,
scores the answers and writes what it found. Whether that is right, the process that started it decides.

FOLDER holds `bundle/`, `rows.arrow` (the raw test rows) and `asked.json` ({"metrics": [...]}); `outputs.safetensors`
and `served.json` are added.
"""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

from danlu.base.errors import DanluError
from danlu.base.files import read_json, write_bytes, write_json


def main(folder: Path) -> None:
    """Answer the rows in `folder` with its bundle. Raises DanluError."""
    import polars as pl
    from safetensors.numpy import save

    from danlu.bundle import load
    from danlu.evaluate.score import score

    bundle = load(folder / "bundle")
    rows = pl.read_ipc((folder / "rows.arrow").read_bytes())
    outputs = bundle.outputs(rows)
    truth = bundle.task.truth(bundle.schema.encode_target(rows))
    names = read_json(folder / "asked.json")["metrics"]
    scores = score(bundle.task, names, truth, bundle.task.answers(outputs))
    write_bytes(folder / "outputs.safetensors", save({"outputs": outputs}))
    served = {
        # NaN (undefined) is no JSON
        "metrics": {name: value if value == value else None for name, value in scores.items()},
        "files": {
            name: bundle.manifest["files"][name]["sha256"]
            for name in ("model.onnx", "columns.json", "columns.safetensors")
        },
        "runtime": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("danlu", "numpy", "onnxruntime", "polars")},
        },
        "torch_imported": "torch" in sys.modules,
    }
    write_json(folder / "served.json", served)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except DanluError as error:
        sys.exit(str(error))
