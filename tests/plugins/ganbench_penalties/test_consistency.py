from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_penalties.consistency import Consistency, LatentConsistency

COUNT = 32


def images(seed: int, size: int = 8, channels: int = 1) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(COUNT, channels, size, size, generator=rng, dtype=torch.float64)


def corner(samples: torch.Tensor) -> torch.Tensor:
    """The logit is the upper left pixel, so that it tells which pixel has moved there."""
    return samples[:, 0, 0, 0]


def candidates(image: torch.Tensor) -> list[float]:
    """Every value that the upper left pixel of an 8×8 image can have: mirrored or not, shifted by −1, 0, 1 each way."""
    values = []
    for flipped in (image, image.flip(2)):
        for row in (1, 0, 1):  # shifted down by 1, row −1 is row 1 reflected; shifted up by 1 it is row 1 as well
            values += [flipped[0, row, column].item() for column in (0, 1)]
    return values


def test_each_image_is_compared_with_its_mirrored_and_shifted_self(make_game):
    real = images(0)
    game = make_game(real, images(1), critic=corner)
    paid = Consistency(real=1.0).discriminator(game)["consistency"]
    for image, term in zip(real, paid, strict=True):
        possible = [(image[0, 0, 0].item() - value) ** 2 for value in candidates(image)]
        assert min(abs(term.item() - value) for value in possible) < 1e-12


def test_images_are_changed_one_by_one(make_game):
    same = images(0)[:1].expand(COUNT, -1, -1, -1)
    paid = Consistency().discriminator(make_game(same, images(1), critic=corner))["consistency"]
    assert len(paid.unique()) >= 6


def test_at_32_pixels_an_image_is_shifted_by_up_to_4():
    from ganbench_penalties.consistency import _changed

    position = torch.arange(32, dtype=torch.float64).expand(2000, 1, 32, 32)
    row, column = (
        _changed(values, torch.Generator().manual_seed(0))[:, 0, 16, 16] for values in (position.mT, position)
    )
    assert set(row.tolist()) == set(range(12, 21))
    assert set(column.tolist()) == set(range(11, 21))  # column 16 mirrored is column 15


def test_a_critic_that_sees_no_difference_pays_nothing(make_game):
    game = make_game(images(0), images(1), critic=lambda samples: samples.new_zeros(len(samples)))
    assert_close(Consistency(fake=10.0).discriminator(game)["consistency"], torch.zeros(COUNT, dtype=torch.float64))


def test_fakes_count_only_with_a_weight_of_their_own(make_game):
    flat = torch.zeros(COUNT, 1, 8, 8)
    asked: list[torch.Tensor] = []

    def critic(samples):
        asked.append(samples)
        return corner(samples)

    assert_close(
        Consistency().discriminator(make_game(flat, images(1), critic=critic))["consistency"],
        torch.zeros(COUNT, dtype=torch.float64),
    )
    assert len(asked) == 2
    paid = Consistency(real=3.0, fake=2.0).discriminator(make_game(flat, images(1), critic=corner))["consistency"]
    alone = Consistency(real=2.0).discriminator(make_game(flat, images(1), critic=corner))["consistency"]
    assert_close(alone, torch.zeros(COUNT, dtype=torch.float64))
    for image, term in zip(images(1), paid, strict=True):
        possible = [2 * (image[0, 0, 0].item() - value) ** 2 for value in candidates(image)]
        assert min(abs(term.item() - value) for value in possible) < 1e-12


def test_the_default_weight_is_10(make_game):
    game = make_game(images(0), images(1), critic=corner)
    ten = Consistency().discriminator(replace(game, rng=torch.Generator().manual_seed(3)))["consistency"]
    one = Consistency(real=1.0).discriminator(replace(game, rng=torch.Generator().manual_seed(3)))["consistency"]
    assert_close(ten, 10 * one)
    assert one.sum() > 0


def latent_game(make_game, seed: int = 0, critic=lambda samples: 3 * samples[:, 0]):
    """G(z) is 2z, so that fakes at z and z + δ differ by 2δ."""
    latents = torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    game = make_game(torch.zeros(COUNT, 4), 2 * latents, critic=critic, seed=seed)
    return replace(game, latents=latents, generator=lambda given: 2 * given)


def drawn(seed: int = 0) -> torch.Tensor:
    return torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_latents_that_differ_by_delta_are_to_be_judged_alike(make_game):
    paid = LatentConsistency(radius=0.1, discriminator=5.0).discriminator(latent_game(make_game))["latent_consistency"]
    assert_close(paid, 5 * (3 * 2 * 0.1 * drawn()[:, 0]) ** 2)


def test_latents_that_differ_by_delta_are_to_look_different(make_game):
    paid = LatentConsistency(radius=0.1, generator=0.7).generator(latent_game(make_game))["latent_consistency"]
    assert_close(paid, -0.7 * ((2 * 0.1 * drawn()) ** 2).mean(dim=1))


def test_the_defaults_are_radius_005_and_weights_of_a_half_and_20(make_game):
    given, usual = LatentConsistency(radius=0.05, generator=0.5, discriminator=20.0), LatentConsistency()
    for player in ("generator", "discriminator"):
        ours, theirs = (getattr(penalty, player)(latent_game(make_game)) for penalty in (usual, given))
        assert_close(ours["latent_consistency"], theirs["latent_consistency"])


def test_the_discriminators_term_does_not_reach_the_generator_and_the_generators_does(make_game):
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    game = replace(latent_game(make_game), generator=lambda given: scale * given)
    critic = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    seen = LatentConsistency().discriminator(replace(game, critic=lambda samples: critic * samples[:, 0]))
    gradients = torch.autograd.grad(seen["latent_consistency"].sum(), [critic, scale], allow_unused=True)
    assert gradients[0].abs() > 0
    assert gradients[1] is None
    game = replace(game, fake=scale * game.latents, rng=torch.Generator().manual_seed(0))
    made = LatentConsistency(radius=0.1, generator=1.0).generator(game)
    (gradient,) = torch.autograd.grad(made["latent_consistency"].sum(), scale)
    assert_close(gradient, -2 * scale.detach() * ((0.1 * drawn()) ** 2).mean(dim=1).sum())


@pytest.mark.parametrize("penalty", [Consistency(fake=5.0), LatentConsistency(radius=0.3)])
def test_gradients_in_the_critics_weights_agree_with_finite_differences(make_game, penalty):
    def term(weights: torch.Tensor) -> torch.Tensor:
        latents = images(2)[:3].flatten(1)
        game = make_game(
            images(0)[:3], images(1)[:3], critic=lambda samples: (samples.flatten(1) @ weights / 8).tanh(), seed=4
        )
        game = replace(game, latents=latents, generator=lambda given: given.reshape(-1, 1, 8, 8))
        (paid,) = penalty.discriminator(game).values()
        return paid

    weights = images(3)[0].flatten().requires_grad_()
    assert torch.autograd.gradcheck(term, weights)


@pytest.mark.parametrize("parameter", ["radius", "generator", "discriminator"])
def test_a_negative_weight_is_refused(parameter):
    with pytest.raises(ChoiceError, match=f"latent-consistency: {parameter} is -1, expected 0 or more"):
        LatentConsistency(**{parameter: -1})
    with pytest.raises(ChoiceError, match="consistency: fake is -1"):
        Consistency(fake=-1)
