from __future__ import annotations

import math
from dataclasses import replace

import odd
import pytest
import torch
from small import Constant, Difference, LinearCritic, engine, registry, training, trial
from together import engine_of, objectives
from torch import nn
from torch.testing import assert_close

from ganbench import accounting
from ganbench.accounting import ProcessorClock, count_flops
from ganbench.building import build_engine, build_group
from ganbench.conformance.findings import Breach
from ganbench.conformance.watching import no_host_read
from ganbench.drivers import Driver
from ganbench.errors import PluginError
from ganbench.players import averaged
from ganbench.protocols import Places
from ganbench.seeding import stream
from ganbench.stepping import Diverged
from ganbench.terms import Budget, Optimiser, Spent
from ganbench.training import (
    POLL_STEPS,
    Meter,
    train,
)
from ganbench.workshop import load_data, open_workshop
from ganbench_losses.wasserstein import WassersteinGP
from ganbench_mlp.networks import MLPDiscriminator, MLPGenerator
from ganbench_penalties.gradients import R1, R2

ADAM = Optimiser("adam", 1e-3, (0.0, 0.9))
RMSPROP = Optimiser("rmsprop", 1e-3, (0.0, 0.99))


class StepClock:
    """Charges a quarter of a second for each step."""

    def __init__(self, counted) -> None:
        self.counted = counted

    def resume(self) -> None: ...

    def pause(self) -> None: ...

    def seconds(self) -> float:
        return self.counted.steps / 4


class Spy(Difference):
    """Remembers the games that it was shown."""

    def __init__(self) -> None:
        self.games = {"discriminator": [], "generator": []}

    def discriminator(self, game):
        self.games["discriminator"].append(game)
        return super().discriminator(game)

    def generator(self, game):
        self.games["generator"].append(game)
        return super().generator(game)


def meter(trained, flops=2 * 10**14):
    return Meter(StepClock(trained), flops)


def ran(trained, budget, points=(1.0,), report=lambda spent: None):
    """The checkpoints of a whole run."""
    return list(train(trained, budget, points, meter(trained), report))


def weights(network):
    return [parameter.detach().clone() for parameter in network.parameters()]


# --- one step


def test_the_discriminator_descends_by_the_difference_of_the_means():
    trained = engine()  # w = (½, ½), every real (1, 2), every fake (5, 5): the gradient is (4, 3)
    trained.step()
    assert_close(trained.players[0].discriminator.weight, torch.tensor([0.5 - 0.4, 0.5 - 0.3]))
    assert_close(trained.players[0].discriminator.bias, torch.tensor(0.0))


def test_the_generator_climbs_the_critic_as_it_is_after_its_own_update():
    trained = engine()
    trained.step()
    assert_close(trained.players[0].generator.point, torch.tensor([5 + 0.1 * 0.1, 5 + 0.1 * 0.2]))


def test_statistics_of_a_step_are_those_worked_out_by_hand():
    trained = engine()
    trained.step()
    assert trained.statistics()[0] == pytest.approx(
        {
            "discriminator/adversarial": 5.0 - 1.5,
            "logit/real": 1.5,
            "logit/fake": 5.0,
            "discriminator/accuracy": 0.0,
            "gradient_norm/discriminator": 5.0,
            "generator/adversarial": -(0.1 * 5 + 0.2 * 5),
            "gradient_norm/generator": math.hypot(0.1, 0.2),
        }
    )


def test_statistics_are_means_since_they_were_last_read():
    trained = engine(settings=training(discriminator=Optimiser("sgd", 0.0), generator=Optimiser("sgd", 1.0)))
    trained.step()  # the point moves from 5 to 5.5 in both coordinates
    trained.step()
    assert trained.statistics()[0]["logit/fake"] == pytest.approx((5.0 + 5.5) / 2)
    trained.step()
    assert trained.statistics()[0]["logit/fake"] == pytest.approx(6.0)
    assert trained.statistics()[0] == {}


def test_the_discriminators_move_leaves_the_generators_weights_and_gradients_alone():
    trained = engine()
    trained.step()
    generator = trained.players[0].generator
    before, gradient = weights(generator), generator.point.grad.clone()
    trained._update_discriminator(*trained._batches.take(trained._batches.choose()), None)
    assert_close(weights(generator), before, rtol=0, atol=0)
    assert_close(generator.point.grad, gradient, rtol=0, atol=0)


def test_the_generators_move_leaves_the_discriminators_weights_and_gradients_alone():
    trained = engine()
    trained.step()
    critic = trained.players[0].discriminator
    before, gradient = weights(critic), critic.weight.grad.clone()
    trained._update_generator(*trained._batches.take(trained._batches.choose()), None)
    assert_close(weights(critic), before, rtol=0, atol=0)
    assert_close(critic.weight.grad, gradient, rtol=0, atol=0)


def test_a_loss_sees_detached_fakes_when_the_discriminator_moves_and_a_graph_when_the_generator_does():
    spy = Spy()
    trained = engine(spy, training(discriminator_steps=2))
    trained.step()
    trained.step()
    assert [game.step for game in spy.games["discriminator"]] == [1, 1, 2, 2]
    assert [game.step for game in spy.games["generator"]] == [1, 2]
    assert not any(game.fake.requires_grad for game in spy.games["discriminator"])
    assert all(game.fake.requires_grad for game in spy.games["generator"])
    assert all(game.latents.shape == (4, 2) and game.labels is None for game in spy.games["generator"])


def test_every_move_has_latents_of_its_own():
    spy = Spy()
    engine(spy, training(discriminator_steps=2)).step()
    first, second, third = (game.latents for move in spy.games.values() for game in move)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_the_generator_is_shown_the_last_batch_that_the_discriminator_saw():
    spy = Spy()
    engine(spy, training(discriminator_steps=3), real=torch.arange(24.0).reshape(12, 2)).step()
    assert torch.equal(spy.games["generator"][0].real, spy.games["discriminator"][-1].real)
    assert not torch.equal(spy.games["generator"][0].real, spy.games["discriminator"][0].real)


def test_kimg_counts_the_real_images_of_every_discriminator_step():
    trained = engine(settings=training(discriminator_steps=5))
    trained.step()
    assert trained.kimg == 5 * 4 / 1000
    trained.step()
    assert trained.kimg == 40 / 1000


@pytest.mark.parametrize("optimiser", [Optimiser("sgd", 1.0), ADAM, Optimiser("rmsprop", 1.0, (0.0, 0.99))])
def test_clipping_bounds_the_discriminators_weights_and_no_others(optimiser):
    trained = engine(settings=training(clip=0.01, discriminator=optimiser, generator=optimiser))
    trained.step()
    assert all(float(w.abs().max()) <= 0.01 for w in weights(trained.players[0].discriminator))
    assert float(trained.players[0].discriminator.weight.detach().abs().max()) == pytest.approx(0.01)
    assert float(trained.players[0].generator.point.detach().abs().min()) > 4


@pytest.mark.parametrize("optimiser", [Optimiser("sgd", 1e-3), ADAM, RMSPROP], ids=lambda item: item.name)
def test_a_step_reads_nothing_on_the_host(optimiser):
    settings = training(
        batch_size=8,
        generator=optimiser,
        discriminator=optimiser,
        discriminator_steps=2,
        clip=1.0,
        ema_half_life_kimg=1.0,
    )
    trained = engine(
        WassersteinGP(),
        settings,
        torch.randn(100, 2, generator=stream(0, "test")),
        MLPGenerator(2, (2,), width=8, norm="batch"),
        MLPDiscriminator((2,), width=8),
        penalties={"r1": R1(), "r2": R2()},
    )
    trained.step()  # optimisers make their state in the first one
    with no_host_read():
        trained.step()
    assert trained.statistics()[0]["gradient_norm/generator"] > 0


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
@pytest.mark.parametrize("objective", objectives())
def test_no_objective_makes_a_step_read_on_the_host(objective, together):
    made = trial(loss=objective, ema_half_life_kimg=0.05, clip=1.0)
    trained = engine_of(made, (0, 1) if together else (0,), together=together, dtype=torch.float32)
    trained.step()  # optimisers make their state in the first one
    with no_host_read():
        trained.step()
        trained.step()
    assert len(trained.statistics()) == (2 if together else 1)


@pytest.mark.gpu
@pytest.mark.parametrize("objective", objectives())
def test_no_objective_makes_the_host_wait_for_a_gpu(objective, cuda):
    made = trial(loss=objective, ema_half_life_kimg=0.05, clip=1.0)
    workshop = open_workshop(registry(), Places(), str(cuda))
    data = load_data(workshop, made.dataset)
    alone, group = (
        build_engine(workshop, made, data),
        build_group(workshop, [made, replace(made, seed=1)], data, Driver()),
    )
    for trained in (alone, group):
        trained.step()
        torch.cuda.set_sync_debug_mode("error")
        try:
            trained.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "read",
    [
        float,
        bool,
        lambda one: one.item(),
        lambda one: one.tolist(),
        lambda one: one.numpy(),
        lambda one: one.nonzero(),
        lambda one: one.expand(2)[one.expand(2) > 0],
    ],
)
def test_the_guard_against_host_reads_can_fail(read):
    with pytest.raises(Breach, match=r"on the host|makes the host wait"), no_host_read():
        read(torch.ones(1))


# --- mistakes of plugins


def test_a_loss_that_does_not_reach_the_player_is_named():
    class Forgetful(Difference):
        def generator(self, game):
            return {"adversarial": -game.critic(game.fake.detach())}

    with pytest.raises(PluginError, match=r"the loss: its terms \(adversarial\) reach no weight"):
        engine(Forgetful()).step()


def test_samples_of_another_shape_are_the_generators_mistake():
    trained = engine(generator=odd.Wide(2, (2,)))
    with pytest.raises(PluginError, match=r"^the generator gave a tensor of shape \(4, 3\), expected .* \(4, 2\)$"):
        trained.step()


def test_logits_of_another_shape_are_the_discriminators_mistake():
    trained = engine(critic=odd.Matrix((2,)))
    with pytest.raises(PluginError, match=r"^the discriminator gave a tensor of shape \(4, 1\), expected .* \(4,\)$"):
        trained.step()


# --- the average


def test_the_average_halves_its_memory_with_every_half_life_of_images():
    trained = engine(settings=training(ema_half_life_kimg=0.004, ema_rampup=1e9))  # four images, as in a step
    expected = trained.players[0].generator.point.detach().double()
    for _ in range(3):
        trained.step()
        expected = expected / 2 + trained.players[0].generator.point.detach().double() / 2
        assert_close(trained.players[0].average.point.double(), expected, rtol=1e-6, atol=0)
    assert not torch.equal(trained.players[0].average.point, trained.players[0].generator.point)


def test_the_half_life_counts_the_images_of_every_discriminator_step():
    trained = engine(settings=training(ema_half_life_kimg=0.004, ema_rampup=1e9, discriminator_steps=2))
    before = trained.players[0].generator.point.detach().clone()
    trained.step()  # eight images, two half-lives
    after = trained.players[0].generator.point.detach()
    assert_close(trained.players[0].average.point, before / 4 + after * 3 / 4)


def test_the_half_life_grows_with_the_images_seen_while_training_is_young():
    trained = engine(settings=training(ema_half_life_kimg=1.0, ema_rampup=0.5))
    expected = trained.players[0].generator.point.detach().double()
    for step in (1, 2, 3):  # the half-life is 2·step images, and a step has 4
        trained.step()
        kept = 0.5 ** (2 / step)
        expected = kept * expected + (1 - kept) * trained.players[0].generator.point.detach().double()
        assert_close(trained.players[0].average.point.double(), expected, rtol=1e-6, atol=0)


def test_the_average_copies_buffers():
    trained = engine(settings=training(ema_half_life_kimg=1.0))
    trained.step()
    trained.step()
    average, generator = trained.players[0].average, trained.players[0].generator
    assert int(average.calls) == int(generator.calls) == 4
    assert torch.equal(average.seen, generator.seen)
    assert float(average.seen[0]) > 100


def test_the_average_is_scored_and_never_in_training_mode():
    trained = engine(settings=training(ema_half_life_kimg=1.0))
    trained.step()
    assert trained.players[0].scored is trained.players[0].average
    assert not trained.players[0].average.training
    assert not any(parameter.requires_grad for parameter in trained.players[0].average.parameters())
    assert engine().players[0].scored is not None
    assert engine().players[0].average is None


def test_an_average_starts_as_a_copy_that_training_does_not_move():
    generator = Constant(1.0, 2.0)
    average = averaged(generator)
    with torch.no_grad():
        generator.point += 1
    assert average.point.tolist() == [1.0, 2.0]


# --- optimisers and learning rates


def test_both_learning_rates_fall_with_the_budget_from_those_of_the_recipe():
    settings = training(schedule="linear", generator=Optimiser("sgd", 0.1), discriminator=Optimiser("sgd", 0.01))
    trained, seen = engine(settings=settings), []
    optimisers = tuple(trained._sides[player].optimiser for player in ("generator", "discriminator"))
    ran(trained, Budget(steps=4), report=lambda _: seen.append([o.param_groups[0]["lr"] for o in optimisers]))
    assert seen == [pytest.approx([0.1 * share, 0.01 * share]) for share in (1, 0.75, 0.5, 0.25)]


# --- batches and packing


def test_a_packed_critic_sees_joined_samples_for_the_same_budget():
    spy = Spy()
    trained = engine(spy, real=torch.arange(24.0).reshape(12, 2), packing=2)
    trained.step()
    (game,) = spy.games["discriminator"]
    assert game.real.shape == game.fake.shape == (2, 4)
    assert game.latents.shape == (4, 2)
    rows = game.real.reshape(4, 2).tolist()
    assert all(x % 2 == 0 and y == x + 1 for x, y in rows)  # whole points, side by side
    assert len({x for x, _ in rows}) == 4
    assert game.generator(game.latents).shape == (2, 4)
    assert trained.kimg == 4 / 1000


# --- budgets


@pytest.mark.parametrize(
    ("budget", "steps", "overshoot"),
    [
        (Budget(kimg=0.02), 5, {"kimg": 0.0}),
        (Budget(kimg=0.021), 6, {"kimg": 0.003}),
        (Budget(steps=7), 7, {"steps": 0}),
        (Budget(device_seconds=1.0), 4, {"device_seconds": 0.0}),
        (Budget(device_seconds=1.1), 5, {"device_seconds": 0.15}),
        (Budget(petaflops=0.5), 3, {"petaflops": 0.1}),
        (Budget(0.012, 7, 9.0, 9.0), 3, {"kimg": 0.0, "steps": -4, "device_seconds": -8.25, "petaflops": -8.4}),
        (Budget(9.0, 7, 1.0, 9.0), 4, {"kimg": -8.984, "steps": -3, "device_seconds": 0.0, "petaflops": -8.2}),
        (Budget(9.0, 7, 9.0, 0.3), 2, {"kimg": -8.992, "steps": -5, "device_seconds": -8.5, "petaflops": 0.1}),
    ],
)
def test_the_first_limit_that_is_reached_ends_training(budget, steps, overshoot):
    (end,) = ran(engine(), budget)  # a step: 4 images, ¼ s, 0.2 PFLOP
    assert end.final
    assert end.spent == Spent(steps * 4 / 1000, steps, steps / 4, pytest.approx(steps * 0.2))
    assert budget.overshoot(end.spent) == pytest.approx(overshoot, abs=1e-12)


@pytest.mark.parametrize(
    ("points", "budget", "steps"),
    [
        ((0.25, 0.5, 1.0), Budget(steps=8), [2, 4, 8]),
        ((0.3,), Budget(steps=10), [3, 10]),
        ((), Budget(steps=3), [3]),
        ((0.1, 0.15, 0.3, 1.0), Budget(steps=5), [1, 2, 5]),
        ((0.5, 1.0), Budget(kimg=0.03), [4, 8]),
        ((0.5, 1.0), Budget(steps=100, device_seconds=1.0), [2, 4]),
        ((0.5, 1.0), Budget(steps=1), [1]),
    ],
)
def test_training_stops_at_each_evaluation_point_once_and_at_the_end_last(points, budget, steps):
    checkpoints = ran(engine(), budget, points)
    assert [checkpoint.spent.steps for checkpoint in checkpoints] == steps
    assert [checkpoint.final for checkpoint in checkpoints] == [False] * (len(steps) - 1) + [True]


def test_a_checkpoint_has_the_statistics_since_the_one_before():
    trained = engine(settings=training(discriminator=Optimiser("sgd", 0.0), generator=Optimiser("sgd", 1.0)))
    means = [checkpoint.statistics[0]["logit/fake"] for checkpoint in ran(trained, Budget(steps=4), (0.5, 1.0))]
    assert means == pytest.approx([(5.0 + 5.5) / 2, (6.0 + 6.5) / 2])


def test_the_time_of_an_evaluation_is_not_charged(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(accounting.time, "process_time", lambda: now[0])
    trained = engine()
    step = trained.step

    def slow_step():
        step()
        now[0] += 0.25

    trained.step = slow_step
    spent = []
    charged = Meter(ProcessorClock(), 0)
    for checkpoint in train(trained, Budget(device_seconds=2.0), (0.25, 0.5, 1.0), charged, lambda _: None):
        spent.append((checkpoint.spent.steps, checkpoint.spent.device_seconds))
        now[0] += 1000.0
    assert spent == [(2, 0.5), (4, 1.0), (8, 2.0)]


def test_every_step_is_reported():
    reported = []
    ran(engine(), Budget(steps=5), report=reported.append)
    assert [spent.steps for spent in reported] == [1, 2, 3, 4, 5]


def test_a_step_that_fails_is_reported_too():
    reported = []
    with pytest.raises(PluginError):
        ran(engine(odd.Raising(step=4)), Budget(steps=10), report=reported.append)
    assert [spent.steps for spent in reported] == [1, 2, 3, 4]


def test_flops_of_a_step_are_those_of_its_matrix_products():
    samples, latent_dim, dimensions = 4, 2, 3
    critic = nn.Sequential(nn.Linear(dimensions, 1), nn.Flatten(0))
    trained = engine(real=torch.ones(10, dimensions), generator=nn.Linear(latent_dim, dimensions), critic=critic)
    generated = 2 * samples * latent_dim * dimensions
    judged = 2 * samples * dimensions
    discriminator = generated + 2 * judged + 2 * judged  # forward on real and fake, and the weights' gradient of each
    generator = generated + judged + judged + generated  # forward through both, and back to the generator's weights
    assert count_flops(trained.step) == discriminator + generator


# --- divergence


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("step", [1, 5, POLL_STEPS, POLL_STEPS + 1, POLL_STEPS + 9])
def test_a_loss_that_is_not_finite_ends_training_at_its_step(player, step):
    trained, reported = engine(odd.NanAt(step, player)), []
    with pytest.raises(Diverged, match=f"not finite at step {step}$") as caught:
        ran(trained, Budget(steps=100), report=reported.append)
    assert caught.value.step == step
    assert reported[-1].steps == trained.steps == math.ceil(step / POLL_STEPS) * POLL_STEPS


def test_a_loss_that_is_not_finite_is_found_before_the_next_evaluation():
    checkpoints = []
    with pytest.raises(Diverged) as caught:
        checkpoints.extend(ran(engine(odd.NanAt(4)), Budget(steps=10), (0.2, 0.5, 1.0)))
    assert caught.value.step == 4


def test_a_learning_rate_that_is_far_too_large_diverges():
    trained = engine(settings=training(discriminator=Optimiser("sgd", 1e38)))
    with pytest.raises(Diverged) as caught:
        ran(trained, Budget(steps=50))
    assert caught.value.step == 1  # the generator meets infinite weights


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_weight_that_is_not_finite_is_found_though_no_loss_shows_it(player):
    networks = {"discriminator": LinearCritic(0.5, 0.5), "generator": Constant()}
    networks[player].register_parameter("unused", nn.Parameter(torch.tensor([0.0, math.nan])))
    trained = engine(critic=networks["discriminator"], generator=networks["generator"])
    with pytest.raises(Diverged, match="a weight is not finite at step 3") as caught:
        ran(trained, Budget(steps=3))
    assert caught.value.step == 3


# --- on a GPU


@pytest.mark.gpu
def test_a_step_on_a_gpu_waits_for_nothing(cuda):
    settings = training(batch_size=8, generator=ADAM, discriminator=ADAM, clip=1.0, ema_half_life_kimg=1.0)
    trained = engine(
        WassersteinGP(),
        settings,
        torch.randn(100, 2).to(cuda),
        MLPGenerator(2, (2,), width=8).to(cuda),
        MLPDiscriminator((2,), width=8).to(cuda),
        penalties={"r1": R1()},
    )
    trained.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        trained.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert trained.statistics()[0]["gradient_norm/generator"] > 0
