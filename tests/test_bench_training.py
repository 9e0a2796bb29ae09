from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from ganbench import bench_training
from ganbench.accounting import clock_for, count_flops
from ganbench.baselines import tuned
from ganbench.bench_training import dcgan, on_gpu, on_processor, toys
from ganbench.drivers import Driver
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.workshop import open_workshop

REGISTRY = discover()
SETUPS = {"points": replace(toys(8), batch_size=16), "images": replace(dcgan(16, width=4), batch_size=16)}


@pytest.fixture
def workshop():
    return open_workshop(REGISTRY, Places())


@pytest.fixture(autouse=True)
def short_turns(monkeypatch):
    monkeypatch.setattr(bench_training, "STEPS", 2)


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_the_engine_and_the_tuned_loop_do_the_same_arithmetic(workshop, setup):
    engine, step = setup.engine(workshop, 1, Driver()), tuned(setup.work(workshop))
    assert count_flops(engine.step) == count_flops(step) > 0


def test_seeds_together_are_as_many_as_are_counted(workshop):
    setup = SETUPS["points"]
    alone = count_flops(setup.engine(workshop, 1, Driver()).step)
    engine = setup.engine(workshop, 3, Driver("vectorised"))
    assert len(engine.players) == 3
    assert count_flops(engine.step) == 3 * alone


def test_the_same_samples_come_each_time_and_images_are_what_they_are_called():
    assert torch.equal(toys(8).data().train, toys(16).data().train)
    data = dcgan(16).data()
    assert data.train.shape[1:] == (1, 16, 16)
    assert data.train.dtype == torch.uint8
    assert not torch.equal(data.train, data.heldout)


def test_a_turn_is_so_many_steps_with_checks_and_curves_between_turns(workshop):
    engine = SETUPS["points"].engine(workshop, 2, Driver("vectorised"))
    turn = bench_training._as_in_a_trial(engine, partial(clock_for, workshop.device))
    turn()
    turn()
    assert engine.steps == 4
    assert engine.statistics() == [{}, {}]  # what they were has been read


def test_the_bare_engine_of_the_overhead_keeps_neither_statistics_nor_an_average(monkeypatch):
    built = []
    monkeypatch.setattr(bench_training, "build_engine", lambda *given: built.append(real_build(*given)) or built[-1])
    mark = next(mark for mark in on_processor(REGISTRY) if mark.name == "overhead-toys-64")
    with mark.open() as sides:
        sides.ours()
    (engine,) = built
    assert engine.steps == 2
    assert engine.statistics() == [{}]
    assert engine.players[0].average is None


real_build = bench_training.build_engine


@pytest.mark.parametrize("mark", on_processor(REGISTRY), ids=lambda mark: mark.name)
def test_both_sides_of_a_benchmark_work(mark):
    with mark.open() as sides:
        assert 0 < sides.ours() < 10
        assert 0 < sides.baseline() < 10


@pytest.mark.gpu
@pytest.mark.parametrize("mark", on_gpu(REGISTRY, "cuda:0"), ids=lambda mark: mark.name)
def test_both_sides_of_a_benchmark_of_drivers_work(cuda, monkeypatch, mark):
    monkeypatch.setattr(bench_training, "STEPS", 6)  # the first ones of a graph are carried out as they come
    with mark.open() as sides:
        assert 0 < sides.ours() < 10
        assert 0 < sides.baseline() < 10
