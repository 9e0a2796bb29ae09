from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from small import ODD, performed, reference, registry, trial

from ganbench.accounting import ProcessorClock
from ganbench.building import build_evaluator
from ganbench.drivers import Driver, choose
from ganbench.errors import DataError, PluginError
from ganbench.events import last_event
from ganbench.networks import build_generator
from ganbench.observing import RESAMPLES
from ganbench.players import sample
from ganbench.portrait_files import INTERPOLATIONS, PORTRAIT
from ganbench.protocols import Data, Places
from ganbench.runs import failure
from ganbench.stepping import Diverged
from ganbench.store import CURVE, ENVIRONMENT, GENERATOR, LOG, RECORD, TRIAL, Store
from ganbench.submissions import evaluation_latents
from ganbench.survey import survey
from ganbench.tasks import Task
from ganbench.terms import AXES, Optimiser, Spent
from ganbench.trial import perform, reference_samples
from ganbench.workshop import load_data, open_workshop

LOSSES = [
    "minimax",
    "nonsaturating",
    "lsgan",
    "hinge",
    "wgan",
    "wgan-gp",
    "relativistic + r1(gamma=0.1) + r2(gamma=0.1)",
]
CURVE_OF_TRAINING = {
    "discriminator/adversarial",
    "generator/adversarial",
    "logit/real",
    "logit/fake",
    "discriminator/accuracy",
    "gradient_norm/discriminator",
    "gradient_norm/generator",
}


def values(attempt):
    return {score.name: score.value for score in attempt.record().scores}


def close_to(attempt, tolerance=1e-3):
    """What the scores of another attempt may be where rounding is all that differs."""
    return pytest.approx(numbers(attempt), rel=tolerance, abs=tolerance, nan_ok=True)


def numbers(attempt):
    return {name: math.nan if value is None else value for name, value in values(attempt).items()}


def curve(attempt):
    return pd.read_parquet(attempt.path / CURVE)


def timeless(attempt):
    """The curve but for what a clock says."""
    return curve(attempt).drop(columns=["device_seconds", "wall_seconds"])


# --- trials that end well


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An attempt at eight steps of 5 × 16 images, measured at a quarter, at half and at the end."""
    made = trial(loss="wgan-gp", budget={"steps": 8}, points=[0.25, 0.5], ema_half_life_kimg=1)
    return performed(made, tmp_path_factory.mktemp("results"))


def test_a_trial_leaves_a_record_and_all_that_belongs_to_it(trained):
    assert sorted(path.name for path in trained.path.iterdir()) == sorted(
        [
            TRIAL,
            ENVIRONMENT,
            "events.jsonl",
            CURVE,
            "samples-00000002.png",
            "samples-00000004.png",
            "samples-00000008.png",
            INTERPOLATIONS,
            PORTRAIT,
            GENERATOR,
            RECORD,
        ]
    )


def test_the_record_of_a_trial_says_what_it_is_and_what_was_spent(trained):
    record = trained.record()
    assert (record.key, record.kind, record.status) == (trained.job().key, "trial", "ok")
    assert (record.message, record.failed_step) == ("", None)
    assert record.started_at < record.finished_at
    assert record.spent.kimg == 8 * 5 * 16 / 1000
    assert record.spent.steps == 8
    assert record.spent.device_seconds > 0
    assert record.spent.petaflops == pytest.approx(8 * record.costs["flops_per_step"] / 1e15)


def test_the_scores_are_those_at_the_end_of_the_budget(trained):
    last = curve(trained).iloc[-1]
    assert values(trained)
    for name, value in values(trained).items():
        assert value == last[name] or (value is None and pd.isna(last[name]))
    assert all(score.n_fake == 100 for score in trained.record().scores)


def test_the_costs_add_up(trained):
    record = trained.record()
    costs, seconds = record.costs, record.spent.device_seconds
    assert costs["steps_per_second"] == pytest.approx(8 / seconds)
    assert costs["images_per_second"] == pytest.approx(640 / seconds)
    assert costs["generator_parameters"] == (4 * 8 + 8) + (8 * 2 + 2)
    assert costs["discriminator_parameters"] == (2 * 8 + 8) + (8 + 1)
    assert 0 < costs["training_seconds"] + costs["evaluation_seconds"] <= costs["wall_seconds"]
    assert costs["sampling_images_per_second"] > 0
    assert costs["peak_memory_bytes"] > 50 * 2**20


def test_the_curve_has_a_row_for_each_point_against_every_axis(trained):
    rows = curve(trained)
    assert rows["steps"].tolist() == [2, 4, 8]
    assert rows["kimg"].tolist() == [0.16, 0.32, 0.64]
    for axis in (*AXES, "wall_seconds"):
        assert rows[axis].is_monotonic_increasing
        assert (rows[axis] > 0).all()
    assert {*CURVE_OF_TRAINING, "discriminator/gradient_penalty"} <= set(rows.columns)
    assert rows["discriminator/accuracy"].between(0, 1).all()


def test_the_environment_is_there_for_every_attempt(trained):
    environment = trained.environment()
    assert environment["device_kind"] == "cpu"
    assert environment["threads"] == 1


def test_events_tell_of_the_last_evaluation(trained):
    event = last_event(trained, "evaluated")
    assert event["share"] == 1.0
    assert event["spent"]["steps"] == 8
    assert event["scores"] == values(trained)
    assert last_event(trained, "started")


def test_the_saved_generator_is_the_average_that_was_scored(trained, tmp_path):
    saved = load_file(trained.path / GENERATOR)
    assert {name: tuple(tensor.shape) for name, tensor in saved.items()} == {
        "layers.0.weight": (8, 4),
        "layers.0.bias": (8,),
        "layers.2.weight": (2, 8),
        "layers.2.bias": (2,),
    }
    plain = performed(trial(loss="wgan-gp", budget={"steps": 8}), tmp_path)
    assert not torch.equal(load_file(plain.path / GENERATOR)["layers.0.weight"], saved["layers.0.weight"])


@pytest.mark.parametrize("loss", LOSSES)
def test_every_objective_trains_in_the_plane(loss, tmp_path):
    record = performed(trial(loss=loss), tmp_path).record()
    assert (record.status, record.message) == ("ok", "")


def test_a_packed_discriminator_trains_for_the_same_budget(tmp_path):
    made = trial(discriminator="mlp(width=8, depth=1, packing=4)", budget={"kimg": 0.05})
    record = performed(made, tmp_path).record()
    assert (record.status, record.spent.steps) == ("ok", 4)  # 16 images a step
    assert made.budget.overshoot(record.spent)["kimg"] == pytest.approx(0.014)


def test_pictures_are_trained_on_and_measured(tmp_path):
    metrics = ["frechet", "classes"]
    made = trial("digits", "hinge", "dcgan(width=4)", "dcgan(width=4)", budget={"steps": 2}, metrics=metrics)
    attempt = performed(made, tmp_path)
    assert attempt.record().status == "ok"
    assert values(attempt)["fcd_digits"] > 0


# --- the same again


def test_a_trial_done_twice_leaves_the_same_scores_curve_and_weights(tmp_path):
    made = trial(loss="wgan-gp", generator="dropout", points=2, ema_half_life_kimg=1)
    first, again = performed(made, tmp_path / "a"), performed(made, tmp_path / "b")
    assert first.record().scores == again.record().scores
    assert (first.path / GENERATOR).read_bytes() == (again.path / GENERATOR).read_bytes()
    pd.testing.assert_frame_equal(timeless(first), timeless(again), check_exact=True)


def test_another_seed_leaves_other_weights_and_another_curve(tmp_path):
    first, other = (performed(trial(seed=seed), tmp_path) for seed in (0, 1))
    assert (first.path / GENERATOR).read_bytes() != (other.path / GENERATOR).read_bytes()
    assert not timeless(first).equals(timeless(other))


@pytest.mark.parametrize("generator", ["dropout", "mlp(width=8, norm=batch)"])
def test_evaluations_leave_training_untouched(generator, tmp_path):
    """Whatever they draw, switch or normalise: the weights at the end are the same, bit for bit."""
    made = trial(generator=generator, metrics=["modes", "drawing"], budget={"steps": 10})
    once = performed(made, tmp_path)
    often = performed(replace(made, evaluation=replace(made.evaluation, points=(0.2, 0.4, 0.6, 0.8, 1.0))), tmp_path)
    assert len(curve(once)) == 1
    assert len(curve(often)) == 5
    assert (once.path / GENERATOR).read_bytes() == (often.path / GENERATOR).read_bytes()
    assert once.record().scores == often.record().scores


def test_what_came_before_in_the_process_does_not_matter(tmp_path):
    made = trial(generator="dropout")
    first = performed(made, tmp_path)
    torch.manual_seed(99)
    again = performed(made, tmp_path)
    assert (first.path / GENERATOR).read_bytes() == (again.path / GENERATOR).read_bytes()


def test_a_trial_leaves_the_global_random_state_alone(tmp_path):
    before = torch.get_rng_state()
    performed(trial(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


# --- trials that fail


@pytest.mark.parametrize(("step", "player"), [(1, "generator"), (3, "discriminator")])
def test_a_trial_whose_loss_is_not_finite_diverged_at_that_step(step, player, tmp_path):
    attempt = performed(trial(loss=f"nan-at(step={step}, player={player})"), tmp_path)
    record = attempt.record()
    assert (record.status, record.failed_step) == ("diverged", step)
    assert record.message == f"a loss term, a logit or a gradient is not finite at step {step}"
    assert record.spent.steps == 6
    assert record.scores == ()
    assert record.costs["wall_seconds"] > 0
    assert not (attempt.path / GENERATOR).exists()


def test_a_trial_with_a_learning_rate_far_too_large_diverges(tmp_path):
    made = trial(loss="lsgan")
    training = replace(made.training, discriminator=Optimiser("sgd", 1e30))
    record = performed(replace(made, training=training), tmp_path).record()
    assert record.status == "diverged"
    assert 1 <= record.failed_step <= 2


def test_a_generator_whose_samples_are_not_finite_diverged(tmp_path):
    record = performed(trial(generator="torn", points=[0.5]), tmp_path).record()
    assert (record.status, record.failed_step) == ("diverged", 3)
    assert record.message == "a generated sample is not finite at step 3"
    assert record.spent.steps == 3


def test_a_divergence_keeps_the_curve_up_to_it(tmp_path):
    attempt = performed(trial(loss="nan-at(step=5)", points=[0.5]), tmp_path)
    assert attempt.record().status == "diverged"
    assert curve(attempt)["steps"].tolist() == [3]


def test_a_plugin_that_raises_is_a_record_with_the_step_and_a_log(tmp_path):
    attempt = performed(trial(loss="raising(step=4)"), tmp_path)
    record = attempt.record()
    assert (record.status, record.failed_step, record.spent.steps) == ("error", 4, 4)
    assert record.message.startswith("loss 'raising(step=4)' of plugin file ")
    assert record.message.endswith("raised ValueError: out of ideas")  # the first line alone
    log = (attempt.path / LOG).read_text()
    assert "Traceback (most recent call last)" in log
    assert "ValueError: out of ideas\nand of words" in log
    assert attempt.environment()["device_kind"] == "cpu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "scalar"}, "loss 'scalar' .*: term 'adversarial' gave a tensor of shape ()"),
        ({"generator": "wide"}, "generator 'wide' .* gave a tensor of shape (16, 3), expected"),
        ({"discriminator": "matrix"}, "discriminator 'matrix' .* gave a tensor of shape (16, 1), expected"),
        ({"generator": "weightless"}, "generator 'weightless' .* has no weights to train"),
        ({"dataset": "double"}, "dataset 'double' .* heldout is torch.float64"),
    ],
)
def test_a_plugin_that_breaks_its_contract_is_named_in_the_record(changes, message, tmp_path):
    record = performed(trial(**{"metrics": ["drawing"], **changes}), tmp_path).record()
    assert (record.status, record.failed_step) == ("error", None)
    begin, _, end = message.partition(" .*")
    assert record.message.startswith(begin)
    assert end in record.message
    assert "\n" not in record.message


def test_running_out_of_memory_has_a_status_of_its_own(tmp_path):
    record = performed(trial(generator="greedy"), tmp_path).record()
    assert record.status == "oom"
    assert "generator 'greedy'" in record.message


def test_a_component_that_is_not_installed_here_is_a_record_too(tmp_path):
    made = trial(loss="raising")
    attempt = Store(tmp_path).begin(made)
    perform([Task(made, attempt, Places(), "cpu")])  # without the plugin file
    assert attempt.record().status == "error"
    assert "no loss named 'raising'" in attempt.record().message


def test_a_device_that_is_not_there_is_a_record_too(tmp_path):
    made = trial()
    attempt = Store(tmp_path).begin(made)
    perform([Task(made, attempt, Places(), "nonsense:0", (ODD,))])
    assert attempt.record().status == "error"
    assert (attempt.path / LOG).is_file()


@pytest.mark.parametrize(
    ("error", "status", "message", "step"),
    [
        (Diverged(7, "a weight"), "diverged", "a weight is not finite at step 7", 7),
        (PluginError("first\nsecond"), "error", "first", 9),
        (ValueError(""), "error", "ValueError", 9),
        (MemoryError(), "oom", "MemoryError", 9),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom", "OutOfMemoryError: CUDA out of memory", 9),
        (RuntimeError("DefaultCPUAllocator: no\nmore"), "oom", "RuntimeError: DefaultCPUAllocator: no", 9),
    ],
)
def test_what_an_exception_stands_for(error, status, message, step):
    outcome = failure(error, Spent(steps=9))
    assert (outcome.status, outcome.message, outcome.failed_step) == (status, message, step)
    assert outcome.spent == Spent(steps=9)


def test_memory_that_runs_out_behind_another_error_is_still_memory():
    error = PluginError("loss 'x' raised RuntimeError")
    assert failure(error, Spent()).status == "error"
    error.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
    assert failure(error, Spent()).status == "oom"


def test_what_fails_before_the_first_step_has_no_step():
    assert failure(PluginError("no weights"), Spent()).failed_step is None


# --- seeds together


def begun(jobs, folder, driver="vectorised", device="cpu"):
    return [Task(job, Store(folder).begin(job), Places(), device, (ODD,), driver=Driver(driver)) for job in jobs]


def seeds(count=3, **settings):
    return [trial(seed=seed, **settings) for seed in range(count)]


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Three seeds together, and each alone."""
    jobs = seeds(loss="wgan-gp", budget={"steps": 8}, points=[0.5], ema_half_life_kimg=1)
    tasks = begun(jobs, tmp_path_factory.mktemp("together"))
    assert perform(tasks) == ""
    alone = [performed(job, tmp_path_factory.mktemp("alone")) for job in jobs]
    return [task.attempt for task in tasks], alone


def test_every_seed_of_a_group_has_a_record_of_its_own(group):
    together, alone = group
    for attempt, other in zip(together, alone, strict=True):
        record = attempt.record()
        assert (record.status, record.message, record.key) == ("ok", "", other.record().key)
        assert (record.spent.kimg, record.spent.steps) == (8 * 5 * 16 / 1000, 8)
        assert record.spent.petaflops == other.record().spent.petaflops
        assert {path.name for path in attempt.path.iterdir()} == {path.name for path in other.path.iterdir()}


def test_seeds_of_a_group_score_as_they_would_alone_but_for_rounding(group):
    for attempt, other in zip(*group, strict=True):
        assert numbers(attempt) == close_to(other)
        together, apart = timeless(attempt), timeless(other)
        assert list(together.columns) == list(apart.columns)
        assert together["steps"].tolist() == [4, 8]
        for name in CURVE_OF_TRAINING - {"discriminator/accuracy"}:
            assert together[name].tolist() == pytest.approx(apart[name].tolist(), rel=1e-3, abs=1e-5)
    first, second = (timeless(attempt) for attempt in group[0][:2])
    assert not first.equals(second)


def test_the_generators_that_a_group_saves_are_those_of_each_seed(group):
    for attempt, other in zip(*group, strict=True):
        saved, expected = load_file(attempt.path / GENERATOR), load_file(other.path / GENERATOR)
        assert saved.keys() == expected.keys()
        for name in saved:
            torch.testing.assert_close(saved[name], expected[name], rtol=1e-3, atol=1e-4)
    assert len({(attempt.path / GENERATOR).read_bytes() for attempt in group[0]}) == 3


def test_the_generators_that_a_group_saves_give_the_recorded_scores(group):
    for attempt in group[0]:
        workshop = open_workshop(registry(), Places())
        data = load_data(workshop, attempt.job().dataset)
        evaluation = attempt.job().evaluation
        evaluator = build_evaluator(workshop, data, attempt.job().dataset, evaluation)
        generator = build_generator(workshop, attempt.job(), tuple(data.train.shape[1:]))
        generator.load_state_dict(load_file(attempt.path / GENERATOR))
        latents = evaluation_latents(attempt.job().seed, attempt.job().training.latent_dim, evaluator.count)
        scores = evaluator.scores(sample(generator, latents), resamples=RESAMPLES)
        assert {score.name: score.value for score in scores} == values(attempt)


def test_the_environment_says_how_many_seeds_shared_the_process(group):
    together, alone = (attempts[0].environment() for attempts in group)
    assert (together["driver"], together["driver_reason"], together["seeds_together"]) == ("vectorised", "", 3)
    assert (alone["driver"], alone["seeds_together"]) == ("eager", 1)
    assert together["precision"] == alone["precision"] == "float32"


def test_seeds_share_the_devices_time_evenly(tmp_path, monkeypatch):
    charged = []

    class Counted(ProcessorClock):
        def seconds(self):
            charged.append(super().seconds())
            return charged[-1]

    monkeypatch.setattr("ganbench.trial.clock_for", lambda device: Counted())
    tasks = begun(seeds(4, budget={"steps": 20}), tmp_path)
    assert perform(tasks) == ""
    shares = [task.attempt.record().spent.device_seconds for task in tasks]
    assert len(set(shares)) == 1
    assert any(sum(shares) == pytest.approx(whole) for whole in charged)
    assert sum(task.attempt.record().costs["wall_seconds"] for task in tasks) >= sum(shares)


def test_a_seed_that_diverges_leaves_the_others_alone(tmp_path):
    jobs = seeds(6, loss="nan-for", budget={"steps": 6}, points=[0.5])
    tasks = begun(jobs, tmp_path / "together")
    assert perform(tasks) == ""
    alone = [performed(job, tmp_path / "alone") for job in jobs]
    ended = {attempt.record().status for attempt in alone}
    assert ended == {"ok", "diverged"}
    for task, other in zip(tasks, alone, strict=True):
        record, expected = task.attempt.record(), other.record()
        assert (record.status, record.failed_step, record.message) == (
            expected.status,
            expected.failed_step,
            expected.message,
        )
        assert (task.attempt.path / GENERATOR).exists() == (record.status == "ok")
        assert numbers(task.attempt) == close_to(other)


def test_a_group_of_which_every_seed_diverges_has_a_record_for_each(tmp_path):
    tasks = begun(seeds(loss="nan-at(step=3)"), tmp_path)
    assert perform(tasks) == ""
    assert [task.attempt.record().status for task in tasks] == ["diverged"] * 3
    assert [task.attempt.record().failed_step for task in tasks] == [3] * 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"loss": "by-hand"}, "requires_grad_"),
        ({"generator": "uneven"}, "the networks of two seeds differ in more than their weights"),
        ({"loss": "raising(step=4)"}, "raised ValueError: out of ideas"),
        ({"generator": "greedy"}, "greedy"),
    ],
    ids=str,
)
def test_a_group_that_cannot_be_done_gives_the_reason_and_no_record(changes, why, tmp_path):
    tasks = begun(seeds(2, **changes), tmp_path)
    assert why in perform(tasks)
    assert not any((task.attempt.path / RECORD).exists() for task in tasks)
    assert "Traceback" in (tasks[0].attempt.path / LOG).read_text()


@pytest.mark.parametrize("changes", [{"loss": "noisy"}, {"loss": "remembering"}, {"generator": "fading"}], ids=str)
def test_a_trial_that_is_refused_is_done_alone_and_says_why(changes, tmp_path):
    made = trial(**changes)
    driver = choose(made, survey(made, registry(), Places(), "cpu"))
    assert not driver.vectorised
    (task,) = begun([made], tmp_path)
    assert perform([replace(task, driver=driver)]) == ""
    assert task.attempt.record().status == "ok"
    environment = task.attempt.environment()
    assert environment["driver"] == driver.name
    assert environment["driver_reason"] == driver.reason
    assert environment["driver_reason"].startswith("not vectorised: ")


@pytest.mark.gpu
@pytest.mark.parametrize("driver", ["vectorised", "graph", "vectorised+graph"])
def test_every_driver_leaves_the_same_scores_on_a_gpu(driver, cuda, tmp_path):
    jobs = seeds(3 if driver.startswith("vectorised") else 1, budget={"steps": 20}, ema_half_life_kimg=1)
    tasks = begun(jobs, tmp_path / "faster", driver, str(cuda))
    plain = [begun([job], tmp_path / "plain", "eager", str(cuda)) for job in jobs]
    assert perform(tasks) == ""
    for task, other in zip(tasks, plain, strict=True):
        assert perform(other) == ""
        assert task.attempt.record().status == "ok"
        assert numbers(task.attempt) == close_to(other[0].attempt, 1e-2)


# --- references


@pytest.mark.parametrize("name", ["real_floor", "perfect", "noise"])
def test_a_reference_leaves_a_record_with_scores_and_a_picture(name, tmp_path):
    attempt = performed(reference(name), tmp_path)
    record = attempt.record()
    assert (record.kind, record.status, record.spent) == ("reference", "ok", Spent())
    assert {"wall_seconds", "preparation_seconds", "evaluation_seconds"} == set(record.costs)
    assert (attempt.path / "samples-00000000.png").is_file()
    assert attempt.environment()["device_kind"] == "cpu"


def test_real_samples_score_better_than_noise_and_nearly_perfectly(tmp_path):
    real, noise = (values(performed(reference(name, samples=1000), tmp_path)) for name in ("real_floor", "noise"))
    assert real["modes_20pct"] == 8
    assert real["high_quality"] == pytest.approx(0.989, abs=0.02)
    assert noise["modes_20pct"] < 8
    assert noise["high_quality"] < 0.1


def test_a_real_reference_draws_training_samples_without_repetition():
    data = Data(train=torch.arange(20.0).reshape(10, 2), heldout=torch.full((10, 2), 99.0))
    samples, _ = reference_samples(reference("real_floor"), data, 10)
    assert sorted(samples[:, 0].tolist()) == list(range(0, 20, 2))
    assert torch.equal(samples, reference_samples(reference("real_floor"), data, 10)[0])
    assert len(reference_samples(reference("real_floor"), data, 4)[0]) == 4


def test_a_real_reference_brings_the_classes_of_its_samples_and_noise_brings_none():
    data = Data(torch.arange(20.0).reshape(10, 2), torch.zeros(10, 2), torch.arange(10), torch.zeros(10).long())
    samples, labels = reference_samples(reference("real_floor"), data, 6)
    assert torch.equal(labels * 2.0, samples[:, 0])
    assert reference_samples(reference("noise"), data, 6)[1] is None


def test_a_perfect_reference_is_drawn_from_the_density_and_from_nothing_else():
    class Comb:
        def sample(self, count, rng):
            return torch.stack([torch.full((count,), 7.0), torch.rand(count, generator=rng)], dim=1)

    data = Data(torch.zeros(10, 2), torch.ones(10, 2), density=Comb())
    samples, labels = reference_samples(reference("perfect"), data, 5)
    assert samples[:, 0].tolist() == [7.0] * 5
    assert labels is None
    assert torch.equal(samples, reference_samples(reference("perfect"), data, 5)[0])
    with pytest.raises(DataError, match="ring8: no known density"):
        reference_samples(reference("perfect"), replace(data, density=None), 5)


def test_data_of_which_all_is_held_out_have_no_real_reference():
    with pytest.raises(DataError, match="ring8: all samples are held out"):
        reference_samples(reference("real_floor"), Data(torch.zeros(0, 2), torch.ones(10, 2)), 5)


def test_a_trial_on_data_of_which_all_is_held_out_is_one_clear_record(tmp_path):
    record = performed(trial(dataset="untrainable", metrics=["drawing"]), tmp_path).record()
    assert record.status == "error"
    assert record.message == "untrainable: all 20 samples are held out, so there is none to train on"


def test_scores_have_their_noise_at_the_end_of_a_trial_and_of_a_reference(tmp_path):
    for job in (trial(points=2, metrics=["modes"]), reference("real_floor", samples=1000)):
        noise = {score.name: score.noise for score in performed(job, tmp_path).record().scores}
        assert noise["high_quality"] is not None
    assert noise["high_quality"] > 0


def test_a_reference_is_the_same_again(tmp_path):
    first, again = (performed(reference("noise"), tmp_path / name) for name in "ab")
    assert first.record().scores == again.record().scores
