"""What is trained and what must be reached: real datasets, each with the shortest recipe that says what is wanted.

A case writes a folder's files into one of its own (as links, or as a table where the data has no header), so that its
recipe holds what a user would write.
"""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fashion import ALONE, FUSIONS, JOINED, recipe, score_blind


class AbsentError(Exception):
    """The dataset is not there; the message says which."""


@dataclass(frozen=True)
class Case:
    """One dataset and recipe.

    Attributes:
        name: of the case; several may be of one dataset.
        data: folder of the dataset.
        recipe: YAML; `$NAME` stands for the folder `needs` names.
        metric: of the test split that counts.
        goal: what it must reach; None where it is held against boosting or other cases, or only reported.
        write: puts what the recipe reads into a folder, given the dataset's.
        against: how boosting bounds it: `rmse` within 3 %, `spread` not worse by more than boosting's own spread.
        needs: a folder that must be given for it (a checkpoint), or "".
        above: cases whose means it must lie above.
        slack: how far below those it may lie.
        of: the case whose bundles are asked in another way for this one; its runs make this one's rows.
        ask: how; a bundle's folder and the dataset's as the metric.
    """

    name: str
    data: str
    recipe: str
    metric: str
    goal: float | None
    write: Callable[[Path, Path], None]
    against: str = ""
    needs: str = ""
    above: tuple[str, ...] = ()
    slack: float = 0.0
    of: str = ""
    ask: Callable[[Path, Path], float] | None = None


def find(root: Path, case: Case) -> Path:
    """The dataset's folder. Raises AbsentError."""
    folder = root / case.data
    if not folder.is_dir():
        raise AbsentError(f"{folder} is not there")
    return folder


def linked(source: Path, into: Path) -> None:
    """Every entry of the dataset as a link."""
    for path in source.iterdir():
        os.symlink(path.resolve(), into / path.name)


def table(path: Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(list(header))
        writer.writerows(rows)


def lines(path: Path) -> list[str]:
    """Lines of a gzip file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip()]


def _rt_polarity(source: Path, into: Path) -> None:
    rows = [(line, kind) for kind in ("pos", "neg") for line in lines(source / f"rt-polarity.{kind}.gz")]
    table(into / "reviews.csv", ("review", "sentiment"), rows)


def _sst2(source: Path, into: Path) -> None:
    for name in ("train", "dev", "test"):
        rows = [line.rsplit("\t", 1) for line in lines(source / f"{name}.tsv.gz")]
        table(into / f"{name}.csv", ("review", "sentiment"), rows)


def _fsdd(source: Path, into: Path) -> None:
    """Takes 0 to 4 of each speaker and digit test."""
    rows = []
    for path in sorted((source / "recordings").glob("*.wav")):
        digit, _, take = path.stem.split("_")
        rows.append((str(path.resolve()), digit, "test" if int(take) < 5 else "train"))
    table(into / "digits.csv", ("sound", "digit", "split"), rows)


def _series(name: str) -> Callable[[Path, Path], None]:
    return lambda source, into: linked(source / name, into)


_TABLES = {
    "titanic": ("train.csv", "Survived", "accuracy"),
    "german_credit": ("german.csv", "credit_risk", "accuracy"),
    "telco_churn": ("telco_customer_churn.csv.gz", "Churn", "accuracy"),
    "diamonds": ("diamonds.csv.gz", "price", "r2"),
    "ames_housing": ("AmesHousing.csv.gz", "SalePrice", "r2"),
}
_UCR = {"GunPoint": "GunPoint", "ItalyPower": "ItalyPowerDemand", "BasicMotions": "BasicMotions"}
_UCR |= {"JapaneseVowels": "JapaneseVowels"}
_MINILM = "design: {encoders: {review: {name: pretrained, checkpoint: $minilm, tune: $tune}}}\n"
_HYMENOPTERA = """data: {train: train, test: val}
target: label
design: {encoders: {image: {name: pretrained, checkpoint: $efficientnet, tune: frozen}}}
"""
_RT = "data: reviews.csv\ntarget: sentiment\n"
_SST2 = "data: {train: train.csv, validation: dev.csv, test: test.csv}\ntarget: sentiment\n"


def _fashion(name: str, text: str, above: tuple[str, ...] = ()) -> Case:
    return Case(name, "fashion_products", text, "accuracy", None, linked, above=above)


CASES = {
    case.name: case
    for case in (
        Case(
            "adult",
            "adult",
            "data: {train: adult_train.csv.gz, test: adult_test.csv.gz}\ntarget: income\n",
            "accuracy",
            0.868,
            linked,
        ),
        Case(
            "california_housing",
            "california_housing",
            "data: housing.csv.gz\ntarget: median_house_value\n",
            "r2",
            None,
            linked,
            "rmse",
        ),
        *(
            Case(name, name, f"data: {file}\ntarget: {target}\n", metric, None, linked, "spread")
            for name, (file, target, metric) in _TABLES.items()
        ),
        Case("mnist", "mnist", "data: .\ntarget: label\n", "accuracy", 0.993, linked),
        Case("cifar10_subset", "cifar10_subset", "data: cifar10_subset.zip\ntarget: label\n", "accuracy", 0.75, linked),
        Case("rt_polarity", "rt_polarity", _RT, "accuracy", 0.77, _rt_polarity),
        Case("sst2", "sst2", _SST2, "accuracy", 0.80, _sst2),
        *(
            Case(
                f"{name}_{tune}", name, recipe + _MINILM.replace("$tune", tune), "accuracy", goal, write, needs="minilm"
            )
            for tune in ("lora", "full")
            for name, recipe, goal, write in (
                ("rt_polarity", _RT, 0.84, _rt_polarity),
                ("sst2", _SST2, 0.88, _sst2),
            )
        ),
        Case(
            "rt_polarity_lora_of_3",
            "rt_polarity",
            _RT + _MINILM.replace("$tune", "lora") + "train: {ensemble: {seeds: 3}}\n",
            "accuracy",
            0.84,
            _rt_polarity,
            needs="minilm",
        ),
        Case(
            "chnsenticorp_hotel",
            "chnsenticorp_hotel",
            "data: ChnSentiCorp_htl_all.csv.gz\ntarget: label\n",
            "accuracy",
            0.88,
            linked,
        ),
        Case(
            "fsdd",
            "fsdd",
            "data: digits.csv\ntarget: digit\nprepare: {split: {by: {column: split}}}\n",
            "accuracy",
            0.97,
            _fsdd,
        ),
        *(
            Case(
                short,
                "ucr_uea",
                f"data: {{train: {name}_TRAIN.ts.gz, test: {name}_TEST.ts.gz}}\ntarget: label\n",
                "accuracy",
                0.96,
                _series(name),
            )
            for short, name in _UCR.items()
        ),
        Case(
            "msra_ner",
            "msra_ner",
            "data: {train: train.txt.gz, test: test.txt.gz, reader: conll}\ntarget: tags\n",
            "entity_f1",
            0.70,
            linked,
        ),
        Case(
            "wnut17",
            "wnut17",
            "data: {train: train.conll, validation: dev.conll, test: test.conll}\ntarget: tags\n",
            "entity_f1",
            None,
            linked,
        ),
        Case("hymenoptera", "hymenoptera", _HYMENOPTERA, "accuracy", 0.90, linked, needs="efficientnet"),
        *(_fashion(name, recipe(parts, "concat")) for name, parts in ALONE.items()),
        *(
            _fashion(f"fashion_{fusion}", recipe(JOINED, fusion), ("fashion_text", "fashion_picture", "fashion_table"))
            for fusion in FUSIONS
        ),
        *(
            Case(
                f"fashion_{fusion}_blind",
                "fashion_products",
                "",
                "accuracy",
                None,
                linked,
                above=("fashion_text_table",),
                slack=0.03,
                of=f"fashion_{fusion}",
                ask=score_blind,
            )
            for fusion in FUSIONS
        ),
    )
}
