from __future__ import annotations

import copy
import math

import pytest
import torch
from counted import on_paper, parameters, weighted
from torch import nn
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_biggan.networks import BigGANDiscriminator, BigGANGenerator
from ganbench_layers.attention import SelfAttention
from ganbench_layers.conditioning import ConditionalBatchNorm2d
from ganbench_layers.residual import CriticBlock
from ganbench_layers.spectral import SpectralNorm

CONDITIONINGS = ["none", "projection", "auxiliary"]
LABELS = torch.tensor([0, 2, 1, 0])


def attended_sides(network: nn.Module, *given: torch.Tensor) -> list[int]:
    """The sides of the maps that attend to themselves when the network is called."""
    sides: list[int] = []
    for module in network.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_hook(lambda _module, arguments, _result: sides.append(arguments[0].shape[-1]))
    network(*given)
    return sides


@pytest.mark.parametrize("side", [8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_every_size_are_made_and_judged(side, channels):
    shape = (channels, side, side)
    images = BigGANGenerator(7, shape, 3, width=1)(torch.randn(2, 7), LABELS[:2])
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1
    assert BigGANDiscriminator(shape, 3, width=1)(images, LABELS[:2]).shape == (2,)


@pytest.mark.parametrize("hierarchical", [True, False])
def test_both_players_can_do_without_labels(hierarchical):
    generator = BigGANGenerator(7, (1, 16, 16), width=1, conditional=False, hierarchical=hierarchical)
    images = generator(torch.randn(4, 7))
    assert images.shape == (4, 1, 16, 16)
    assert BigGANDiscriminator((1, 16, 16), width=1, conditioning="none")(images).shape == (4,)
    kinds = {type(norm) for block in generator.blocks for norm in (block.before, block.between)}
    assert kinds == {ConditionalBatchNorm2d if hierarchical else nn.BatchNorm2d}


def test_parameter_counts_at_128_pixels_are_those_of_the_authors():
    """As the tests of a re-implementation by Google state them, and the log of the first author's code."""
    with on_paper():
        generator = BigGANGenerator(120, (3, 128, 128), 1000, width=96)
        critic = BigGANDiscriminator((3, 128, 128), 1000, width=96)
    assert parameters(generator) == 70_433_988
    assert parameters(critic) == 87_982_370


def test_parameter_counts_without_shared_embedding_and_chunks_are_those_of_the_authors():
    with on_paper():
        generator = BigGANGenerator(128, (3, 128, 128), 1000, hierarchical=False, initialisation="xavier")
        critic = BigGANDiscriminator((3, 128, 128), 1000, initialisation="xavier")
    assert parameters(generator) == 42_017_412
    assert parameters(critic) == 39_448_258


@pytest.mark.parametrize(
    ("side", "latent_dim", "made", "judged"),
    [
        (64, 120, 70_377_348, 45_511_970),
        (256, 119, 82_108_548, 99_225_890),  # 119 = 7 · 17: of 120 latents, that port drops one
    ],
)
def test_parameter_counts_at_other_sizes_are_those_of_a_port(side, latent_dim, made, judged):
    """Its critic has an auxiliary classifier for its projection: the 1000 biases of that are taken off."""
    shared = {"width": 96, "attention": 64 if side == 256 else 32, "initialisation": "xavier"}
    with on_paper():
        generator = BigGANGenerator(latent_dim, (3, side, side), 1000, **shared)
        critic = BigGANDiscriminator((3, side, side), 1000, **shared)
        told = BigGANDiscriminator((3, side, side), 1000, **shared, conditioning="auxiliary")
    assert parameters(generator) == made
    assert parameters(critic) == judged
    assert parameters(told) == judged + 1000


def test_the_parameter_count_at_32_pixels_with_chunks_is_that_of_a_port():
    with on_paper():
        generator = BigGANGenerator(120, (3, 32, 32), 1000, initialisation="xavier")
    assert parameters(generator) == 4_567_556


def test_small_images_have_the_layout_of_32_pixels_with_fewer_blocks():
    for side, blocks, last in ((8, 1, 4), (16, 2, 4), (32, 3, 8)):
        generator = BigGANGenerator(7, (1, side, side), 3, width=1, attention=0)
        critic = BigGANDiscriminator((1, side, side), 3, width=1, attention=0)
        assert (len(generator.blocks), generator.blocks[-1].outer.out_channels) == (blocks, 4)
        assert critic.layers[:-1](torch.zeros(1, 1, side, side)).shape == (1, 4, last, last)
        assert sum(isinstance(block, CriticBlock) for block in critic.layers) == 4


@pytest.mark.parametrize(("side", "halving"), [(64, 4), (128, 5), (256, 6)])
def test_all_blocks_of_a_critic_but_the_last_halve_down_to_4_pixels(side, halving):
    blocks = [
        block for block in BigGANDiscriminator((1, side, side), 3, width=1).layers if isinstance(block, CriticBlock)
    ]
    assert [isinstance(block.halve, nn.AvgPool2d) for block in blocks] == [True] * halving + [False]


def test_at_32_pixels_and_without_attention_the_generator_is_the_one_for_cifar():
    with on_paper():
        generator = BigGANGenerator(128, (3, 32, 32), 10, hierarchical=False, attention=0, initialisation="xavier")
    block = 2 * (256 * 256 * 9 + 256) + 256 * 256 + 256 + 2 * 2 * 256 * 10
    assert parameters(generator) == 128 * 4096 + 4096 + 3 * block + 2 * 256 + 256 * 27 + 3 == 4_304_387


@pytest.mark.parametrize(
    ("side", "attention", "made", "judged"),
    [(8, 64, 8, 4), (32, 64, 32, 16), (64, 64, 64, 32), (128, 64, 64, 64), (128, 32, 32, 32), (32, 8, 8, 8)],
)
def test_attention_is_at_the_side_asked_for_or_at_the_largest_below(side, attention, made, judged):
    generator = BigGANGenerator(7, (1, side, side), 3, width=1, attention=attention)
    critic = BigGANDiscriminator((1, side, side), 3, width=1, attention=attention)
    assert attended_sides(generator, torch.randn(2, 7), LABELS[:2]) == [made]
    assert attended_sides(critic, torch.randn(2, 1, side, side), LABELS[:2]) == [judged]


def test_without_attention_no_map_attends_to_itself():
    networks = BigGANGenerator(7, (1, 8, 8), 3, width=1, attention=0), BigGANDiscriminator((1, 8, 8), 3, attention=0)
    assert not any(isinstance(module, SelfAttention) for network in networks for module in network.modules())


@pytest.mark.parametrize("initialisation", ["orthogonal", "normal", "xavier"])
def test_weights_start_as_asked_for(initialisation):
    torch.manual_seed(0)
    parameters = {"width": 8, "initialisation": initialisation}
    generator = BigGANGenerator(33, (1, 8, 8), 3, **parameters)
    critic = BigGANDiscriminator((1, 8, 8), 3, **parameters)
    for layer in [*weighted(generator), *weighted(critic)]:
        weight = layer.parametrizations.weight.original if hasattr(layer, "parametrizations") else layer.weight
        matrix = weight.detach().flatten(1)
        if initialisation == "orthogonal":
            short = matrix if len(matrix) <= matrix.shape[1] else matrix.T
            assert_close(short @ short.T, torch.eye(len(short)), atol=1e-4, rtol=0)
        elif matrix.numel() > 1000:
            bound = math.sqrt(6 / ((weight.shape[0] + weight.shape[1]) * weight[0, 0].numel()))
            expected = 0.02 if initialisation == "normal" else bound / 3**0.5
            assert matrix.std().item() == pytest.approx(expected, rel=0.1)
    for network in (generator, critic):
        assert all(not bias.any() for name, bias in network.named_parameters() if name.endswith("bias"))


def test_all_weights_of_both_players_but_the_shared_embedding_are_spectrally_normalised():
    generator, critic = BigGANGenerator(7, (1, 8, 8), 3, width=2), BigGANDiscriminator((1, 8, 8), 3, width=2)
    plain = [layer for layer in weighted(generator) if not hasattr(layer, "parametrizations")]
    assert plain == [generator.conditions.embedding]
    assert all(isinstance(layer.parametrizations.weight[0], SpectralNorm) for layer in weighted(critic))


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_largest_singular_value_of_every_layer_of_a_critic_becomes_1(conditioning):
    torch.manual_seed(0)
    critic = BigGANDiscriminator((1, 8, 8), 3, width=2, conditioning=conditioning)
    for weight in critic.parameters():
        nn.init.normal_(weight)
    for _ in range(150):
        critic.judge(torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long))
    values = [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2) for layer in weighted(critic)]
    assert len(values) == 4 * 2 + 1 + 4 + 1 + (conditioning != "none")  # blocks, a shortcut, attention, heads
    assert_close(torch.stack(values), torch.ones(len(values)), rtol=0.01, atol=0)


def test_no_sample_of_a_batch_changes_what_is_said_of_another():
    torch.manual_seed(0)
    critic = BigGANDiscriminator((1, 16, 16), 3, width=2).double()
    attention = next(module for module in critic.modules() if isinstance(module, SelfAttention))
    nn.init.ones_(attention.gamma)
    samples = torch.randn(4, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(samples, LABELS)[1], samples)
    assert gradient[1].any()
    assert not gradient[[0, 2, 3]].any()


def test_the_derivative_of_a_squared_slope_is_right():
    torch.manual_seed(0)
    critic = BigGANDiscriminator((1, 8, 8), 3, width=2).double().eval()
    attention = next(module for module in critic.modules() if isinstance(module, SelfAttention))
    nn.init.ones_(attention.gamma)
    samples = torch.randn(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: critic(x, LABELS[1:2]), samples, atol=1e-6)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("outputs", [1, 5])
def test_judge_gives_every_declared_head_and_the_logits_of_a_call(conditioning, outputs):
    critic = BigGANDiscriminator((1, 8, 8), 3, width=2, conditioning=conditioning, outputs=outputs).eval()
    labels = [LABELS] if conditioning == "projection" else []
    samples = torch.randn(4, 1, 8, 8)
    judged = critic.judge(samples, *labels)
    assert ("classes" in judged) is (conditioning == "auxiliary")
    assert judged["features"].shape == (4, 8)
    assert judged["logits"].shape == ((4,) if outputs == 1 else (4, 5))
    assert_close(critic(samples, *labels), judged["logits"])
    assert conditioning != "auxiliary" or judged["classes"].shape == (4, 3)


def test_a_projection_changes_a_logit_by_the_difference_of_two_embeddings_alone():
    torch.manual_seed(0)
    critic = BigGANDiscriminator((1, 8, 8), 3, width=2).double().eval()
    samples = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    features, (projection,) = critic.judge(samples, LABELS)["features"], critic.head.projection.outputs
    table = projection.embedding.weight
    difference = ((table[LABELS] - table[2]) * features).sum(dim=1)
    assert_close(critic(samples, LABELS) - critic(samples, torch.full((4,), 2)), difference)
    assert difference[0] != 0


def test_a_label_changes_an_image_only_by_the_shared_embedding():
    torch.manual_seed(0)
    generator, latents = BigGANGenerator(7, (1, 16, 16), 3, width=2), torch.randn(4, 7)
    others = torch.tensor([1, 1, 0, 2])
    assert not torch.allclose(generator(latents, LABELS), generator(latents, others))
    nn.init.ones_(generator.conditions.embedding.weight)
    generator.eval()
    assert torch.equal(generator(latents, LABELS), generator(latents, others))


def test_a_label_of_flat_latents_changes_an_image_only_by_the_tables_of_the_batchnorms():
    torch.manual_seed(0)
    generator = BigGANGenerator(7, (1, 16, 16), 3, width=2, hierarchical=False).eval()
    latents, others = torch.randn(4, 7), torch.tensor([1, 1, 0, 2])
    assert torch.equal(generator(latents, LABELS), generator(latents, others))  # all classes start alike
    norms = [module for module in generator.modules() if isinstance(module, ConditionalBatchNorm2d)]
    assert len(norms) == 4
    for norm in norms:
        before = generator(latents, LABELS)
        nn.init.normal_(norm.gain.weight)
        nn.init.normal_(norm.shift.weight)
        assert not torch.allclose(generator(latents, LABELS), before)


@pytest.mark.parametrize(("side", "chunks"), [(8, [4, 3]), (32, [2, 2, 2, 1])])
def test_each_chunk_of_latents_reaches_the_normalisations_of_its_own_block_only(side, chunks):
    torch.manual_seed(0)
    generator, latents = BigGANGenerator(7, (1, side, side), 3, width=2), torch.randn(4, 7, requires_grad=True)
    gains: list[torch.Tensor] = []
    for block in generator.blocks:
        for norm in (block.before, block.between):
            norm.gain.register_forward_hook(lambda _module, _given, result: gains.append(result))
    generator(latents, LABELS)
    start = chunks[0]
    for number, size in enumerate(chunks[1:]):
        for gain in gains[2 * number : 2 * number + 2]:
            (gradient,) = torch.autograd.grad(gain.square().sum(), latents, retain_graph=True)
            assert gradient[:, start : start + size].all()
            assert not gradient[:, :start].any()
            assert not gradient[:, start + size :].any()
        start += size
    assert start == 7


def test_every_latent_changes_the_image():
    torch.manual_seed(0)
    generator, latents = BigGANGenerator(7, (1, 16, 16), 3, width=2), torch.randn(4, 7, requires_grad=True)
    (gradient,) = torch.autograd.grad(generator(latents, LABELS).square().sum(), latents)
    assert gradient.all()


@pytest.mark.parametrize("hierarchical", [True, False])
def test_every_weight_of_both_players_gets_a_gradient(hierarchical):
    torch.manual_seed(0)
    generator = BigGANGenerator(7, (1, 16, 16), 3, width=2, hierarchical=hierarchical)
    critic = BigGANDiscriminator((1, 16, 16), 3, width=4, outputs=2)
    for network in (generator, critic):
        attention = next(module for module in network.modules() if isinstance(module, SelfAttention))
        nn.init.ones_(attention.gamma)  # at 0, as it starts, the convolutions of attention get none
    critic(generator(torch.randn(4, 7), LABELS), LABELS).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for m in (generator, critic) for p in m.parameters())


@pytest.mark.parametrize(
    "make",
    [
        lambda: BigGANGenerator(7, (1, 16, 16), 3, width=2),
        lambda: BigGANGenerator(7, (1, 16, 16), 3, width=2, hierarchical=False),
        lambda: BigGANDiscriminator((1, 16, 16), 3, width=2),
    ],
)
def test_a_network_can_be_copied_saved_and_loaded_and_answers_alike_every_time(make):
    torch.manual_seed(0)
    network, other = make(), make()
    given = torch.randn(4, 7) if isinstance(network, BigGANGenerator) else torch.randn(4, 1, 16, 16)
    network(given, LABELS)  # moves buffers away from where they start
    other.load_state_dict(network.state_dict())
    expected = network.eval()(given, LABELS)
    for twin in (network, copy.deepcopy(network), other.eval()):
        assert torch.equal(twin(given, LABELS), expected)


def test_the_same_global_seed_gives_the_same_networks():
    pairs = []
    for _ in range(2):
        torch.manual_seed(3)
        pairs.append((BigGANGenerator(7, (1, 16, 16), 3, width=2), BigGANDiscriminator((1, 16, 16), 3, width=2)))
    for first, second in zip(*pairs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_seeds_can_be_stacked_and_moved_together():
    torch.manual_seed(0)
    generators = [BigGANGenerator(7, (1, 8, 8), 3, width=2).eval() for _ in range(2)]
    latents = torch.randn(2, 4, 7)
    stacked = torch.func.stack_module_state(generators)
    alone = torch.stack([generator(z, LABELS) for generator, z in zip(generators, latents, strict=True)])
    together = torch.vmap(lambda p, b, z: torch.func.functional_call(generators[0], (p, b), (z, LABELS)))
    assert_close(together(*stacked, latents), alone)


def test_ten_steps_on_the_hinge_loss_stay_finite_and_teach_the_critic():
    torch.manual_seed(0)
    generator, critic = BigGANGenerator(7, (1, 8, 8), 3, width=2), BigGANDiscriminator((1, 8, 8), 3, width=4)
    players = [torch.optim.Adam(m.parameters(), lr=2e-3, betas=(0.0, 0.999)) for m in (critic, generator)]
    real, margins = torch.ones(4, 1, 8, 8) * 0.8, []
    for _ in range(10):
        fake = generator(torch.randn(4, 7), LABELS)
        loss = (1 - critic(real, LABELS)).relu().mean() + (1 + critic(fake.detach(), LABELS)).relu().mean()
        margins.append(loss.item())
        for player, minimised in zip(players, (loss, None), strict=True):
            player.zero_grad()
            (minimised if minimised is not None else -critic(fake, LABELS).mean()).backward()
            player.step()
    assert all(map(math.isfinite, margins))
    assert min(margins[1:]) < margins[0]
    assert all(p.isfinite().all() for m in (generator, critic) for p in m.parameters())


def test_conditions_without_classes_are_refused():
    with pytest.raises(ChoiceError, match="biggan: conditional needs data with classes"):
        BigGANGenerator(7, (1, 8, 8))
    with pytest.raises(ChoiceError, match="biggan: conditioning=projection needs data with classes"):
        BigGANDiscriminator((1, 8, 8))


def test_a_shared_embedding_without_numbers_is_refused():
    with pytest.raises(ChoiceError, match="biggan: embedding is 0, expected 1 or more"):
        BigGANGenerator(7, (1, 8, 8), 3, embedding=0)
