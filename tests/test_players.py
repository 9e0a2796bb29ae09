import odd
import pytest
import torch
from small import Constant
from torch import nn

from ganbench.errors import PluginError
from ganbench.players import pack, packed_shape, sample


def test_packing_joins_consecutive_samples_on_the_channel_axis():
    images = torch.arange(16).reshape(4, 1, 2, 2)
    packed = pack(images, 2)
    assert packed.shape == (2, 2, 2, 2)
    assert torch.equal(packed[1, 0], images[2, 0])
    assert torch.equal(packed[1, 1], images[3, 0])
    assert pack(torch.arange(8).reshape(4, 2), 2).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert packed_shape((3, 8, 8), 2) == (6, 8, 8)
    assert packed_shape((2,), 3) == (6,)


def test_without_packing_samples_are_the_very_same():
    samples = torch.zeros(4, 2)
    assert pack(samples, 1) is samples


def test_sampling_leaves_the_mode_and_the_global_random_state_as_they_were():
    generator = odd.Dropout(2, (2,)).train()
    before = torch.get_rng_state()
    samples = sample(generator, torch.zeros(3, 2))
    assert generator.training
    assert generator.layers[1].training
    assert not samples.requires_grad
    assert torch.equal(torch.get_rng_state(), before)
    assert not sample(generator.eval(), torch.zeros(3, 2)).requires_grad
    assert not generator.training


def test_samples_are_those_of_evaluation_mode_in_the_order_of_the_latents():
    generator = Constant(1.0, 2.0)
    assert sample(generator, torch.zeros(3, 2)).tolist() == [[1.0, 2.0]] * 3
    assert int(generator.calls) == 0
    identity = nn.Identity()
    latents = torch.arange(14.0).reshape(7, 2)
    assert torch.equal(sample(identity, latents, chunk=3), latents)


def test_what_a_generator_draws_for_itself_is_the_same_every_time():
    class Noisy(nn.Module):
        def forward(self, latents):
            return latents + torch.randn_like(latents)

    first, second = sample(Noisy(), torch.zeros(4, 2)), sample(Noisy(), torch.zeros(4, 2))
    assert torch.equal(first, second)
    assert first.abs().max() > 0


def test_a_generator_that_fails_in_sampling_is_named():
    with pytest.raises(PluginError, match=r"^the generator 'x' raised"):
        sample(nn.Linear(3, 2), torch.zeros(4, 2), "the generator 'x'")
