from __future__ import annotations

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


def test_penalties_are_the_discriminators_alone(game):
    terms = objective(good, lambda game: {"r1": game.critic(game.real)}).generator(game)
    assert list(terms) == ["adversarial"]


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
