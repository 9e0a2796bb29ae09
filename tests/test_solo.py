from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from small import Constant, Copying, Difference, Headed, LinearCritic, Told, engine, training, trial
from together import distance, engine_of, farthest
from torch import nn

from ganbench import networks
from ganbench.batches import Batches
from ganbench.errors import PluginError
from ganbench.objective import Objective
from ganbench.penalties import zero_centred_penalty
from ganbench.players import Players
from ganbench.solo import Solo
from ganbench.training import Engine

NETS = "mlp(width=8, depth=2)"


class Recorded(Difference):
    """Keeps each game that it is shown, by the player that moves."""

    def __init__(self) -> None:
        self.games = []

    def discriminator(self, game):
        self.games.append(("discriminator", game))
        return super().discriminator(game)

    def generator(self, game):
        self.games.append(("generator", game))
        return super().generator(game)


# --- labels

CLASSES = torch.arange(10)
POINTS = CLASSES.float().unsqueeze(1).repeat(1, 2)  # the point (n, n) is of class n


def labelled(**settings):
    """An engine whose players are both told labels, and the loss that watches it; the first fakes are the labels."""
    loss = Recorded()
    return loss, engine(loss, training(**settings), POINTS, Copying(), Told(0.5, 0.25), labels=CLASSES)


@pytest.mark.parametrize("reuse_fakes", [False, True])
@pytest.mark.parametrize("discriminator_steps", [1, 3])
def test_a_fake_is_made_for_the_label_of_the_real_sample_beside_it(reuse_fakes, discriminator_steps):
    loss, trained = labelled(reuse_fakes=reuse_fakes, discriminator_steps=discriminator_steps)
    trained.step()
    assert [player for player, _ in loss.games] == ["discriminator"] * discriminator_steps + ["generator"]
    for _, game in loss.games:
        assert torch.equal(game.labels, game.real[:, 0].long())
        assert torch.equal(game.fake.detach(), game.real)  # the generator's weight is 1 until it has moved
    batches = [game.labels.tolist() for _, game in loss.games]
    assert batches[-1] == batches[-2]
    assert len({tuple(batch) for batch in batches}) == discriminator_steps


@pytest.mark.parametrize("reuse_fakes", [False, True])
def test_the_critic_is_told_the_label_of_each_sample_that_it_judges(reuse_fakes):
    _, trained = labelled(reuse_fakes=reuse_fakes, discriminator_steps=2)
    trained.step()
    critic = trained.players[0].discriminator
    assert len(critic.told) == 2 * 2 + 1
    for samples, labels in critic.told:
        assert torch.equal(samples[:, 0].long(), labels)


def test_the_games_generator_makes_fakes_for_the_labels_of_the_game():
    loss, trained = labelled()
    trained.step()
    for _, game in loss.games:
        fake = game.generator(torch.zeros(4, 2))
        assert torch.equal(fake, trained.players[0].generator.weight * game.real)


def test_a_generator_learns_by_its_labels_as_worked_out_by_hand():
    _, trained = labelled()
    trained.step()
    # Fakes are the real samples, so that the critic's terms cancel: its weights stay ½ and ¼. The generator climbs the
    # mean of (label + 1) · (½ + ¼) · weight · label.
    labels = trained._chosen[0]
    assert trained.players[0].discriminator.weight.tolist() == [0.5, 0.25]
    climbed = 1 + 0.1 * float((0.75 * labels * (labels + 1)).mean())
    assert trained.players[0].generator.weight.item() == pytest.approx(climbed)


def test_players_that_are_not_told_labels_play_as_if_there_were_none():
    loss = Recorded()
    trained, blind = engine(loss, real=POINTS, labels=CLASSES), engine(real=POINTS)
    for one in (trained, blind):
        for _ in range(3):
            one.step()
    assert torch.equal(trained.players[0].discriminator.weight, blind.players[0].discriminator.weight)
    assert all(torch.equal(game.labels, game.real[:, 0].long()) for _, game in loss.games)


@pytest.mark.parametrize("asked", [lambda game: torch.cat([game.real, game.fake]), lambda game: game.real[:1]])
def test_another_number_of_samples_than_there_are_labels_is_refused_with_both_numbers(asked):
    class Asking(Difference):
        def discriminator(self, game):
            return {"adversarial": game.critic(asked(game))[: len(game.real)]}

    trained = engine(Asking(), None, POINTS, Copying(), Told(1.0, 1.0), labels=CLASSES)
    with pytest.raises(PluginError, match=r"^the discriminator was called with (8|1) samples, .* labels of .*4"):
        trained.step()


# --- heads


class Matching(Difference):
    """Asks for the critic's heads, of each batch twice."""

    def discriminator(self, game):
        first, second = game.critic.judge(game.real), game.critic.judge(game.real)
        assert first["features"] is second["features"]
        fake = game.critic.judge(game.fake)
        return {"adversarial": fake["logits"] - first["logits"], "features": first["features"].square().sum(1)}

    def generator(self, game):
        return {"adversarial": -game.critic.judge(game.fake)["logits"]}


class Slopes:
    """R1 with γ = 2: ‖w‖² a sample for a linear critic."""

    def discriminator(self, game):
        return {"slopes": zero_centred_penalty(game.critic, game.real, 2.0)}


def test_a_critic_is_asked_for_the_heads_of_a_batch_once_in_a_turn():
    trained = engine(Matching(), critic=Headed(1.0, 2.0))
    trained.step()
    assert trained.players[0].discriminator.passes == 2 + 1  # real and fake, then fake for the generator
    trained.step()
    assert trained.players[0].discriminator.passes == 2 * (2 + 1)
    (told,) = trained.statistics()
    assert told["discriminator/features"] == pytest.approx(4 * (1**2 + 2**2))  # of the real points (1, 2), doubled


def test_slopes_are_of_the_pass_that_gave_the_heads():
    trained = engine(Matching(), critic=Headed(1.0, 2.0), penalties={"penalty": Slopes()})
    trained.step()
    assert trained.players[0].discriminator.passes == 2 + 1
    (told,) = trained.statistics()
    assert told["discriminator/slopes"] == pytest.approx(1**2 + 2**2)
    assert told["logit/real"] == pytest.approx(1 * 1 + 2 * 2)
    assert told["logit/fake"] == pytest.approx(5 * 1 + 5 * 2)


def test_heads_and_logits_train_a_critic_alike():
    class Plainly(Difference):
        def discriminator(self, game):
            features = 2 * game.real
            return {**super().discriminator(game), "features": features.square().sum(1)}

    engines = [
        engine(loss, critic=Headed(1.0, 2.0), penalties={"penalty": Slopes()}) for loss in (Matching(), Plainly())
    ]
    for trained in engines:
        for _ in range(3):
            trained.step()
    weights = [trained.players[0].discriminator.weight for trained in engines]
    torch.testing.assert_close(*weights)
    assert not torch.allclose(weights[0], torch.tensor([1.0, 2.0]))


def test_a_critic_without_heads_is_named_with_what_it_lacks():
    with pytest.raises(PluginError, match=r"^the discriminator raised AttributeError: .*'judge'"):
        engine(Matching(), critic=LinearCritic(1.0, 2.0)).step()


# --- vectors


def test_a_loss_gets_the_vectors_of_a_critic_that_gives_some_and_no_accuracy_is_told_of_them():
    class Vectors(Difference):
        seen: ClassVar = []

        def discriminator(self, game):
            real, fake = game.critic(game.real), game.critic(game.fake)
            self.seen.append((tuple(real.shape), tuple(fake.shape)))
            return {"adversarial": (fake - real).sum(1)}

        def generator(self, game):
            return {"adversarial": -game.critic(game.fake).sum(1)}

    players = Players(Constant(), nn.Linear(2, 3), None, (2,), outputs=3)
    settings = training()
    real = torch.ones(10, 2)
    trained = Engine(Solo(players, 0), Objective(Vectors()), Batches(real, None, 4, [0]), settings)
    trained.step()
    assert Vectors.seen == [((4, 3), (4, 3))]
    assert not [name for name in trained.statistics()[0] if name.startswith(("logit", "discriminator/accuracy"))]


# --- augmentations


class Scaling:
    """Multiplies each sample by a number of its own, and keeps the numbers."""

    def __init__(self) -> None:
        self.drawn = []

    def __call__(self, samples, rng, memory):
        scales = 1 + torch.rand(len(samples), generator=rng, dtype=samples.dtype)
        self.drawn.append(scales)
        return samples * scales.unsqueeze(1)


class Squaring:
    """Squares every coordinate: what it does to a gradient is known by hand."""

    def __call__(self, samples, rng, memory):
        return samples.square()


def test_all_that_the_critic_sees_is_augmented_for_both_players_each_sample_by_its_own_draw():
    augmentation, loss = Scaling(), Recorded()
    trained = engine(loss, augmentation=augmentation)
    trained.step()
    fake, real, moved = (float(scales.mean()) for scales in augmentation.drawn)  # in the order that the loss asks
    assert len({float(scale) for scales in augmentation.drawn for scale in scales}) == 12
    (told,) = trained.statistics()
    # The critic is ½(x + y) at first; fakes are (5, 5), real points (1, 2).
    assert (told["logit/fake"], told["logit/real"]) == (pytest.approx(5 * fake), pytest.approx(1.5 * real))
    critic = trained.players[0].discriminator
    assert told["generator/adversarial"] == pytest.approx(-5 * moved * critic.weight.sum().item() - critic.bias.item())
    first, second = (game for _, game in loss.games)
    assert first.real.tolist() == [[1.0, 2.0]] * 4  # a loss sees the samples as they are
    assert second.fake.tolist() == [[5.0, 5.0]] * 4


def test_an_augmentation_draws_from_a_stream_of_its_own():
    class Drawing(Recorded):
        def discriminator(self, game):
            self.noise.append(torch.rand(3, generator=game.rng).tolist())
            return super().discriminator(game)

    losses = []
    for augmentation in (None, Scaling()):
        loss = Drawing()
        loss.noise = []
        trained = engine(loss, augmentation=augmentation)
        for _ in range(3):
            trained.step()
        losses.append(loss)
    without, with_one = losses
    assert without.noise == with_one.noise
    assert len(set(map(tuple, without.noise))) == 3
    for (_, game), (_, other) in zip(without.games, with_one.games, strict=True):
        assert torch.equal(game.latents, other.latents)
        assert torch.equal(game.real, other.real)


def test_a_seed_augments_by_numbers_that_it_would_draw_again_and_another_seed_by_others():
    drawn = []
    for seed in (0, 0, 1):
        augmentation = Scaling()
        players = Players(Constant(), LinearCritic(1.0, 1.0), None, (2,))
        objective = Objective(Difference(), augmentation=augmentation)
        Engine(Solo(players, seed), objective, Batches(torch.ones(8, 2), None, 4, [seed]), training()).step()
        drawn.append(torch.stack(augmentation.drawn))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.isclose(drawn[0], drawn[2]).any()


def test_a_gradient_penalty_is_taken_at_the_image_before_it_is_augmented():
    real = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    trained = engine(
        Difference(), training(batch_size=2), real, critic=LinearCritic(0.5, 0.25), penalties={"penalty": Slopes()},
        augmentation=Squaring(),
    )  # fmt: skip
    trained.step()
    # D(x) = ½x² + ¼y², so that its gradient at (x, y) is (x, y/2): γ/2 times the mean of x² + y²/4, with γ = 2.
    assert trained.statistics()[0]["discriminator/slopes"] == pytest.approx(((1 + 4 / 4) + (9 + 1 / 4)) / 2)


@pytest.mark.parametrize("asked_before", [True, False])
def test_slopes_of_what_the_whole_game_does_are_those_of_finite_differences(asked_before):
    """With random numbers in the augmentation, and whether or not the slopes share the pass of the logits."""

    class Bending:
        def __call__(self, samples, rng, memory):
            noise = torch.randn(samples.shape, generator=rng, dtype=samples.dtype)
            return (samples * (1 + noise)).tanh() + noise

    network = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()
    players = Players(Constant().double(), network, None, (2,))
    real = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)
    trained = Engine(
        Solo(players, 0), Objective(Difference(), augmentation=Bending()),
        Batches(real, None, 4, [0], dtype=torch.float64), training(),
    )  # fmt: skip
    found = {}

    class Probing(Difference):
        def discriminator(self, game):
            rng = trained._cast._augmentation_rng
            start, samples = rng.get_state(), game.real.clone()
            if asked_before:
                game.critic(game.real)
            found["slopes"] = game.critic.slopes(game.real).detach()
            numeric = torch.zeros_like(samples)
            for axis in range(2):
                ends = []
                for sign in (1, -1):
                    rng.set_state(start)
                    moved = samples.clone()
                    moved[:, axis] += sign * 1e-5
                    ends.append(game.critic(moved).detach())
                numeric[:, axis] = (ends[0] - ends[1]) / 2e-5
            found["numeric"] = numeric
            return super().discriminator(game)

    trained.objective = Objective(Probing(), augmentation=Bending())
    trained.step()
    torch.testing.assert_close(found["slopes"], found["numeric"], rtol=1e-6, atol=1e-8)
    assert found["slopes"].abs().min() > 1e-4


def test_all_who_ask_in_a_turn_hear_of_the_same_augmented_batch():
    class Asking(Recorded):
        def discriminator(self, game):
            real, fake = game.critic(game.real), game.critic(game.fake)
            assert torch.equal(game.critic(game.real), real)
            assert torch.equal(game.critic(game.fake), fake)
            assert not torch.equal(game.critic(game.real.clone()), real)  # a batch of its own, hence drawn for
            return super().discriminator(game)

    augmentation = Scaling()
    trained = engine(Asking(), augmentation=augmentation)
    trained.step()
    assert len(augmentation.drawn) == 2 + 1 + 1
    trained.step()
    assert len(augmentation.drawn) == 2 * (2 + 1 + 1)


def test_packed_samples_are_augmented_one_by_one():
    augmentation = Scaling()
    trained = engine(Recorded(), training(batch_size=4), packing=2, augmentation=augmentation)
    trained.step()
    assert [len(scales) for scales in augmentation.drawn] == [4, 4, 4]


# --- memory


class Remembering(Difference):
    """Counts the turns of either player, and shows the counts as terms."""

    remembers: ClassVar = {"mine": 0.0, "theirs": 10.0}

    def discriminator(self, game):
        game.memory["mine"] = game.memory["mine"] + 1
        return {**super().discriminator(game), "mine": game.memory["mine"].expand(len(game.real))}

    def generator(self, game):
        game.memory["theirs"] = game.memory["theirs"] * 2
        shown = {"mine": game.memory["mine"], "theirs": game.memory["theirs"]}
        return {**super().generator(game), **{name: value.expand(len(game.real)) for name, value in shown.items()}}


def test_what_a_loss_remembers_survives_steps_and_goes_from_player_to_player():
    trained = engine(Remembering(), training(discriminator_steps=2))
    for step, (mine, both) in enumerate([((1 + 2) / 2, 2), ((3 + 4) / 2, 4), ((5 + 6) / 2, 6)], start=1):
        trained.step()
        (told,) = trained.statistics()
        assert (told["discriminator/mine"], told["generator/mine"]) == (mine, both)
        assert told["generator/theirs"] == 10 * 2**step


def test_two_engines_of_one_objective_remember_apart():
    first = engine(Remembering())
    objective = first.objective
    first.step()
    second = engine()
    second = Engine(Solo(second.players[0], 0), objective, Batches(torch.ones(8, 2), None, 4, [0]), training())
    second.step()
    assert second.statistics()[0]["discriminator/mine"] == 1.0


class Adapting:
    """Adds what the mean logit of the last real batch was to every sample."""

    remembers: ClassVar = {"mean": 0.5}

    def __init__(self) -> None:
        self.added, self.heard = [], []

    def __call__(self, samples, rng, memory):
        self.added.append(float(memory["mean"]))
        return samples + memory["mean"]

    def adapt(self, real_logits, memory):
        assert not real_logits.requires_grad
        self.heard.append(real_logits.tolist())
        memory["mean"] = real_logits.mean()


def test_an_augmentation_is_told_the_real_logits_after_each_update_of_the_discriminator():
    augmentation = Adapting()
    trained = engine(augmentation=augmentation, critic=LinearCritic(1.0, 1.0))
    trained.step()
    assert augmentation.heard == [[1.5 + 2.5] * 4]  # real points (1, 2), each coordinate ½ more
    assert augmentation.added == [0.5, 0.5, 4.0]  # real and fake; then, for the generator, what was heard
    trained.step()
    assert len(augmentation.heard) == 2
    assert augmentation.added[3:5] == [4.0, 4.0]


# --- passes that penalties share


@pytest.mark.parametrize("penalties", ["r1", "r2", "r1 + r2"])
@pytest.mark.parametrize("dataset", ["ring8", "digits"])
def test_a_pass_that_penalties_share_gives_what_one_of_their_own_gives(penalties, dataset, monkeypatch):
    made = trial(dataset, loss=f"relativistic + {penalties}", generator=NETS, discriminator=NETS)
    sharing = engine_of(made, [0], together=False)
    assert isinstance(sharing._cast, Solo)
    monkeypatch.setattr("ganbench.solo.sharable", lambda players, precision: frozenset())
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
    seen, make = {}, networks._network
    monkeypatch.setattr(
        networks, "_network", lambda *given: Listening() if given[1] == "discriminator" else make(*given)
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
