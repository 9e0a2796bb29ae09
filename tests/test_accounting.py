from __future__ import annotations

import math
import sys
import time

import pytest
import torch
from torch import nn

from ganbench import accounting
from ganbench.accounting import CudaClock, ProcessorClock, Tally, clock_for, count_flops, peak_memory_bytes
from ganbench.penalties import gradient_penalty

CPU = torch.device("cpu")


def scalars(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


# --- clocks


@pytest.fixture
def processor(monkeypatch):
    """The processor time that a clock sees, in a list of one."""
    seconds = [50.0]
    monkeypatch.setattr(accounting.time, "process_time", lambda: seconds[0])
    return seconds


def test_a_clock_charges_between_resume_and_pause_and_adds_up(processor):
    clock = ProcessorClock()
    processor[0] += 7
    clock.resume()
    processor[0] += 2
    assert clock.seconds() == 2
    clock.pause()
    processor[0] += 100
    assert clock.seconds() == 2
    clock.resume()
    processor[0] += 0.5
    clock.pause()
    assert clock.seconds() == 2.5


def test_a_clock_that_stands_may_be_paused_again(processor):
    clock = ProcessorClock()
    clock.pause()
    processor[0] += 3
    clock.pause()
    assert clock.seconds() == 0


def test_waiting_is_not_processor_time():
    clock = ProcessorClock()
    clock.resume()
    time.sleep(0.2)
    clock.pause()
    assert clock.seconds() < 0.1


def test_a_cpu_is_measured_by_processor_time_and_a_gpu_by_events():
    assert isinstance(clock_for(CPU), ProcessorClock)
    assert isinstance(clock_for(torch.device("cuda:0")), CudaClock)


# --- FLOPs


def test_a_linear_layer_costs_two_flops_a_weight_and_sample_each_way():
    layer, samples = nn.Linear(3, 5), torch.randn(7, 3, requires_grad=True)
    forward = 2 * 7 * 3 * 5
    assert count_flops(lambda: layer(samples)) == forward
    assert count_flops(lambda: layer(samples).sum().backward()) == 3 * forward  # the samples' gradient, the weights'


def test_a_convolution_costs_two_flops_a_weight_and_output_pixel():
    layer = nn.Conv2d(2, 4, kernel_size=3, padding=1)
    assert count_flops(lambda: layer(torch.zeros(5, 2, 8, 8))) == 2 * 5 * (8 * 8 * 4) * (2 * 3 * 3)


def test_elementwise_work_costs_nothing():
    assert count_flops(lambda: torch.ones(100).exp().sum()) == 0


def test_a_gradient_penalty_is_counted_with_its_second_backward_pass():
    critic = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(), nn.Linear(8, 1), nn.Flatten(0))
    real, fake = torch.randn(4, 3), torch.randn(4, 3) + 1

    def backward():
        gradient_penalty(critic, real, fake, 10.0, torch.Generator().manual_seed(0)).mean().backward()

    one_pass = 2 * 4 * 3 * 8 + 2 * 4 * 8
    assert count_flops(lambda: critic(real)) == one_pass
    assert count_flops(backward) > 3 * one_pass  # forward, the inputs' gradient, and back through both
    assert critic[0].weight.grad.abs().sum() > 0


def test_counting_leaves_the_result_of_the_work_as_it_is():
    layer, results = nn.Linear(3, 5), []
    samples = torch.randn(2, 3)
    count_flops(lambda: results.append(layer(samples)))
    assert torch.equal(results[0], layer(samples))


# --- memory


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module to compare with")
def test_peak_memory_is_that_of_the_process_in_bytes():
    before = peak_memory_bytes(CPU)
    held = torch.ones(300 * 2**20, dtype=torch.uint8)
    after = peak_memory_bytes(CPU)
    assert 50 * 2**20 < before < 64 * 2**30
    assert after >= 300 * 2**20
    del held
    assert peak_memory_bytes(CPU) >= after


# --- running means


def test_a_tally_gives_the_means_since_the_last_reading():
    tally = Tally(CPU)
    tally.add(scalars(loss=1.0, norm=10.0), 1)
    tally.add(scalars(loss=2.0, norm=20.0), 2)
    assert tally.read()[0] == {"loss": 1.5, "norm": 15.0}
    tally.add(scalars(loss=5.0, norm=0.0), 3)
    assert tally.read()[0] == {"loss": 5.0, "norm": 0.0}
    assert tally.read()[0] == {}


def test_each_name_has_the_mean_of_the_updates_that_reported_it():
    tally = Tally(CPU)
    for step in range(1, 5):
        lazy = {"r1": 8.0 * step} if step % 2 == 0 else {}
        tally.add(scalars(loss=float(step), **lazy), step)
    assert tally.read()[0] == {"loss": 2.5, "r1": 24.0}


def test_a_tally_keeps_values_of_any_precision_and_no_graph():
    tally = Tally(CPU)
    weight = torch.ones((), requires_grad=True)
    tally.add({"loss": weight * 3, "norm": torch.tensor(0.5, dtype=torch.float64)}, 1)
    assert tally.read()[0] == {"loss": 3.0, "norm": 0.5}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_tally_notes_the_first_step_at_which_something_is_not_finite(bad):
    tally = Tally(CPU)
    assert tally.first_bad() == [None]
    for step, value in enumerate([1.0, 2.0, bad, 3.0, math.nan], start=1):
        tally.add(scalars(fine=0.0, loss=value), step)
        assert tally.first_bad() == [3 if step >= 3 else None]
    tally.read()[0]
    assert tally.first_bad() == [3]


# --- on a GPU


@pytest.mark.gpu
def test_a_gpus_clock_measures_what_it_was_given_to_do_and_no_more(cuda):
    matrix = torch.randn(4096, 4096, device=cuda)
    clock = clock_for(cuda)
    matrix @ matrix
    clock.resume()
    for _ in range(20):
        matrix @ matrix
    clock.pause()
    charged = clock.seconds()
    assert 1e-4 < charged < 10
    for _ in range(20):
        matrix @ matrix
    torch.cuda.synchronize(cuda)
    assert clock.seconds() == charged


@pytest.mark.gpu
def test_a_running_gpu_clock_never_runs_ahead_of_the_device(cuda):
    matrix = torch.randn(2048, 2048, device=cuda)
    clock = clock_for(cuda)
    clock.resume()
    seen = []
    for _ in range(50):
        matrix @ matrix
        seen.append(clock.seconds())
    clock.pause()
    assert seen == sorted(seen)
    assert seen[-1] <= clock.seconds()


@pytest.mark.gpu
def test_a_gpus_peak_memory_is_that_of_its_allocator(cuda):
    held = torch.ones(2**26, dtype=torch.uint8, device=cuda)
    assert peak_memory_bytes(cuda) >= held.numel()
