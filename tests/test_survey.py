from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small import registry, trial
from together import objectives

from ganbench.protocols import Places
from ganbench.survey import survey

NETS = "mlp(width=8, depth=1)"


def refusals(device="cpu", **changes):
    return survey(trial(**changes), registry(), Places(), device).refusals


# --- what nothing keeps apart


@pytest.mark.parametrize("objective", objectives())
def test_every_objective_of_logits_alone_trains_seeds_together(objective):
    assert refusals(loss=objective) == {}


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_convolutions_train_one_by_one_on_a_processor(kind):
    assert refusals(dataset="digits", **{kind: "dcgan(width=4)"}) == {
        "vectorised": "convolutions gain nothing by it on a processor"
    }


def test_a_loss_that_asks_for_more_than_logits_trains_seeds_one_by_one():
    found = refusals(loss="nonsaturating + feature-matching")
    assert found == {"vectorised": "its objective asks the critic for more than its logits"}


@pytest.mark.parametrize("loss", ["vae", "nonsaturating + unrolled"])
def test_a_method_trains_seeds_one_by_one(loss):
    why = "its method has a step of its own"
    assert refusals(loss=loss) == {"vectorised": why, "graph": why}


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_seeds_train_together_in_other_precisions(precision):
    assert refusals(precision=precision, loss="wgan-gp") == {}


# --- what does


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"loss": "noisy"}, "something in it draws from torch's global random numbers"),
        ({"generator": "dropout"}, "something in it draws from torch's global random numbers"),
        ({"loss": "numpy-noisy"}, "something in it draws from the global random numbers of Python or NumPy"),
        ({"loss": "remembering"}, "its objective remembers something from step to step"),
        ({"generator": "ageing"}, "one of its networks remembers something from step to step, outside of its buffers"),
        ({"generator": "uneven"}, "the networks of two seeds differ in more than their weights"),
        ({"loss": "by-hand"}, "requires_grad_"),
        ({"loss": "tossing"}, "torch.bernoulli draws random numbers by the values of a tensor"),
        ({"generator": "fading"}, "generator 'fading' of plugin file"),
        ({"discriminator": "steep"}, "discriminator steep needs the driver eager"),
        ({"loss": "alone"}, "loss alone needs the driver eager"),
        ({"generator": "mlp(width=2048, depth=3)"}, "operations a step keep the device busy with one seed"),
    ],
    ids=str,
)
def test_what_seeds_cannot_do_together_is_refused_with_the_reason(changes, why):
    found = refusals(**changes)
    assert why in found["vectorised"]
    assert "\n" not in found["vectorised"]


def test_only_what_a_contract_leaves_out_is_refused():
    assert refusals(loss="ungraphed(step=99)") == {
        "graph": "loss ungraphed(step=99) needs the driver eager or vectorised"
    }
    assert set(refusals(loss="alone")) == {"vectorised", "graph"}


@pytest.mark.parametrize("changes", [{"loss": "scalar"}, {"generator": "wide"}, {"dataset": "double"}], ids=str)
def test_a_trial_that_fails_is_refused_nothing_but_speed(changes):
    found = refusals(metrics=["drawing"], **changes)
    assert set(found) == {"vectorised", "graph"}
    assert all(why.startswith("its first steps failed (PluginError") for why in found.values())


# --- what it finds besides


def test_it_finds_what_a_step_costs():
    found = survey(trial(), registry(), Places(), "cpu")
    twice = survey(trial(batch_size=32), registry(), Places(), "cpu")
    assert twice.flops_per_step == 2 * found.flops_per_step > 0
    assert 0 < found.step_seconds < 1
    assert found.peak_memory_bytes > 50 * 2**20


def test_it_leaves_the_global_random_state_alone_and_finds_the_same_again():
    before = torch.get_rng_state()
    made = trial(loss="wgan-gp")
    first, again = (survey(made, registry(), Places(), "cpu") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert (first.flops_per_step, first.refusals) == (again.flops_per_step, again.refusals)


def test_another_seed_finds_the_same():
    made = trial(loss="wgan-gp")
    first, other = (survey(replace(made, seed=seed), registry(), Places(), "cpu") for seed in (0, 5))
    assert (first.flops_per_step, first.refusals) == (other.flops_per_step, other.refusals)


# --- on a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("loss", ["nonsaturating", "wgan-gp", "relativistic + r1 + r2"])
def test_a_gpu_refuses_a_small_trial_nothing(cuda, loss):
    assert refusals(str(cuda), loss=loss) == {}


@pytest.mark.gpu
def test_convolutions_train_together_on_a_gpu(cuda):
    assert refusals(str(cuda), dataset="digits", generator="dcgan(width=4)", discriminator="dcgan(width=4)") == {}


@pytest.mark.gpu
def test_a_step_that_asks_for_its_number_is_not_recorded(cuda):
    assert refusals(str(cuda), loss="counting")["graph"] == "its objective asks for the number of the step"
