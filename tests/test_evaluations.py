from __future__ import annotations

from pathlib import Path

import pytest
from small import registry

from ganbench.choices import parse_objective
from ganbench.errors import SuiteError
from ganbench.evaluations import Asked, Finder, measured_as
from ganbench.plan import plan, references_of
from ganbench.suite import suite_from
from ganbench.terms import Choice

RING, DIGITS = Choice("ring8"), Choice("digits")


def suite(**changes):
    return suite_from(
        {
            "name": "small",
            "datasets": ["ring8", "digits"],
            "matrix": {"generator": ["mlp"], "discriminator": ["mlp"], "loss": ["hinge"]},
            "budget": {"steps": 1},
            **changes,
        },
        Path("small.toml"),
    )


def names(evaluation):
    return [metric.name for metric in evaluation.metrics]


def test_by_default_a_data_set_is_measured_as_any_suite_measures_it_but_at_once():
    trials = {trial.dataset.name: trial for trial in plan(suite(), registry()).trials}
    for name, trial in trials.items():
        dataset, evaluation = measured_as(Asked(Choice(name)), registry())
        assert dataset.choice == trial.dataset
        assert evaluation.points == (1.0,)
        assert (evaluation.metrics, evaluation.samples) == (trial.evaluation.metrics, trial.evaluation.samples)
        assert evaluation.extractor == trial.evaluation.extractor


def test_a_suite_says_how_its_own_data_sets_are_measured_overrides_and_all():
    asked = suite(
        metrics=["frechet", "modes"],
        evaluation={"samples": 60},
        override=[{"dataset": "digits", "evaluation": {"samples": 50, "extractor": "mnist"}}],
    )
    _, ring = measured_as(Asked(RING, suite=asked), registry())
    _, digits = measured_as(Asked(DIGITS, suite=asked), registry())
    assert (names(ring), ring.samples) == (["modes"], 60)
    assert (names(digits), digits.samples, digits.extractor.name) == (["frechet"], 50, "mnist")
    references = {reference.evaluation for reference in plan(asked, registry()).references}
    assert references == {ring, digits}


def test_what_is_asked_for_comes_before_what_the_suite_says():
    asked = suite(metrics=["frechet"], evaluation={"samples": 60}, datasets=["digits"])
    _, evaluation = measured_as(
        Asked(DIGITS, suite=asked, metrics=(Choice("kernel"),), extractor=Choice("mnist"), samples=70), registry()
    )
    assert (names(evaluation), evaluation.samples, evaluation.extractor.name) == (["kernel"], 70, "mnist")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(Choice("digts")), "--dataset: no dataset named 'digts'. Did you mean 'digits'?"),
        (Asked(Choice("folder"), data="--against"), "--against: dataset 'folder': path, resolution must be set"),
        (Asked(RING, metrics=(Choice("mods"),)), "--metric: no metric named 'mods'. Did you mean 'modes'?"),
        (Asked(DIGITS, extractor=Choice("digit")), "--extractor: no extractor named 'digit'. Did you mean 'digits'?"),
        (Asked(RING, metrics=(Choice("classes"),)), "--dataset: no metric applies: metric classes needs "),
        (
            Asked(RING, metrics=(Choice("modes"), Choice("classes"))),
            "--metric: metric classes applies to none of the data sets (ring8)",
        ),
        (
            Asked(Choice("grid25"), suite=suite()),
            "--dataset: suite small.toml has no data set grid25. Known: digits, ring8",
        ),
    ],
)
def test_what_cannot_be_measured_names_the_option_that_asked_for_it(asked, message):
    with pytest.raises(SuiteError) as caught:
        measured_as(asked, registry())
    assert str(caught.value).startswith(message)


def test_the_references_of_an_evaluation_are_those_that_its_data_allow():
    for choice, expected in ((RING, ["real_floor", "perfect", "noise"]), (DIGITS, ["real_floor", "noise"])):
        references = references_of(*measured_as(Asked(choice), registry()))
        assert [reference.name for reference in references] == expected


# --- the parts of an objective


def finder():
    return Finder(registry(), lambda *keys: "/".join(map(str, keys)))


def found(written):
    return finder().objective(parse_objective(written), "loss", 2)


def test_each_part_of_an_objective_is_found_with_its_kind_and_its_parameters():
    parts = found("hinge + unrolled(steps=2) + r1 + instance-noise")
    assert [(part.kind, str(part.part)) for part in parts] == [
        ("loss", "hinge"),
        ("method", "unrolled(steps=2)"),
        ("penalty", "r1"),
        ("augmentation", "instance-noise"),
    ]
    assert {part.place for part in parts} == {"loss/2"}
    assert parts[2].part.choice.get("gamma") == 10.0
    assert [(part.kind, str(part.part)) for part in found({"name": "vae", "beta": 2})] == [("method", "vae(beta=2.0)")]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("hinge + ada + diffaugment", "loss/2: expected at most one augmentation, got ada and diffaugment"),
        ("hinge + top-k + unrolled(steps=3)", "loss/2: expected at most one method, got top-k and unrolled(steps=3)"),
        ("vae + r1", "loss/2: vae is a method, and what stands alone takes nothing beside it."),
        ("hinge + r1(gama=1)", "loss/2: penalty 'r1': no parameter 'gama'. Did you mean 'gamma'?"),
        ("r1", "loss/2: no loss or method named 'r1'. There is a penalty of that name."),
        ("hinge + lsgan", "loss/2: no penalty, augmentation or method named 'lsgan'. There is a loss of that name."),
    ],
)
def test_an_objective_that_cannot_be_names_its_place(written, message):
    with pytest.raises(SuiteError) as caught:
        found(written)
    assert str(caught.value).startswith(message)
