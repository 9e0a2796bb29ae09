from __future__ import annotations

import copy
import math
from itertools import pairwise

import pytest
import torch
from counted import on_paper, parameters, weighted
from torch import nn
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_layers.conditioning import ConditionalBatchNorm2d
from ganbench_layers.spectral import SpectralNorm
from ganbench_sngan.networks import SNGANDiscriminator, SNGANGenerator

NORMS = ["spectral", "layer", "none"]
CONDITIONINGS = ["none", "projection", "auxiliary"]
LABELS = torch.tensor([0, 2, 1, 0])


@pytest.mark.parametrize("side", [8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_every_size_are_made_and_judged(side, channels):
    shape = (channels, side, side)
    images = SNGANGenerator(5, shape, width=1)(torch.randn(2, 5))
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1
    assert SNGANDiscriminator(shape, width=1)(images).shape == (2,)


def test_parameter_counts_at_32_pixels_are_those_of_the_published_layers():
    with on_paper():
        generator, critic = SNGANGenerator(128, (3, 32, 32)), SNGANDiscriminator((3, 32, 32))
    block = 2 * (256 * 256 * 9 + 256) + 256 * 256 + 256 + 2 * 2 * 256
    assert 128 * 4096 + 4096 + 3 * block + 2 * 256 + 256 * 27 + 3 == 4_276_739
    assert parameters(generator) == 4_276_739
    kept = 2 * (128 * 128 * 9 + 128)
    first = 3 * 128 * 9 + 128 + kept // 2 + 3 * 128 + 128
    assert first + kept + 128 * 128 + 128 + 2 * kept + 128 + 1 == 1_053_825
    assert parameters(critic) == 1_053_825  # the authors' own code has one less: no bias in the last layer


def test_classes_add_a_scale_and_a_shift_each_and_an_embedding():
    with on_paper():
        generator, critic = (
            SNGANGenerator(128, (3, 32, 32), 10, conditional=True),
            SNGANDiscriminator((3, 32, 32), 10, conditioning="projection"),
        )
    assert parameters(generator) == 4_276_739 + (10 - 1) * 3 * 2 * 2 * 256
    assert parameters(critic) == 1_053_825 + 10 * 128


def test_parameter_counts_at_128_pixels_are_those_of_the_published_layers():
    with on_paper():
        generator, critic = SNGANGenerator(128, (3, 128, 128)), SNGANDiscriminator((3, 128, 128))
    up = [1024, 1024, 512, 256, 128, 64]
    blocks = [9 * (a * b + b * b) + 2 * b + a * b + b + 2 * (a + b) for a, b in pairwise(up)]
    assert parameters(generator) == 128 * 16384 + 16384 + sum(blocks) + 2 * 64 + 64 * 27 + 3
    down = [64, 128, 256, 512, 1024]
    narrow = [9 * (a * a + a * b) + a + b + a * b + b for a, b in pairwise(down)]
    first, last = 9 * (3 * 64 + 64 * 64) + 2 * 64 + 3 * 64 + 64, 2 * (9 * 1024 * 1024 + 1024)
    assert parameters(critic) == first + sum(narrow) + last + 1025


def test_weights_start_as_glorots_uniform_and_root_two_times_as_large_inside_blocks():
    torch.manual_seed(0)
    generator, critic = SNGANGenerator(64, (3, 16, 16), width=16), SNGANDiscriminator((3, 16, 16), width=32)
    for network in (generator, critic):
        for name, weight in network.named_parameters():
            if weight.dim() > 1:
                fans = (weight.shape[0] + weight.shape[1]) * weight[0, 0].numel()
                bound = math.sqrt(6 / fans) * (2**0.5 if ".inner." in name or ".outer." in name else 1)
                assert 0.95 * bound < weight.abs().max() <= bound * 1.0001 or weight.numel() < 200
                assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1) or weight.numel() < 1000
        assert all(not bias.any() for name, bias in network.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_largest_singular_value_of_every_layer_of_a_critic_becomes_1(conditioning):
    torch.manual_seed(0)
    critic = SNGANDiscriminator((1, 8, 8), 3, width=4, conditioning=conditioning)
    for weight in critic.parameters():
        nn.init.normal_(weight)
    for _ in range(150):
        critic.judge(torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long))
    values = [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2) for layer in weighted(critic)]
    assert len(values) == 4 * 2 + 1 + 1 + (conditioning != "none")  # blocks, the one shortcut, heads
    assert_close(torch.stack(values), torch.ones(len(values)), rtol=0.01, atol=0)


@pytest.mark.parametrize(("norm", "spectral", "layered"), [("spectral", 11, 0), ("layer", 0, 6), ("none", 0, 0)])
def test_norm_decides_how_a_critic_is_normalised(norm, spectral, layered):
    critic = SNGANDiscriminator((1, 16, 16), width=4, norm=norm)
    assert sum(isinstance(module, SpectralNorm) for module in critic.modules()) == spectral
    norms = [module for module in critic.modules() if isinstance(module, nn.GroupNorm)]
    assert [norm.num_groups for norm in norms] == [1] * layered  # over all channels and pixels of a sample
    assert not any(isinstance(norm, nn.GroupNorm) for norm in critic.layers[0].modules())


@pytest.mark.parametrize("norm", NORMS)
def test_no_sample_of_a_batch_changes_what_is_said_of_another(norm):
    torch.manual_seed(0)
    critic = SNGANDiscriminator((1, 16, 16), width=2, norm=norm).double()
    samples = torch.randn(4, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(samples)[1], samples)
    assert gradient[1].any()
    assert not gradient[[0, 2, 3]].any()


@pytest.mark.parametrize("norm", NORMS)
def test_a_critics_slopes_can_be_differentiated(norm):
    torch.manual_seed(0)
    critic = SNGANDiscriminator((1, 8, 8), width=2, norm=norm).double()
    samples = torch.randn(3, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(critic(samples).sum(), samples, create_graph=True)
    slopes.square().sum().backward()
    weight = next(p for name, p in critic.named_parameters() if "head.final" in name and p.dim() > 1)
    assert weight.grad is not None
    assert weight.grad.isfinite().all()
    assert weight.grad.any() or norm == "spectral"  # one output: its weight is a vector, normalised whatever its length


def test_the_derivative_of_a_squared_slope_is_right():
    torch.manual_seed(0)
    critic = SNGANDiscriminator((1, 8, 8), width=2).double().eval()
    samples = torch.randn(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(critic, samples, atol=1e-6)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("outputs", [1, 5])
def test_judge_gives_every_declared_head_and_the_logits_of_a_call(conditioning, outputs):
    critic = SNGANDiscriminator((1, 8, 8), 3, width=2, conditioning=conditioning, outputs=outputs).eval()
    labels = [LABELS] if conditioning == "projection" else []
    samples = torch.randn(4, 1, 8, 8)
    judged = critic.judge(samples, *labels)
    assert ("classes" in judged) is (conditioning == "auxiliary")
    assert judged["features"].shape == (4, 4)
    assert judged["logits"].shape == ((4,) if outputs == 1 else (4, 5))
    assert_close(critic(samples, *labels), judged["logits"])
    assert conditioning != "auxiliary" or judged["classes"].shape == (4, 3)


def test_a_projection_changes_a_logit_by_the_difference_of_two_embeddings_alone():
    torch.manual_seed(0)
    critic = SNGANDiscriminator((1, 8, 8), 3, width=2, conditioning="projection").double().eval()
    samples = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    features, (projection,) = critic.judge(samples, LABELS)["features"], critic.head.projection.outputs
    table = projection.embedding.weight
    difference = ((table[LABELS] - table[2]) * features).sum(dim=1)
    assert_close(critic(samples, LABELS) - critic(samples, torch.full((4,), 2)), difference)
    assert difference[0] != 0


def test_a_label_changes_an_image_only_by_the_tables_of_the_conditional_batchnorms():
    torch.manual_seed(0)
    generator = SNGANGenerator(5, (1, 16, 16), 3, width=2, conditional=True)
    latents, others = torch.randn(4, 5), torch.tensor([1, 1, 0, 2])
    norms = [module for module in generator.modules() if isinstance(module, ConditionalBatchNorm2d)]
    assert len(norms) == 2 * 2
    assert_close(generator(latents, LABELS), generator(latents, others))  # all classes start alike
    for norm in norms:
        before = generator(latents, LABELS)
        nn.init.normal_(norm.gain.weight)
        nn.init.normal_(norm.shift.weight)
        assert not torch.allclose(generator(latents, LABELS), before)
    assert not torch.allclose(generator(latents, LABELS), generator(latents, others))


@pytest.mark.parametrize("norm", NORMS)
def test_every_weight_of_both_players_gets_a_gradient(norm):
    torch.manual_seed(0)
    generator = SNGANGenerator(5, (1, 16, 16), 3, width=2, conditional=True)
    critic = SNGANDiscriminator((1, 16, 16), 3, width=4, norm=norm, conditioning="projection", outputs=2)
    critic(generator(torch.randn(4, 5), LABELS), LABELS).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for m in (generator, critic) for p in m.parameters())


@pytest.mark.parametrize(
    "make",
    [
        lambda: SNGANGenerator(5, (1, 16, 16), 3, width=2, conditional=True),
        lambda: SNGANDiscriminator((1, 16, 16), 3, width=2, conditioning="projection"),
    ],
)
def test_a_network_can_be_copied_saved_and_loaded_and_answers_alike_every_time(make):
    torch.manual_seed(0)
    network, other = make(), make()
    given = torch.randn(4, 5) if isinstance(network, SNGANGenerator) else torch.randn(4, 1, 16, 16)
    network(given, LABELS)  # moves buffers away from where they start
    other.load_state_dict(network.state_dict())
    expected = network.eval()(given, LABELS)
    for twin in (network, copy.deepcopy(network), other.eval()):
        assert torch.equal(twin(given, LABELS), expected)


def test_the_same_global_seed_gives_the_same_networks():
    pairs = []
    for _ in range(2):
        torch.manual_seed(3)
        pairs.append((SNGANGenerator(5, (1, 16, 16), width=2), SNGANDiscriminator((1, 16, 16), width=2)))
    for first, second in zip(*pairs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_seeds_can_be_stacked_and_moved_together():
    torch.manual_seed(0)
    critics = [SNGANDiscriminator((1, 8, 8), width=2) for _ in range(2)]
    samples = torch.randn(2, 3, 1, 8, 8)
    stacked = torch.func.stack_module_state(critics)
    alone = torch.stack([critic(x) for critic, x in zip(critics, samples, strict=True)])
    together = torch.vmap(lambda p, b, x: torch.func.functional_call(critics[0], (p, b), (x,)))(*stacked, samples)
    assert_close(together, alone)


def test_ten_steps_on_the_hinge_loss_stay_finite_and_teach_the_critic():
    torch.manual_seed(0)
    generator, critic = SNGANGenerator(5, (1, 8, 8), width=4), SNGANDiscriminator((1, 8, 8), width=8)
    players = [torch.optim.Adam(m.parameters(), lr=2e-3, betas=(0.0, 0.9)) for m in (critic, generator)]
    real, margins = torch.ones(8, 1, 8, 8) * 0.8, []
    for _ in range(10):
        fake = generator(torch.randn(8, 5))
        loss = (1 - critic(real)).relu().mean() + (1 + critic(fake.detach())).relu().mean()
        margins.append(loss.item())
        for player, minimised in zip(players, (loss, None), strict=True):
            player.zero_grad()
            (minimised if minimised is not None else -critic(fake).mean()).backward()
            player.step()
    assert all(map(math.isfinite, margins))
    assert min(margins[1:]) < margins[0]
    assert all(p.isfinite().all() for m in (generator, critic) for p in m.parameters())


def test_conditions_without_classes_are_refused():
    with pytest.raises(ChoiceError, match="sngan: conditional needs data with classes"):
        SNGANGenerator(5, (1, 8, 8), conditional=True)
    with pytest.raises(ChoiceError, match="sngan: conditioning=projection needs data with classes"):
        SNGANDiscriminator((1, 8, 8), conditioning="projection")


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_a_gradient_normalised_critic_divides_by_its_slope_and_its_size(norm):
    torch.manual_seed(0)
    plain = SNGANDiscriminator((1, 8, 8), width=2, norm=norm)
    critic = SNGANDiscriminator((1, 8, 8), width=2, norm=norm, gradient_normalised=True)
    critic.load_state_dict(plain.state_dict())
    samples = torch.randn(3, 1, 8, 8, requires_grad=True)
    logits = plain(samples)
    (gradients,) = torch.autograd.grad(logits.sum(), samples)
    assert_close(critic(samples), logits / (gradients.flatten(1).norm(dim=1) + logits.abs()))


def test_gradients_are_not_normalised_beside_spectral_normalisation():
    with pytest.raises(ChoiceError, match=r"sngan: gradient_normalised needs .*; got .* norm=spectral"):
        SNGANDiscriminator((1, 8, 8), gradient_normalised=True)
