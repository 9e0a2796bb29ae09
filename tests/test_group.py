from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from small import Constant, Difference, LinearCritic, registry, training, trial
from together import both, distance, engine_of, farthest, installed, objectives
from torch import nn

from ganbench.batches import Batches
from ganbench.compatibility import Combination, refused_drivers
from ganbench.contracts import Part
from ganbench.errors import PluginError
from ganbench.group import Together
from ganbench.objective import Objective
from ganbench.plan import plan
from ganbench.players import Players
from ganbench.protocols import Game
from ganbench.signatures import parameters_of
from ganbench.stacking import NotTogether
from ganbench.suite import suite_from
from ganbench.terms import Choice, Kind, Optimiser, Trial
from ganbench.training import Engine

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
    """Every generator with the plainest discriminator, and the other way round, where they fit the data."""
    plain = {"generator": tiny("generator", "mlp"), "discriminator": tiny("discriminator", "mlp")}
    variants = [
        {**plain, kind: tiny(kind, name), "loss": "nonsaturating"}
        for kind in ("generator", "discriminator")
        for name in installed().names(kind)
    ]
    suite = {
        "name": "pairs",
        "datasets": [dataset],
        "seeds": [0],
        "variants": variants,
        "budget": {"steps": 5},
        "training": {"batch_size": 16, "latent_dim": 4, "ema_half_life_kimg": 0.05},
    }
    return list(plan(suite_from(suite, Path("pairs.toml")), registry()).trials)


def excluded(made: Trial) -> str:
    """Which part's contract leaves seeds no way to train together, "" if none does."""

    def part(kind: Kind, choice: Choice) -> Part:
        return Part(registry().find(kind, choice).component, choice)

    parts = [part(kind, choice) for kind, choice in made.variant.parts]
    combination = Combination(part("dataset", made.dataset), parts[0], parts[1], tuple(parts[2:]))
    return refused_drivers(combination).get("vectorised", "")


def expect_the_same(made: Trial, steps: int = 5, close: float = CLOSE) -> None:
    if excluded(made):
        return
    group, alone = both(made, steps)
    assert distance(group, alone) < close
    assert farthest(group, alone) < close


@pytest.mark.parametrize("objective", objectives())
def test_seeds_together_do_what_each_does_alone_with_every_objective(objective):
    expect_the_same(trial(loss=objective, generator=NETS, discriminator=NETS, ema_half_life_kimg=0.05))


@pytest.mark.parametrize("made", [*pairs("ring8"), *pairs("digits")], ids=lambda made: f"{made.dataset} {made.variant}")
def test_seeds_together_do_what_each_does_alone_with_every_pair_of_networks(made):
    expect_the_same(made, steps=3)


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
        {
            "dataset": "digits",
            "generator": "mlp(width=8, depth=2, conditional=true)",
            "discriminator": "mlp(width=8, depth=2, conditioning=projection)",
            "loss": "wgan-gp",
        },
        {
            "dataset": "digits",
            "generator": "mlp(width=8, depth=2, conditional=true)",
            "discriminator": "mlp(width=8, depth=2, conditioning=concat, norm=spectral)",
            "ema_half_life_kimg": 0.05,
        },
        {"loss": "nonsaturating + lecam(start=1) + r1(every=2)", "discriminator_steps": 2},
        {"loss": "hinge + r1(every=2)", "discriminator": "mlp(width=8, depth=2, norm=spectral)"},
        {"loss": "hinge + instance-noise"},
        {"loss": "hinge + r1 + lecam(start=1) + instance-noise"},
        {"loss": "hinge + r1(every=2) + instance-noise"},
        {"loss": "dragan + instance-noise"},
        {"dataset": "digits", "loss": "nonsaturating + ada", "discriminator": "mlp(width=8, depth=2, packing=2)"},
        {"dataset": "digits", "loss": "nonsaturating + diffaugment"},
        {"loss": "mmd-repulsive", "discriminator": "mlp(width=8, depth=2, outputs=4)"},
        {
            "dataset": "digits",
            "generator": "mlp(width=8, depth=2, conditional=true)",
            "discriminator": "mlp(width=8, depth=2, conditioning=projection)",
            "loss": "hinge + r1 + ada",
            "reuse_fakes": True,
            "discriminator_steps": 2,
        },
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
    monkeypatch.setattr("ganbench.networks.build_generator", lambda _, made, shape: seeded(network, made.seed))
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


# --- labels, heads, vectors and memory


class Made(nn.Module):
    """Told labels, it gives the points (label, label), times a weight that begins at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, latents, labels):
        return self.weight * torch.stack([labels, labels], 1).to(latents)


class Judged(LinearCritic):
    """w·x + b, times label + 1."""

    def forward(self, samples, labels):
        return super().forward(samples) * (labels.to(samples) + 1)


class Checked(Difference):
    """Shows how far fakes, and what the critic says of them, are from what the labels of the game ask for."""

    def discriminator(self, game):
        gap = (game.fake - game.labels.unsqueeze(1)).abs().sum(1) + (game.real - game.labels.unsqueeze(1)).abs().sum(1)
        plain = game.fake.sum(1) * (game.labels + 1)  # by the weights (1, 1) that the critic has
        return {"adversarial": 0 * game.critic(game.real), "gap": gap, "off": game.critic(game.fake) - plain}

    def generator(self, game):
        return {"adversarial": -game.critic(game.fake), "label": game.labels.float()}


def of_classes(loss, seeds=(0, 1, 2), **settings):
    """Seeds together whose players are told labels: the point (n, n) is of class n."""
    told = frozenset(("generator", "discriminator"))
    players = [Players(Made(), Judged(1.0, 1.0), None, (2,), told=told) for _ in seeds]
    classes = torch.arange(20)
    batches = Batches(classes.float().unsqueeze(1).repeat(1, 2), classes, 4, seeds, together=True)
    return Engine(Together(players, seeds), Objective(loss), batches, training(**settings))


@pytest.mark.parametrize("reuse_fakes", [False, True])
def test_each_seed_is_told_the_labels_of_its_own_batch(reuse_fakes):
    still = Optimiser("sgd", learning_rate=0.0)
    trained = of_classes(Checked(), discriminator=still, discriminator_steps=2, reuse_fakes=reuse_fakes)
    trained.step()
    told = trained.statistics()
    assert [(one["discriminator/gap"], one["discriminator/off"]) for one in told] == [(0.0, 0.0)] * 3
    last = trained._chosen[-1]  # (seeds, N): sample n is of class n
    assert [one["generator/label"] for one in told] == [float(batch.float().mean()) for batch in last]
    assert len({one["generator/label"] for one in told}) > 1


def test_another_number_of_samples_than_a_seed_has_labels_is_refused_with_both_numbers():
    class Asking(Checked):
        def discriminator(self, game):
            return {"adversarial": game.critic(torch.cat([game.real, game.fake]))[: len(game.real)]}

    with pytest.raises(PluginError, match=r"the discriminator was called with 8 samples, .* labels of .*4"):
        of_classes(Asking()).step()


def test_heads_keep_seeds_apart_and_the_reason_is_told():
    class Asking(Difference):
        def discriminator(self, game):
            return {"adversarial": game.critic.judge(game.real)["logits"]}

    with pytest.raises(PluginError) as caught:
        of_classes(Asking()).step()
    assert isinstance(caught.value.__cause__, NotTogether)
    assert str(caught.value.__cause__) == "its objective asks the critic for more than its logits"


@pytest.mark.parametrize(("given", "stated", "expected"), [(3, 1, "(2, 4)"), (1, 3, "(2, 4, 3)")])
def test_a_critic_that_gives_other_outputs_than_it_states_is_named_together_too(given, stated, expected):
    class Vectors(nn.Linear):
        def forward(self, samples):
            return super().forward(samples).squeeze(1)

    players = [Players(nn.Linear(2, 2), Vectors(2, given), None, (2,), outputs=stated) for _ in range(2)]
    batches = Batches(torch.ones(8, 2), None, 4, (0, 1), together=True)
    trained = Engine(Together(players, (0, 1)), Objective(Difference()), batches, training())
    with pytest.raises(PluginError) as caught:
        trained.step()
    shape = (2, 4) if given == 1 else (2, 4, given)
    message = f"the discriminator gave a tensor of shape {shape}, expected a tensor of shape {expected}"
    assert str(caught.value).endswith(message)


class Remembering(Difference):
    """Remembers a mean of what the critic says of fakes, and counts its steps."""

    remembers: ClassVar = {"mean": 2.0, "steps": 0.0}

    def discriminator(self, game):
        fake = game.critic(game.fake)
        game.memory["mean"] = 0.5 * game.memory["mean"] + 0.5 * fake.detach().mean()
        game.memory["steps"] = game.memory["steps"] + 1
        return {"adversarial": fake * game.memory["mean"] - game.critic(game.real)}


class Adapting:
    """Moves all samples by what it remembers of the real logits."""

    remembers: ClassVar = {"strength": 0.25}

    def __call__(self, samples, rng, memory):
        return samples + memory["strength"] * torch.rand(samples.shape, generator=rng, dtype=samples.dtype)

    def adapt(self, real_logits, memory):
        memory["strength"] = 0.9 * memory["strength"] + 0.1 * real_logits.mean()


@pytest.mark.parametrize("augmentation", [None, Adapting()])
def test_each_seed_remembers_what_it_would_remember_alone(augmentation):
    made = trial(generator=NETS, discriminator=NETS)
    group, *alone = (
        engine_of(made, seeds, together=len(seeds) > 1, dtype=torch.float64) for seeds in ((0, 1, 2), (0,), (1,), (2,))
    )
    objective = Objective(Remembering(), augmentation=augmentation)
    engines = [Engine(one._cast, objective, one._batches, one.training) for one in (group, *alone)]
    for trained in engines:
        for _ in range(4):
            trained.step()
    together, *apart = (trained._cast.memory.told() for trained in engines)
    assert together.keys() == {"0/mean", "0/steps"} | ({"augmentation/strength"} if augmentation else set())
    for name, value in together.items():
        assert value.shape == (3,)
        torch.testing.assert_close(value, torch.stack([one[name] for one in apart]))
    assert together["0/steps"].tolist() == [4.0] * 3
    assert together["0/mean"].unique().numel() == 3
    assert distance(engines[0], engines[1:]) < 1e-6  # what is remembered is in float32


def test_a_name_that_was_not_announced_is_refused_together_too():
    class Forgetful(Remembering):
        def discriminator(self, game):
            game.memory["maen"] = game.memory["mean"]
            return super().discriminator(game)

    trained = engine_of(trial(generator=NETS, discriminator=NETS), (0, 1), together=True)
    trained = Engine(trained._cast, Objective(Forgetful()), trained._batches, trained.training)
    with pytest.raises(PluginError, match=r"the loss remembers 'maen', .* Did you mean 'mean'\?"):
        trained.step()


# --- half precision


@pytest.mark.parametrize("loss", ["wgan-gp", "relativistic + r1 + r2", "lsgan"])
def test_seeds_together_train_in_bfloat16_as_each_alone_but_for_rounding(loss):
    made = trial(loss=loss, generator=NETS, discriminator=NETS, precision="bf16", ema_half_life_kimg=0.05)
    group, alone = both(made, dtype=torch.float32)
    assert farthest(group, alone) < 0.05
