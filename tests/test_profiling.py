from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import small
import torch

from ganbench import profiling
from ganbench.accounting import count_flops
from ganbench.building import build_engine
from ganbench.errors import GanbenchError
from ganbench.plugins import discover
from ganbench.profiling import most_costly, present, profile
from ganbench.protocols import Places
from ganbench.terms import Choice
from ganbench.workshop import load_data, open_workshop

PHASES = {
    "data",
    "generator forward",
    "discriminator forward",
    "discriminator backward",
    "generator backward",
    "optimiser",
    "average",
    "statistics",
}

SLOW = """
import time

import torch
from torch.nn.functional import softplus

from ganbench import Component, hookimpl


@hookimpl
def ganbench_losses():
    yield Component("slow", ":Slow", summary="Spends twenty milliseconds on each discriminator update")
    yield Component("reading", ":Reading", summary="Reads a number, which seeds together cannot")


class Slow:
    def discriminator(self, game):
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        return {"real": softplus(-game.critic(game.real)), "fake": softplus(game.critic(game.fake))}

    def generator(self, game):
        return {"fake": softplus(-game.critic(game.fake))}


class Reading(Slow):
    def discriminator(self, game):
        real = softplus(-game.critic(game.real))
        return {"real": real * (1 if real.mean().item() > 0 else 2), "fake": softplus(game.critic(game.fake))}
"""


def seeds(count, **settings):
    return [small.trial(seed=seed, **settings) for seed in range(count)]


def profiled(folder, trials, steps=7, driver="eager", registry=None, device="cpu"):
    return profile(registry or small.registry(), trials, Places(), device, steps, folder / "out", driver)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a trial of two discriminator updates a step shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        return profiled(tmp_path_factory.mktemp("profile"), seeds(3, discriminator_steps=2, ema_half_life_kimg=1.0))


@pytest.fixture
def slow(tmp_path):
    """Components with two losses that are no good."""
    file = tmp_path / "slow.py"
    file.write_text(SLOW)
    return discover([file])


def test_the_phases_of_a_step_and_the_rest_are_the_whole_step(found):
    assert set(found.phases) == PHASES
    shares = found.shares()
    assert list(shares)[-1] == "rest"
    assert sum(shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in shares.values())
    assert shares["rest"] < 0.5
    whole = sum(found.phases.values()) + found.rest
    assert found.timing_cost == pytest.approx(whole / found.step_seconds - 1)


def test_a_driver_that_takes_one_seed_takes_the_first(found):
    assert (found.seeds, found.driver, found.steps) == ((0,), "eager", 7)
    assert (found.dataset, found.variant) == (str(small.trial().dataset), str(small.trial().variant))


def test_speed_follows_from_the_seconds_of_a_step_that_is_not_watched(found):
    trial = small.trial(discriminator_steps=2, ema_half_life_kimg=1.0)
    workshop = open_workshop(small.registry(), Places())
    flops = count_flops(build_engine(workshop, trial, load_data(workshop, trial.dataset)).step)
    assert found.images_per_second * found.step_seconds == pytest.approx(2 * 16)
    assert found.flops_per_second * found.step_seconds == pytest.approx(flops)
    assert found.share_of_peak == found.flops_per_second / found.peak_flops_per_second
    assert 0 < found.share_of_peak < 1


def test_the_trace_and_the_table_have_the_steps(found):
    events = json.loads(found.trace.read_text())["traceEvents"]
    names = [event.get("name") for event in events]
    assert names.count("average") == 7
    assert names.count("discriminator backward") == 14
    assert set(names) >= PHASES
    table = found.table.read_text()
    assert all(operator.name[:40] in table for operator in found.operators)
    assert "aten::addmm" in table


def test_few_steps_are_traced_however_many_are_timed(tmp_path):
    found = profiled(tmp_path, seeds(1), steps=25)
    names = [event.get("name") for event in json.loads(found.trace.read_text())["traceEvents"]]
    assert names.count("average") == profiling.TRACED_STEPS
    assert found.steps == 25


def test_the_operators_are_those_with_the_most_time_in_their_order(found):
    assert len(found.operators) == profiling.OPERATORS
    times = [operator.seconds for operator in found.operators]
    assert times == sorted(times, reverse=True)
    assert 0.2 < sum(operator.share for operator in found.operators) < 1
    assert all(operator.calls >= 1 for operator in found.operators)
    assert not PHASES & {operator.name for operator in found.operators}


def test_a_profile_is_json_as_it_stands(found):
    told = json.loads(json.dumps(found.details()))
    assert told["shares"] == found.shares()
    assert told["operators"][0]["name"] == found.operators[0].name
    assert told["folder"] == str(found.folder)
    assert told["seeds"] == [0]


def test_time_is_charged_to_the_phase_that_spends_it(slow, tmp_path):
    found = profiled(tmp_path, [with_loss(small.trial(), "slow")], steps=3, registry=slow)
    assert found.shares()["discriminator forward"] > 0.5
    assert 0.02 < found.phases["discriminator forward"] < 0.2
    assert 0.02 < found.step_seconds < 0.2


def with_loss(trial, name):
    return replace(trial, variant=replace(trial.variant, loss=Choice(name), penalties=()))


def test_seeds_together_are_counted_together(tmp_path):
    found = profiled(tmp_path, seeds(3), driver="vectorised")
    alone = profiled(tmp_path, seeds(1), driver="vectorised")
    assert (found.seeds, alone.seeds) == ((0, 1, 2), (0,))
    assert found.images_per_second * found.step_seconds == pytest.approx(3 * 16)
    ratio = found.flops_per_second * found.step_seconds / (alone.flops_per_second * alone.step_seconds)
    assert ratio == pytest.approx(3)


def test_a_driver_that_cannot_take_the_trial_says_why(slow, tmp_path):
    trials = [with_loss(trial, "reading") for trial in seeds(2)]
    with pytest.raises(GanbenchError, match="vmap"):
        profiled(tmp_path, trials, driver="vectorised", registry=slow)
    assert profiled(tmp_path, trials, steps=1, registry=slow).steps == 1


def test_trials_whose_networks_differ_are_no_group(tmp_path):
    trials = [small.trial(), small.trial(generator="mlp(width=16, depth=1)")]
    with pytest.raises(GanbenchError, match=r"driver vectorised: cannot take this trial: .*Try --driver eager"):
        profiled(tmp_path, trials, driver="vectorised")


def test_a_graph_needs_a_gpu(tmp_path):
    with pytest.raises(GanbenchError, match="driver graph: a CUDA graph needs a GPU, and the device is cpu"):
        profiled(tmp_path, seeds(1), driver="graph")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_built(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(GanbenchError, match=r"--out .*out: cannot be made \(File exists\)"):
        profiled(tmp_path, seeds(1))


@pytest.mark.parametrize(
    ("asked", "gpus", "given"),
    [
        ("auto", [], "cpu"),
        ("auto", ["cuda:0", "cuda:1"], "cuda:0"),
        ("cuda", ["cuda:0"], "cuda:0"),
        ("cuda:1", ["cuda:0", "cuda:1"], "cuda:1"),
        ("cpu", ["cuda:0"], "cpu"),
    ],
)
def test_the_device_is_by_torchs_name(asked, gpus, given, monkeypatch):
    monkeypatch.setattr(profiling, "cuda_devices", lambda: gpus)
    assert present(asked) == given


@pytest.mark.parametrize("asked", ["cuda", "cuda:2", "tpu"])
def test_a_device_that_is_not_there_is_told_with_those_that_are(asked, monkeypatch):
    monkeypatch.setattr(profiling, "cuda_devices", list)
    with pytest.raises(GanbenchError, match=f"--device {asked}: not on this machine. Found: cpu"):
        present(asked)


def test_an_event_on_a_gpu_is_asked_for_its_distance_in_milliseconds():
    events = iter([SimpleNamespace(at=10.0, elapsed_time=lambda other: other.at - 10.0), SimpleNamespace(at=14.5)])
    spans = []
    with profiling._Span("data", lambda: next(events), spans):
        pass
    assert [(span.name, span.seconds()) for span in spans] == [("data", 0.0045)]


def averaged(name, microseconds, count=4, kind="CPU", annotation=False):
    return SimpleNamespace(
        key=name,
        own=microseconds,
        count=count,
        device_type=SimpleNamespace(name=kind),
        is_user_annotation=annotation,
    )


def test_annotations_and_kernels_are_no_operators():
    events = [
        averaged("aten::t", 2000.0, count=8),
        averaged("phase", 9000.0, annotation=True),
        averaged("aten::mm", 6000.0),
        averaged("sgemm", 5000.0, kind="CUDA"),
        averaged("aten::view", 0.0),
    ]
    first, second = most_costly(events, "own", 2, kernels=False)
    assert (first.name, first.seconds, first.share, first.calls) == ("aten::mm", 0.003, 0.75, 2)
    assert (second.name, second.seconds, second.share, second.calls) == ("aten::t", 0.001, 0.25, 4)
    (kernel,) = most_costly(events, "own", 2, kernels=True)
    assert (kernel.name, kernel.share) == ("sgemm", 1)
    assert most_costly([], "own", 2, kernels=False) == ()


@pytest.mark.gpu
@pytest.mark.parametrize("driver", ["eager", "vectorised", "graph", "vectorised+graph"])
def test_a_gpu_is_profiled_by_its_own_time(cuda, tmp_path, driver):
    found = profiled(tmp_path, seeds(2), steps=20, driver=driver, device="cuda")
    assert found.seeds == ((0, 1) if driver.startswith("vectorised") else (0,))
    assert sum(found.shares().values()) == pytest.approx(1)
    assert set(found.phases) == ({"data"} if driver.endswith("graph") else PHASES)
    assert found.operators
    assert torch.cuda.get_device_name(cuda) == found.device
    assert 0 < found.share_of_peak < 1
