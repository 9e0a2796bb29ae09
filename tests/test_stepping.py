from __future__ import annotations

import pytest
import torch
from small import Constant, Copying, Difference, LinearCritic, Told, engine, training

from ganbench.batches import Batches
from ganbench.solo import Solo
from ganbench.stepping import Diverged, Stepper
from ganbench.terms import Optimiser


class Three(Stepper):
    """Three updates a step: two of one player's weights, one of the other's, each by terms that are given."""

    def __init__(self, terms):
        self.terms = terms
        made = engine()
        self.critic, self.maker = made.players[0].discriminator, made.players[0].generator
        batches = Batches(torch.ones(8, 2), None, 4, [0])
        super().__init__(Solo(made.players[0], 0), batches, training(), label="method 'three'")

    def parts(self):
        return []

    def updated(self):
        fast = Optimiser("sgd", learning_rate=1.0)
        critic = (self.training.discriminator, [self.critic.weight])
        return {"first": critic, "second": (fast, [self.critic.weight]), "maker": (fast, [self.maker.point])}

    def play(self):
        for name, terms in self.terms(self).items():
            self._descend(name, terms, {"seen": torch.tensor(2.0)} if name == "first" else {})


def sums(stepper):
    weight, point = stepper.critic.weight.sum(), stepper.maker.point.sum()
    return {
        "first": {"a": weight.expand(4)},
        "second": {"b": (2 * weight).expand(4)},
        "maker": {"c": (3 * point).expand(4)},
    }


def test_each_update_has_an_optimiser_and_statistics_of_its_own():
    stepper = Three(sums)
    stepper.step()
    assert stepper.critic.weight.tolist() == pytest.approx([0.5 - 0.1 - 2.0] * 2)
    assert stepper.maker.point.tolist() == [5.0 - 3.0] * 2
    (told,) = stepper.statistics()
    assert told == pytest.approx(
        {
            "first/a": 1.0,
            "seen": 2.0,
            "gradient_norm/first": 2**0.5,
            "second/b": 2.0,  # of the weights before the step: all terms were made at once
            "gradient_norm/second": 8**0.5,
            "maker/c": 30.0,
            "gradient_norm/maker": 18**0.5,
        }
    )


def test_all_learning_rates_fall_from_those_of_the_recipe():
    stepper = Three(sums)
    stepper.set_learning_rates(0.5)
    stepper.step()
    assert stepper.critic.weight.tolist() == pytest.approx([0.5 - 0.05 - 1.0] * 2)
    assert stepper.maker.point.tolist() == [5.0 - 1.5] * 2


def test_without_being_watched_a_step_keeps_no_statistics_and_does_the_same():
    stepper, watched = Three(sums), Three(sums)
    assert watched.watched
    stepper.watched = False
    for one in (stepper, watched):
        one.step()
    assert stepper.statistics() == [{}]
    assert torch.equal(stepper.critic.weight, watched.critic.weight)


@pytest.mark.parametrize("bad", ["first", "second", "maker"])
def test_an_update_of_any_name_that_is_not_finite_is_found_at_its_step(bad):
    def terms(stepper):
        made = sums(stepper)
        spoilt = {name: term * float("nan") for name, term in made[bad].items()}
        return {**made, bad: spoilt} if stepper.steps == 2 else made

    stepper = Three(terms)
    for _ in range(3):
        stepper.step()
    with pytest.raises(Diverged, match="a loss term, a logit or a gradient is not finite at step 2") as caught:
        stepper.check()
    assert caught.value.step == 2
    assert list(stepper.diverged) == [0]


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_weight_that_is_a_scalar_is_looked_at_too(player):
    """A stacked one is (seeds,), and alone it has no axis at all."""
    classes = torch.arange(10)
    trained = engine(
        real=classes.float().unsqueeze(1).repeat(1, 2),
        labels=classes,
        generator=Copying(),
        critic=LinearCritic(1.0, 1.0),
    )
    trained.step()
    trained.check()
    weight = trained.players[0].generator.weight if player == "generator" else trained.players[0].discriminator.bias
    with torch.no_grad():
        weight.fill_(float("inf"))
    with pytest.raises(Diverged, match="a weight is not finite at step 1"):
        trained.check()


def test_weights_are_clipped_after_the_discriminators_updates_and_no_others():
    trained = engine(settings=training(clip=0.25))
    trained.step()
    assert trained.players[0].discriminator.weight.abs().max() <= 0.25
    assert trained.players[0].generator.point.abs().max() > 4


def test_kimg_counts_what_every_discriminator_step_is_shown():
    stepper = Three(sums)
    assert stepper.kimg == 0
    for _ in range(3):
        stepper.step()
    assert (stepper.steps, stepper.kimg) == (3, 3 * 4 / 1000)


def test_networks_train_in_training_mode():
    generator, critic = Constant().eval(), LinearCritic(0.5, 0.5).eval()
    engine(Difference(), generator=generator, critic=critic)
    assert (generator.training, critic.training) == (True, True)


def test_a_players_labels_come_from_the_batch_of_its_own_step():
    """Over an epoch, each label is told as often as its point is shown."""
    classes = torch.arange(8)
    critic = Told(0.0, 0.0)
    trained = engine(real=classes.float().unsqueeze(1).repeat(1, 2), labels=classes, critic=critic)
    trained.step(), trained.step()  # two batches of four: all eight points
    real = [labels for samples, labels in critic.told if torch.equal(samples[:, 0].long(), labels)]
    assert torch.cat(real).sort().values.tolist() == list(range(8))
