"""Metrics of sets, tags and quantiles against scikit-learn and worked examples; the best sequence against all."""

import itertools

import numpy as np
import pytest
from sklearn import metrics as reference

from danlu.columns.entities import Grammar
from danlu.evaluate.pair_metrics import ranks
from danlu.evaluate.score import metric
from danlu.tasks.task import Answers

random = np.random.default_rng(0)
TRUE = random.random((60, 4)) < [0.5, 0.3, 0.1, 0.7]
SHARES = np.clip(0.6 * TRUE + 0.7 * random.random((60, 4)), 0, 1)
SETS = Answers(SHARES >= 0.5, SHARES)
BIO = Grammar(("B-LOC", "B-PER", "I-LOC", "I-PER", "O"), "bio")
IOB1 = Grammar(BIO.tags, "iob1")
BMES = Grammar(("B-LOC", "E-LOC", "M-LOC", "O", "S-LOC"), "bmes")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f1_micro", reference.f1_score(TRUE, SETS.values, average="micro")),
        ("f1_macro", reference.f1_score(TRUE, SETS.values, average="macro")),
        ("subset_accuracy", reference.accuracy_score(TRUE, SETS.values)),
        ("hamming_loss", reference.hamming_loss(TRUE, SETS.values)),
        ("roc_auc_macro", reference.roc_auc_score(TRUE, SHARES, average="macro")),
        ("pr_auc_macro", reference.average_precision_score(TRUE, SHARES, average="macro")),
    ],
)
def test_sets(name: str, expected: float) -> None:
    one = metric(name)
    assert one(TRUE, SETS) == pytest.approx(expected, abs=1e-12)
    weights = np.zeros(60)
    weights[:30] = 2.0
    half = Answers(SETS.values[:30], SHARES[:30])
    assert one(TRUE, SETS, weights) == pytest.approx(one(TRUE[:30], half), nan_ok=True)


def codes(grammar: Grammar, *rows: str) -> np.ndarray:
    found = np.full((len(rows), max(len(row.split()) for row in rows)), -1)
    for place, row in enumerate(rows):
        for step, tag in enumerate(row.split()):
            found[place, step] = -2 if tag == "?" else grammar.tags.index(tag)
    return found


def test_entities_are_found_as_conlleval_finds_them() -> None:
    given = codes(BIO, "B-PER I-PER O B-LOC", "I-LOC I-PER B-PER B-PER", "O ? I-LOC O")
    spans = [(row, BIO.types[kind] if kind >= 0 else "?", start, stop) for row, kind, start, stop in BIO.spans(given)]
    assert spans == [
        (0, "PER", 0, 2),
        (0, "LOC", 3, 4),
        (1, "LOC", 0, 1),
        (1, "PER", 1, 2),
        (1, "PER", 2, 3),
        (1, "PER", 3, 4),
        (2, "?", 1, 2),
        (2, "LOC", 2, 3),
    ]
    given = codes(BMES, "B-LOC M-LOC E-LOC S-LOC O", "S-LOC S-LOC B-LOC E-LOC O")
    assert BMES.spans(given)[:, 2:].tolist() == [[0, 3], [3, 4], [0, 1], [1, 2], [2, 4]]


def test_whole_entities_count() -> None:
    true = codes(BIO, "B-PER I-PER O B-LOC", "O O O B-PER", "O B-LOC O O", "O ? O O")
    told = codes(BIO, "B-PER I-PER O B-PER", "O O O B-PER", "B-LOC I-LOC O O", "O O O O")
    answers = Answers(told, grammar=BIO)
    # Right: two of PER. There: PER 2, LOC 2, one unseen. Answered: PER 3, LOC 1.
    assert metric("entity_f1")(true, answers) == pytest.approx(2 * 2 / (5 + 4))
    assert metric("entity_precision")(true, answers) == pytest.approx(2 / 4)
    assert metric("entity_recall")(true, answers) == pytest.approx(2 / 5)
    assert metric("entity_f1_macro")(true, answers) == pytest.approx((4 / 5 + 0 + 0) / 3)
    assert metric("token_accuracy")(true, answers) == pytest.approx(12 / 16)
    assert metric("entity_f1")(true, answers, np.array([0, 1, 0, 0])) == 1.0
    assert np.isnan(metric("entity_f1")(true[:0], Answers(told[:0], grammar=BIO)))


@pytest.mark.parametrize("grammar", [BIO, IOB1, BMES, Grammar(("A", "B", "C"), "none")])
def test_the_best_sequence_is_the_best_of_all_that_may_be(grammar: Grammar) -> None:
    count = len(grammar.tags)
    scores = np.log(random.dirichlet(np.full(count, 0.4), (20, 4)))
    lengths = np.arange(20) % 5
    found = grammar.decode(scores, lengths)
    for row, length in enumerate(lengths):
        assert (found[row, length:] == -1).all()
        assert length == 0 or grammar.allows(found[row : row + 1, :length]).all()
        paths = list(itertools.product(range(count), repeat=int(length)))
        allowed = [path for path in paths if grammar.allows(np.array(path, int).reshape(1, -1)).all()]
        best = max(sum(scores[row, step, tag] for step, tag in enumerate(path)) for path in allowed)
        assert sum(scores[row, step, tag] for step, tag in enumerate(found[row, :length])) == pytest.approx(best)


def test_quantiles() -> None:
    truth, found = random.normal(size=50), np.sort(random.normal(size=(50, 3)), axis=1)
    answers = Answers(found[:, 1], quantiles=found, levels=(0.1, 0.5, 0.9))
    each = [reference.mean_pinball_loss(truth, found[:, place], alpha=one) for place, one in enumerate(answers.levels)]
    assert metric("pinball")(truth, answers) == pytest.approx(np.mean(each))
    inside = np.mean((found[:, 0] <= truth) & (truth <= found[:, 2]))
    asked = answers.levels[-1] - answers.levels[0]
    assert metric("coverage_error")(truth, answers) == abs(inside - asked)
    assert not metric("coverage_error").greater_is_better
    assert metric("interval_width")(truth, answers) == pytest.approx(np.mean(found[:, 2] - found[:, 0]))
    assert metric("mae")(truth, answers) == pytest.approx(np.mean(np.abs(truth - found[:, 1])))


def test_pairs_are_ranked_among_all_rows_in_both_directions() -> None:
    first = np.eye(4)[[0, 1, 2, 2]]
    second = np.eye(4)[[0, 1, 2, 3]]
    answers = Answers(np.stack([first, second], axis=1))
    # By the first vector: 1, 1, 1, and the last is equal to two others below one that is nearer: 2 to 4, so 3.
    # By the second: 1, 1, the third has an equal at its place: 1.5, and the last is equal to all: 2.5.
    assert ranks(answers).tolist() == [[1, 1, 1, 3], [1, 1, 1.5, 2.5]]
    truth = np.arange(4)
    assert metric("recall_at_1")(truth, answers) == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert metric("recall_at_5")(truth, answers) == 1.0
    assert metric("median_rank")(truth, answers) == 1.0
    assert metric("median_rank")(truth, answers, np.array([0, 0, 0, 1.0])) == 2.5
