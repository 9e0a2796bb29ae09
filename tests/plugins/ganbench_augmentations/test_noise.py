from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_augmentations.noise import InstanceNoise


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noised(given: Tensor, after: int, noise: InstanceNoise, seed: int = 0) -> Tensor:
    memory = {name: torch.tensor(value, dtype=torch.float64) for name, value in noise.remembers.items()}
    for _ in range(after):
        noise.adapt(torch.zeros(3), memory)
    return noise(given, rng(seed), memory)


@pytest.mark.parametrize("shape", [(5, 2), (5, 3, 4, 4)])
@pytest.mark.parametrize(("after", "left"), [(0, 1.0), (1, 0.75), (3, 0.25), (4, 0.0), (5, 0.0)])
def test_noise_falls_in_a_straight_line_to_0(shape, after, left):
    given = torch.randn(*shape, generator=rng(1), dtype=torch.float64)
    noise = torch.randn(*shape, generator=rng(), dtype=torch.float64)
    result = noised(given, after, InstanceNoise(deviation=0.2, steps=4))
    assert_close(result, given + left * 0.2 * noise)


def test_every_number_of_every_sample_has_noise_of_its_own():
    assert len(noised(torch.zeros(5, 3, 4, 4), 0, InstanceNoise()).unique()) == 5 * 3 * 4 * 4


def test_real_and_fake_get_different_noise_of_one_generator():
    noise, one = InstanceNoise(), rng()
    memory = {"steps": torch.tensor(0.0)}
    assert not torch.equal(noise(torch.zeros(5, 2), one, memory), noise(torch.zeros(5, 2), one, memory))


def test_gradients_pass_as_if_there_were_none():
    given = torch.zeros(5, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(noised(given, 0, InstanceNoise()).sum(), given)
    assert_close(slope, torch.ones(5, 2))


def test_the_defaults_are_a_tenth_over_ten_thousand_steps():
    noise = InstanceNoise()
    assert (noise.deviation, noise.steps) == (0.1, 10_000)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"deviation": -0.1}, "instance-noise: deviation is -0.1, expected 0 or more"),
        ({"steps": 0}, "instance-noise: steps is 0, expected 1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(parameters, message):
    with pytest.raises(ChoiceError, match=message):
        InstanceNoise(**parameters)
