import copy

import odd
import pytest
import torch
from small import Constant, Copying, Headed, LinearCritic, Told
from torch import nn

from ganbench.errors import PluginError
from ganbench.players import Players, arranged, full, sample


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


def test_samples_are_made_for_the_labels_in_their_order_whatever_the_chunk():
    labels = torch.tensor([3, 0, 2, 2, 1, 4, 0])
    for chunk in (2, 3, 500):
        samples = sample(Copying(), torch.zeros(7, 2), chunk=chunk, labels=labels)
        assert torch.equal(samples, labels.float().unsqueeze(1).expand(7, 2))


# --- who is told labels


BOTH = frozenset(("generator", "discriminator"))
LABELS = torch.tensor([2, 0, 1, 1])


def told(*names):
    return Players(Copying(), Told(1.0, 0.0), None, (2,), told=frozenset(names))


def test_players_that_are_told_labels_get_those_of_the_batch():
    players = told(*BOTH)
    assert players.fake(torch.zeros(4, 2), LABELS).tolist() == [[2.0, 2.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
    samples = torch.tensor([[1.0, 9.0], [2.0, 9.0], [3.0, 9.0], [4.0, 9.0]])
    assert players.logits(samples, LABELS).tolist() == [1 * 3, 2 * 1, 3 * 2, 4 * 2]


def test_players_that_are_not_told_labels_do_not_get_them():
    players = Players(Constant(), LinearCritic(1.0, 1.0), None, (2,))
    assert players.fake(torch.zeros(4, 2), LABELS).shape == (4, 2)
    assert players.logits(torch.ones(4, 2), LABELS).tolist() == [2.0] * 4
    only_critic = Players(Constant(), Told(1.0, 1.0), None, (2,), told=frozenset(["discriminator"]))
    assert only_critic.fake(torch.zeros(4, 2), LABELS).shape == (4, 2)


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        (lambda players, labels: players.logits(torch.ones(3, 2), labels), "the discriminator"),
        (lambda players, labels: players.judge(torch.ones(3, 2), labels), "the discriminator"),
        (lambda players, labels: players.fake(torch.ones(3, 2), labels), "the generator"),
    ],
)
def test_another_number_of_samples_than_of_labels_is_refused_with_both_numbers(asked, label):
    with pytest.raises(PluginError, match=rf"^{label} was called with 3 samples, and there are labels of .*4"):
        asked(told(*BOTH), LABELS)
    with pytest.raises(PluginError, match=rf"^{label} was called with 3 samples, and there are no labels"):
        asked(told(*BOTH), None)


# --- what a critic gives


class Vectors(nn.Module):
    """Samples (N, D) to vectors (N, 3), or to logits of a length."""

    def __init__(self, outputs):
        super().__init__()
        self.layer, self.outputs = nn.Linear(2, 3), outputs

    def forward(self, samples):
        return self.layer(samples)[:, : self.outputs].squeeze(1)


def test_a_critic_with_outputs_gives_a_vector_a_sample_and_one_without_a_number():
    samples = torch.ones(4, 2)
    assert Players(Constant(), Vectors(3), None, (2,), outputs=3).logits(samples).shape == (4, 3)
    assert Players(Constant(), Vectors(1), None, (2,)).logits(samples).shape == (4,)


@pytest.mark.parametrize(("given", "stated", "expected"), [(3, 1, "(4,)"), (1, 3, "(4, 3)"), (2, 3, "(4, 3)")])
def test_a_critic_that_gives_other_outputs_than_it_states_is_named(given, stated, expected):
    players = Players(Constant(), Vectors(given), None, (2,), outputs=stated, discriminator_label="the critic 'x'")
    with pytest.raises(PluginError) as caught:
        players.logits(torch.ones(4, 2))
    shape = (4,) if given == 1 else (4, given)
    assert str(caught.value) == f"the critic 'x' gave a tensor of shape {shape}, expected a tensor of shape {expected}"


def test_judge_gives_the_logits_and_every_head():
    verdict = Players(Constant(), Headed(1.0, 2.0), None, (2,)).judge(torch.tensor([[1.0, 1.0], [0.0, 3.0]]))
    assert {name: value.tolist() for name, value in verdict.items()} == {
        "logits": [3.0, 6.0],
        "features": [[2.0, 2.0], [0.0, 6.0]],
    }


def test_judge_is_told_labels_too():
    class Both(Told):
        def judge(self, samples, labels):
            return {"logits": self(samples, labels), "classes": labels}

    players = Players(Copying(), Both(1.0, 0.0), None, (2,), told=frozenset(["discriminator"]))
    assert players.judge(torch.ones(4, 2), LABELS)["logits"].tolist() == [3.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"features": torch.zeros(4, 2)},
            "the discriminator: judge gave the heads ['features'], expected",
        ),
        ({"logits": None}, "the discriminator: judge gave a NoneType as 'logits', expected a tensor"),
        ({}, "the discriminator: judge gave the heads [], expected a mapping with 'logits'"),
        ({"logits": torch.zeros(4), "classes": None}, "the discriminator: judge"),
        (torch.zeros(4), "the discriminator: judge gave a tensor of shape (4,), expected a mapping with 'logits'"),
        (None, "the discriminator: judge gave a NoneType, expected a mapping with 'logits'"),
        ({"logits": torch.zeros(4, 1)}, "the discriminator: judge gave a tensor of shape (4, 1), expected a tensor"),
        (ValueError("no idea"), "the discriminator raised ValueError: no idea"),
    ],
)
def test_heads_that_are_not_what_they_should_be_are_the_discriminators_mistake(given, message):
    class Wrong(Headed):
        def judge(self, samples):
            if isinstance(given, Exception):
                raise given
            return given

    with pytest.raises(PluginError) as caught:
        Players(Constant(), Wrong(1.0, 1.0), None, (2,)).judge(torch.ones(4, 2))
    assert str(caught.value).startswith(message)


def test_what_comes_in_half_precision_goes_on_in_full():
    class Half(Headed):
        def judge(self, samples):
            return {name: value.bfloat16() for name, value in super().judge(samples).items()}

    verdict = Players(Constant(), Half(1.0, 2.0), None, (2,)).judge(torch.ones(4, 2))
    assert {name: value.dtype for name, value in verdict.items()} == dict.fromkeys(verdict, torch.float32)
    assert full(torch.zeros(2, dtype=torch.float64)).dtype == torch.float64


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


def test_a_network_that_is_told_labels_is_tried_out_with_some():
    class Conditional(Plain):
        def forward(self, latents, labels):
            assert int(labels.max()) < 3
            return self.layers(latents) * labels.unsqueeze(1)

    faster = arranged(Conditional(), (2,), (4,), classes=3)
    assert [place for place, layer in enumerate(faster.layers) if getattr(layer, "inplace", False)] == [1, 3]
    unlabelled = arranged(Conditional(), (2,), (4,))
    assert not any(getattr(layer, "inplace", False) for layer in unlabelled.layers)
