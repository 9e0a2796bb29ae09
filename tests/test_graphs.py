from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small import registry, trial

from ganbench.building import build_engine, build_group
from ganbench.drivers import Driver
from ganbench.graphs import WARM_UP_STEPS, CapturedStep
from ganbench.protocols import Places
from ganbench.seeding import stream
from ganbench.workshop import load_data, open_workshop

NETS = "mlp(width=8, depth=2)"


def engines(made, cuda, seeds=1):
    """The trial by steps that are carried out as they come, and by steps that are recorded."""
    workshop = open_workshop(registry(), Places(), str(cuda), made.training.precision)
    data = load_data(workshop, made.dataset)
    if seeds == 1:
        return [build_engine(workshop, made, data, Driver(name)) for name in ("eager", "graph")]
    group = [replace(made, seed=seed) for seed in range(seeds)]
    return [build_group(workshop, group, data, Driver(name)) for name in ("vectorised", "vectorised+graph")]


def weights(engine):
    return [
        tensor
        for players in engine.players
        for network in (players.generator, players.discriminator, players.average)
        if network is not None
        for tensor in network.state_dict().values()
    ]


def expect_the_same(plain, captured, tolerance=1e-4):
    for expected, found in zip(plain.statistics(), captured.statistics(), strict=True):
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)
    for one, other in zip(weights(plain), weights(captured), strict=True):
        torch.testing.assert_close(other, one, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "nonsaturating"},
        {"loss": "wgan"},
        {"loss": "wgan-gp"},
        {"loss": "relativistic + r1 + r2"},
        {"loss": "hinge", "reuse_fakes": True, "discriminator_steps": 2},
        {"generator": "mlp(width=8, norm=batch)"},
        {"dataset": "digits", "generator": "dcgan(width=4)", "discriminator": "dcgan(width=4)"},
        {"dataset": "digits", "flips": True},
        {"discriminator": "mlp(width=8, packing=2)"},
    ],
    ids=str,
)
def test_a_replayed_step_does_what_it_would_do_as_it_comes(changes, seeds, cuda):
    made = trial(**{"generator": NETS, "discriminator": NETS, "ema_half_life_kimg": 0.1, **changes})
    plain, captured = engines(made, cuda, seeds)
    for trained in (plain, captured):
        for _ in range(20):
            trained.step()
        trained.check()
    expect_the_same(plain, captured)


@pytest.mark.gpu
def test_replays_follow_the_learning_rate(cuda):
    plain, captured = engines(trial(generator=NETS, discriminator=NETS), cuda)
    for trained in (plain, captured):
        for step in range(20):
            trained.set_learning_rates(1 - step / 20)
            trained.step()
    expect_the_same(plain, captured)
    before = [tensor.clone() for tensor in weights(captured)]
    captured.set_learning_rates(0.0)
    captured.step()
    assert all(map(torch.equal, weights(captured), before))


@pytest.mark.gpu
def test_replays_follow_the_weight_of_the_average(cuda):
    """It changes with every step while the half-life ramps up, and is known on the host."""
    made = trial(generator=NETS, discriminator=NETS, ema_half_life_kimg=1.0)
    plain, captured = engines(made, cuda)
    for trained in (plain, captured):
        for _ in range(WARM_UP_STEPS + 10):
            trained.step()
    pairs = zip(plain.players[0].average.parameters(), captured.players[0].average.parameters(), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)
    average, generator = captured.players[0].average, captured.players[0].generator
    assert not torch.equal(next(average.parameters()), next(generator.parameters()))


@pytest.mark.gpu
def test_random_generators_go_on_as_they_would_without_a_graph(cuda):
    made = trial(loss="wgan-gp", generator=NETS, discriminator=NETS)
    plain, captured = engines(made, cuda)
    for trained in (plain, captured):
        for _ in range(10):
            trained.step()
    torch.cuda.synchronize()
    for one, other in zip(plain._cast.random_generators(), captured._cast.random_generators(), strict=True):
        drawn = [torch.rand(4, generator=generator, device=cuda) for generator in (one, other)]
        assert torch.equal(*drawn)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_other_precisions_are_recorded_as_well(precision, seeds, cuda):
    made = trial(loss="hinge + r1", generator=NETS, discriminator=NETS, precision=precision)
    plain, captured = engines(made, cuda, seeds)
    for trained in (plain, captured):
        for _ in range(10):
            trained.step()
        trained.check()
    expect_the_same(plain, captured, 2e-2)


@pytest.mark.gpu
def test_a_replay_does_not_make_the_host_wait(cuda):
    _, captured = engines(trial(generator=NETS, discriminator=NETS, ema_half_life_kimg=0.1), cuda)
    for _ in range(WARM_UP_STEPS + 1):
        captured.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        captured.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_a_divergence_has_the_step_in_which_it_was_replayed(cuda):
    _, captured = engines(trial(generator=NETS, discriminator=NETS), cuda)
    for _ in range(10):
        captured.step()
    captured.check()
    with torch.no_grad():
        next(captured.players[0].discriminator.parameters()).fill_(float("nan"))
    captured.step()
    with pytest.raises(Exception, match="not finite at step 11"):
        captured.check()


@pytest.mark.gpu
def test_every_call_is_one_step_and_random_numbers_differ_from_call_to_call(cuda):
    calls, drawn, total = [], torch.zeros(8, device=cuda), torch.zeros((), device=cuda)
    rng = stream(0, "test", cuda)

    def play():
        calls.append(None)
        drawn.copy_(torch.rand(8, generator=rng, device=cuda))
        total.add_(1)

    step, seen = CapturedStep(play, [rng]), []
    for _ in range(WARM_UP_STEPS + 5):
        step()
        seen.append(tuple(drawn.tolist()))
    assert int(total) == WARM_UP_STEPS + 5
    assert len(calls) == WARM_UP_STEPS + 1  # those carried out, and the one that was recorded
    assert len(set(seen)) == WARM_UP_STEPS + 5
    again = stream(0, "test", cuda)
    assert seen == [tuple(torch.rand(8, generator=again, device=cuda).tolist()) for _ in seen]
