"""The page of a cross-validation: its metrics' means and spreads, and every fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from danlu.evaluate.blocks import NUMBER, Block, Cell, cell, code, facts, note, small, table
from danlu.evaluate.charts import Scale, nice, whisker, whisker_axis
from danlu.evaluate.formats import baseline_name, figure, metric_name, score_text

_SPREAD = (
    "sd is the standard deviation over the folds, n \N{MINUS SIGN} 1. Folds share training rows: it says how much a "
    "result hangs on the rows that were drawn, and is no interval."
)

_INSIDE = (
    "Inner folds split the rows that a fold trains and validates on; what they score neither trained nor validated in "
    "them, and the fold does not test it. Choose between recipes by the mean inside, then read the fold's own score of "
    "the one that you chose: a choice by the folds' own scores would make them too good."
)


def fold_head(found: Mapping[str, Any]) -> dict[str, Any]:
    """The head of the page."""
    repeats = f" × {found['repeats']}" if found["repeats"] > 1 else ""
    nested = f", {found['nested']} inner ones in each" if found["nested"] else ""
    return {
        "title": found["name"],
        "run": found["run"],
        "started": "",
        "task": f"{found['folds']} folds{repeats}{nested}",
        "target": found["target"],
        "state": None,
        "main": None,
    }


def fold_sections(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All sections."""
    made = [
        ("metrics", "Over all folds", _together(found)),
        ("folds", "Every fold", _folds(found)),
        *([("inside", "Inside each fold", _inside(found))] if found["nested"] else []),
        ("provenance", "Provenance", [code("The recipe, as it was resolved", found["recipe"])]),
    ]
    return [{"key": key, "title": title, "blocks": blocks} for key, title, blocks in made]


def _together(found: Mapping[str, Any]) -> list[Block]:
    whole = found["together"]
    main, task = whole["main"], found["task"]
    head = [("Metric", ""), ("Mean", NUMBER), ("sd", NUMBER), ("Least", NUMBER), ("Largest", NUMBER)]
    rows: list[list[Cell]] = [
        [cell(metric_name(name), strong=name == main), *_spread_texts(name, one)]
        for name, one in whole["metrics"].items()
    ]
    blocks = [table("The network on the rows that each fold tests", head, rows)]
    if whole["baselines"]:
        head = [
            (metric_name(main), ""),
            ("Mean", NUMBER),
            ("sd", NUMBER),
            ("Network, fold by fold", NUMBER),
            ("sd", NUMBER),
        ]
        rows = [
            [
                baseline_name(name, task),
                *_spread_texts(main, one)[:2],
                score_text(main, one["difference"]["mean"], signed=True),
                score_text(main, one["difference"]["sd"]),
            ]
            for name, one in whole["baselines"].items()
        ]
        blocks.append(table("Baselines, trained and tested on the same rows", head, rows))
    least = min(one["folds"] for one in whole["metrics"].values())
    if least < len(found["records"]):
        text = f"A metric is undefined in some folds, and its mean is of the others ({least} at the least)."
        blocks.append(note(text, "warn"))
    return [*blocks, small([_SPREAD])]


def _spread_texts(name: str, one: Mapping[str, Any]) -> list[Cell]:
    return [score_text(name, one[key]) for key in ("mean", "sd", "low", "high")]


def _folds(found: Mapping[str, Any]) -> list[Block]:
    whole, records = found["together"], found["records"]
    main, names = whole["main"], list(whole["metrics"])
    seen = [one["metrics"][main] for one in records if one["metrics"][main] is not None]
    scale = nice(seen, 4)
    head = [("Fold", ""), ("Tested", NUMBER), ("", ""), *((metric_name(name), NUMBER) for name in names), ("Run", "")]
    rows: list[list[Cell]] = []
    for one in records:
        tested, run = figure(one["rows"]["test"]), cell(one["run"], mono=True)
        scores: list[Cell] = [score_text(name, one["metrics"][name]) for name in names]
        rows.append([fold_name(one, found["repeats"]), tested, _dot(main, one["metrics"][main], scale), *scores, run])
    axis: Cell = cell("", svg=f'<div class="dots">{whisker_axis(scale)}</div>')
    rows.append(["", "", axis, *("" for _ in names), ""])
    total = sum(one["rows"]["test"] for one in records)
    pairs = [("Rows tested", figure(total)), ("Seed", str(found["seed"]))]
    return [facts(pairs), table(f"Each fold's run; the dots are {metric_name(main)}", head, rows)]


def _inside(found: Mapping[str, Any]) -> list[Block]:
    whole = found["together"]
    main, inner = whole["main"], whole["inner"]
    head = [
        ("Fold", ""),
        ("Mean inside", NUMBER),
        ("sd", NUMBER),
        ("Least", NUMBER),
        ("Largest", NUMBER),
        ("The fold itself", NUMBER),
        ("Runs inside", ""),
    ]
    rows: list[list[Cell]] = [
        [
            fold_name(one, found["repeats"]),
            *_spread_texts(main, one["inner"]["metrics"][main]),
            score_text(main, one["metrics"][main]),
            cell(", ".join(inside["run"] for inside in one["inner"]["records"]), mono=True, wrap=True),
        ]
        for one in found["records"]
    ]
    over = [
        [cell(metric_name(name), strong=name == main), *_spread_texts(name, one)]
        for name, one in inner["metrics"].items()
    ]
    apart = inner["difference"]
    text = f"{metric_name(main)} of a fold, less the mean inside it: {score_text(main, apart['mean'], signed=True)}"
    return [
        table(f"{metric_name(main)} on inner folds, and on the rows that the fold tests", head, rows),
        table(
            "Means inside, over all folds",
            [("Metric", ""), ("Mean", NUMBER), ("sd", NUMBER), ("Least", NUMBER), ("Largest", NUMBER)],
            over,
        ),
        small([f"{text} (sd {score_text(main, apart['sd'])}).", _INSIDE]),
    ]


def _dot(name: str, value: float | None, scale: Scale) -> Cell:
    if value is None:
        return ""
    drawn = whisker(f"{metric_name(name)} {score_text(name, value)}", value, None, None, scale, strong=True)
    return cell("", svg=f'<div class="dots">{drawn}</div>')


def fold_name(one: Mapping[str, Any], repeats: int) -> str:
    """As "3", or "2 · 3" for the third fold of the second repeat: counted from 1, as people do."""
    return f"{one['repeat'] + 1} · {one['number'] + 1}" if repeats > 1 else str(one["number"] + 1)
