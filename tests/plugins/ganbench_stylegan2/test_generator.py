from __future__ import annotations

import copy

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_stylegan2.generator import StyledLayer, StyleGAN2Generator


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def small(resolution: int = 16, channels: int = 3, **parameters) -> StyleGAN2Generator:
    settings = {"width": 4, "widest": 8, "style_dim": 8, "mapping_layers": 2, **parameters}
    return StyleGAN2Generator(6, (channels, resolution, resolution), **settings)


def noisy(generator: StyleGAN2Generator, strength: float = 0.3) -> StyleGAN2Generator:
    for layer in generator.modules():
        if isinstance(layer, StyledLayer):
            layer.noise.strength.data.fill_(strength)
    return generator


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("resolution", [8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_gives_images_of_the_datas_shape(resolution, channels):
    images = small(resolution, channels, width=1, widest=4)(torch.randn(2, 6))
    assert images.shape == (2, channels, resolution, resolution)
    assert images.abs().max() <= 1


@pytest.mark.parametrize(
    ("resolution", "settings", "classes", "count"),
    [
        (1024, {"width": 32}, 0, 30_370_060),  # configuration F
        (1024, {"width": 32, "mapping_layers": 2}, 0, 28_794_124),  # as printed by the code of arXiv:2006.06676
        (256, {"width": 64}, 0, 24_767_458),  # its half-width network for 256×256
        (256, {"width": 128}, 0, 30_034_338),
        (32, {"width": 512, "conditional": True}, 10, 21_791_251),  # CIFAR-10, with 8 mapping layers
    ],
)
def test_parameter_counts_are_those_of_the_published_networks(resolution, settings, classes, count):
    with torch.device("meta"):
        generator = StyleGAN2Generator(512, (3, resolution, resolution), classes, style_dim=512, **settings)
    assert parameters(generator) == count


def test_the_noise_of_configuration_f_is_as_many_numbers_as_published_but_for_average_and_filters():
    with torch.device("meta"):
        generator = StyleGAN2Generator(512, (3, 1024, 1024), width=32, style_dim=512)
    kept = sum(value.numel() for value in generator.state_dict().values()) - parameters(generator)
    average, filters = 512, (17 + 9) * 4 * 4  # a mean style for truncation; 17 layers and 9 blocks have a filter each
    assert kept == 2_797_104 - average - filters


def test_channels_double_with_every_halving_up_to_the_widest():
    generator = small(64, width=4, widest=20)
    widths = [layer.convolution.weight.shape[0] for layer in generator.modules() if isinstance(layer, StyledLayer)]
    assert widths == [20, 20, 20, 16, 16, 8, 8, 4, 4]


def test_weights_start_as_unit_normals_and_biases_noise_strengths_at_zero():
    generator = StyleGAN2Generator(32, (3, 32, 32))
    for name, parameter in generator.named_parameters():
        if name.endswith("style.bias"):
            assert (parameter == 1).all()
        elif name.endswith(("bias", "strength")):
            assert not parameter.any()
        elif parameter.numel() > 5000:
            assert parameter.std().item() == pytest.approx(100 if "mapping" in name else 1, rel=0.05)


def test_styles_and_features_start_with_a_second_moment_of_about_one():
    generator, seen = StyleGAN2Generator(32, (3, 32, 32), width=16), []
    for layer in generator.modules():
        if isinstance(layer, StyledLayer):
            layer.register_forward_hook(lambda _layer, _given, features: seen.append(features.square().mean().item()))
    latents = torch.randn(64, 32)
    generator(latents)
    assert generator.mapping(latents, None).square().mean().item() == pytest.approx(1, rel=0.5)
    assert len(seen) == 7
    assert all(0.1 < moment < 2 for moment in seen)  # borders of zeros and blurs take some


def test_only_the_direction_of_a_latent_counts():
    generator, latents = small().eval().double(), torch.randn(3, 6, dtype=torch.float64)
    assert_close(generator(latents), generator(5 * latents), rtol=1e-5, atol=1e-6)


def test_another_style_changes_every_pixel():
    generator = small().eval()
    images = generator(torch.randn(2, 6))
    assert (images[0] != images[1]).all()


def test_a_layers_style_changes_only_what_comes_after_it():
    generator = small(16).eval()
    styles = torch.randn(1, generator.synthesis.layers, 8)
    seen = {}
    for name, layer in generator.named_modules():
        if isinstance(layer, StyledLayer):
            layer.register_forward_hook(lambda _l, _g, features, name=name: seen.setdefault(name, []).append(features))
    other = styles.clone()
    other[:, 3] += 1  # of six: one at 4×4, two each at 8×8 and 16×16, and the last image's; 1 and 3 are images' too
    generator.synthesis(styles)
    generator.synthesis(other)
    changed = [name for name, (before, after) in seen.items() if not torch.equal(before, after)]
    assert list(seen) == [
        "synthesis.first",
        "synthesis.stages.0.doubling",
        "synthesis.stages.0.refining",
        "synthesis.stages.1.doubling",
        "synthesis.stages.1.refining",
    ]
    assert changed == ["synthesis.stages.1.doubling", "synthesis.stages.1.refining"]


def test_the_image_is_the_sum_of_every_resolutions_image():
    generator, seen = small(16).eval().double(), []
    for layer in [generator.synthesis.first_image, *(stage.image for stage in generator.synthesis.stages)]:
        layer.register_forward_hook(lambda _layer, _given, image: seen.append(image))
    images = generator(torch.randn(2, 6, dtype=torch.float64))
    double = generator.synthesis.stages[0].doubled
    assert [len(image[0, 0]) for image in seen] == [4, 8, 16]
    assert_close(images, torch.tanh(double(double(seen[0]) + seen[1]) + seen[2]))


def test_the_same_latents_give_the_same_bits_in_evaluation_and_draw_no_random_numbers():
    generator, latents = noisy(small(mixing=1.0)).eval(), torch.randn(3, 6)
    state = torch.get_rng_state()
    assert torch.equal(generator(latents), generator(latents))
    assert torch.equal(torch.get_rng_state(), state)


def test_in_training_the_noise_is_fresh():
    generator, latents = noisy(small()), torch.randn(3, 6)
    assert not torch.equal(generator(latents), generator(latents))


def test_the_noise_of_the_image_resolution_changes_detail_and_leaves_the_rest():
    generator, latents = noisy(small(64, width=8, widest=16)).eval(), torch.randn(4, 6)
    before = generator(latents)
    for layer in (generator.synthesis.stages[-1].doubling, generator.synthesis.stages[-1].refining):
        layer.noise.fixed.normal_()
    change = generator(latents) - before
    coarse = torch.nn.functional.avg_pool2d(change, 16)
    assert (change != 0).float().mean() > 0.99
    assert coarse.square().mean() < change.square().mean() / 20


def test_mixing_takes_the_second_style_from_a_random_layer_on():
    generator = small(32, mixing=1.0)
    layers = generator.synthesis.layers
    mixed = generator._mixed(torch.zeros(600, layers, 8), torch.ones(600, 8))[..., 0]
    assert not mixed[:, 0].any()
    assert mixed[:, -1].all()
    assert (mixed.diff(dim=1) >= 0).all()
    assert set(mixed.sum(dim=1).int().tolist()) == set(range(1, layers))


def test_mixing_concerns_its_share_of_the_samples():
    generator = small(mixing=0.25)
    mixed = generator._mixed(torch.zeros(2000, generator.synthesis.layers, 8), torch.ones(2000, 8))
    assert mixed[:, -1, 0].mean().item() == pytest.approx(0.25, abs=0.04)


def test_mixing_changes_images_in_training_alone():
    generator, latents = small(mixing=1.0), torch.randn(4, 6)
    assert not torch.equal(generator(latents), generator(latents))
    generator.mixing = 0.0
    unmixed = generator(latents)
    generator.mixing = 1.0
    assert_close(generator.eval()(latents), unmixed)


def test_a_label_changes_the_image_of_a_conditional_generator():
    generator, latents = small(classes=3, conditional=True).eval(), torch.randn(1, 6).expand(3, -1)
    images = generator(latents, torch.tensor([0, 1, 1]))
    assert (images[0] != images[1]).any()
    assert_close(images[1], images[2])


def test_classes_alone_do_not_make_a_generator_conditional():
    assert parameters(small(classes=3)) == parameters(small())


def test_every_weight_gets_a_gradient_with_or_without_labels():
    for generator, given in (
        (noisy(small()), ()),
        (noisy(small(classes=3, conditional=True)), (torch.tensor([0, 1, 2, 0]),)),
    ):
        generator(torch.randn(4, 6), *given).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in generator.parameters())


def test_state_and_copies_give_the_same_images():
    generator, latents = noisy(small()).eval(), torch.randn(3, 6)
    other = small().eval()
    other.load_state_dict(generator.state_dict())
    assert torch.equal(other(latents), generator(latents))
    assert torch.equal(copy.deepcopy(generator)(latents), generator(latents))


def test_in_double_precision_images_are_double():
    assert noisy(small()).double()(torch.randn(2, 6, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (1, 8, 16), (2,), (1, 0, 0)])
def test_shapes_that_are_no_square_of_a_power_of_two_are_refused(shape):
    with pytest.raises(
        ChoiceError, match=r"stylegan2: samples of shape .*, expected square images with a side of 8, 16"
    ):
        StyleGAN2Generator(6, shape)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width": 0}, "width is 0, expected 1 or more"),
        ({"style_dim": 0}, "style_dim is 0, expected 1 or more"),
        ({"mixing": 1.5}, "mixing is 1.5, expected a share from 0 to 1"),
        ({"conditional": True}, "conditional needs data with classes, got 0 classes"),
    ],
)
def test_settings_that_mean_nothing_are_refused(setting, message):
    with pytest.raises(ChoiceError, match=f"stylegan2: {message}"):
        small(**setting)
