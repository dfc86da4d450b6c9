"""Every class of fault, met by a whole run as its user would meet it: what was given, what is allowed, where, how to
mend it.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from danlu.base.errors import BundleError, DanluError, DataError, RecipeError, StorageError
from danlu.base.files import read_json
from danlu.bundle.bundle import load
from danlu.pipeline import run
from danlu.recipe.reading import read_recipe

GOOD = "x,y\n" + "".join(f"{i % 17}.5,{'ab'[i * 7 % 3 % 2]}\n" for i in range(90))
PIXEL_ROWS = 40


def write(folder: Path, recipe: str, data: str | None = GOOD) -> Path:
    if data is not None:
        (folder / "rows.csv").write_text(data, encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(recipe, encoding="utf-8")
    return path


RECIPE_FAULTS = {
    "unknown key": (
        "data: rows.csv\ntarget: y\ntrain:\n  epocs: 3\n",
        r"train\.epocs .*\n  .*recipe\.yaml:4:3 · fix: .*epochs",
    ),
    "wrong type": ("data: rows.csv\ntarget: y\ntrain:\n  epochs: ten\n", r"train\.epochs .*'?ten'?.*\n  .*:4:"),
    "out of range": (
        "data: rows.csv\ntarget: y\ntrain:\n  optimizer: {name: adamw, lr: -1}\n",
        r"train\.optimizer\.lr .*(> 0|greater than 0|above 0).*\n  .*:4:",
    ),
    "missing file": ("data: rwos.csv\ntarget: y\n", r"rwos\.csv.*\n  .*:1:.*did you mean rows\.csv"),
    "unknown component": (
        "data: rows.csv\ntarget: y\ntrain: {optimizer: adamm}\n",
        r"train\.optimizer.*adamm.*\n  .*:3:.*adam",
    ),
}


@pytest.mark.parametrize(("recipe", "message"), RECIPE_FAULTS.values(), ids=RECIPE_FAULTS)
def test_a_fault_of_the_recipe_is_told_with_line_and_column(recipe: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(write(tmp_path, recipe))


def test_all_faults_come_in_one_report(tmp_path: Path) -> None:
    text = "data: rows.csv\ntarget: y\ntrain:\n  epocs: 3\n  batch_size: 0\nprepair: {}\n"
    with pytest.raises(RecipeError) as caught:
        read_recipe(write(tmp_path, text))
    assert [fault.line for fault in caught.value.faults] == [4, 5, 6]


TWO_LINES = "data: rows.csv\ntarget: y\n"
DATA_FAULTS = {
    "missing column": (TWO_LINES.replace("target: y", "target: yy"), GOOD, r"yy.*\n.*(did you mean|rename|y)"),
    "empty file": (TWO_LINES, "", r"rows\.csv.* is empty|empty"),
    "header only": (TWO_LINES, "x,y\n", r"(no rows|only a header|header)"),
    "one-class target": (
        TWO_LINES,
        "x,y\n" + "1,a\n2,a\n" * 30,
        r"target y is .*a.* in every row: there is nothing to learn",
    ),
    "all-missing target": (TWO_LINES, "x,y\n" + "1,\n" * 50, r"every value of the target y is missing"),
    "all-missing column": (
        TWO_LINES + "prepare: {}\n",
        "x,y\n" + ",a\n,b\n" * 40,
        r"(no input column|x)",
    ),
    "an all-missing column that the recipe types": (
        "data:\n  source: rows.csv\n  target: y\n  columns: {x: number}\n",
        "x,z,y\n" + ",1,a\n,2,b\n,3,a\n" * 30,
        r"every value of x is missing, and the recipe makes it number",
    ),
    "ragged rows": (TWO_LINES, GOOD + "1,2,3\n" * 30, r"(3 fields|fields).*\n.*rows\.csv"),
    "text in a number": (
        "data:\n  source: rows.csv\n  target: y\n  columns: {x: number}\n",
        GOOD + "many,a\n",
        r"many.*\n.*column x, row 90.*missing_values",
    ),
}


@pytest.mark.parametrize(("recipe", "data", "message"), DATA_FAULTS.values(), ids=DATA_FAULTS)
def test_a_fault_of_the_data_is_told_with_its_place(recipe: str, data: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        run(read_recipe(write(tmp_path, recipe, data)), root=tmp_path / "runs", until="prepare")


def test_a_few_missing_targets_are_left_out_and_counted(tmp_path: Path) -> None:
    result = run(read_recipe(write(tmp_path, TWO_LINES, GOOD + "1,\n2,nan\n")), root=tmp_path / "runs", until="prepare")
    assert result.prepared is not None
    (finding,) = [one for one in result.prepared.findings if one.key == "missing_target"]
    assert finding.evidence["rows"] == 2
    assert sum(result.prepared.sizes.values()) == 90


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    from PIL import Image

    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(PIXEL_ROWS // 2):
            pixels = random.integers(0, 255, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / label / f"{number}.png")
    return tmp_path


def test_a_truncated_picture_is_quarantined_with_its_reason_or_stops_the_run(pictures: Path) -> None:
    broken = pictures / "pictures/cat/3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    recipe = write(pictures, "data: pictures\ntarget: label\n", None)
    with pytest.raises(DataError, match=r"1 of 40 rows .* cannot be read.*truncated.*\n.*cat/3\.png.*max_rejected"):
        run(read_recipe(recipe), root=pictures / "runs", until="prepare")
    lenient = read_recipe(recipe, ["prepare.max_rejected=0.1"])
    result = run(lenient, root=pictures / "runs", until="prepare")
    assert result.prepared is not None
    assert [one.key for one in result.prepared.findings if one.key == "rejected_rows"]
    assert (result.run.folder / "prepare/rejected.parquet").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # memory maps may still hold it


@pytest.mark.parametrize("room", [0, 300_000, 1_200_000])
def test_a_full_disk_stops_the_run_with_a_word_and_the_folder_stays_readable(
    room: int, small_disk: Path, tmp_path: Path
) -> None:
    text = TWO_LINES + "train: {epochs: 3}\nevaluate: {bootstrap: 10, baselines: [majority]}\ncompress: {try: []}\n"
    recipe = read_recipe(write(tmp_path, text))
    free = shutil.disk_usage(small_disk).free
    with open(small_disk / "ballast", "wb") as ballast:
        ballast.write(b"\0" * (free - room))
    with pytest.raises(StorageError, match=os.strerror(errno.ENOSPC)) as caught:
        run(recipe, root=small_disk / "runs")
    assert caught.value.hint == "free some space and run again"
    for path in (small_disk / "runs").rglob("*.json"):
        read_json(path)
    (small_disk / "ballast").unlink()
    assert run(recipe, root=small_disk / "runs").bundle is not None


def test_a_bundle_with_one_flipped_byte_is_refused_and_names_the_file(tmp_path: Path) -> None:
    text = TWO_LINES + "train: {epochs: 2}\nevaluate: {bootstrap: 10, baselines: [majority]}\ncompress: {try: []}\n"
    bundle = run(read_recipe(write(tmp_path, text)), root=tmp_path / "runs").bundle
    assert bundle is not None
    load(bundle)
    for path in sorted(bundle.iterdir()):
        whole = path.read_bytes()
        place = len(whole) // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BundleError, match=path.name):
            load(bundle)
        path.write_bytes(whole)
    load(bundle)


def test_the_command_line_tells_a_fault_without_a_traceback(tmp_path: Path) -> None:
    recipe = write(tmp_path, "data: rows.csv\ntarget: y\ntrain:\n  epocs: 3\n")
    command = [sys.executable, "-m", "danlu", "run", str(recipe)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == RecipeError.exit_code == 2
    assert "Traceback" not in found.stderr
    assert "epocs" in found.stderr
    assert "recipe.yaml:4:3" in found.stderr
    assert not (tmp_path / "runs").exists()
    assert issubclass(RecipeError, DanluError)
