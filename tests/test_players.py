import copy

import odd
import pytest
import torch
from small import Constant
from torch import nn

from ganbench.errors import PluginError
from ganbench.players import arranged, pack, packed_shape, sample


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


# --- laid out to run faster


class Plain(nn.Module):
    """Layers whose activations may overwrite: two of four, since one has a norm's output and one tanh's input."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.LeakyReLU(0.2), nn.Tanh(), nn.ReLU(), nn.Linear(8, 4)
        )

    def forward(self, latents):
        return self.layers(latents)


class KeepsFeatures(Plain):
    """Looks again at what an activation was given."""

    def forward(self, latents):
        inner = self.layers[0](latents)
        return self.layers[2:](self.layers[1](inner)) + inner[:, :4]


class Overhears(Plain):
    """A hook keeps what an activation was given."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = []
        self.layers[0].register_forward_hook(lambda module, given, came: self.heard.append(came))

    def forward(self, latents):
        return self.layers(latents) + self.heard.pop()[:, :4]


class Reuses(Plain):
    """Uses an activation elsewhere, too."""

    def forward(self, latents):
        inner = self.layers[:2](latents) - 0.5
        return self.layers[2:](self.layers[1](inner) + inner)


class Negative(Plain):
    """A slope with which torch cannot overwrite."""

    def __init__(self) -> None:
        super().__init__()
        self.layers[3] = nn.LeakyReLU(-0.1)


def outcome(network):
    latents = torch.linspace(-1, 1, 24).reshape(6, 4).requires_grad_()
    samples = network(latents)
    samples.square().sum().backward()
    return [samples.detach(), latents.grad, *(weight.grad for weight in network.parameters())]


@pytest.mark.parametrize(
    ("make", "overwriting"),
    [(Plain, [1, 3]), (KeepsFeatures, []), (Overhears, []), (Reuses, []), (Negative, [])],
)
def test_activations_overwrite_where_that_changes_no_bit(make, overwriting):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make()
    plain = make()
    plain.load_state_dict(network.state_dict())
    faster = arranged(network, (2,), (4,))
    assert [place for place, layer in enumerate(faster.layers) if getattr(layer, "inplace", False)] == overwriting
    assert all(map(torch.equal, outcome(faster), outcome(plain)))


def test_an_arranged_network_is_the_one_that_was_given_and_nothing_was_drawn():
    before = torch.get_rng_state()
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
    drawn = torch.get_rng_state()
    assert not torch.equal(before, drawn)
    assert arranged(network, (2,), (4,)) is network
    assert torch.equal(torch.get_rng_state(), drawn)
    assert int(network[1].num_batches_tracked) == 0
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(("side", "channels_last"), [(8, False), (16, True)])
def test_channels_lie_in_a_row_for_large_pictures_and_rounding_is_all_that_changes(side, channels_last):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)).double()
    pictures = torch.rand(2, 3, side, side, dtype=torch.float64)
    expected = copy.deepcopy(network)(pictures)
    faster = arranged(network, (3, side, side), (3, side, side))
    assert faster[0].weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    torch.testing.assert_close(faster(pictures), expected, rtol=1e-12, atol=1e-12)
