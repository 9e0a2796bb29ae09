from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_layers.batch import MinibatchDeviation
from ganbench_stylegan2.discriminator import StyleGAN2Discriminator
from ganbench_stylegan2.generator import StyleGAN2Generator


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def small(resolution: int = 16, channels: int = 3, classes: int = 0, **parameters) -> StyleGAN2Discriminator:
    settings = {"width": 4, "widest": 8, **parameters}
    return StyleGAN2Discriminator((channels, resolution, resolution), classes, **settings)


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("resolution", [8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_discriminator_gives_one_logit_a_sample(resolution, channels):
    critic = small(resolution, channels, width=1, widest=4)
    assert critic(torch.randn(4, channels, resolution, resolution)).shape == (4,)
    assert critic(torch.randn(1, channels, resolution, resolution)).shape == (1,)


@pytest.mark.parametrize(
    ("resolution", "settings", "classes", "count"),
    [
        (1024, {"width": 32}, 0, 29_012_513),  # configuration F
        (256, {"width": 64}, 0, 24_001_089),  # the half-width network for 256×256 of arXiv:2006.06676
        (256, {"width": 128}, 0, 28_864_129),
        (32, {"width": 512, "conditioning": "projection"}, 10, 23_876_096),
        (1024, {"width": 32, "minibatch": "none"}, 0, 29_012_513 - 512 * 3 * 3),  # one channel less at 4×4
    ],
)
def test_parameter_counts_are_those_of_the_published_networks(resolution, settings, classes, count):
    with torch.device("meta"):
        critic = StyleGAN2Discriminator((3, resolution, resolution), classes, **settings)
    assert parameters(critic) == count


def test_weights_start_as_unit_normals_and_biases_at_zero():
    for name, parameter in StyleGAN2Discriminator((3, 32, 32)).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.numel() > 5000:
            assert parameter.std().item() == pytest.approx(1, rel=0.05)


def test_features_start_with_a_second_moment_of_about_one():
    critic = StyleGAN2Discriminator((3, 16, 16), minibatch="none")
    moment = critic.judge(torch.randn(32, 3, 16, 16))["features"].square().mean().item()
    assert 0.1 < moment < 2  # blurs take some of what white noise has


def test_at_8_pixels_the_discriminator_is_what_the_paper_draws():
    critic, samples = small(8, 1, minibatch="none").double(), torch.randn(3, 1, 8, 8, dtype=torch.float64)
    image, _, block, _, last, _, _, hidden, _ = critic.layers
    layers = {"image": image, "last": last, "hidden": hidden, "logit": critic.head.final}
    layers |= {name: getattr(block, name) for name in ("keeping", "halving", "skip")}
    weights = {name: layer.weight for name, layer in layers.items()}
    scaled = {name: weight / math.sqrt(weight[0].numel()) for name, weight in weights.items()}
    blur = block.halving.blur

    def active(features):
        return torch.where(features > 0, features, features / 5) * math.sqrt(2)

    maps = active(F.conv2d(samples, scaled["image"]))
    inner = active(F.conv2d(maps, scaled["keeping"], padding=1))
    inner = active(F.conv2d(blur(inner), scaled["halving"], stride=2))
    beside = F.conv2d(F.pad(blur(maps), [-1] * 4), scaled["skip"], stride=2)
    maps = active(F.conv2d((inner + beside) / math.sqrt(2), scaled["last"], padding=1))
    features = active(maps.flatten(1) @ scaled["hidden"].T)
    assert_close(critic(samples), (features @ scaled["logit"].T).squeeze(1))


def test_the_deviation_of_the_minibatch_is_one_more_channel_at_4_pixels_before_the_last_convolution():
    critic, given = small(32, group=2), []
    critic.layers[-5].register_forward_pre_hook(lambda _layer, inputs: given.append(inputs[0]))
    critic(torch.randn(4, 3, 32, 32))
    (deviation,) = [layer for layer in critic.modules() if isinstance(layer, MinibatchDeviation)]
    assert deviation.group == 2
    assert given[0].shape == (4, 8 + 1, 4, 4)
    spread = given[0][:, -1]
    assert_close(spread, spread[:, :1, :1].expand(-1, 4, 4))
    assert_close(spread[:2], spread[2:])  # of four samples, each is grouped with the one two further on
    assert not torch.equal(spread[0], spread[1])


@pytest.mark.parametrize(("minibatch", "mixes"), [("deviation", True), ("none", False)])
def test_only_the_deviation_mixes_the_batch(minibatch, mixes):
    critic = small(minibatch=minibatch).double()
    samples = torch.randn(4, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(samples)[0], samples)
    assert gradient[0].any()
    assert bool(gradient[1:].any()) is mixes


def test_several_outputs_are_vectors_and_the_features_are_what_they_are_a_linear_function_of():
    critic, samples = small(outputs=5), torch.randn(4, 3, 16, 16)
    heads = critic.judge(samples)
    assert "classes" not in heads
    assert heads["features"].shape == (4, 8)
    assert heads["logits"].shape == (4, 5)
    assert_close(critic(samples), heads["logits"])
    assert_close(critic.head.final(heads["features"]), heads["logits"])


def test_an_auxiliary_critic_classifies_and_is_called_without_labels():
    critic, samples = small(classes=7, conditioning="auxiliary"), torch.randn(4, 3, 16, 16)
    heads = critic.judge(samples)
    assert heads["classes"].shape == (4, 7)
    assert_close(critic(samples), heads["logits"])


@pytest.mark.parametrize("outputs", [1, 3])
def test_with_projection_the_logit_is_the_output_times_the_mapped_label(outputs):
    critic = small(classes=3, conditioning="projection", minibatch="none", outputs=outputs)
    samples, labels = torch.randn(1, 3, 16, 16).expand(3, -1, -1, -1), torch.tensor([2, 0, 0])
    heads = critic.judge(samples, labels)
    label = critic.head.projection.embedding(labels)  # (3, 8)
    projected = critic.head.final(heads["features"]).reshape(3, outputs, 8)
    expected = torch.stack([(projected[:, k] * label).sum(dim=1) for k in range(outputs)], dim=1) / math.sqrt(8)
    assert_close(heads["logits"], expected[:, 0] if outputs == 1 else expected)
    assert not torch.allclose(heads["logits"][0], heads["logits"][1])
    assert_close(heads["logits"][1], heads["logits"][2])
    assert_close(critic(samples, labels), heads["logits"])


@pytest.mark.parametrize("minibatch", ["deviation", "none"])
def test_the_gradient_of_r1_agrees_with_finite_differences(minibatch):
    critic = small(8, 1, width=3, widest=4, minibatch=minibatch).double()
    samples = torch.randn(4, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    direction = [torch.randn_like(parameter) for parameter in critic.parameters()]

    def penalty():
        (slopes,) = torch.autograd.grad(critic(samples).sum(), samples, create_graph=True)
        return slopes.square().sum()

    gradients = torch.autograd.grad(penalty(), list(critic.parameters()), allow_unused=True)
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True) if g is not None).item()
    step, seen = 1e-6, []
    for move in (step, -2 * step):
        for parameter, along in zip(critic.parameters(), direction, strict=True):
            parameter.data += move * along
        seen.append(penalty().item())
    assert slope == pytest.approx((seen[0] - seen[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("conditioning", ["none", "projection"])
def test_every_weight_gets_a_gradient(conditioning):
    critic = small(classes=3, conditioning=conditioning)
    given = (torch.tensor([0, 1, 2, 0]),) if conditioning == "projection" else ()
    critic(torch.randn(4, 3, 16, 16), *given).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


def test_state_and_copies_give_the_same_logits():
    critic, samples, other = small(), torch.randn(4, 3, 16, 16), small()
    other.load_state_dict(critic.state_dict())
    assert torch.equal(other(samples), critic(samples))
    assert torch.equal(copy.deepcopy(critic)(samples), critic(samples))


def test_a_few_steps_of_both_players_with_r1_move_them_and_stay_finite():
    generator = StyleGAN2Generator(6, (1, 8, 8), width=4, style_dim=8, mixing=0.9)
    critic = small(8, 1, minibatch="none")
    optimisers = [torch.optim.Adam(player.parameters(), lr=2e-3, betas=(0.0, 0.99)) for player in (generator, critic)]
    real = torch.rand(8, 1, 8, 8) * 2 - 1
    for _ in range(5):
        samples = real.clone().requires_grad_()
        logits = critic(samples)
        (slopes,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
        fake = generator(torch.randn(8, 6))
        judging = (F.softplus(-logits) + F.softplus(critic(fake.detach()))).mean() + slopes.square().sum() / 16
        for loss, optimiser in zip((F.softplus(-critic(fake)).mean(), judging), optimisers, strict=True):
            optimiser.zero_grad()
            loss.backward(inputs=optimiser.param_groups[0]["params"])
            assert math.isfinite(loss.item())
        for optimiser in optimisers:
            optimiser.step()
    assert all(p.isfinite().all() for player in (generator, critic) for p in player.parameters())
    assert generator.synthesis.first.noise.strength.item() != 0


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (1, 8, 16), (2,), (1, 0, 0)])
def test_shapes_that_are_no_square_of_a_power_of_two_are_refused(shape):
    with pytest.raises(
        ChoiceError, match=r"stylegan2: samples of shape .*, expected square images with a side of 8, 16"
    ):
        StyleGAN2Discriminator(shape)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"widest": 0}, "widest is 0, expected 1 or more"),
        ({"group": 0}, "group is 0, expected 1 or more"),
        ({"outputs": 0}, "outputs is 0, expected 1 or more"),
        ({"conditioning": "projection"}, "conditioning=projection needs data with classes, got 0 classes"),
    ],
)
def test_settings_that_mean_nothing_are_refused(setting, message):
    with pytest.raises(ChoiceError, match=f"stylegan2: {message}"):
        small(**setting)
