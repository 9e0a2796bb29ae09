from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small import Constant, Difference, LinearCritic, registry, trial
from together import both, distance, engine_of, farthest, installed, objectives
from torch import nn

from ganbench import building
from ganbench.casts import Solo, Together
from ganbench.contracts import Combination, Part, refused_drivers
from ganbench.plan import plan
from ganbench.players import Players
from ganbench.protocols import Game
from ganbench.signatures import parameters_of
from ganbench.stacking import NotTogether
from ganbench.suite import suite_from
from ganbench.terms import Choice, Kind, Trial
from ganbench.witness import Witness

TINY = {"width": 8, "depth": 2}
CLOSE = 1e-10
NETS = "mlp(width=8, depth=2)"


def tiny(kind: Kind, name: str) -> str:
    """A network as small as its parameters let it be."""
    target = installed().find(kind, Choice(name)).component.target
    known = {parameter.name for parameter in parameters_of(target, kind)}
    own = ", ".join(f"{key}={value}" for key, value in TINY.items() if key in known)
    return f"{name}({own})" if own else name


def pairs(dataset: str) -> list[Trial]:
    """Every generator with every discriminator that fit the data."""
    suite = {
        "name": "pairs",
        "datasets": [dataset],
        "seeds": [0],
        "matrix": {
            "generator": [tiny("generator", name) for name in installed().names("generator")],
            "discriminator": [tiny("discriminator", name) for name in installed().names("discriminator")],
            "loss": ["nonsaturating"],
        },
        "budget": {"steps": 5},
        "training": {"batch_size": 16, "latent_dim": 4, "ema_half_life_kimg": 0.05},
    }
    return list(plan(suite_from(suite, Path("pairs.toml")), registry()).trials)


def excluded(made: Trial) -> str:
    """Which part's contract leaves seeds no way to train together, "" if none does."""

    def part(kind: Kind, choice: Choice) -> Part:
        return Part(registry().find(kind, choice).component, choice)

    variant = made.variant
    penalties = (part("penalty", choice) for choice in variant.penalties)
    combination = Combination(
        part("dataset", made.dataset),
        part("generator", variant.generator),
        part("discriminator", variant.discriminator),
        (part("loss", variant.loss), *penalties),
    )
    return refused_drivers(combination).get("vectorised", "")


def expect_the_same(made: Trial, close: float = CLOSE) -> None:
    if excluded(made):
        return
    group, alone = both(made)
    assert distance(group, alone) < close
    assert farthest(group, alone) < close


def at_once(function, *tensors):
    return function(*tensors)


def witness_of(players: Players, real, fake, **more) -> Witness:
    return Witness(players.logits, real, fake, at_once, **{"shared": (), **more})


# --- what a critic said


def test_accuracy_counts_pairs_and_a_tie_as_half():
    players = Players(Constant(), LinearCritic(1.0), None, (1,))
    real, fake = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[0.0], [2.0], [5.0], [1.0]])
    witness = witness_of(players, real, fake)
    witness(real), witness(fake)
    summary = {name: float(value) for name, value in witness.summary().items()}
    assert summary == {"logit/real": 2.5, "logit/fake": 2.0, "discriminator/accuracy": 2.5 / 4}


def test_a_critic_that_is_shown_other_batches_only_has_no_summary():
    players = Players(Constant(), LinearCritic(1.0), None, (1,))
    real, fake = torch.ones(2, 1), torch.zeros(2, 1)
    witness = witness_of(players, real, fake)
    witness(torch.cat([real, fake])), witness(real.clone())
    assert witness.summary() == {}


def test_what_is_asked_without_a_graph_comes_without_one_however_it_was_computed():
    players = Players(Constant(), LinearCritic(1.0), None, (1,))
    real, fake = torch.ones(2, 1), torch.zeros(2, 1)
    ready = {"real": players.logits(real), "real slopes": players.discriminator.weight.expand(2, 1)}
    for witness in (witness_of(players, real, fake, ready=ready), witness_of(players, real, fake, shared=("real",))):
        with torch.no_grad():
            assert not witness(real).requires_grad
        assert witness(real).requires_grad
        assert witness.slopes(real).requires_grad


# --- seeds together and each alone


@pytest.mark.parametrize("objective", objectives())
def test_seeds_together_do_what_each_does_alone_with_every_objective(objective):
    expect_the_same(trial(loss=objective, generator=NETS, discriminator=NETS, ema_half_life_kimg=0.05))


@pytest.mark.parametrize("made", [*pairs("ring8"), *pairs("digits")], ids=lambda made: f"{made.dataset} {made.variant}")
def test_seeds_together_do_what_each_does_alone_with_every_pair_of_networks(made):
    expect_the_same(made)


@pytest.mark.parametrize(
    "changes",
    [
        {"discriminator": "mlp(width=8, depth=2, packing=2)", "loss": "wgan-gp"},
        {"generator": "mlp(width=8, depth=2, norm=batch)", "ema_half_life_kimg": 0.05},
        {"dataset": "digits", "discriminator": "dcgan(width=4, norm=layer)", "loss": "hinge + r1 + r2"},
        {"dataset": "digits", "discriminator": "dcgan(width=4, packing=2)"},
        {"dataset": "digits", "flips": True},
        {"clip": 0.01, "discriminator_steps": 3},
        {"reuse_fakes": True, "discriminator_steps": 2},
        {"reuse_fakes": True, "loss": "relativistic + r1 + r2", "ema_half_life_kimg": 0.05},
    ],
    ids=str,
)
def test_seeds_together_do_what_each_does_alone_whatever_the_recipe(changes):
    expect_the_same(trial(**{"generator": NETS, "discriminator": NETS, **changes}))


def test_learning_rates_fall_for_all_seeds():
    made = trial(generator=NETS, discriminator=NETS)
    group, alone = both(made, steps=1)
    for trained in (group, *alone):
        trained.set_learning_rates(0.25)
        trained.step()
    assert distance(group, alone) < CLOSE
    unchanged, _ = both(made, steps=2)
    assert distance(unchanged, alone) > 1e-5


def test_the_comparison_can_fail():
    group, alone = both(trial(generator=NETS, discriminator=NETS))
    assert distance(group, alone[::-1]) > 1e-2
    alone[0].step()
    assert farthest(group, alone) > 1e-6


def test_rounding_moves_the_first_statistics_in_float32_hardly_at_all():
    group, alone = both(trial(generator=NETS, discriminator=NETS), dtype=torch.float32)
    assert farthest(group, alone) < 1e-5
    assert distance(group, alone) < 1e-3


# --- networks that one might get wrong


class Repeated(nn.Module):
    """One activation and one layer in several places, beside a branch that no tracer follows."""

    def __init__(self) -> None:
        super().__init__()
        activation, inner = nn.Tanh(), nn.Linear(4, 4)
        self.layers = nn.Sequential(nn.Linear(2, 4), activation, inner, activation, inner, activation, nn.Linear(4, 2))

    def forward(self, latents):
        samples = self.layers(latents)
        return samples if len(samples) else samples * 2


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight

    def forward(self, latents):
        return self.last(self.second(self.first(latents).tanh()).tanh())


class Frozen(nn.Module):
    """A first layer that does not learn, and a weight that nothing reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.unused = nn.Linear(2, 4), nn.Linear(4, 2), nn.Linear(3, 3)
        self.first.requires_grad_(requires_grad=False)

    def forward(self, latents):
        return self.last(self.first(latents).tanh())


class Hooked(nn.Module):
    """A hook on an inner layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 2))
        self.layers[1][0].register_forward_hook(lambda module, given, came: came * 1.5)

    def forward(self, latents):
        return self.layers(latents)


class Counting(nn.Module):
    """A whole number as a buffer, and a mean that follows the samples, both in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, latents):
        samples = self.layer(latents)
        self.calls += 1
        self.mean.mul_(0.5).add_(samples.detach().mean(0))
        return samples + self.mean / self.calls


class BuiltForEvaluation(nn.Module):
    """Left in evaluation mode by those who built it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
        self.eval()

    def forward(self, latents):
        return self.layers(latents)


class FrozenNorm(BuiltForEvaluation):
    """A normalisation that stays in evaluation mode whatever happens."""

    def train(self, mode=True):
        super().train(mode)
        self.layers[1].eval()
        return self


class Residual(nn.Sequential):
    def forward(self, samples):
        return samples + super().forward(samples)


class InBranches(nn.Module):
    """Samples that look at the whole batch and at their number, and pass a part twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 4), nn.Linear(5, 2)
        self.twice = Residual(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False), nn.LeakyReLU(0.2))

    def forward(self, latents):
        inner = self.twice(self.twice(self.first(latents)))
        spread = inner.std(0).mean().expand(len(inner), 1)
        return self.last(torch.cat([inner, spread], 1)) / len(latents)


NETWORKS = [Repeated, Tied, Frozen, Hooked, Counting, BuiltForEvaluation, FrozenNorm, InBranches]


def of(network, seeds, monkeypatch, *, together):
    """An engine whose generators are such networks."""
    monkeypatch.setattr("ganbench.building.build_generator", lambda _, made, shape: seeded(network, made.seed))
    return engine_of(trial(latent_dim=2, ema_half_life_kimg=0.05), seeds, together=together)


def seeded(network, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return network()


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_of_any_make_do_together_what_each_does_alone(network, monkeypatch):
    group = of(network, (0, 1, 2), monkeypatch, together=True)
    alone = [of(network, [seed], monkeypatch, together=False) for seed in (0, 1, 2)]
    for trained in (group, *alone):
        for _ in range(5):
            trained.step()
    assert distance(group, alone) < 1e-9
    assert farthest(group, alone) < 1e-9


# --- what is drawn


class Drawn(Difference):
    """Shows the critic noisy fakes, and real samples in another order."""

    def discriminator(self, game: Game):
        noise = torch.randn(game.fake.shape, generator=game.rng, dtype=game.fake.dtype)
        order = torch.randperm(len(game.real), generator=game.rng)
        coins = torch.randint(2, (len(game.real),), generator=game.rng)
        return {"adversarial": coins * game.critic(game.fake + noise) - game.critic(game.real[order])}


@pytest.mark.parametrize("every", [1, 3])
def test_each_seed_draws_what_it_would_draw_alone(every, monkeypatch):
    class Sometimes(Drawn):
        def discriminator(self, game):
            return (Drawn if game.step % every == 1 % every else Difference).discriminator(self, game)

    made = trial(generator=NETS, discriminator=NETS)
    engines = [engine_of(made, (0, 1, 2), together=True)]
    engines += [engine_of(made, [seed], together=False) for seed in (0, 1, 2)]
    for trained in engines:
        trained.objective = type(trained.objective)(Sometimes())
        for _ in range(5):
            trained.step()
    assert distance(engines[0], engines[1:]) < CLOSE


@pytest.mark.parametrize(
    ("asks", "message"),
    [
        (lambda game: torch.bernoulli(torch.full((4,), 0.5), generator=game.rng), "by the values of a tensor"),
        (lambda game: game.rng.initial_seed(), "asks a random generator for its initial_seed"),
        (lambda game: game.rng.get_state(), "asks a random generator for its get_state"),
    ],
)
def test_what_seeds_cannot_answer_together_is_refused(asks, message):
    class Asking(Difference):
        def discriminator(self, game):
            asks(game)
            return super().discriminator(game)

    group = engine_of(trial(), (0, 1), together=True)
    group.objective = type(group.objective)(Asking())
    with pytest.raises(Exception, match=message):
        group.step()


def test_networks_of_two_shapes_do_not_train_together():
    players = [Players(Constant(), LinearCritic(*[1.0] * (2 + extra)), None, (2,)) for extra in range(2)]
    with pytest.raises(NotTogether, match="differ in their weights' names, shapes or types"):
        Together(players, (0, 1))


# --- passes that penalties share


@pytest.mark.parametrize("penalties", ["r1", "r2", "r1 + r2"])
@pytest.mark.parametrize("dataset", ["ring8", "digits"])
def test_a_pass_that_penalties_share_gives_what_one_of_their_own_gives(penalties, dataset, monkeypatch):
    made = trial(dataset, loss=f"relativistic + {penalties}", generator=NETS, discriminator=NETS)
    sharing = engine_of(made, [0], together=False)
    assert isinstance(sharing._cast, Solo)
    monkeypatch.setattr("ganbench.casts.sharable", lambda players, precision: frozenset())
    separate = engine_of(made, [0], together=False)
    for trained in (sharing, separate):
        for _ in range(5):
            trained.step()
    assert distance(sharing, [separate]) < 1e-12
    assert farthest(sharing, [separate]) < 1e-12
    assert set(sharing._cast._shared) == {{"r1": "real", "r2": "fake"}[name] for name in penalties.split(" + ")}


# --- half precision


class Listening(nn.Module):
    """A critic that tells in which precision it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.heard = nn.Linear(2, 1), []

    def forward(self, samples):
        logits = self.layer(samples).squeeze(1)
        self.heard.append(logits.dtype)
        return logits


@pytest.mark.parametrize("penalty", ["r1", "gp"])
def test_penalties_keep_their_gradients_in_float32_where_the_rest_is_in_bfloat16(penalty, monkeypatch):
    made = trial(loss=f"hinge + {penalty}", precision="bf16")
    seen, make = {}, building._network
    monkeypatch.setattr(
        building, "_network", lambda *given: Listening() if given[1] == "discriminator" else make(*given)
    )
    trained = engine_of(made, [0], together=False, dtype=torch.float32)
    objective = trained.objective

    class Kept(type(objective)):
        def discriminator(self, game):
            terms = super().discriminator(game)
            seen.update({name: term.dtype for name, term in terms.items()})
            return terms

    trained.objective = Kept(**vars(objective))
    trained.players[0].discriminator.heard.clear()
    trained.step()
    assert sorted(map(str, trained.players[0].discriminator.heard)) == ["torch.bfloat16"] * 3 + ["torch.float32"]
    assert set(seen.values()) == {torch.float32}
    assert {str(weight.dtype) for weight in trained.players[0].discriminator.parameters()} == {"torch.float32"}


@pytest.mark.parametrize("loss", ["wgan-gp", "relativistic + r1 + r2", "lsgan"])
def test_seeds_together_train_in_bfloat16_as_each_alone_but_for_rounding(loss):
    made = trial(loss=loss, generator=NETS, discriminator=NETS, precision="bf16", ema_half_life_kimg=0.05)
    group, alone = both(made, dtype=torch.float32)
    assert farthest(group, alone) < 0.05
