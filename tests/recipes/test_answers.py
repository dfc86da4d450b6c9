"""Sets, tags, quantiles, pairs that are classified and pairs that are found: from rows to what a server replies."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import danlu
from danlu.base.errors import DataError, RecipeError
from danlu.base.files import read_json
from danlu.recipe.reading import recipe_from
from danlu.serve.app import answer_body
from danlu.serve.openapi import openapi

SMALL = {
    "train": {"epochs": 4, "batch_size": 32},
    "evaluate": {"bootstrap": 20, "baselines": ["majority"]},
    "compress": {"try": []},
}
TABLE = {"design": {"encoders": {"*": "mlp"}}}
WORDS = [f"word{place}" for place in range(20)]
SHARED = {"encoders": {"tokens": {"name": "tagger", "pooling": "mean", "width": 8, "embedding_dim": 16}}}
SHARED["share"] = [["question", "answer"]]  # type: ignore[assignment]


def numbers(num_rows: int = 240) -> pl.DataFrame:
    x = np.random.default_rng(0).normal(size=(num_rows, 3))
    sets = [[name for name, one in zip("abc", row, strict=True) if one > 0] for row in x]
    price = x[:, 0] * 3 + np.random.default_rng(1).normal(size=num_rows)
    return pl.DataFrame({"x": x[:, 0], "y": x[:, 1], "z": x[:, 2], "sets": sets, "price": price})


def questions(num_rows: int = 240) -> pl.DataFrame:
    random = np.random.default_rng(0)
    asked = [random.choice(WORDS, random.integers(2, 6)).tolist() for _ in range(num_rows)]
    same = random.random(num_rows) > 0.5
    told = [one[::-1] if yes else random.choice(WORDS, 4).tolist() for one, yes in zip(asked, same, strict=True)]
    return pl.DataFrame({"question": asked, "answer": told, "same": np.where(same, "yes", "no")})


def sentences(path: Path, num_rows: int, seed: int) -> Path:
    """Names follow `Mr`, places `in`; some names have two words."""
    random, lines = np.random.default_rng(seed), []
    for _ in range(num_rows):
        for _ in range(random.integers(1, 4)):
            lines += [f"{word}\tO" for word in random.choice(WORDS, random.integers(1, 3))]
            long = random.random() > 0.5
            lines += ["Mr\tO", "Li\tB-PER", *(["Bai\tI-PER"] if long else []), "in\tO", "Xian\tB-LOC"]
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def ran(value: Mapping[str, Any], root: Path) -> danlu.Result:
    result = danlu.run(recipe_from({**SMALL, **value}), root=root)
    assert result.bundle is not None
    assert read_json(result.bundle / "parity.json")["passed"]
    assert (result.run.folder / "report.html").is_file()
    return result


def replied(result: danlu.Result, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """What a server replies, of the form that it describes."""
    assert result.bundle is not None
    bundle = danlu.load(result.bundle)
    found: list[dict[str, Any]] = json.loads(answer_body(bundle, json.dumps(rows.to_dicts()).encode()))["predictions"]
    answer = openapi(bundle)["components"]["schemas"]["Answer"]
    assert all(list(one) == answer["required"] for one in found)
    return found


def test_sets(tmp_path: Path) -> None:
    rows = numbers().drop("price")
    train = {**SMALL["train"], "epochs": 12, "class_weights": "balanced"}
    result = ran({"data": {"source": rows, "target": "sets"}, "train": train, **TABLE}, tmp_path)
    assert result.scores is not None
    assert result.scores.value("f1_micro") > 0.8
    assert [row[0] for row in result.scores.details[0]["rows"]] == ["a", "b", "c"]
    (one,) = replied(result, rows.drop("sets").head(1))
    assert one["prediction"] == [name for name, share in one["probabilities"].items() if share >= 0.5]


def test_quantiles_and_their_ensemble(tmp_path: Path) -> None:
    loss = {"name": "quantile", "quantiles": [0.1, 0.5, 0.9]}
    train = {**SMALL["train"], "epochs": 12, "loss": loss, "ensemble": {"seeds": 2}}
    rows = numbers().drop("sets")
    result = ran({"data": {"source": rows, "target": "price"}, "train": train, **TABLE}, tmp_path)
    assert result.scores is not None
    assert result.scores.baselines["majority"]["verdict"] == "better"
    assert result.scores.value("coverage_error") < 0.3
    for one in replied(result, rows.head(5)):
        assert list(one["quantiles"]) == ["0.1", "0.5", "0.9"]
        assert sorted(one["quantiles"].values()) == list(one["quantiles"].values())
        assert one["prediction"] == one["quantiles"]["0.5"]


def test_tags_of_a_file(tmp_path: Path) -> None:
    files = {name: str(sentences(tmp_path / f"{name}.conll", 80, seed)) for seed, name in enumerate(("train", "test"))}
    small = {"name": "tagger", "width": 16, "embedding_dim": 16}
    value = {"data": {**files, "target": "tags"}, "design": {"encoders": {"tokens": small}}}
    train = {"epochs": 10, "batch_size": 8, "optimizer": {"name": "adamw", "lr": 0.02}}
    result = ran({**value, "train": train}, tmp_path / "runs")
    assert result.scores is not None
    assert result.scores.value("entity_f1") > 0.9
    (one,) = replied(result, pl.DataFrame({"tokens": [["w1", "Mr", "Li", "Bai", "in", "Xian", "Mr"]]}))
    assert len(one["prediction"]) == 7
    assert {"type": "PER", "start": 2, "end": 4, "text": "Li Bai"} in one["entities"]


@pytest.mark.slow
def test_two_columns_through_one_encoder(tmp_path: Path) -> None:
    rows = questions()
    value = {"data": {"source": rows, "target": "same"}, "design": {**SHARED, "fusion": "pair"}}
    result = ran(value, tmp_path)
    assert result.network is not None
    columns = result.network.schema.inputs
    assert columns[0].state == columns[1].state, "they have one vocabulary"
    assert sum("embedding" in name for name, _ in result.network.named_parameters()) == 1
    assert len(replied(result, rows.drop("same").head(3))) == 3


@pytest.mark.slow
def test_pairs_that_are_found(tmp_path: Path) -> None:
    rows = questions(400).filter(pl.col("same") == "yes")
    design = {**SHARED, "head": {"name": "contrastive", "temperature": 0.1}}
    value = {"data": {"source": rows, "pair": ["question", "answer"]}, "design": design}
    result = ran({**value, "train": {"epochs": 20, "batch_size": 32}}, tmp_path)
    assert result.scores is not None
    assert result.scores.value("recall_at_10") > 0.8
    assert result.scores.value("median_rank") < 5
    vectors = replied(result, rows.head(1))[0]["embeddings"]
    assert [np.linalg.norm(vectors[name]) for name in ("question", "answer")] == pytest.approx([1, 1], abs=1e-5)
    assert "same" not in [column.name for column in danlu.load(result.bundle).schema.inputs]  # type: ignore[arg-type]


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    rows = pl.DataFrame({"tokens": [["a", "b"], ["c"]] * 20, "tags": [["O"], ["B-X"]] * 20})
    with pytest.raises(DataError, match="it has 1 tags, but 2 tokens in tokens"):
        danlu.run(recipe_from({"data": {"source": rows, "target": "tags"}}), root=tmp_path)
    pair = {"data": {"source": questions(), "pair": ["question", "answer"]}, "train": {"ensemble": {"seeds": 2}}}
    with pytest.raises(RecipeError, match=r"train\.ensemble is set, but the vectors of several networks"):
        danlu.run(recipe_from(pair), root=tmp_path)
    beside = {"data": {**pair["data"], "columns": {"same": "category"}}}
    with pytest.raises(RecipeError, match=r"data\.columns\.same is not of data\.pair: question and answer are learned"):
        danlu.run(recipe_from(beside), root=tmp_path)
    both = {"name": "quantile", "quantile": 0.9, "quantiles": [0.1, 0.5]}
    data = {"source": numbers().drop("sets"), "target": "price"}
    with pytest.raises(RecipeError, match=r"quantile is 0\.9, but several quantiles of price are answered"):
        danlu.run(recipe_from({"data": data, "train": {"loss": both}, **TABLE}), root=tmp_path)
    share = {"data": {"source": questions(), "target": "same"}, "design": {"share": [["question", "nobody"]]}}
    with pytest.raises(RecipeError, match="names nobody, which is no input"):
        danlu.run(recipe_from(share), root=tmp_path)
    with pytest.raises(RecipeError, match=r"data\.target stands beside data\.pair"):
        recipe_from({"data": {"source": questions(), "target": "same", "pair": ["question", "answer"]}})
