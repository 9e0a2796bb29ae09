from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_layers.codes import coded
from ganbench_mlp.networks import Maxout, MaxoutDiscriminator, MLPDiscriminator, MLPGenerator

SHAPES = [(2,), (4,), (1, 8, 8), (3, 16, 16)]


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_generator_gives_samples_of_the_datas_shape(shape, norm):
    assert MLPGenerator(5, shape, width=16, depth=2, norm=norm)(torch.randn(6, 5)).shape == (6, *shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 6])
def test_the_discriminator_gives_one_logit_a_sample(shape, count):
    assert MLPDiscriminator(shape, width=16, depth=2)(torch.randn(count, *shape)).shape == (count,)


def test_images_lie_within_1_and_points_need_not():
    latents = 1000 * torch.randn(64, 5)
    assert MLPGenerator(5, (1, 8, 8))(latents).abs().max() <= 1
    assert MLPGenerator(5, (2,))(latents).abs().max() > 1


def test_parameter_counts_are_those_on_paper():
    assert parameters(MLPGenerator(5, (2,), width=16, depth=3)) == (5 * 16 + 16) + 2 * (16 * 16 + 16) + (16 * 2 + 2)
    assert parameters(MLPGenerator(5, (2,), width=16, depth=3, norm="batch")) == 5 * 16 + 2 * 16 * 16 + 3 * 32 + 34
    assert parameters(MLPDiscriminator((1, 8, 8), width=16, depth=2)) == (64 * 16 + 16) + (16 * 16 + 16) + (16 + 1)


def test_a_discriminator_of_one_layer_is_leaky_below_zero_with_slope_one_fifth():
    critic = MLPDiscriminator((1,), width=1, depth=1)
    for parameter in critic.parameters():
        torch.nn.init.ones_(parameter)
    logits = critic(torch.tensor([[2.0], [-6.0]]))  # hidden 3 and -5
    assert_close(logits, torch.tensor([4.0, 0.0]))


def test_the_discriminator_does_not_mix_the_batch():
    critic, samples = MLPDiscriminator((2,)).double(), torch.randn(6, 2, dtype=torch.float64)
    alone = torch.cat([critic(sample[None]) for sample in samples])
    assert_close(critic(samples), alone)


@pytest.mark.parametrize(("norm", "mixes"), [("none", False), ("batch", True)])
def test_only_batchnorm_mixes_the_generators_batch(norm, mixes):
    generator, latents = MLPGenerator(5, (2,), norm=norm).double(), torch.randn(6, 5, dtype=torch.float64)
    first, again = generator(latents)[:3], generator(latents[:3])
    assert torch.allclose(first, again) is not mixes


def test_every_weight_of_both_players_gets_a_gradient():
    generator, critic = MLPGenerator(5, (1, 8, 8)), MLPDiscriminator((1, 8, 8))
    critic(generator(torch.randn(6, 5))).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for m in (generator, critic) for p in m.parameters())


@pytest.mark.parametrize("sizes", [{"width": 0}, {"depth": 0}, {"depth": -1}])
def test_a_network_without_units_or_layers_is_refused(sizes):
    for build in (lambda: MLPGenerator(5, (2,), **sizes), lambda: MLPDiscriminator((2,), **sizes)):
        with pytest.raises(ChoiceError, match=r"mlp: (width|depth) is (0|-1), expected 1 or more"):
            build()


@pytest.mark.parametrize(
    ("setting", "extra"),
    [
        ({"norm": "layer"}, 2 * 2 * 16),
        ({"norm": "spectral"}, 0),
        ({"outputs": 3}, 2 * 17),
        ({"conditioning": "concat"}, 5 * 16),
        ({"conditioning": "projection"}, 5 * 16),
        ({"conditioning": "auxiliary"}, 5 * 17),
        ({"minibatch": "deviation"}, 1),
        ({"minibatch": "discrimination"}, 100 + 16 * 500),
        ({"categories": 4, "continuous": 2}, 6 * 17),
    ],
    ids=str,
)
def test_what_is_asked_for_costs_the_parameters_on_paper(setting, extra):
    plain = parameters(MLPDiscriminator((2,), 5, width=16, depth=2))
    assert parameters(MLPDiscriminator((2,), 5, width=16, depth=2, **setting)) == plain + extra


def test_layer_norm_is_over_the_units_of_each_hidden_layer():
    critic, samples = MLPDiscriminator((2,), width=8, depth=1, norm="layer").double(), torch.randn(6, 2).double()
    weight, bias, scale, shift, last, last_bias = (p.data.normal_() for p in critic.parameters())
    hidden = samples @ weight.T + bias
    centred = hidden - hidden.mean(dim=1, keepdim=True)
    standard = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt() * scale + shift
    active = torch.where(standard > 0, standard, standard / 5)
    assert_close(critic(samples).detach(), (active @ last.T + last_bias).flatten())


@pytest.mark.parametrize("build", [lambda d: MLPGenerator(64, (2,), width=256, initial_deviation=d),
    lambda d: MLPDiscriminator((64,), width=256, initial_deviation=d),
    lambda d: MaxoutDiscriminator((64,), initial_deviation=d)])  # fmt: skip
@pytest.mark.parametrize("deviation", [0.02, 0.3])
def test_weights_start_with_the_deviation_that_was_asked_for_and_biases_at_zero(build, deviation):
    torch.manual_seed(0)
    values = list(build(deviation).parameters())
    weights = torch.cat([value.detach().flatten() for value in values if value.dim() == 2])
    assert weights.std().item() == pytest.approx(deviation, rel=0.03)
    assert weights.mean().item() == pytest.approx(0, abs=deviation / 20)
    assert not any(value.any() for value in values if value.dim() == 1)


def test_without_one_weights_start_uniform_as_torch_has_them():
    torch.manual_seed(0)
    values, bound = MLPDiscriminator((64,), width=256).layers[1].weight.detach().flatten(), 1 / 8
    assert bound * 0.99 < values.abs().max() <= bound
    assert values.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_a_label_is_as_many_more_latents_as_there_are_classes():
    generator, latents = MLPGenerator(7, (2,), 3, conditional=True), torch.randn(4, 7)
    plain = MLPGenerator(10, (2,))
    plain.load_state_dict(generator.state_dict())
    marks = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]])
    points = generator(latents, torch.tensor([1, 0, 2, 0]))
    assert_close(points, plain(torch.cat([latents, marks], dim=1)))
    assert (generator(latents, torch.tensor([1, 0, 2, 1])) != points).any(dim=1).tolist() == [False] * 3 + [True]


def test_codes_take_the_place_of_latents():
    generator, latents = MLPGenerator(7, (2,), categories=3, continuous=2), torch.randn(4, 7)
    plain = MLPGenerator(7, (2,))
    plain.load_state_dict(generator.state_dict())
    assert_close(generator(latents), plain(coded(latents, 3, 2)))


def test_a_conditional_generator_without_classes_is_refused():
    with pytest.raises(ChoiceError, match="mlp: conditional needs data with classes, got 0 classes"):
        MLPGenerator(7, (2,), conditional=True)


def test_a_maxout_unit_is_the_largest_of_its_linear_functions():
    layer, samples = Maxout(3, 4, 5).double(), torch.randn(6, 3, dtype=torch.float64)
    linear = layer.functions[0]
    for n, sample in enumerate(samples):
        for unit in range(4):
            rows = range(5 * unit, 5 * unit + 5)
            pieces = [(linear.weight[row] @ sample + linear.bias[row]).item() for row in rows]
            assert layer(samples)[n, unit].item() == pytest.approx(max(pieces))


@pytest.mark.parametrize("packing", [1, 2, 3])
def test_the_maxout_critic_of_pacgans_grid_has_as_many_parameters_as_its_authors_code(packing):
    # A linear maxout layer of 200 units with 5 pieces is a linear layer of 1000; the last layer is linear.
    hidden = (2 * packing * 1000 + 1000) + 2 * (200 * 1000 + 1000)
    assert parameters(MaxoutDiscriminator((2 * packing,))) == hidden + 201


def test_the_toy_generator_of_pacgan_has_as_many_parameters_as_its_authors_code():
    # No bias in the hidden layers, where BatchNorm has two numbers a unit, and one in the last.
    toy = MLPGenerator(2, (2,), width=400, depth=4, norm="batch", initial_deviation=0.02)
    assert parameters(toy) == 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + (400 * 2 + 2)


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_maxout_critic_judges_as_it_is_called(outputs):
    critic, samples = MaxoutDiscriminator((2,), width=8, outputs=outputs), torch.randn(6, 2)
    judged = critic.judge(samples)
    assert torch.equal(critic(samples), judged["logits"])
    assert judged["logits"].shape == ((6,) if outputs == 1 else (6, 3))
    assert judged["features"].shape == (6, 8)


def test_the_maxout_critic_is_piecewise_linear_and_its_slopes_can_be_penalised():
    critic, samples = MaxoutDiscriminator((2,), width=8, initial_deviation=1.0), torch.randn(6, 2, requires_grad=True)
    (slopes,) = torch.autograd.grad(critic(samples).sum(), samples, create_graph=True)
    assert_close(
        critic(samples + 1e-4 * slopes) - critic(samples), 1e-4 * slopes.square().sum(dim=1), rtol=0.05, atol=1e-3
    )
    slopes.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for name, p in critic.named_parameters() if name.endswith("weight"))


@pytest.mark.parametrize("sizes", [{"width": 0}, {"depth": 0}, {"pieces": 0}])
def test_a_maxout_critic_without_units_layers_or_pieces_is_refused(sizes):
    with pytest.raises(ChoiceError, match=r"maxout: (width|depth|pieces) is (0|-1), expected 1 or more"):
        MaxoutDiscriminator((2,), **sizes)


def test_by_default_the_players_are_plain_layers_in_a_row_to_the_last_bit():
    torch.manual_seed(0)
    generator, critic = MLPGenerator(5, (2,), width=8, depth=2), MLPDiscriminator((2,), width=8, depth=2)
    torch.manual_seed(0)
    linear, relu, leaky = torch.nn.Linear, torch.nn.ReLU(), torch.nn.LeakyReLU(0.2)
    makes = torch.nn.Sequential(linear(5, 8), relu, linear(8, 8), relu, linear(8, 2))
    judges = torch.nn.Sequential(linear(2, 8), leaky, linear(8, 8), leaky, linear(8, 1))
    latents = torch.randn(6, 5)
    assert torch.equal(generator(latents), makes(latents))
    assert torch.equal(critic(makes(latents)), judges(makes(latents)).squeeze(1))
