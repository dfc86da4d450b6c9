"""What encoders advise, and what a recipe's `auto` comes to by it."""

from __future__ import annotations

from danlu.design import advice
from danlu.design.advice import Advice, advice_for
from danlu.recipe.schema import Train
from danlu.train.plan import advised


def test_encoders_that_advise_nothing_leave_the_defaults() -> None:
    found = advice_for({"encoders": []})
    assert found == Advice()
    assert found.optimizer.name == "adamw"


def test_a_recipe_takes_what_is_advised_where_it_says_auto() -> None:
    told = Advice(optimizer=advice.optimizer("sgd", lr=0.3), clip_norm=1.0, patience=3)
    section = advised(Train(), told)
    assert section.early_stop
    assert (section.optimizer.name, section.optimizer.options["lr"]) == ("sgd", 0.3)
    assert (section.schedule.name, section.clip_norm, section.early_stop.patience) == ("cosine", 1.0, 3)


def test_what_a_recipe_pins_stays() -> None:
    given = {"optimizer": {"name": "adam", "lr": 0.5}, "schedule": "constant", "clip_norm": None}
    section = advised(Train(**given, early_stop={"patience": 5}), Advice(clip_norm=1.0, patience=3))
    assert section.early_stop
    assert (section.optimizer.options["lr"], section.schedule.name) == (0.5, "constant")
    assert (section.clip_norm, section.early_stop.patience) == (None, 5)
