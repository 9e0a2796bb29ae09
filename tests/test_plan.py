from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganbench.errors import PluginError, SuiteError
from ganbench.plan import MOST_TRIALS, Skipped, plan
from ganbench.plugins import Offer, Registry
from ganbench.suite import suite_from
from ganbench.terms import Budget, Choice, Component, Optimiser, Recipe

PARTS = """
def mlp(latent_dim, shape, width: int = 64): ...
def conv(latent_dim, shape, *, width: int = 64): ...
def judge(shape, *, width: int = 64): ...
def conv_judge(shape, *, norm: Literal["batch", "layer", "none"] = "batch"): ...
def loss(margin: float = 1.0): ...
def gp_loss(weight: float = 10.0): ...
def listed(scales: tuple[float, ...] = (1.0,)): ...
def penalty(gamma: float = 1.0): ...
def blur(strength: float = 0.5): ...
def unrolled(steps: int = 5): ...
def vae(weight: float = 1.0): ...
def points(places): ...
def pictures(places, resolution: int = 32): ...
def metric(): ...
def extractor(places): ...
"""

IMAGES = {"data": "images", "power_of_two": True}
INDEPENDENT = {"independent": True}
PICTURES = {"data": "images", "shape": (1, "{resolution}", "{resolution}"), "classes": 10, "extractor": "digits"}
POINTS = {"data": "points", "shape": (2,), "samples": 2500}
RECIPE = Recipe(Optimiser("adam", 1e-4, (0.0, 0.9)), Optimiser("rmsprop", 5e-5), discriminator_steps=5, clip=0.01)

OFFERS = [
    ("generator", "mlp", "mlp", {}, {}, None),
    ("generator", "conv", "conv", IMAGES, {}, None),
    ("discriminator", "mlp", "judge", {}, {"mixes_batch": False}, None),
    (
        "discriminator",
        "conv",
        "conv_judge",
        IMAGES,
        {"mixes_batch": {"norm": ("batch",)}, "independent": {"norm": "layer"}},
        None,
    ),
    ("loss", "hinge", "loss", {}, {}, None),
    ("loss", "wgan", "loss", {}, {}, RECIPE),
    ("loss", "wgan-gp", "gp_loss", INDEPENDENT, {}, None),
    ("loss", "listed", "listed", {}, {}, None),
    ("penalty", "r1", "penalty", INDEPENDENT, {}, None),
    ("penalty", "lecam", "penalty", {}, {}, None),
    ("augmentation", "blur", "blur", {}, {}, None),
    ("augmentation", "cutout", "blur", {"data": "images"}, {}, None),
    ("method", "unrolled", "unrolled", {"driver": "eager"}, {}, None),
    ("method", "top-k", "unrolled", {}, {}, None),
    ("method", "vae", "vae", {}, {"alone": True}, RECIPE),
    ("dataset", "ring", "points", {}, {**POINTS, "modes": 8, "density": True}, None),
    ("dataset", "measured", "points", {}, {**POINTS, "splits": (0, 50)}, None),
    ("dataset", "digits", "pictures", {}, {**PICTURES, "samples": 898}, None),
    ("dataset", "letters", "pictures", {}, {**PICTURES, "extractor": ""}, None),
    ("metric", "frechet", "metric", {"features": True}, {}, None),
    ("metric", "kernel", "metric", {"features": True}, {}, None),
    ("metric", "precision-recall", "metric", {"features": True}, {}, None),
    ("metric", "density-coverage", "metric", {"features": True}, {}, None),
    ("metric", "classes", "metric", {"classes": True}, {}, None),
    ("metric", "modes", "metric", {"data": "points", "modes": True}, {}, None),
    ("metric", "sliced-wasserstein", "metric", {"data": "points"}, {}, None),
    ("metric", "log-likelihood", "metric", {"density": True}, {}, None),
    ("metric", "sharpness", "metric", {"data": "images"}, {}, None),
    ("extractor", "digits", "extractor", {"channels": (1, 3)}, {"classes": 10}, None),
    ("extractor", "colour", "extractor", {"channels": (3,)}, {}, None),
]


def offer(kind, name, attribute, needs, gives, recipe):
    component = Component(name, f"parts_of_plans:{attribute}", "For a test", needs=needs, gives=gives, recipe=recipe)
    return Offer(kind=kind, component=component, plugin="parts", owner="test-parts", version="1.0")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    (folder / "parts_of_plans.py").write_text(PARTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        yield Registry(tuple(offer(*entry) for entry in OFFERS))


def small(**changes):
    """One data set, one variant and one seed, with these changes."""
    data = {
        "name": "small",
        "datasets": ["ring"],
        "seeds": 1,
        "budget": {"kimg": 100},
        "matrix": {"generator": ["mlp"], "discriminator": ["mlp"], "loss": ["hinge"]},
    }
    return suite_from({**data, **changes}, Path("small.toml"))


def matrix(generator=("mlp",), discriminator=("mlp",), loss=("hinge",)):
    return {"generator": list(generator), "discriminator": list(discriminator), "loss": list(loss)}


def refused(registry, suite, only=(), error=SuiteError):
    with pytest.raises(error) as caught:
        plan(suite, registry, only)
    return str(caught.value)


def variants(planned):
    return [str(trial.variant) for trial in planned.trials]


def only_trial(registry, **changes):
    (trial,) = plan(small(**changes), registry).trials
    return trial


def test_every_combination_of_the_matrix_trains_on_every_data_set_with_every_seed(registry):
    suite = small(
        datasets=["ring", "digits"], seeds=2, matrix=matrix(["mlp", "mlp(width=8)"], ["mlp"], ["hinge", "wgan"])
    )
    planned = plan(suite, registry)
    assert len(planned.trials) == 2 * 2 * (2 * 2)
    assert planned.skipped == ()


def test_trials_come_by_data_set_then_seed_then_variant(registry):
    suite = small(datasets=["digits", "ring"], seeds=[1, 0], matrix=matrix(loss=["wgan", "hinge"]))
    order = [(trial.dataset.name, trial.seed, trial.variant.loss.name) for trial in plan(suite, registry).trials]
    assert order == [
        ("digits", 1, "wgan"), ("digits", 1, "hinge"), ("digits", 0, "wgan"), ("digits", 0, "hinge"),
        ("ring", 1, "wgan"), ("ring", 1, "hinge"), ("ring", 0, "wgan"), ("ring", 0, "hinge"),
    ]  # fmt: skip


def test_what_is_written_twice_is_planned_once(registry):
    suite = small(
        datasets=["digits", "digits(resolution=32)"],
        matrix=matrix(["mlp", "mlp(width=64)"], ["conv", "conv(norm=batch)"], ["hinge", "hinge(margin=1)"]),
        variants=[{"generator": "mlp", "discriminator": "conv", "loss": "hinge"}],
    )
    planned = plan(suite, registry)
    assert variants(planned) == ["mlp / conv / hinge"]
    assert len(planned.references) == 2


def test_the_order_in_a_file_changes_no_key(registry):
    first = small(
        datasets=["ring", "digits"], seeds=[0, 1], metrics=["modes", "frechet", "kernel"],
        matrix=matrix(["mlp", "conv"], ["mlp"], ["hinge + r1(gamma=2)", "wgan"]),
    )  # fmt: skip
    second = small(
        datasets=["digits", "ring"], seeds=[1, 0], metrics=["kernel", "frechet", "modes"],
        matrix=matrix(["conv", "mlp"], ["mlp"], ["wgan", "hinge + r1(gamma=2.0)"]),
    )  # fmt: skip
    keys = [[job.key for job in (*p.trials, *p.references)] for p in (plan(first, registry), plan(second, registry))]
    assert keys[0] != keys[1]
    assert sorted(keys[0]) == sorted(keys[1])


def test_a_plan_is_the_same_every_time(registry):
    suite = small(datasets=["ring", "digits"], matrix=matrix(["mlp", "conv"], ["mlp", "conv"], ["hinge", "wgan-gp"]))
    assert plan(suite, registry) == plan(suite, registry)


def test_parameters_are_those_of_the_component_and_defaults_are_in_the_trial(registry):
    trial = only_trial(registry, matrix=matrix(["mlp(width=8)"], ["mlp(packing=2)"], ["wgan-gp(weight=10)"]))
    assert str(trial.variant) == "mlp(width=8) / mlp(packing=2) / wgan-gp"
    assert trial.variant.loss.get("weight") == 10.0
    assert trial.variant.discriminator.defaults == (("width", 64),)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"datasets": ["ring", "digts"]}, "datasets[1]: no dataset named 'digts'. Did you mean 'digits'?"),
        ({"metrics": ["modes", "frchet"]}, "metrics[1]: no metric named 'frchet'. Did you mean 'frechet'?"),
        ({"matrix": matrix(["cnv"])}, "[matrix] generator[0]: no generator named 'cnv'. Did you mean 'conv'?"),
        (
            {"matrix": matrix(discriminator=["mlp", "mlpp"])},
            "[matrix] discriminator[1]: no discriminator named 'mlpp'. Did you mean 'mlp'?",
        ),
        (
            {"matrix": matrix(loss=["hinge", "wgan", "hing"])},
            "[matrix] loss[2]: no loss or method named 'hing'. Did you mean 'hinge'? Known: ",
        ),
        (
            {"matrix": matrix(loss=["hinge + r2"])},
            "[matrix] loss[0]: no penalty, augmentation or method named 'r2'. Did you mean 'r1'?",
        ),
        (
            {"matrix": matrix(["mlp(widht=3)"])},
            "[matrix] generator[0]: generator 'mlp': no parameter 'widht'. Did you mean 'width'?",
        ),
        (
            {"variants": [{"generator": "mlp", "discriminator": "mlp", "loss": "hinge(margin=wide)"}]},
            "[[variants]][0] loss: loss 'hinge': parameter 'margin': expected a number, got 'wide'",
        ),
        ({"evaluation": {"extractor": "digit"}}, "[evaluation] extractor: no extractor named 'digit'. Did you mean"),
    ],
)
def test_what_does_not_fit_the_installed_components_is_named_with_its_place(registry, changes, place):
    assert refused(registry, small(**changes)).startswith(f"suite small.toml, {place}")


def test_a_contract_that_a_parameter_breaks_is_its_owners_fault(registry):
    broken = offer("dataset", "broken", "pictures", {}, {**PICTURES, "shape": (1, "{resolutoin}", 8)}, None)
    message = refused(Registry((*registry.offers, broken)), small(datasets=["broken"]), error=PluginError)
    assert message == (
        "dataset 'broken' of plugin 'parts' (distribution test-parts 1.0): "
        "broken: its contract names '{resolutoin}'. Did you mean 'resolution'? Known: resolution"
    )


def test_what_a_suite_requires_must_be_installed(registry):
    assert plan(small(requires=["pytest>=1"]), registry).trials
    message = refused(registry, small(requires=["pytest>=1", "pytest>=1000"]))
    assert message.startswith("suite small.toml, requires: pytest>=1000: pytest ")
    assert "not installed" in refused(registry, small(requires=["no-such-distribution-at-all"]))


def test_what_cannot_go_together_is_skipped_once_with_the_reason_whatever_the_number_of_seeds(registry):
    planned = plan(small(seeds=5, matrix=matrix(["mlp", "conv"])), registry)
    assert planned.skipped == (Skipped("ring", "conv / mlp / hinge", "generator conv needs images, ring has points"),)
    assert variants(planned) == ["mlp / mlp / hinge"] * 5


def test_a_suite_of_which_nothing_can_train_has_no_references_either(registry):
    planned = plan(small(matrix=matrix(["conv"])), registry)
    assert (planned.trials, planned.references, len(planned.skipped)) == ((), (), 1)


def test_a_gradient_penalty_adapts_a_critic_that_was_left_alone(registry):
    suite = small(datasets=["digits"], matrix=matrix(["mlp"], ["conv"], ["hinge", "wgan-gp", "hinge + r1"]))
    assert variants(plan(suite, registry)) == [
        "mlp / conv / hinge",
        "mlp / conv(norm=layer) / wgan-gp",
        "mlp / conv(norm=layer) / hinge + r1",
    ]


def test_an_adapted_critic_is_the_same_trial_as_one_that_is_written_so(registry):
    adapted, written = (
        only_trial(registry, datasets=["digits"], matrix=matrix(["mlp"], [critic], ["wgan-gp"]))
        for critic in ("conv", "conv(norm=layer)")
    )
    assert adapted == written
    assert adapted.key == written.key


def test_a_critic_that_the_user_made_mix_the_batch_is_not_adapted_but_skipped(registry):
    suite = small(datasets=["digits"], matrix=matrix(["mlp"], ["conv(norm=batch)"], ["wgan-gp"]))
    planned = plan(suite, registry)
    assert planned.trials == ()
    assert planned.skipped[0].reason == (
        "loss wgan-gp needs a discriminator that does not mix the batch, conv does with norm=batch"
    )


def test_packing_that_does_not_divide_the_batch_of_its_own_training_is_skipped(registry):
    suite = small(
        matrix=matrix(discriminator=["mlp(packing=3)"]),
        variants=[
            {"generator": "mlp", "discriminator": "mlp(packing=3)", "loss": "hinge", "training": {"batch_size": 66}}
        ],
    )
    planned = plan(suite, registry)
    assert [trial.training.batch_size for trial in planned.trials] == [66]
    assert (
        planned.skipped[0].reason == "discriminator mlp(packing=3) packs 3 samples, which does not divide batch_size 64"
    )


def test_points_are_skipped_where_images_are_mirrored_unless_an_override_says_otherwise(registry):
    planned = plan(small(datasets=["ring", "digits"], seeds=2, training={"flips": True}), registry)
    assert planned.skipped == (
        Skipped("ring", "mlp / mlp / hinge", "training with flips needs images, ring has points"),
    )
    assert [(trial.dataset.name, trial.training.flips) for trial in planned.trials] == [("digits", True)] * 2
    override = [{"dataset": "digits", "training": {"flips": True}}]
    planned = plan(small(datasets=["ring", "digits"], override=override), registry)
    assert planned.skipped == ()
    assert {trial.dataset.name: trial.training.flips for trial in planned.trials} == {"ring": False, "digits": True}


def test_precision_is_part_of_what_a_trial_is_and_keeps_nothing_from_training(registry):
    trials = [only_trial(registry, training={"precision": name}) for name in ("float32", "tf32", "bf16")]
    assert [trial.training.precision for trial in trials] == ["float32", "tf32", "bf16"]
    assert len({trial.key for trial in trials}) == 3


def test_training_is_default_then_recipe_then_suite_then_overrides_then_variant(registry):
    suite = small(
        matrix=matrix(loss=["wgan", "hinge"]),
        variants=[
            {"generator": "mlp", "discriminator": "mlp", "loss": "wgan", "training": {"latent_dim": 5, "clip": 0}}
        ],
        training={"batch_size": 32, "latent_dim": 2, "generator": {"learning_rate": 0.5}},
        override=[
            {"loss": "wgan", "training": {"latent_dim": 3, "discriminator": {"betas": [0.1, 0.2]}}},
            {"loss": "w*", "training": {"latent_dim": 4}},
        ],
    )
    wgan, hinge, own = (trial.training for trial in plan(suite, registry).trials)
    assert (wgan.batch_size, wgan.latent_dim, wgan.discriminator_steps, wgan.clip) == (32, 4, 5, 0.01)
    assert wgan.generator == Optimiser("adam", 0.5, (0.0, 0.9))
    assert wgan.discriminator == Optimiser("rmsprop", 5e-5, (0.1, 0.2))
    assert (hinge.latent_dim, hinge.discriminator_steps, hinge.clip) == (2, 1, None)
    assert hinge.generator == Optimiser("adam", 0.5)
    assert (own.latent_dim, own.clip, own.batch_size) == (5, None, 32)


def test_an_average_with_a_half_life_of_nothing_is_no_average(registry):
    assert only_trial(registry, training={"ema_half_life_kimg": 2}).training.ema_half_life_kimg == 2.0
    assert only_trial(registry, training={"ema_half_life_kimg": 0}).training.ema_half_life_kimg is None


def test_the_last_budget_that_matches_a_data_set_replaces_the_suites(registry):
    suite = small(
        datasets=["ring", "digits"],
        override=[{"dataset": "*", "budget": {"kimg": 5}}, {"dataset": "ring", "budget": {"steps": 7}}],
    )
    assert [trial.budget for trial in plan(suite, registry).trials] == [Budget(steps=7), Budget(kimg=5)]


def test_a_variant_may_have_a_budget_of_its_own(registry):
    entry = {"generator": "mlp", "discriminator": "mlp", "loss": "hinge", "budget": {"steps": 9}}
    assert [trial.budget for trial in plan(small(variants=[entry]), registry).trials] == [
        Budget(kimg=100),
        Budget(steps=9),
    ]


# --- what is added to a loss


def objectives(registry, *losses, **changes):
    return [trial.variant.objective for trial in plan(small(matrix=matrix(loss=losses), **changes), registry).trials]


def test_a_loss_takes_penalties_and_one_augmentation_and_one_method_in_any_order(registry):
    trial = only_trial(registry, matrix=matrix(loss=["wgan + unrolled(steps=2) + lecam + r1(gamma=2)"]))
    variant = trial.variant
    assert (variant.loss.name, variant.method.name, variant.augmentation) == ("wgan", "unrolled", None)
    assert [str(choice) for choice in variant.penalties] == ["lecam", "r1(gamma=2.0)"]
    assert variant.method.get("steps") == 2
    trial = only_trial(registry, matrix=matrix(loss=["hinge + blur(strength=2) + r1"]))
    assert (str(trial.variant.augmentation), trial.variant.method) == ("blur(strength=2.0)", None)
    assert trial.variant.objective == "hinge + r1 + blur(strength=2.0)"
    assert [kind for kind, _ in trial.variant.objective_parts] == ["loss", "penalty", "augmentation"]
    assert [kind for kind, _ in trial.variant.parts] == [
        "generator", "discriminator", "loss", "penalty", "augmentation",
    ]  # fmt: skip


def test_the_place_of_an_augmentation_among_penalties_changes_no_key(registry):
    keys = {
        only_trial(registry, matrix=matrix(loss=[written])).key
        for written in ("hinge + r1 + lecam + blur", "hinge + blur(strength=0.5) + r1 + lecam", "hinge+r1+blur+lecam")
    }
    assert len(keys) == 1
    assert only_trial(registry, matrix=matrix(loss=["hinge + r1 + lecam"])).key not in keys
    assert only_trial(registry, matrix=matrix(loss=["hinge + r1 + lecam + blur(strength=1)"])).key not in keys


def test_in_a_table_whatever_is_added_stands_among_the_penalties(registry):
    table = {"name": "wgan-gp", "weight": 3, "penalties": ["blur", {"name": "r1", "gamma": 2}]}
    assert objectives(registry, table, {"name": "vae", "weight": 2}) == [
        "wgan-gp(weight=3.0) + r1(gamma=2.0) + blur",
        "vae(weight=2.0)",
    ]


def test_a_method_stands_alone_where_a_loss_would_and_brings_its_recipe(registry):
    trial = only_trial(registry, matrix=matrix(loss=["vae"]))
    assert (trial.variant.loss, trial.variant.method.name, trial.variant.objective) == (None, "vae", "vae")
    assert (trial.training.generator, trial.training.discriminator) == (RECIPE.generator, RECIPE.discriminator)
    assert trial.training.discriminator_steps == 5
    beside = only_trial(registry, matrix=matrix(loss=["wgan + unrolled"]))
    assert beside.training.clip == RECIPE.clip
    assert only_trial(registry, matrix=matrix(loss=["hinge + unrolled"])).training.generator == Optimiser()


def test_a_penalty_among_other_things_adapts_a_critic_too(registry):
    suite = small(datasets=["digits"], matrix=matrix(["mlp"], ["conv"], ["hinge + blur", "hinge + blur + r1"]))
    assert variants(plan(suite, registry)) == [
        "mlp / conv / hinge + blur",
        "mlp / conv(norm=layer) / hinge + r1 + blur",
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("hinge + blur + cutout", "expected at most one augmentation, got blur and cutout"),
        ("hinge + blur(strength=1) + r1 + blur", "expected at most one augmentation, got blur(strength=1) and blur"),
        ("hinge + unrolled + top-k", "expected at most one method, got unrolled and top-k"),
        ("vae + unrolled", "vae is a method, and what stands alone takes nothing beside it"),
        ("hinge + blur(strenth=1)", "augmentation 'blur': no parameter 'strenth'. Did you mean 'strength'?"),
        ("hinge + unrolled(steps=many)", "method 'unrolled': parameter 'steps': expected an integer, got 'many'"),
    ],
)
def test_an_objective_that_cannot_be_is_refused_with_its_place(registry, written, message):
    suite = small(matrix=matrix(loss=["hinge", written]))
    assert refused(registry, suite).startswith(f"suite small.toml, [matrix] loss[1]: {message}")
    entry = {"generator": "mlp", "discriminator": "mlp", "loss": written}
    assert refused(registry, small(variants=[entry])).startswith(f"suite small.toml, [[variants]][0] loss: {message}")


@pytest.mark.parametrize(
    ("written", "nearest"),
    [("hinge + blurr", "blur"), ("hinge + unroled", "unrolled"), ("hinge + lecm", "lecam"), ("vea", "vae")],
)
def test_a_name_that_nothing_has_is_compared_with_all_that_could_stand_there(registry, written, nearest):
    message = refused(registry, small(matrix=matrix(loss=["hinge", written])))
    assert message.startswith("suite small.toml, [matrix] loss[1]: no ")
    assert f"Did you mean '{nearest}'?" in message


@pytest.mark.parametrize(
    ("written", "name"), [("hinge + wgan", "wgan"), ("r1 + hinge", "r1"), ("blur", "blur"), ("hinge + mlp", "mlp")]
)
def test_a_name_of_what_cannot_stand_there_is_known_as_what_it_is(registry, written, name):
    message = refused(registry, small(matrix=matrix(loss=["hinge", written])))
    kind = {"wgan": "a loss", "r1": "a penalty", "blur": "an augmentation", "mlp": "a generator"}[name]
    assert f"named '{name}'. There is {kind} of that name." in message


def with_offers(registry, *offers):
    return Registry((*registry.offers, *offers))


def test_a_name_of_two_kinds_is_not_clear(registry):
    twice = with_offers(registry, offer("augmentation", "r1", "blur", {}, {}, None))
    message = refused(twice, small(matrix=matrix(loss=["hinge + r1"])))
    assert message.startswith(
        "suite small.toml, [matrix] loss[0]: 'r1' is the name of a penalty and of an augmentation"
    )


def test_an_owner_makes_a_name_of_two_kinds_clear(registry):
    other = replace(offer("augmentation", "r1", "blur", {}, {}, None), owner="others")
    variant = only_trial(with_offers(registry, other), matrix=matrix(loss=["hinge + others:r1"])).variant
    assert (variant.penalties, str(variant.augmentation)) == ((), "others:r1")


def test_what_cannot_be_added_is_skipped_with_the_reason(registry):
    planned = plan(small(matrix=matrix(loss=["hinge + cutout", "unrolled", "hinge + vae"])), registry)
    assert [(item.variant, item.reason) for item in planned.skipped] == [
        ("mlp / mlp / hinge + cutout", "augmentation cutout needs images, ring has points"),
        (
            "mlp / mlp / unrolled",
            "method unrolled needs a loss: write it behind one, as 'nonsaturating + unrolled'",
        ),
        ("mlp / mlp / hinge + vae", "method vae has an objective of its own, and takes nothing beside it: hinge"),
    ]
    assert planned.trials == ()


def names(evaluation):
    return [choice.name for choice in evaluation.metrics]


def test_each_data_set_is_measured_by_the_metrics_that_apply_to_it(registry):
    ring, digits = (trial.evaluation for trial in plan(small(datasets=["ring", "digits"]), registry).trials)
    assert names(ring) == ["modes", "sliced-wasserstein", "log-likelihood"]
    assert (ring.samples, ring.extractor) == (2500, None)
    assert names(digits) == ["frechet", "kernel", "precision-recall", "density-coverage", "classes"]
    assert (digits.samples, digits.extractor) == (898, Choice("digits", code="test-parts 1.0"))


def test_an_override_of_the_evaluation_changes_what_it_names(registry):
    suite = small(
        datasets=["ring", "digits"],
        evaluation={"points": 1, "samples": 50},
        override=[{"dataset": "ring", "evaluation": {"samples": 60}}],
    )
    ring, digits = (trial.evaluation for trial in plan(suite, registry).trials)
    assert (ring.samples, ring.points) == (60, (1.0,))
    assert (digits.samples, digits.points) == (50, (1.0,))


def test_an_extractor_that_no_metric_uses_is_no_part_of_a_trial(registry):
    trial = only_trial(registry, datasets=["letters"], metrics=["sharpness"], evaluation={"extractor": "digits"})
    assert trial.evaluation.extractor is None


def test_an_extractor_can_be_given_where_the_data_set_has_none(registry):
    assert refused(registry, small(datasets=["letters"], metrics=["kernel"])) == (
        "suite small.toml, datasets[0]: no metric applies: metric kernel needs a feature extractor, letters has none"
    )
    trial = only_trial(registry, datasets=["letters"], metrics=["kernel"], evaluation={"extractor": "digits"})
    assert trial.evaluation.extractor == Choice("digits", code="test-parts 1.0")


def test_an_extractor_that_cannot_see_the_images_is_refused_where_it_is_written(registry):
    expected = "extractor colour needs images with 3 channels, digits has 1"
    suite = small(datasets=["digits"], evaluation={"extractor": "colour"})
    assert refused(registry, suite) == f"suite small.toml, [evaluation] extractor: {expected}"
    suite = small(datasets=["digits"], override=[{"dataset": "digits", "evaluation": {"extractor": "colour"}}])
    assert refused(registry, suite) == f"suite small.toml, [[override]][0] evaluation.extractor: {expected}"


def test_a_metric_that_was_asked_for_and_applies_nowhere_is_refused(registry):
    assert refused(registry, small(metrics=["modes", "classes"])) == (
        "suite small.toml, metrics[1]: metric classes applies to none of the data sets (ring)"
    )


def test_each_data_set_with_trials_has_its_references(registry):
    planned = plan(small(datasets=["ring", "digits"], seeds=3), registry)
    assert [(item.dataset.name, item.name) for item in planned.references] == [
        ("ring", "real_floor"),
        ("ring", "perfect"),
        ("ring", "noise"),
        ("digits", "real_floor"),
        ("digits", "noise"),
    ]
    assert planned.references[3].evaluation == replace(planned.trials[-1].evaluation, points=(1.0,))


def test_data_that_are_measured_against_only_have_no_real_floor(registry):
    references = plan(small(datasets=["measured"]), registry).references
    assert [item.name for item in references] == ["noise"]


@pytest.mark.parametrize(
    "exclude",
    [
        {"generator": "conv"},
        {"generator": "conv(*)"},
        {"generator": "conv(width=32)"},
        {"dataset": "dig*", "generator": "c*"},
    ],
)
def test_an_exclude_holds_its_globs_against_the_name_and_against_what_is_written(registry, exclude):
    suite = small(datasets=["digits"], matrix=matrix(["mlp", "conv(width=32)"]), exclude=[exclude])
    assert variants(plan(suite, registry)) == ["mlp / mlp / hinge"]


def test_a_glob_matches_a_default_that_is_written_out_and_any_spacing(registry):
    losses = ["hinge", "wgan-gp(weight=10)", "hinge + r1(gamma=2)"]
    suite = small(
        matrix=matrix(loss=losses), exclude=[{"loss": "wgan-gp(weight=10)"}, {"loss": "hinge+r1( gamma=2.0 )"}]
    )
    assert variants(plan(suite, registry)) == ["mlp / mlp / hinge"]


def test_a_losses_name_alone_does_not_match_it_with_penalties(registry):
    suite = small(matrix=matrix(loss=["hinge", "hinge + r1(gamma=2)"]), exclude=[{"loss": "hinge"}])
    assert variants(plan(suite, registry)) == ["mlp / mlp / hinge + r1(gamma=2.0)"]


ADDED = ("hinge", "hinge + r1(gamma=2) + blur", "wgan + unrolled(steps=2)", "vae")


@pytest.mark.parametrize(
    ("glob", "left"),
    [
        ("*blur*", [0, 2, 3]),
        ("hinge + r1 + blur", [0, 2, 3]),
        ("hinge + r1(gamma=2) + blur", [0, 2, 3]),
        ("hinge + r1(gamma=2.0) + blur", [0, 2, 3]),
        ("*+*", [0, 3]),
        ("* + unrolled", [0, 1, 3]),
        ("vae", [0, 1, 2]),
        ("hinge", [1, 2, 3]),
    ],
)
def test_a_glob_is_held_against_all_that_an_objective_is_made_of(registry, glob, left):
    expected = [objectives(registry, ADDED[place])[0] for place in left]
    assert objectives(registry, *ADDED, exclude=[{"loss": glob}]) == expected
    picked = plan(small(matrix=matrix(loss=ADDED)), registry, [f"loss={glob}"]).trials
    assert {trial.variant.objective for trial in picked} == set(objectives(registry, *ADDED)) - set(expected)


def test_an_override_may_be_for_what_is_added_to_a_loss(registry):
    override = [{"loss": "*+ unrolled*", "training": {"batch_size": 8}}]
    planned = plan(small(matrix=matrix(loss=ADDED), override=override), registry)
    assert [trial.training.batch_size for trial in planned.trials] == [64, 64, 8, 64]


def test_a_list_in_a_choice_is_no_set_of_characters(registry):
    suite = small(matrix=matrix(loss=["hinge", "listed(scales=[1, 2])"]), exclude=[{"loss": "listed(scales=[1, 2])"}])
    assert variants(plan(suite, registry)) == ["mlp / mlp / hinge"]


def test_a_glob_that_matches_nothing_is_a_slip(registry):
    assert refused(registry, small(exclude=[{"dataset": "ring"}, {"generator": "mpl"}])) == (
        "suite small.toml, [[exclude]][1] generator: 'mpl' matches no generator of this suite."
        " Did you mean 'mlp'? Known: mlp"
    )
    assert refused(registry, small(override=[{"loss": "hing", "training": {"clip": 1}}])) == (
        "suite small.toml, [[override]][0] loss: 'hing' matches no loss of this suite."
        " Did you mean 'hinge'? Known: hinge"
    )


def test_globs_that_match_something_each_but_nothing_together_are_a_slip(registry):
    suite = small(
        variants=[{"generator": "mlp(width=8)", "discriminator": "mlp", "loss": "wgan"}],
        exclude=[{"generator": "mlp(width=8)", "loss": "hinge"}],
    )
    assert refused(registry, suite) == (
        "suite small.toml, [[exclude]][0]: each glob matches something, but nothing matches all of them"
    )


def test_excluding_everything_is_refused(registry):
    assert refused(registry, small(exclude=[{"dataset": "*"}])) == (
        "suite small.toml, [[exclude]]: leaves nothing to train"
    )


@pytest.mark.parametrize(
    ("only", "count"),
    [
        (["loss=hinge"], 6),
        (["loss=hinge", "loss=wgan"], 12),
        (["loss=hinge", "seed=0"], 2),
        (["dataset=digits", "seed=0", "seed=2"], 4),
        (["seed=*"], 12),
        ([" loss = h* "], 6),
    ],
)
def test_only_picks_any_of_one_key_and_all_of_several(registry, only, count):
    suite = small(datasets=["ring", "digits"], seeds=3, matrix=matrix(loss=["hinge", "wgan"]))
    planned = plan(suite, registry, only)
    assert len(planned.trials) == count
    assert set(planned.trials) <= set(plan(suite, registry).trials)


def test_only_leaves_the_references_and_skips_of_what_it_picks(registry):
    suite = small(datasets=["ring", "digits"], matrix=matrix(["mlp", "conv"]))
    assert [item.dataset.name for item in plan(suite, registry, ["dataset=digits"]).references] == ["digits"] * 2
    assert plan(suite, registry, ["dataset=digits"]).skipped == ()
    assert len(plan(suite, registry, ["dataset=ring"]).skipped) == 1


FILTER_KEYS = "dataset, discriminator, generator, loss, seed"


@pytest.mark.parametrize(
    ("only", "message"),
    [
        (["hinge"], "--only 'hinge': expected KEY=GLOB, such as loss=hinge"),
        (["loss="], "--only 'loss=': expected KEY=GLOB, such as loss=hinge"),
        (["los=hinge"], f"--only 'los=hinge': no key 'los'. Did you mean 'loss'? Known: {FILTER_KEYS}"),
        (["loss=hing"], "--only 'loss=hing' matches no loss of this suite. Did you mean 'hinge'? Known: hinge, wgan"),
        (["loss=hinge", "seed=7"], "--only 'seed=7' matches no seed of this suite. Known: 0"),
        (["loss=wgan", "generator=mlp(width=8)"], "--only: each filter fits something, but nothing fits all of them"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_met_is_refused(registry, only, message):
    suite = small(
        matrix=matrix(loss=["hinge", "wgan"]),
        variants=[{"generator": "mlp(width=8)", "discriminator": "mlp", "loss": "hinge"}],
    )
    assert refused(registry, suite, only) == message


def test_more_trials_than_anybody_could_run_are_refused_before_they_are_made(registry):
    suite = replace(small(), seeds=tuple(range(MOST_TRIALS + 1)))
    assert refused(registry, suite) == (
        "suite small.toml: asks for 100001 trials; 100000 are the most that can be planned"
    )


NAMES = st.lists(st.sampled_from(["mlp", "conv", "mlp(width=8)", "conv(width=8)", "nothing"]), min_size=1, max_size=3)
CRITICS = st.lists(st.sampled_from(["mlp", "conv", "conv(norm=batch)", "mlp(packing=3)"]), min_size=1, max_size=3)
LOSSES = st.lists(st.sampled_from(["hinge", "wgan", "wgan-gp(weight=3)", "hinge + r1"]), min_size=1, max_size=3)


@given(NAMES, CRITICS, LOSSES, st.lists(st.sampled_from(["ring", "digits", "letters"]), min_size=1, max_size=3))
def test_every_combination_is_a_trial_or_a_skip_with_a_reason_and_never_both(registry, nets, critics, losses, datasets):
    suite = small(datasets=datasets, seeds=2, matrix=matrix(nets, critics, losses))
    try:
        planned = plan(suite, registry)
    except SuiteError:
        assert "nothing" in nets or "letters" in datasets
        return
    assert all(item.reason for item in planned.skipped)
    assert len({trial.key for trial in planned.trials}) == len(planned.trials)
    asked = len(set(nets)) * len(set(critics)) * len(set(losses)) * len(set(datasets))
    assert len(planned.trials) / 2 + len(planned.skipped) <= asked


def test_planning_imports_neither_torch_nor_pandas_nor_numpy():
    program = (
        "import sys; from pathlib import Path; from ganbench.plan import plan; from ganbench.plugins import discover;"
        "from ganbench.suite import suite_from;"
        "data = {'name': 'x', 'datasets': ['ring8', 'digits'], 'budget': {'kimg': 1}, 'matrix':"
        " {'generator': ['mlp', 'dcgan'], 'discriminator': ['dcgan'], 'loss': ['hinge + r1']}};"
        "planned = plan(suite_from(data, Path('x.toml')), discover());"
        "assert planned.trials and planned.skipped;"
        "print([name for name in ('torch', 'pandas', 'numpy', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "[]\n"
