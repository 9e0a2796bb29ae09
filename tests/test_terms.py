from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from fabricate import evaluation, trial, variant

from ganbench.terms import (
    AXES,
    KINDS,
    Budget,
    Choice,
    Optimiser,
    Reference,
    Spent,
    Training,
    Variant,
    canonical_json,
    content_key,
    kind_of,
    plain,
)

R1 = Choice("r1", (("gamma", 0.1),))


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (Choice("dcgan"), "dcgan"),
        (Choice("dcgan", (("norm", "layer"), ("width", 32))), "dcgan(norm=layer, width=32)"),
        (Choice("dcgan", (("width", 32),), owner="their-gans"), "their-gans:dcgan(width=32)"),
        (Choice("a", (("x", True), ("y", None), ("z", 0.5))), "a(x=true, y=none, z=0.5)"),
        (Choice("a", (("x", (1, "b", (False,))),)), "a(x=[1, b, [false]])"),
    ],
)
def test_a_choice_is_written_as_in_a_suite(choice, written):
    assert str(choice) == written


@pytest.mark.parametrize("text", ["true", "none", "12", "1e-3", "two words", "", "comma,", "ä"])
def test_a_string_that_could_be_read_as_something_else_is_quoted(text):
    assert str(Choice("a", (("x", text),))) == f'a(x="{text}")'


def test_defaults_are_not_written_but_known():
    choice = Choice("dcgan", (("width", 64),), defaults=(("norm", "batch"), ("width", 32)))
    assert str(choice) == "dcgan(width=64)"
    assert choice.get("width") == 64
    assert choice.get("norm") == "batch"
    assert choice.get("depth") is None
    assert choice.get("depth", 3) == 3
    assert choice.all_parameters() == {"norm": "batch", "width": 64}


def test_a_choice_is_the_same_in_whatever_order_its_parameters_were_set():
    one = Choice("a").with_parameters(x=1).with_parameters(b=2)
    other = Choice("a").with_parameters(b=0, x=0).with_parameters(x=1, b=2)
    assert one == other
    assert one.parameters == (("b", 2), ("x", 1))


def test_an_objective_is_written_with_its_penalties():
    made = Variant(Choice("mlp"), Choice("dcgan"), Choice("nonsaturating"), (R1, Choice("r2")))
    assert made.objective == "nonsaturating + r1(gamma=0.1) + r2"
    assert str(made) == "mlp / dcgan / nonsaturating + r1(gamma=0.1) + r2"


def test_the_axes_of_a_budget_are_those_of_what_is_spent():
    assert AXES == ("kimg", "steps", "device_seconds", "petaflops")
    assert tuple(vars(Budget())) == AXES


def test_the_progress_of_a_budget_is_that_of_its_nearest_limit():
    budget = Budget(kimg=10.0, steps=200)
    assert budget.limits() == {"kimg": 10.0, "steps": 200}
    assert budget.progress(Spent(kimg=2.5, steps=20)) == 0.25
    assert budget.progress(Spent(kimg=2.5, steps=150)) == 0.75
    assert budget.progress(Spent(kimg=12.0, steps=150)) == 1.2


def test_overshoot_is_negative_where_another_limit_came_first():
    assert Budget(kimg=10.0, steps=200).overshoot(Spent(kimg=10.5, steps=150, petaflops=3.0)) == {
        "kimg": 0.5,
        "steps": -50,
    }


def test_a_budget_is_written_with_its_units():
    assert str(Budget(100.0, 20, 1.5, 0.25)) == "100 kimg or 20 steps or 1.5 device s or 0.25 PFLOP"
    assert str(Budget(kimg=1.0)) == "1 kimg"


def test_a_key_is_the_hash_of_the_types_name_and_the_canonical_json():
    text = 'Choice{"code":"","defaults":[],"name":"r1","owner":"","parameters":[["gamma",0.1]]}'
    assert content_key(R1) == hashlib.sha256(text.encode()).hexdigest()


def test_a_trials_key_depends_on_everything_that_defines_it():
    one = trial()
    others = [
        trial(seed=1),
        trial(dataset=Choice("mnist")),
        trial(variant("wgan")),
        trial(budget=Budget(kimg=99.0)),
        trial(training=Training(generator=Optimiser(learning_rate=1e-4))),
        trial(evaluation=replace(evaluation(), samples=897)),
        trial(replace(variant(), loss=Choice("hinge", defaults=(("margin", 1.0),)))),
    ]
    keys = {one.key, *(other.key for other in others)}
    assert len(keys) == 1 + len(others)
    assert trial().key == one.key
    assert len(one.key) == 64


def test_a_trial_and_a_reference_know_what_a_record_calls_them():
    reference = Reference(Choice("digits"), "noise", evaluation())
    assert (kind_of(trial()), kind_of(reference)) == ("trial", "reference")
    assert reference.key != replace(reference, name="real_floor").key


def test_canonical_json_is_sorted_ascii_without_spaces():
    text = canonical_json(Choice("ä", (("b", 1), ("a", "x y"))))
    assert text == '{"code":"","defaults":[],"name":"\\u00e4","owner":"","parameters":[["b",1],["a","x y"]]}'
    assert json.loads(text)["name"] == "ä"


def test_what_is_not_a_number_has_no_canonical_json():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(Spent(kimg=float("nan")))
    with pytest.raises(ValueError, match="JSON"):
        plain(Spent(kimg=float("inf")))


def test_kinds_are_named_once():
    assert len(set(KINDS)) == len(KINDS) == 10
