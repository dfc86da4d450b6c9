"""Small data sets to try Danlu with nothing else at hand: real ones of scikit-learn, and some that are computed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.devices import need
from danlu.base.errors import DataError, nearest
from danlu.prepare.sources.generated import three_numbers, waves
from danlu.prepare.sources.table import Table


@dataclass(frozen=True)
class SampleInfo:
    """One sample as `danlu samples` lists it.

    Attributes:
        name: what stands after `sample:`.
        rows: number of rows.
        columns: number of columns, the target included.
        task: what predicting the target is.
        description: one line.
        target: the column to predict.
    """

    name: str
    rows: int
    columns: int
    task: str
    description: str
    target: str


_SAMPLES = (
    SampleInfo("breast_cancer", 569, 31, "binary", "cell nuclei of breast masses, malignant or benign", "diagnosis"),
    SampleInfo(
        "diabetes", 442, 11, "regression", "progression of diabetes one year after ten measurements", "progression"
    ),
    SampleInfo("digits", 1797, 2, "multiclass", "pictures of handwritten digits, 8 × 8 pixels", "label"),
    SampleInfo("iris", 150, 5, "multiclass", "petals and sepals of three species of iris", "species"),
    SampleInfo("wine", 178, 14, "multiclass", "chemistry of wines from three cultivars", "cultivar"),
    SampleInfo("three_numbers", 1000, 4, "binary", "computed: points inside and outside a ball", "place"),
    SampleInfo("waves", 800, 2, "multiclass", "computed: waves in noise, 100 steps of 64 channels", "period"),
)
_COMPUTED = {"three_numbers": three_numbers, "waves": waves}


def samples() -> tuple[SampleInfo, ...]:
    """What there is."""
    return _SAMPLES


@dataclass(frozen=True, kw_only=True)
class Sample:
    """`sample:NAME`: a small data set that needs no file (`danlu samples` lists them)."""

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows.

        Raises:
            DataError: there is no sample of that name.
            MissingExtraError: scikit-learn, which holds the real ones, is not installed.
        """
        name = str(source).removeprefix("sample:").strip()
        info = next((one for one in _SAMPLES if one.name == name), None)
        if info is None:
            known = [one.name for one in _SAMPLES]
            near = nearest(name, known)
            raise DataError(
                f"there is no sample {name}; there are {', '.join(known)}",
                where=str(source),
                hint=f"did you mean sample:{near}?" if near else "see danlu samples",
            )
        if computed := _COMPUTED.get(name):
            return Table(frame=computed(), target=info.target)
        need("sklearn", "train")
        return Table(frame=_digits() if name == "digits" else _table(info), target=info.target)


def _digits() -> pl.DataFrame:
    from sklearn.datasets import load_digits

    data = load_digits()
    # Sixteen steps of grey become the usual 256.
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return pl.DataFrame({"image": pl.Series(pixels), "label": pl.Series(data.target)})


def _table(info: SampleInfo) -> pl.DataFrame:
    from sklearn import datasets

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load = getattr(datasets, f"load_{info.name}")
        data = load(scaled=False) if info.name == "diabetes" else load()
    names = [str(name).replace(" (cm)", "").replace(" ", "_").replace("/", "_") for name in data.feature_names]
    columns = {name: data.data[:, place] for place, name in enumerate(names)}
    if info.task == "regression":
        return pl.DataFrame({**columns, info.target: data.target})
    labels = np.asarray(data.target_names)[data.target].tolist()
    return pl.DataFrame({**columns, info.target: labels})
