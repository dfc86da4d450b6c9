"""The report: whole, escaped, offline, and without the parts that are not there."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from danlu.base.errors import DanluError
from danlu.base.runs import Run
from danlu.design.trained import Trained
from danlu.evaluate import evaluate
from danlu.evaluate.parts import ReportParts, parts_from_run
from danlu.evaluate.report import render, write_report
from danlu.prepare.prepared import Prepared
from danlu.recipe.schema import Recipe

Stage = Callable[[str], tuple[Prepared, Trained]]
EVIL = '<script>alert("x")</script>'
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Tree(HTMLParser):
    """Keeps texts, attributes and ids, and fails where a tag is closed that was not opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def fake_parts(word: str = "年收入") -> ReportParts:
    """Parts of every kind, with `word` in every place where the data's own texts come."""
    interval = {"value": 0.86, "low": 0.85, "high": 0.87}
    picture = {"address": "data:image/png;base64,AAAA", "width": 8, "height": 8}
    baseline = {
        "note": f"on {word}",
        "rows": 400,
        "of": 700,
        "seconds": 1.0,
        "metrics": {"accuracy": interval},
        "advantage": {"accuracy": {"value": 0.01, "low": -0.001, "high": 0.02}},
        "verdict": "no difference shown",
    }
    scores = {
        "task": "binary",
        "main": "accuracy",
        "metrics": {"test": {"accuracy": interval}, "validation": {"accuracy": interval}},
        "greater_is_better": {"accuracy": True},
        "rows": {"test": 100, "validation": 50},
        "intervals": {"resamples": 1000, "confidence": 0.95, "method": "percentile bootstrap"},
        "baselines": {"boosting": baseline, "majority": {**baseline, "metrics": None, "advantage": None}},
        "confusion": {"labels": [f"{word} a", word], "counts": [[50, 10], [5, 35]], "confused": []},
        "calibration": {
            "of": "class 1",
            "bins": [{"rows": 100, "probability": 0.4, "share": 0.5, "low": 0.4, "high": 0.6}],
            "ece": 0.1,
            "brier": 0.2,
        },
        "residuals": None,
    }
    mistake = {
        "row": 7,
        "truth": word,
        "answer": word,
        "probability": 0.99,
        "values": {word: word, "other": None},
        "pictures": {word: picture},
    }
    finding = {"key": word, "severity": "warning", "message": word, "columns": [word], "rows": [1], "remedy": word}
    profile = {
        word: {"type": "category", "missing": 0.001, "distinct": 2, "top": [{"value": word, "count": 9}]},
        "age": {
            "type": "number",
            "missing": 0.0,
            "min": 1.0,
            "max": 90.0,
            "histogram": {"edges": [], "counts": [1, 2]},
        },
    }
    return ReportParts(
        run={"name": "年收入-0001", "started": "2026-01-31T12:34:56+0800"},
        recipe={"name": word, "seed": 7, "data": {"target": word}},
        recipe_text=f"name: {word}\n",
        environment={"python": "3.11", "libraries": {"torch": "2.13"}},
        findings=[finding],
        profile=profile,
        sizes={"train": 700, "validation": 100, "test": 200},
        design={
            "layers": [{"name": word, "type": "Linear", "shape": [3, 4], "parameters": 12}],
            "parameters": 12,
            "flops": 24,
            "memory_mb": 0.1,
            "batch_size": 256,
        },
        history=[
            {"epoch": 0, "step": 5, "lr": 0.01, "loss": 0.7, "validation_loss": 0.6, "roc_auc": None},
            {"epoch": 1, "step": 10, "lr": 0.001, "loss": 0.5, "validation_loss": 0.4, "roc_auc": 0.8},
        ],
        training={"best_epoch": 1, "facts": {"monitor": "roc_auc", "seconds": 2.0, "rows_per_second": 12345}},
        scores=scores,
        mistakes=[mistake],
        variants=[
            {
                "name": word,
                "size_mb": 1.5,
                "latency_ms": None,
                "scores": {"test": {"accuracy": 0.86}},
                "accepted": False,
                "reason": word,
            }
        ],
        parity={
            "passed": False,
            "reason": word,
            "rows": 200,
            "max_difference": 0.5,
            "tolerance": 1e-4,
            "first_difference": {"row": 3, "served": word},
            "metrics": {"accuracy": {"trained": 0.86, "served": 0.7}},
            "torch_imported": False,
        },
        requirements=[{"name": "accuracy", "asked": ">= 0.9", "got": "0.86", "met": False}],
        release={"variant": "fp32"},
        seconds={"prepare": 1.0, "train": 65.0},
        hashes={"Weights": "abc"},
    )


def test_all_parts_make_all_sections_and_well_formed_html() -> None:
    tree = Tree(render(fake_parts()))
    ids = [attributes["id"] for tag, attributes in tree.tags if tag == "section"]
    assert ids == [
        "data",
        "audit",
        "network",
        "training",
        "scores",
        "mistakes",
        "compression",
        "proof",
        "requirements",
        "provenance",
    ]
    for text in (
        "年收入",
        "Refused",
        "0.850 – 0.870",
        "No difference between the network and boosted trees",
        "1 min 5 s",
        "They saw 400 of the 700",
    ):
        assert text in tree.text


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ReportParts)])
def test_any_part_may_be_missing_and_any_may_stand_alone(name: str) -> None:
    whole = fake_parts()
    Tree(render(dataclasses.replace(whole, **{name: None})))
    Tree(render(ReportParts(**{name: getattr(whole, name)})))


def test_nothing_at_all_is_still_a_page() -> None:
    assert "<h1>Danlu</h1>" in render(ReportParts())


def test_every_text_is_escaped() -> None:
    html = render(fake_parts(EVIL))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    Tree(html)
    assert Tree(render(fake_parts('"><b x="'))).text.count('"><b x="') > 10


def test_the_page_asks_nothing_of_the_network_and_needs_no_script() -> None:
    html = render(fake_parts())
    assert "default-src 'none'" in html
    assert not re.search(r"https?://|@import|url\(|<script|<link|<iframe", html)
    sources = [attributes["src"] or "" for tag, attributes in Tree(html).tags if "src" in attributes]
    assert sources
    assert all(source.startswith("data:") for source in sources)


def test_charts_and_pictures_have_names_for_those_who_do_not_see_them() -> None:
    tags = Tree(render(fake_parts())).tags
    charts = [attributes for tag, attributes in tags if tag == "svg" and attributes.get("aria-hidden") != "true"]
    assert len(charts) >= 6
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in charts)
    assert all(attributes["alt"] for tag, attributes in tags if tag == "img")
    assert next(attributes["lang"] for tag, attributes in tags if tag == "html") == "en"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"parity": None, "requirements": None}, ""),
        ({"parity": {"passed": True}, "requirements": []}, "Released what is served is what was trained, row by row"),
        ({"parity": {"passed": True}}, "Refused Accuracy is 0.86, asked >= 0.9"),
        ({"parity": {"passed": False, "reason": "row 3 differs"}, "requirements": None}, "Refused row 3 differs"),
    ],
)
def test_the_head_says_whether_it_was_released(changes: dict[str, Any], state: str) -> None:
    html = render(dataclasses.replace(fake_parts(), **changes))
    found = re.search(r'<p class="state">(.*?)</p>', html)
    assert (Tree(found.group(1)).text.strip() if found else "") == state


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_runs_folder_gives_its_parts(stage: Stage, tmp_path: Path, kind: str) -> None:
    prepared, trained = stage(kind)
    run = Run(tmp_path / "房价-0003")
    recipe = Recipe.model_validate({"data": "rows.csv", "target": "y", "evaluate": {"bootstrap": 30}})
    scores = evaluate(recipe, trained, prepared, run)
    (run.folder / "resolved.yaml").write_text("name: 房价\ndata: {target: y}\n", encoding="utf-8")
    run.step("train")
    lines = [{"epoch": 0, "lr": 0.1, "loss": 1.0, "validation_loss": float(np.float32(0.5))}]
    (run.folder / "train/history.jsonl").write_text(json.dumps(lines[0]) + '\n{"epoch": 1, "lo', encoding="utf-8")

    parts = parts_from_run(run.folder)
    assert parts.scores == json.loads(json.dumps(scores.to_json()))
    assert parts.history == lines
    assert parts.parity is None
    write_report(run.folder / "report.html", parts)
    tree = Tree((run.folder / "report.html").read_text(encoding="utf-8"))
    assert "房价" in tree.text
    assert "组" in tree.text


def test_an_empty_folder_gives_no_parts_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert parts_from_run(tmp_path).scores is None
    (tmp_path / "findings.json").write_text("[{", encoding="utf-8")
    with pytest.raises(DanluError, match=r"could not read .*findings\.json"):
        parts_from_run(tmp_path)


def test_a_column_says_what_a_reader_can_use() -> None:
    from danlu.evaluate.views import values_text

    top = [{"value": f"/home/me/photos/{number}.png", "count": 1} for number in range(4)]
    assert values_text({"type": "image", "top": top}) == "such as 0.png, 1.png, 2.png"
    days = {"type": "datetime", "min": "2023-01-01 00:00:00", "max": "2023-12-28 00:00:00"}
    assert values_text(days) == "2023-01-01 … 2023-12-28"
    assert values_text({**days, "max": "2023-12-28 06:00:00"}) == "2023-01-01 00:00:00 … 2023-12-28 06:00:00"


def test_a_finding_names_its_place_and_whether_it_was_accepted() -> None:
    from danlu.evaluate.views import audit_blocks

    found = {
        "key": "leak:a",
        "severity": "error",
        "message": "a leaks",
        "accepted": True,
        "evidence": {"where": "x.png"},
    }
    (block,) = audit_blocks([found])
    (shown,) = block["findings"]
    assert (shown["severity"], shown["tone"], shown["where"]) == ("accepted", "", "x.png")
