"""What a report shows of the score card, the mistakes and the variants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from danlu.evaluate.blocks import NUMBER, Block, Cell, beside, cell, chart, charts, note, small, table
from danlu.evaluate.charts import Bin, Scale, histogram, nice, reliability, scatter, whisker, whisker_axis
from danlu.evaluate.formats import baseline_name, figure, interval_text, metric_name, percent, score_text, short

_TASKS = {
    "quantiles": "Quantiles of a number",
    "multilabel": "A set of labels",
    "tagging": "A tag for each token",
    "contrastive": "Pairs that belong together",
}
_INTROS = {
    "regression": "Test rows with the largest error: a wrong value, a rare case, or something not learned.",
    "tagging": "Test rows with most that is wrong or missing: a wrong tag, a rare case, or something not learned.",
    "contrastive": "Test rows whose right partner ranks lowest among those of all test rows, in the worse of both "
    "directions: a pair that does not belong together, one that fits many others, or something not learned.",
}
_MOST_CLASSES = 26
_FEW_CLASSES = 5
_ONE_LINE = 30
_VERDICTS = {
    "better": ("The network does better than {rival}: {by}.", "good"),
    "no difference shown": ("No difference between the network and {rival} is shown: {by}.", "warn"),
    "worse": ("The network does worse than {rival} and does not earn its keep here: {by}.", "bad"),
    "not tested": ("The network against {rival}: {by}. Without resamples nothing says whether that is chance.", ""),
}


def main_score(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The main metric: its value, its interval, and a row for the network and each baseline on one scale."""
    name, task = scores["main"], scores["task"]
    rows = [("Network", scores["metrics"]["test"][name], True)]
    rows += [
        (baseline_name(key, task), one["metrics"][name], False)
        for key, one in reversed(scores["baselines"].items())
        if one["metrics"]
    ]
    seen = [value for _, found, _ in rows for value in found.values() if value is not None]
    scale = _within_one(nice(seen, 4), max(seen, default=0.0))
    shown = [_rival_row(name, label, found, scale, strong=strong) for label, found, strong in rows]
    return {
        "name": metric_name(name),
        "better": _direction(scores, name),
        "value": score_text(name, rows[0][1]["value"]),
        "interval": interval_text(name, rows[0][1]),
        "confidence": percent(scores["intervals"]["confidence"], 0),
        "rows": shown if len(rows) > 1 else [],
        "axis": whisker_axis(scale),
        "verdicts": _verdicts(scores),
    }


def _within_one(scale: Scale, largest: float) -> Scale:
    """A scale that ends at 1 where its step runs past it and the data do not."""
    if scale.high > 1 >= largest > 0.5:
        return Scale(scale.low, 1.0, (*[tick for tick in scale.ticks if tick < 1], 1.0))
    return scale


def _rival_row(name: str, label: str, found: Mapping[str, Any], scale: Scale, *, strong: bool) -> dict[str, Any]:
    value, ends = score_text(name, found["value"]), interval_text(name, found)
    title = f"{label}: {value}" + (f", {ends}" if ends else "")
    row = {"name": label, "strong": strong, "value": value, "svg": ""}
    if found["value"] is not None:
        row["svg"] = whisker(title, found["value"], found["low"], found["high"], scale, strong=strong)
    return row


def task_text(scores: Mapping[str, Any]) -> str:
    """What is predicted: "Two classes", "10 classes" or "Regression"."""
    if not scores["confusion"]:
        return _TASKS.get(scores["task"], "Regression")
    num = len(scores["confusion"]["labels"])
    return "Two classes" if num == 2 else f"{num} classes"


def _direction(scores: Mapping[str, Any], name: str) -> str:
    return "" if scores["greater_is_better"][name] else "lower is better"


def _verdicts(scores: Mapping[str, Any]) -> list[dict[str, str]]:
    """One sentence for each baseline."""
    found = []
    for key, one in reversed(scores["baselines"].items()):
        if one["advantage"] is None:
            found.append({"text": f"{baseline_name(key, scores['task'])}: {one['note']}.", "tone": ""})
            continue
        rival = {"majority": "always giving the same answer", "boosting": "boosted trees"}.get(key, key)
        by = f"{metric_name(scores['main'])} is {_advantage(scores['main'], one['advantage'][scores['main']])}"
        text, tone = _VERDICTS[one["verdict"]]
        text = text.format(rival=rival, by=by)
        if one["rows"] < one["of"]:
            text += f" They saw {figure(one['rows'])} of the {figure(one['of'])} training rows."
        found.append({"text": text, "tone": tone})
    return found


def _advantage(name: str, advantage: Mapping[str, Any]) -> str:
    value = advantage["value"]
    if value is None:
        return "not defined"
    word = "better" if value >= 0 else "worse"
    ends = interval_text(name, advantage, signed=True)
    return f"{score_text(name, abs(value))} {word}" + (f" (paired interval {ends})" if ends else "")


def score_blocks(scores: Mapping[str, Any] | None) -> list[Block]:
    """The table of all metrics, and what looks closer at them."""
    if scores is None:
        return []
    intervals = scores["intervals"]
    text = f"{figure(scores['rows']['test'])} test rows; "
    if intervals["resamples"]:
        share = percent(intervals["confidence"], 0)
        text += f"{share} intervals by {intervals['method']} over {figure(intervals['resamples'])} resamples."
    else:
        text += "no intervals were asked for."
    notes = [text]
    notes += [f"{baseline_name(key, scores['task'])}: {one['note']}." for key, one in scores["baselines"].items()]
    blocks: list[Block] = [_table(scores), small(notes)]
    if scores["confusion"]:
        closer = [*_confusion(scores["confusion"]), charts(_calibration(scores["calibration"], scores["confusion"]))]
        blocks += [beside(closer)] if len(scores["confusion"]["labels"]) <= _FEW_CLASSES else closer
    if scores["residuals"]:
        blocks.append(charts(_residuals(scores["residuals"])))
    for one in scores.get("details") or ():
        blocks += _detail(one)
    return blocks


def _detail(one: Mapping[str, Any]) -> list[Block]:
    """A table of `details`, numbers to the right; shares and scores as such."""
    head = [(text, NUMBER if place else "") for place, text in enumerate(one["head"])]
    rows: list[list[Cell]] = [[cell(str(row[0]), strong=True), *map(figure, row[1:])] for row in one["rows"]]
    return [table(one["caption"], head, rows, narrow=True), *([small([one["note"]])] if one["note"] else [])]


def _table(scores: Mapping[str, Any]) -> Block:
    rivals = {key: one for key, one in reversed(scores["baselines"].items()) if one["metrics"]}
    head = [("Metric", ""), ("Network", NUMBER)]
    head += [(baseline_name(key, scores["task"]), NUMBER) for key in rivals]
    head += [("Network, validation", NUMBER)]
    rows: list[list[Cell]] = []
    for name, found in scores["metrics"]["test"].items():
        label = cell(metric_name(name), sub=_direction(scores, name), strong=name == scores["main"])
        others = [_scored(name, one["metrics"][name]) for one in rivals.values()]
        validation = _scored(name, scores["metrics"]["validation"][name])
        rows.append([label, _scored(name, found, strong=True), *others, validation])
    return table("Scores on the test rows", head, rows)


def _scored(name: str, found: Mapping[str, Any], *, strong: bool = False) -> Cell:
    return cell(score_text(name, found["value"]), sub=interval_text(name, found), strong=strong)


def _confusion(confusion: Mapping[str, Any]) -> list[Block]:
    names, counts = confusion["labels"], confusion["counts"]
    if counts is None or len(names) > _MOST_CLASSES:
        head = [("Truth", ""), ("Answer", ""), ("Rows", NUMBER)]
        rows: list[list[Cell]] = [
            [cell(one["truth"], clip=True), cell(one["answer"], clip=True), figure(one["rows"])]
            for one in confusion["confused"]
        ]
        return [table("Most frequent confusions", head, rows)] if rows else []
    lines = []
    for index, row in enumerate(counts):
        total = sum(row)
        cells = [_heat(count, total, names[index], names[code]) for code, count in enumerate(row)]
        lines.append({"name": names[index], "cells": cells, "found": percent(row[index] / total) if total else ""})
    return [{"kind": "confusion", "names": names, "rows": lines}]


def _heat(count: int, total: int, truth: str, answer: str) -> dict[str, Any]:
    share = count / total if total else 0.0
    title = f"{truth} answered as {answer}: {count:,} of {total:,}"
    return {
        "text": figure(count),
        "share": round(share, 4),
        "right": truth == answer,
        "title": title,
        "empty": not count,
    }


def _calibration(calibration: Mapping[str, Any] | None, confusion: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not calibration or not calibration["bins"]:
        return []
    bins = [Bin(one["probability"], one["share"], one["low"], one["high"]) for one in calibration["bins"]]
    x_label, y_label = "stated probability of the answer", "share that is right"
    if confusion and calibration["of"] == "class 1":
        name = short(confusion["labels"][1])
        x_label, y_label = f"stated probability of {name}", f"share that is {name}"
    svg = reliability("Stated probability against observed share", bins, x_label=x_label, y_label=y_label)
    text = f"Expected calibration error {figure(calibration['ece'])}, Brier score {figure(calibration['brier'])}. "
    text += "On the dashed line a probability means what it says; upright lines are 95 % intervals."
    return [chart("Calibration", svg, note=text)]


def _residuals(residuals: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not residuals or not residuals["points"]:
        return []
    points = [(truth, answer) for truth, answer in residuals["points"]]
    dots = scatter("Answers against the truth", points, x_label="truth", y_label="answer")
    shown = f"{figure(len(points))} rows, evenly taken over the truth; on the dashed line the answer is right."
    quantiles, found = residuals["quantiles"], residuals["histogram"]
    bars = histogram("Residuals", found["edges"], found["counts"], x_label="truth − answer", y_label="rows")
    text = f"Half of the residuals lie between {figure(quantiles['0.25'])} and {figure(quantiles['0.75'])}, "
    text += f"nine in ten between {figure(quantiles['0.05'])} and {figure(quantiles['0.95'])}."
    if residuals["outside"]:
        text += f" {figure(residuals['outside'])} rows lie outside of the chart."
    return [chart("Answers against the truth", dots, note=shown), chart("Residuals", bars, note=text)]


def mistake_blocks(mistakes: Sequence[Mapping[str, Any]] | None, scores: Mapping[str, Any] | None) -> list[Block]:
    """Pictures as cards, rows as a table."""
    if mistakes is None or scores is None:
        return []
    if not mistakes:
        return [note("None of the test rows is answered wrong.", "good")]
    intro = "Test rows answered wrong with the most confidence: a wrong label, a rare case, or something not learned."
    task = "regression" if scores["task"] == "quantiles" else scores["task"]
    blocks: list[Block] = [small([_INTROS.get(task, intro)])]
    if mistakes[0]["pictures"]:
        blocks.append({"kind": "pictures", "cards": [_card(one) for one in mistakes]})
    if mistakes[0]["values"]:
        blocks.append(_mistake_table(mistakes))
    return blocks


def _said(one: Mapping[str, Any]) -> tuple[str, str]:
    """How bad a mistake is: what that is called, and its figure."""
    if "probability" in one:
        return "Stated", percent(one["probability"])
    if "rank" in one:
        return "Rank", f"{figure(math.ceil(one['rank']))} of {figure(one['of'])}"
    return ("Wrong", figure(one["wrong"])) if "wrong" in one else ("Error", figure(one["error"], signed=True))


def _card(one: Mapping[str, Any]) -> dict[str, Any]:
    name, said = _said(one)
    said = said if name == "Stated" else f"{name.lower()} {said}"
    own = [short(text, _ONE_LINE) for text in one["values"].values() if text]
    told = (said, "", ", ".join(own)) if "rank" in one else (_value(one["answer"]), said, f"is {_value(one['truth'])}")
    return {
        "pictures": [{"name": name, **picture} for name, picture in one["pictures"].items()],
        "answer": told[0],
        "said": told[1],
        "about": " · ".join([*([told[2]] if told[2] else []), f"row {figure(one['row'])}"]),
        "row": figure(one["row"]),
    }


def _mistake_table(mistakes: Sequence[Mapping[str, Any]]) -> Block:
    columns = list(mistakes[0]["values"])
    side, is_pair = NUMBER if "error" in mistakes[0] else "", "rank" in mistakes[0]
    head = [("Row", NUMBER), *([] if is_pair else [("Truth", side), ("Answer", side)])]
    head += [(_said(mistakes[0])[0], NUMBER), *((name, "") for name in columns)]
    rows: list[list[Cell]] = []
    for one in mistakes:
        judged: list[Cell] = [figure(one["row"]), *([] if is_pair else _told(one["truth"], one["answer"]))]
        judged.append(_said(one)[1])
        texts = [one["values"].get(name) for name in columns]
        rows.append([*judged, *[_given(text, is_alone=len(columns) == 1) for text in texts]])
    return table("Rows, numbered from 0 as in the source", head, rows)


def _given(text: str | None, *, is_alone: bool) -> Cell:
    """A value of the row; of a single column it has several lines, of many it is cut off."""
    if text is None:
        return "–"
    return cell(text, wrap=True) if is_alone and len(text) > _ONE_LINE else cell(text, clip=True)


def _told(truth: Any, answer: Any) -> list[Cell]:
    """Truth and answer; where they are long, in several lines."""
    texts = _value(truth), _value(answer)
    is_long = max(map(len, texts)) > _ONE_LINE
    return [cell(text, strong=not place, wrap=is_long) for place, text in enumerate(texts)]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else figure(value)


def variant_blocks(
    variants: Sequence[Mapping[str, Any]] | None, scores: Mapping[str, Any] | None, release: Mapping[str, Any] | None
) -> list[Block]:
    """Size, latency and score of every variant beside fp32."""
    if not variants:
        return []
    name = scores["main"] if scores else next(iter((variants[0].get("scores") or {}).get("test") or {}), "")
    released = (release or {}).get("variant")
    head = [("Variant", ""), ("", ""), ("Size, MB", NUMBER), ("Latency, ms", NUMBER), (metric_name(name), NUMBER)]
    head += [("Why", "")]
    rows: list[list[Cell]] = []
    for one in variants:
        score = ((one.get("scores") or {}).get("test") or {}).get(name)
        verdict = cell("accepted", tone="good") if one["accepted"] else cell("refused", tone="bad")
        label = cell(one["name"], strong=True, sub="released" if released == one["name"] else "")
        figures = [figure(one.get("size_mb")), figure(one.get("latency_ms")), score_text(name, score)]
        rows.append([label, verdict, *figures, cell(one["reason"], wrap=True)])
    return [table("Variants, measured beside each other; the score is of the test rows", head, rows)]
