"""What a report shows of the score card, the mistakes and the variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from danlu.evaluate.charts import Bin, Scale, histogram, nice, reliability, scatter, whisker, whisker_axis
from danlu.evaluate.formats import baseline_name, figure, interval_text, metric_name, percent

Block = dict[str, Any]
_MOST_CLASSES = 26
_BETTER = {
    "better": "The network does better than {rival}: {by}.",
    "no difference shown": "No difference between the network and {rival} is shown: {by}.",
    "worse": "The network does worse than {rival} and does not earn its keep here: {by}.",
    "not tested": "The network against {rival}: {by}; without resamples no interval says whether that is chance.",
}
_TONES = {"better": "good", "worse": "bad", "no difference shown": "warn", "not tested": ""}


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
    scale = _share_scale(nice(seen, 4))
    return {
        "name": metric_name(name),
        "better": "" if _greater(scores, name) else "lower is better",
        "value": figure(rows[0][1]["value"]),
        "interval": interval_text(rows[0][1]),
        "confidence": percent(scores["intervals"]["confidence"], 0),
        "rows": [
            {
                "name": label,
                "strong": strong,
                "value": figure(found["value"]),
                "interval": interval_text(found),
                "svg": _whisker(label, found, scale, strong=strong),
            }
            for label, found, strong in rows
        ]
        if len(rows) > 1
        else [],
        "axis": whisker_axis(scale),
        "verdicts": _verdicts(scores),
    }


def _share_scale(scale: Scale) -> Scale:
    """A scale that does not run past 1 where its data do not."""
    if scale.ticks[-2:] and scale.high > 1 >= scale.ticks[-2] > 0.5:
        return Scale(scale.low, 1.0, (*[tick for tick in scale.ticks if tick < 1], 1.0))
    return scale


def _whisker(label: str, found: Mapping[str, Any], scale: Scale, *, strong: bool) -> str:
    if found["value"] is None:
        return ""
    title = f"{label}: {figure(found['value'])}" + (f", {interval_text(found)}" if interval_text(found) else "")
    return whisker(title, found["value"], found["low"], found["high"], scale, strong=strong)


def _greater(scores: Mapping[str, Any], name: str) -> bool:
    return bool(scores["greater_is_better"][name])


def _verdicts(scores: Mapping[str, Any]) -> list[dict[str, str]]:
    """One sentence for each baseline."""
    found = []
    for key, one in reversed(scores["baselines"].items()):
        rival = {"majority": "always giving the same answer", "boosting": "boosted trees"}.get(key, key)
        if one["advantage"] is None:
            found.append({"text": f"{baseline_name(key, scores['task'])}: {one['note']}.", "tone": ""})
            continue
        advantage = one["advantage"][scores["main"]]
        by = f"{metric_name(scores['main'])} {_advantage(advantage)}"
        found.append({"text": _BETTER[one["verdict"]].format(rival=rival, by=by), "tone": _TONES[one["verdict"]]})
    return found


def _advantage(advantage: Mapping[str, Any]) -> str:
    value = advantage["value"]
    if value is None:
        return "is not defined"
    word = "better" if value >= 0 else "worse"
    ends = interval_text(advantage, signed=True)
    return f"{figure(abs(value))} {word}" + (f" (advantage {ends})" if ends else "")


def score_blocks(scores: Mapping[str, Any] | None) -> list[Block]:
    """The table of all metrics, and what looks closer at them."""
    if scores is None:
        return []
    intervals = scores["intervals"]
    rows_text = f"{figure(scores['rows']['test'])} test rows"
    method = f"{figure(intervals['resamples'])} resamples, {percent(intervals['confidence'], 0)}"
    blocks: list[Block] = [_table(scores)]
    notes = [
        f"On {rows_text}; "
        + (f"intervals: {intervals['method']}, {method}." if intervals["resamples"] else "no intervals.")
    ]
    notes += [f"{baseline_name(key, scores['task'])}: {one['note']}." for key, one in scores["baselines"].items()]
    blocks.append({"kind": "notes", "notes": notes})
    if scores["confusion"]:
        blocks += _confusion(scores["confusion"])
    charts = [*_calibration(scores["calibration"], scores["confusion"]), *_residuals(scores["residuals"])]
    return [*blocks, {"kind": "charts", "charts": charts}] if charts else blocks


def _table(scores: Mapping[str, Any]) -> Block:
    rivals = {key: one for key, one in scores["baselines"].items() if one["metrics"]}
    head = [("Metric", ""), ("Network", "number"), ("Validation", "number")]
    head += [(baseline_name(key, scores["task"]), "number") for key in reversed(rivals)]
    rows = []
    for name, found in scores["metrics"]["test"].items():
        label = {"text": metric_name(name), "sub": "" if _greater(scores, name) else "lower is better"}
        rows.append(
            [
                {**label, "strong": name == scores["main"]},
                {"text": figure(found["value"]), "sub": interval_text(found), "strong": True},
                figure(scores["metrics"]["validation"][name]["value"]),
                *[_rival(one["metrics"][name]) for one in reversed(rivals.values())],
            ]
        )
    return {"kind": "table", "head": head, "rows": rows, "caption": "Scores on the test rows"}


def _rival(found: Mapping[str, Any]) -> dict[str, str]:
    return {"text": figure(found["value"]), "sub": interval_text(found)}


def _confusion(confusion: Mapping[str, Any]) -> list[Block]:
    names, counts = confusion["labels"], confusion["counts"]
    if counts is None or len(names) > _MOST_CLASSES:
        head = [("Truth", ""), ("Answer", ""), ("Rows", "number")]
        rows = [[one["truth"], one["answer"], figure(one["rows"])] for one in confusion["confused"]]
        return [{"kind": "table", "head": head, "rows": rows, "caption": "Most frequent confusions"}] if rows else []
    lines = []
    for index, row in enumerate(counts):
        total = sum(row)
        cells = [
            _cell(count, total, names[index], name, index == code)
            for code, (count, name) in enumerate(zip(row, names, strict=True))
        ]
        lines.append({"name": names[index], "cells": cells, "recall": percent(row[index] / total) if total else ""})
    return [{"kind": "confusion", "names": names, "rows": lines}]


def _cell(count: int, total: int, truth: str, answer: str, right: bool) -> dict[str, Any]:
    share = count / total if total else 0.0
    title = f"{truth} answered as {answer}: {count:,} of {total:,}"
    return {"text": figure(count), "share": round(share, 4), "right": right, "title": title, "empty": not count}


def _calibration(calibration: Mapping[str, Any] | None, confusion: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not calibration or not calibration["bins"]:
        return []
    bins = [Bin(one["probability"], one["share"], one["low"], one["high"]) for one in calibration["bins"]]
    positive = confusion["labels"][1] if confusion and calibration["of"] == "class 1" else ""
    x_label, y_label = (
        (f"stated probability of {_short(positive)}", "share that is")
        if positive
        else ("stated probability of the answer", "share that is right")
    )
    chart = reliability("Stated probability against observed share", bins, x_label=x_label, y_label=y_label)
    note = f"Expected calibration error {figure(calibration['ece'])}, Brier score {figure(calibration['brier'])}. "
    return [
        {
            "title": "Calibration",
            "legend": [],
            "svg": chart,
            "note": note + "On the dashed line a probability means what it says; upright lines are 95 % intervals.",
        }
    ]


def _short(text: str, most: int = 20) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _residuals(residuals: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not residuals or not residuals["points"]:
        return []
    points = [(truth, answer) for truth, answer in residuals["points"]]
    chart = scatter("Answers against the truth", points, x_label="truth", y_label="answer")
    quantiles = residuals["quantiles"]
    text = f"Half of the residuals lie between {figure(quantiles['0.25'])} and {figure(quantiles['0.75'])}, "
    text += f"nine in ten between {figure(quantiles['0.05'])} and {figure(quantiles['0.95'])}."
    if residuals["outside"]:
        text += f" {figure(residuals['outside'])} rows lie outside of the chart."
    found = residuals["histogram"]
    bars = histogram("Residuals", found["edges"], found["counts"], x_label="truth − answer", y_label="rows")
    shown = f"{figure(len(points))} rows, evenly taken over the truth; on the dashed line the answer is right."
    return [
        {"title": "Answers against the truth", "legend": [], "svg": chart, "note": shown},
        {"title": "Residuals", "legend": [], "svg": bars, "note": text},
    ]


def mistake_blocks(mistakes: Sequence[Mapping[str, Any]] | None, scores: Mapping[str, Any] | None) -> list[Block]:
    """Pictures as cards, rows as a table."""
    if mistakes is None or scores is None:
        return []
    if not mistakes:
        return [{"kind": "note", "text": "None of the test rows is answered wrong.", "tone": "good"}]
    classes = scores["task"] != "regression"
    intro = (
        "Test rows answered wrong with the most confidence: a wrong label, a rare case, or something not learned."
        if classes
        else "Test rows with the largest error: a wrong value, a rare case, or something not learned."
    )
    blocks: list[Block] = [{"kind": "note", "text": intro, "tone": ""}]
    if mistakes[0]["pictures"]:
        blocks.append({"kind": "pictures", "cards": [_card(one, classes) for one in mistakes]})
    if mistakes[0]["values"]:
        blocks.append(_mistake_table(mistakes, classes))
    return blocks


def _card(one: Mapping[str, Any], classes: bool) -> dict[str, Any]:
    said = percent(one["probability"]) if classes else f"error {figure(one['error'], signed=True)}"
    return {
        "pictures": list(one["pictures"].items()),
        "truth": _value(one["truth"]),
        "answer": _value(one["answer"]),
        "said": said,
        "row": figure(one["row"]),
    }


def _mistake_table(mistakes: Sequence[Mapping[str, Any]], classes: bool) -> Block:
    columns = list(mistakes[0]["values"])
    head = [("Row", "number"), ("Truth", "" if classes else "number"), ("Answer", "" if classes else "number")]
    head += [("Stated", "number") if classes else ("Error", "number"), *[(name, "") for name in columns]]
    rows = []
    for one in mistakes:
        last = percent(one["probability"]) if classes else figure(one["error"], signed=True)
        judged = [figure(one["row"]), {"text": _value(one["truth"]), "strong": True}, _value(one["answer"]), last]
        values = [
            {"text": "–" if one["values"][name] is None else one["values"][name], "clip": True} for name in columns
        ]
        rows.append([*judged, *values])
    return {"kind": "table", "head": head, "rows": rows, "caption": "Rows, numbered from 0 as in the source"}


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
    head = [
        ("Variant", ""),
        ("Size, MB", "number"),
        ("Latency, ms", "number"),
        (f"{metric_name(name)}, test", "number"),
    ]
    head += [("", ""), ("Why", "")]
    rows = []
    for one in variants:
        found = ((one.get("scores") or {}).get("test") or {}).get(name)
        verdict = {"text": "accepted" if one["accepted"] else "refused", "tone": "good" if one["accepted"] else "bad"}
        label = {"text": one["name"], "strong": True, "sub": "released" if released == one["name"] else ""}
        rows.append(
            [
                label,
                figure(one.get("size_mb")),
                figure(one.get("latency_ms")),
                figure(found),
                verdict,
                {"text": one["reason"], "wrap": True},
            ]
        )
    return [{"kind": "table", "head": head, "rows": rows, "caption": "Variants, measured beside each other"}]
