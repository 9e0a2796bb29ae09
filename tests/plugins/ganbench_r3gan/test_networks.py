from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_r3gan.layers import ResidualBlock
from ganbench_r3gan.networks import R3GANDiscriminator, R3GANGenerator


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


SMALL = {"width": 4, "widest": 8, "blocks": 1, "group_width": 4}


def small_generator(resolution: int = 16, channels: int = 3, classes: int = 0, **settings) -> R3GANGenerator:
    return R3GANGenerator(6, (channels, resolution, resolution), classes, **{**SMALL, **settings})


def small_critic(resolution: int = 16, channels: int = 3, classes: int = 0, **settings) -> R3GANDiscriminator:
    return R3GANDiscriminator((channels, resolution, resolution), classes, **{**SMALL, **settings})


def awake(network):
    """The network with residual branches that do something, as after a few steps."""
    for layer in network.modules():
        if isinstance(layer, ResidualBlock):
            torch.nn.init.normal_(layer.branch[4].weight, std=0.3)
    return network


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("resolution", [8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_the_datas_shape_and_each_gets_one_logit(resolution, channels):
    settings = {"width": 2, "widest": 4}
    images = small_generator(resolution, channels, **settings)(torch.randn(3, 6))
    assert images.shape == (3, channels, resolution, resolution)
    assert images.abs().max() <= 1
    critic = small_critic(resolution, channels, **settings)
    assert critic(images).shape == (3,)
    assert critic(images[:1]).shape == (1,)


CIFAR = {"width": 768}
IMAGENET = {"width": 1536, "widest": 1536, "group_width": 32}


@pytest.mark.parametrize(
    ("resolution", "settings", "classes", "generator", "discriminator"),
    [
        (32, CIFAR, 0, 20_732_160, 20_683_776),
        (32, CIFAR, 10, 20_781_952, 21_280_512),
        (64, {"width": 384}, 0, 22_429_824, 22_381_440),  # FFHQ 64×64
        (256, {"width": 96}, 0, 23_057_952, 23_009_568),  # FFHQ 256×256
        (32, IMAGENET, 1000, 82_914_304, 86_548_992),
        (64, IMAGENET, 1000, 103_570_432, 107_205_120),
    ],
)
def test_parameter_counts_are_those_of_the_papers_code(resolution, settings, classes, generator, discriminator):
    conditioning = "projection" if classes else "none"
    with torch.device("meta"):
        makes = R3GANGenerator(64, (3, resolution, resolution), classes, conditional=classes > 0, **settings)
        judges = R3GANDiscriminator((3, resolution, resolution), classes, conditioning=conditioning, **settings)
    assert (parameters(makes), parameters(judges)) == (generator, discriminator)


def test_the_count_at_256_pixels_on_paper():
    widths = [768, 768, 768, 768, 384, 192, 96]  # from 4×4 up
    inside = sum(2 * (2 * (2 * w * w) + 2 * w * 16 * 9 + 2 * 2 * w) for w in widths)  # two blocks a resolution
    between = 768 * 384 + 384 * 192 + 192 * 96
    assert inside + between + 768 * 16 + 64 * 768 + 96 * 3 == 23_057_952  # basis, latents, image
    assert inside + between + 768 * 16 + 768 + 96 * 3 == 23_009_568  # depthwise 4×4, logit, image


def test_at_first_the_generator_is_linear_but_for_its_tanh_for_every_block_is_the_identity():
    generator, latents = small_generator(16, 3, blocks=2).double(), torch.randn(4, 6, dtype=torch.float64)
    blocks = [layer for layer in generator.modules() if isinstance(layer, ResidualBlock)]
    assert len(blocks) == 6
    assert all(not block.branch[4].weight.any() for block in blocks)
    through = generator.basis(latents)
    for layer in generator.layers:
        if not isinstance(layer, ResidualBlock):
            through = layer(through)
    assert_close(generator(latents), torch.tanh(through))
    images = [generator(given).atanh() for given in (latents[:1], latents[1:2], latents[:1] + latents[1:2])]
    assert_close(images[0] + images[1], images[2])


def test_at_first_the_discriminator_is_linear():
    critic, samples = small_critic().double(), torch.randn(2, 3, 16, 16, dtype=torch.float64)
    assert_close(critic(samples.sum(dim=0, keepdim=True)), critic(samples).sum(dim=0, keepdim=True))
    assert not torch.allclose(awake(critic)(samples.sum(dim=0, keepdim=True)), critic(samples).sum(dim=0, keepdim=True))


def test_images_before_their_tanh_and_features_start_with_a_variance_of_about_one():
    images = R3GANGenerator(64, (3, 32, 32))(torch.randn(20, 64)).atanh()
    assert 0.2 < images.var().item() < 2
    features = R3GANDiscriminator((3, 8, 8)).judge(torch.randn(100, 3, 8, 8))["features"]
    assert 0.02 < features.var().item() < 2  # halving takes most of what white noise has


def test_the_discriminator_mirrors_the_generator():
    generator, critic = small_generator(32, width=4, widest=16), small_critic(32, width=4, widest=16)
    upwards = [layer.branch[0].weight.shape[1] for layer in generator.modules() if isinstance(layer, ResidualBlock)]
    downwards = [layer.branch[0].weight.shape[1] for layer in critic.modules() if isinstance(layer, ResidualBlock)]
    assert upwards == [16, 16, 8, 4]
    assert downwards == upwards[::-1]


def test_nothing_but_what_comes_before_an_activation_has_a_bias():
    names = [name for name, _ in small_critic().named_parameters() if name.endswith("bias")]
    assert names
    assert all(name.endswith(("branch.0.bias", "branch.2.bias")) for name in names)


def test_samples_are_independent():
    critic = awake(small_critic()).double()
    samples = torch.randn(4, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(samples)[0], samples)
    assert gradient[0].any()
    assert not gradient[1:].any()


def test_several_outputs_are_vectors_and_the_features_are_what_they_are_a_linear_function_of():
    critic, samples = small_critic(outputs=5), torch.randn(4, 3, 16, 16)
    heads = critic.judge(samples)
    assert "classes" not in heads
    assert heads["features"].shape == (4, 8)
    assert heads["logits"].shape == (4, 5)
    assert_close(critic(samples), heads["logits"])
    assert_close(critic.head.final(heads["features"]), heads["logits"])


def test_an_auxiliary_critic_classifies_and_is_called_without_labels():
    critic, samples = small_critic(classes=7, conditioning="auxiliary"), torch.randn(4, 3, 16, 16)
    heads = critic.judge(samples)
    assert heads["classes"].shape == (4, 7)
    assert_close(critic(samples), heads["logits"])


@pytest.mark.parametrize("outputs", [1, 3])
def test_with_projection_the_logit_is_the_output_times_the_labels_embedding(outputs):
    critic = small_critic(classes=3, conditioning="projection", outputs=outputs)
    samples, labels = torch.randn(1, 3, 16, 16).expand(3, -1, -1, -1), torch.tensor([2, 0, 0])
    heads = critic.judge(samples, labels)
    embedded = critic.head.projection.embedding.linear.weight.T[labels]  # (3, 8)
    projected = critic.head.final(heads["features"]).reshape(3, outputs, 8)
    expected = torch.stack([(projected[:, k] * embedded).sum(dim=1) for k in range(outputs)], dim=1)
    assert_close(heads["logits"], expected[:, 0] if outputs == 1 else expected)
    assert not torch.allclose(heads["logits"][0], heads["logits"][1])
    assert_close(heads["logits"][1], heads["logits"][2])
    assert_close(critic(samples, labels), heads["logits"])


def test_embeddings_start_as_in_the_papers_code():
    generator = R3GANGenerator(64, (3, 8, 8), 100, conditional=True)
    critic = R3GANDiscriminator((3, 8, 8), 100, conditioning="projection")
    assert generator.embedding.linear.weight.std().item() == pytest.approx(100**-0.5, rel=0.05)
    assert critic.head.projection.embedding.linear.weight.std().item() == pytest.approx((100 * 64) ** -0.5, rel=0.05)


def test_a_label_changes_the_image_of_a_conditional_generator():
    generator, latents = small_generator(classes=3, conditional=True), torch.randn(1, 6).expand(3, -1)
    images = generator(latents, torch.tensor([0, 1, 1]))
    assert not torch.allclose(images[0], images[1])
    assert_close(images[1], images[2])
    assert parameters(small_generator(classes=3)) == parameters(small_generator())


def test_the_gradient_of_r1_agrees_with_finite_differences():
    critic = awake(small_critic(8, 1)).double()
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


def test_at_first_the_last_layer_of_a_branch_learns_and_then_every_weight_does():
    generator, critic = small_generator(), small_critic()
    critic(generator(torch.randn(6, 6))).square().sum().backward()
    block = critic.layers[1]
    assert block.branch[4].weight.grad.any()
    assert not block.branch[0].weight.grad.any()
    awake(generator), awake(critic)
    critic(generator(torch.randn(6, 6))).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for player in (generator, critic) for p in player.parameters())


def test_state_and_copies_give_the_same_bits():
    generator, latents = awake(small_generator()), torch.randn(3, 6)
    critic, samples = awake(small_critic()), torch.randn(3, 3, 16, 16)
    for network, given, other in ((generator, latents, small_generator()), (critic, samples, small_critic())):
        other.load_state_dict(network.state_dict())
        assert torch.equal(other(given), network(given))
        assert torch.equal(copy.deepcopy(network)(given), network(given))


def test_in_double_precision_images_are_double():
    assert small_generator().double()(torch.randn(2, 6, dtype=torch.float64)).dtype == torch.float64


def test_a_few_relativistic_steps_with_r1_and_r2_move_every_weight_and_stay_finite():
    players = small_generator(8, 1), small_critic(8, 1)
    generator, critic = players
    before = [parameter.clone() for player in players for parameter in player.parameters()]
    optimisers = [torch.optim.Adam(player.parameters(), lr=2e-4, betas=(0.0, 0.9)) for player in players]
    real = torch.rand(8, 1, 8, 8) * 2 - 1
    for _ in range(5):
        fake = generator(torch.randn(8, 6))
        pairs = torch.cat([real, fake.detach()]).requires_grad_()
        logits = critic(pairs)
        (slopes,) = torch.autograd.grad(logits.sum(), pairs, create_graph=True)
        judging = F.softplus(logits[8:] - logits[:8]).mean() + 0.05 * slopes.square().sum() / 16
        making = F.softplus(critic(real) - critic(fake)).mean()
        for loss, optimiser in zip((making, judging), optimisers, strict=True):
            optimiser.zero_grad()
            loss.backward(inputs=optimiser.param_groups[0]["params"])
            assert math.isfinite(loss.item())
        for optimiser in optimisers:
            optimiser.step()
    after = [parameter for player in players for parameter in player.parameters()]
    assert all(p.isfinite().all() for p in after)
    assert all(not torch.equal(p, q) for p, q in zip(before, after, strict=True))


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (1, 8, 16), (2,), (1, 0, 0)])
@pytest.mark.parametrize("build", [lambda shape: R3GANGenerator(7, shape), R3GANDiscriminator])
def test_shapes_that_are_no_square_of_a_power_of_two_are_refused(shape, build):
    with pytest.raises(
        ChoiceError, match=r"r3gan: samples of shape .*, expected square images with a side of 8, 16, 32"
    ):
        build(shape)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width": 0}, "width is 0, expected 1 or more"),
        ({"blocks": 0}, "blocks is 0, expected 1 or more"),
        ({"group_width": 3}, "[48] channels times expansion 2 are no multiple of group_width 3"),
    ],
)
@pytest.mark.parametrize("build", [small_generator, small_critic])
def test_sizes_that_mean_nothing_are_refused(setting, message, build):
    with pytest.raises(ChoiceError, match=f"r3gan: {message}"):
        build(**setting)


def test_heads_that_cannot_be_are_refused():
    with pytest.raises(ChoiceError, match="r3gan: outputs is 0, expected 1 or more"):
        small_critic(outputs=0)
    with pytest.raises(ChoiceError, match="r3gan: conditioning=projection needs data with classes, got 0 classes"):
        small_critic(conditioning="projection")
    with pytest.raises(ChoiceError, match="r3gan: conditional needs data with classes, got 0 classes"):
        small_generator(conditional=True)
