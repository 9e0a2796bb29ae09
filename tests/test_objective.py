from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from ganbench.errors import DataError, PluginError
from ganbench.objective import Objective, blame, described, expect_shape
from ganbench.protocols import Game

LABEL = "loss 'x' of plugin 'y'"


@pytest.fixture
def game():
    """Four pairs in the line, judged by a critic with one weight, 2."""
    weight = torch.tensor(2.0, requires_grad=True)
    real = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    fake = torch.tensor([[0.0], [-1.0], [-2.0], [-3.0]])
    latents = torch.zeros(4, 2)

    def critic(samples):
        return samples[:, 0] * weight

    return Game(real, fake, latents, None, critic, lambda latents: fake, torch.Generator(), 1)


class Move:
    """A loss, or a penalty, that gives the same for both players: whatever `make` makes of the game."""

    def __init__(self, make) -> None:
        self.discriminator = self.generator = make


def good(game):
    return {"adversarial": game.critic(game.fake) - game.critic(game.real)}


def objective(make, *penalties):
    labels = tuple(f"penalty {number}" for number in range(1, len(penalties) + 1))
    return Objective(Move(make), tuple(Move(penalty) for penalty in penalties), LABEL, labels)


def moves(tested):
    return [tested.discriminator, tested.generator]


def test_terms_of_the_loss_and_of_every_penalty_stand_side_by_side(game):
    tested = objective(good, lambda game: {"r1": game.critic(game.real)}, lambda game: {"r2": game.critic(game.fake)})
    terms = tested.discriminator(game)
    assert {name: term.tolist() for name, term in terms.items()} == {
        "adversarial": [-2.0, -6.0, -10.0, -14.0],
        "r1": [2.0, 4.0, 6.0, 8.0],
        "r2": [0.0, -2.0, -4.0, -6.0],
    }


def test_a_penalty_adds_to_whichever_players_objective_it_has_a_method_for(game):
    both = SimpleNamespace(
        discriminator=lambda game: {"critics": game.critic(game.real)},
        generator=lambda game: {"makers": game.critic(game.fake)},
    )
    critics = SimpleNamespace(discriminator=both.discriminator)
    makers = SimpleNamespace(generator=both.generator)
    loss = SimpleNamespace(discriminator=good, generator=good)
    for penalty, names in ((both, ["critics", "makers"]), (critics, ["critics", ""]), (makers, ["", "makers"])):
        made = Objective(loss, (penalty,), "loss", ("penalty",))
        for terms, name in zip((made.discriminator(game), made.generator(game)), names, strict=True):
            assert set(terms) == {"adversarial", name} - {""}


# --- what parts remember


class Counting:
    """A loss that counts its calls and keeps a mean, in what it may remember."""

    remembers: ClassVar = {"calls": 0, "mean": 0.5}

    def discriminator(self, game):
        game.memory["calls"] = game.memory["calls"] + 1
        game.memory["mean"] = game.critic(game.real).mean()
        return good(game)

    def generator(self, game):
        return good(game)


def test_what_a_part_assigns_is_found_again_under_its_place_and_without_a_graph(game):
    made = Objective(Counting(), (Counting(),), "loss", ("penalty",))
    with pytest.raises(PluginError, match="gave a term named 'adversarial', which this objective has already"):
        made.discriminator(replace(game, memory=memory_of(made)))
    made = Objective(Counting())
    memory = memory_of(made)
    assert {name: value.item() for name, value in memory.items()} == {"0/calls": 0.0, "0/mean": 0.5}
    for calls in (1.0, 2.0):
        made.discriminator(replace(game, memory=memory))
        assert memory["0/calls"].item() == calls
    assert memory["0/mean"].item() == game.critic(game.real).mean().item()
    assert not memory["0/mean"].requires_grad


def memory_of(made):
    return {name: torch.tensor(float(start)) for name, start in made.remembers.items()}


def test_two_parts_remember_the_same_name_apart(game):
    quiet = SimpleNamespace(
        remembers={"calls": 7}, discriminator=lambda game: {"quiet": game.critic(game.real) * game.memory["calls"]}
    )
    made = Objective(Counting(), (quiet,), "loss", ("penalty",))
    memory = memory_of(made)
    terms = made.discriminator(replace(game, memory=memory))
    assert torch.equal(terms["quiet"], game.critic(game.real) * 7)
    assert (memory["0/calls"].item(), memory["1/calls"].item()) == (1.0, 7.0)


@pytest.mark.parametrize(
    ("assigned", "message"),
    [
        (
            {"call": torch.tensor(1.0)},
            "the loss remembers 'call', which its `remembers` does not name. Did you mean 'calls'",
        ),
        (
            {"calls": torch.ones(4)},
            r"loss: memory 'calls' gave a tensor of shape \(4,\)",
        ),
        ({"calls": 3}, "the loss: memory 'calls' gave a int, expected a tensor of shape"),
    ],
)
def test_what_cannot_be_remembered_is_refused_with_the_owners_name(game, assigned, message):
    def discriminator(game):
        game.memory.update(assigned)
        return good(game)

    made = Objective(SimpleNamespace(remembers={"calls": 0}, discriminator=discriminator))
    with pytest.raises(PluginError, match=message):
        made.discriminator(replace(game, memory=memory_of(made)))


@pytest.mark.parametrize("stated", [["mean"], {"mean": "0"}, {1: 0.0}, 3])
def test_a_part_that_remembers_no_numbers_by_name_is_refused(stated):
    made = Objective(SimpleNamespace(remembers=stated))
    with pytest.raises(PluginError, match=r"the loss: remembers is .*, expected a mapping from names to numbers"):
        made.remembers  # noqa: B018 - a property that raises


# --- augmentations


class Doubling:
    """An augmentation that multiplies, and adapts by how much."""

    remembers: ClassVar = {"factor": 2}

    def __call__(self, samples, rng, memory):
        return samples * memory["factor"]

    def adapt(self, real_logits, memory):
        memory["factor"] = memory["factor"] + real_logits.mean()


def test_an_augmentation_changes_samples_before_they_are_packed():
    seen = []

    def augmentation(samples, rng, memory):
        seen.append(tuple(samples.shape))
        return samples + 1

    made = Objective(SimpleNamespace(), augmentation=augmentation)
    packed = torch.arange(8.0).reshape(2, 4)  # two pairs of points in the plane
    assert torch.equal(made.augmented(packed, 2, torch.Generator(), {}), packed + 1)
    assert seen == [(4, 2)]


def test_without_an_augmentation_samples_are_what_they_were():
    samples = torch.ones(2, 3)
    assert Objective(SimpleNamespace()).augmented(samples, 1, torch.Generator(), {}) is samples


def test_an_augmentation_remembers_and_adapts():
    made = Objective(SimpleNamespace(), augmentation=Doubling())
    memory = memory_of(made)
    assert made.adapts
    made.adapt(torch.tensor([1.0, 3.0]), memory)
    assert memory["augmentation/factor"].item() == 4.0
    assert torch.equal(made.augmented(torch.ones(2, 3), 1, torch.Generator(), memory), torch.full((2, 3), 4.0))
    made.adapt(None, memory)  # a loss that never asks about the real batch leaves nothing to adapt to
    assert memory["augmentation/factor"].item() == 4.0


def test_an_augmentation_of_another_shape_is_refused():
    made = Objective(SimpleNamespace(), augmentation=lambda samples, rng, memory: samples[:1])
    with pytest.raises(PluginError, match=r"the augmentation gave a tensor of shape \(1, 3\), expected"):
        made.augmented(torch.ones(2, 3), 1, torch.Generator(), {})


def test_a_penalty_needs_no_gradient_where_the_loss_has_one(game):
    terms = objective(good, lambda game: {"constant": torch.ones(4)}).discriminator(game)
    assert not terms["constant"].requires_grad


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda game: good(game)["adversarial"], r"returned a tensor of shape \(4,\), expected a mapping"),
        (lambda game: None, "returned a NoneType, expected a mapping"),
        (lambda game: [good(game)], "returned a list, expected a mapping"),
        (lambda game: {}, "returned an empty mapping, expected a mapping from names"),
        (
            lambda game: {"a": good(game)["adversarial"].mean()},
            r": term 'a' gave a tensor of shape \(\), expected a tensor of shape \(4,\)",
        ),
        (
            lambda game: {"a": good(game)["adversarial"][:, None]},
            r": term 'a' gave a tensor of shape \(4, 1\), expected a tensor of shape \(4,\)",
        ),
        (lambda game: {"a": good(game)["adversarial"][:3]}, r"shape \(3,\), expected a tensor of shape \(4,\)"),
        (lambda game: {"a": 0.5}, ": term 'a' gave a float, expected a tensor"),
        (
            lambda game: {**good(game), "right": game.critic(game.real) > 0},
            "term 'right' is torch.bool, expected floating",
        ),
    ],
)
def test_what_a_loss_gives_in_the_wrong_form_is_its_owners_mistake(game, make, message):
    for move in moves(objective(make)):
        with pytest.raises(PluginError, match=f"^{LABEL}.*{message}"):
            move(game)


def test_what_a_loss_raises_bears_its_owners_name(game):
    def raising(game):
        raise KeyError("critics")

    for move in moves(objective(raising)):
        with pytest.raises(PluginError, match=f"^{LABEL} raised KeyError: 'critics'$") as caught:
            move(game)
        assert isinstance(caught.value.__cause__, KeyError)


def test_a_penaltys_mistake_bears_the_penaltys_name(game):
    with pytest.raises(PluginError, match=r"^penalty 2: term 'r' gave a tensor of shape \(\)"):
        objective(good, lambda game: {"q": torch.ones(4)}, lambda game: {"r": torch.ones(())}).discriminator(game)


def test_two_terms_of_one_name_are_refused(game):
    with pytest.raises(PluginError, match=r"^penalty 1 gave a term named 'adversarial', which this objective has"):
        objective(good, good).discriminator(game)


def test_the_losss_own_mapping_is_not_written_to(game):
    kept = good(game)
    objective(lambda game: kept, lambda game: {"r1": torch.ones(4)}).discriminator(game)
    assert list(kept) == ["adversarial"]


@pytest.mark.parametrize("error", [DataError("d"), MemoryError("m"), torch.OutOfMemoryError("o"), KeyboardInterrupt()])
def test_nobody_is_blamed_for_what_is_not_a_plugins_mistake(error):
    with pytest.raises(type(error)), blame(LABEL):
        raise error


def test_values_are_described_by_shape_or_type():
    assert described(torch.zeros(2, 3)) == "a tensor of shape (2, 3)"
    assert described("text") == "a str"


def test_a_tensor_of_the_expected_shape_passes_through():
    tensor = torch.zeros(2, 3)
    assert expect_shape(LABEL, tensor, (2, 3)) is tensor
    with pytest.raises(PluginError, match=rf"^{LABEL} gave a list, expected a tensor of shape \(2, 3\)$"):
        expect_shape(LABEL, [[0] * 3] * 2, (2, 3))
