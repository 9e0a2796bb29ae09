"""What every critic of layers and a head does: here those of mlp and dcgan, small and in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_dcgan.networks import DCGANDiscriminator
from ganbench_layers.conditioning import with_labels
from ganbench_layers.critic import Critic, Duties
from ganbench_mlp.networks import MaxoutDiscriminator, MLPDiscriminator

CLASSES, COUNT = 3, 6
LABELS = torch.tensor([0, 1, 2, 2, 1, 0])
MLP, DCGAN = ("mlp", MLPDiscriminator, (4,)), ("dcgan", DCGANDiscriminator, (1, 8, 8))
KINDS = [MLP, ("mlp on images", MLPDiscriminator, (1, 8, 8)), DCGAN]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"outputs": 3},
    {"outputs": 3, "minibatch": "discrimination", "conditioning": "auxiliary"},
    {"norm": "layer"},
    {"norm": "spectral"},
    {"norm": "spectral", "conditioning": "projection"},
    {"conditioning": "concat"},
    {"conditioning": "projection"},
    {"conditioning": "projection", "outputs": 3},
    {"conditioning": "auxiliary"},
    {"minibatch": "deviation"},
    {"minibatch": "discrimination"},
    {"norm": "none", "gradient_normalised": True},
    {"norm": "layer", "gradient_normalised": True, "conditioning": "concat", "categories": 2},
    {"norm": "none", "gradient_normalised": True, "conditioning": "projection"},
    {"categories": 4, "continuous": 2},
]

kinds = pytest.mark.parametrize(("build", "shape"), [kind[1:] for kind in KINDS], ids=[kind[0] for kind in KINDS])
settings = pytest.mark.parametrize("setting", SETTINGS, ids=str)


def made(build: Callable[..., Critic], shape: tuple[int, ...], **setting: Any) -> Critic:
    torch.manual_seed(0)
    critic = build(shape, CLASSES, width=4, **setting).double()
    for parameter in critic.parameters():  # so that no bias is 0 and nothing hides
        parameter.data += 0.1 * torch.randn_like(parameter)
    return critic


def batch(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(COUNT, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def labels_for(setting: dict[str, Any], labels: torch.Tensor = LABELS) -> list[torch.Tensor]:
    return [labels] if setting.get("conditioning") in ("concat", "projection") else []


@kinds
@settings
def test_a_critic_judges_as_it_is_called_and_gives_every_head_its_shape(build, shape, setting):
    critic = made(build, shape, **setting).eval()
    given = (batch(shape), *labels_for(setting))
    judged = critic.judge(*given)
    outputs = setting.get("outputs", 1)
    assert torch.equal(critic(*given), judged["logits"])
    assert judged["logits"].shape == ((COUNT, outputs) if outputs > 1 else (COUNT,))
    assert judged["features"].shape == (COUNT, 4 if build is MLPDiscriminator else 4 * 16)
    assert judged["code"].shape == (COUNT, setting.get("categories", 0) + setting.get("continuous", 0))
    assert ("classes" in judged) is (setting.get("conditioning") == "auxiliary")
    assert judged.get("classes", torch.empty(COUNT, CLASSES)).shape == (COUNT, CLASSES)


@kinds
@settings
def test_every_weight_gets_a_gradient_from_what_is_judged_and_from_a_penalty_on_slopes(build, shape, setting):
    critic, samples = made(build, shape, **setting), batch(shape).requires_grad_()
    judged = critic.judge(samples, *labels_for(setting))
    (slopes,) = torch.autograd.grad(judged["logits"].sum(), samples, create_graph=True)
    said = sum(values.square().sum() for values in judged.values())
    (said + slopes.square().sum()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in critic.parameters())


@kinds
@settings
def test_a_saved_critic_and_a_copy_say_the_same(build, shape, setting):
    critic, other = made(build, shape, **setting).eval(), build(shape, CLASSES, width=4, **setting).double().eval()
    other.load_state_dict(critic.state_dict())
    given = (batch(shape), *labels_for(setting))
    assert torch.equal(other(*given), critic(*given))
    assert torch.equal(copy.deepcopy(critic)(*given), critic(*given))


@kinds
@pytest.mark.parametrize("conditioning", ["concat", "projection"])
def test_another_label_changes_the_logit_and_nobody_elses(build, shape, conditioning):
    critic, samples = made(build, shape, norm="none", conditioning=conditioning), batch(shape)
    others = LABELS.clone()
    others[2] = 0
    changed = critic(samples, LABELS) != critic(samples, others)
    assert changed.tolist() == [False, False, True, False, False, False]


@kinds
def test_projection_adds_the_inner_product_of_features_and_embedding(build, shape):
    critic, samples = made(build, shape, conditioning="projection").eval(), batch(shape)
    features = critic.judge(samples, LABELS)["features"]
    plain = critic.head.final(features if build is MLPDiscriminator else features.unflatten(1, (4, 4, 4))).flatten()
    rows = critic.head.projection.outputs[0].embedding.weight[LABELS]
    assert_close(critic(samples, LABELS), plain + (features * rows).sum(dim=1))


def test_labels_are_planes_to_dcgan_and_numbers_to_mlp():
    critic, samples = made(*DCGAN[1:], conditioning="concat", norm="none"), batch((1, 8, 8))
    assert critic.layers[0].in_channels == 1 + CLASSES
    assert_close(critic(samples, LABELS), critic.head(critic.layers(with_labels(samples, LABELS, CLASSES))))
    critic = made(MLPDiscriminator, (1, 8, 8), conditioning="concat")
    assert critic.layers[1].in_features == 64 + CLASSES
    joined = with_labels(samples.flatten(1), LABELS, CLASSES)
    assert_close(critic(samples, LABELS), critic.head(critic.layers(joined)))


@kinds
def test_class_logits_and_codes_are_linear_in_the_features_and_leave_the_logits_alone(build, shape):
    plain = made(build, shape, conditioning="auxiliary", categories=2, continuous=1).eval()
    judged = plain.judge(batch(shape))
    for name in ("classes", "code"):
        layer = getattr(plain.head, name)
        assert_close(judged[name], judged["features"] @ layer.weight.T + layer.bias)
        nn.init.zeros_(layer.weight)
    assert torch.equal(plain(batch(shape)), judged["logits"])


@kinds
@pytest.mark.parametrize(
    ("setting", "mixes"),
    [
        ({"norm": "none"}, False),
        ({"norm": "layer"}, False),
        ({"norm": "spectral"}, False),
        ({"norm": "none", "minibatch": "deviation"}, True),
        ({"norm": "none", "minibatch": "discrimination"}, True),
        ({"norm": "layer", "gradient_normalised": True}, False),
    ],
    ids=str,
)
def test_only_what_compares_samples_mixes_the_batch(build, shape, setting, mixes):
    critic, samples = made(build, shape, **setting), batch(shape).requires_grad_()
    (gradients,) = torch.autograd.grad(critic(samples)[0], samples)
    assert gradients[0].any()
    assert bool(gradients[1:].any()) is mixes


@kinds
@pytest.mark.parametrize("minibatch", ["deviation", "discrimination"])
def test_features_are_what_is_known_of_a_sample_before_the_batch_is_compared(build, shape, minibatch):
    critic = made(build, shape, norm="none", minibatch=minibatch)
    together = critic.judge(batch(shape))["features"]
    assert_close(torch.cat([critic.judge(one[None])["features"] for one in batch(shape)]), together)


@kinds
def test_spectral_critics_have_only_weights_of_spectral_norm_1(build, shape):
    critic = made(build, shape, norm="spectral", conditioning="projection", categories=2)
    for _ in range(300):
        critic.judge(batch(shape), LABELS)
    critic.eval()
    layers = [module for module in critic.modules() if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding)]
    assert len(layers) == (6 if build is MLPDiscriminator else 4)
    for layer in layers:
        assert torch.linalg.svdvals(layer.weight.flatten(1))[0].item() == pytest.approx(1, abs=1e-4)


@kinds
def test_a_gradient_normalised_critic_follows_the_formula(build, shape):
    setting = {"norm": "layer", "conditioning": "concat"}
    plain, critic = made(build, shape, **setting), made(build, shape, gradient_normalised=True, **setting)
    samples = batch(shape).requires_grad_()
    logits = plain(samples, LABELS)
    (gradients,) = torch.autograd.grad(logits.sum(), samples)
    expected = logits / (gradients.flatten(1).norm(dim=1) + logits.abs())
    assert_close(critic(samples, LABELS), expected)
    assert_close(critic.judge(samples, LABELS)["features"], plain.judge(samples, LABELS)["features"])


@pytest.mark.parametrize(
    "build",
    [
        lambda shape: MLPDiscriminator(shape, width=4),
        lambda shape: DCGANDiscriminator((*shape, 16, 16), width=4),
        lambda shape: MaxoutDiscriminator(shape, width=4),
    ],
)
def test_packing_changes_the_first_layer_only(build):
    alone, packed = ({name: value.shape for name, value in build((size,)).state_dict().items()} for size in (2, 6))
    changed = [name for name in alone if alone[name] != packed[name]]
    assert len(changed) == 1
    assert changed[0] in ("layers.0.weight", "layers.1.weight", "layers.1.functions.0.weight")
    assert packed[changed[0]].numel() == 3 * alone[changed[0]].numel()


@pytest.mark.parametrize(
    ("duties", "norm", "problem"),
    [
        (Duties(outputs=0), "none", "net: outputs is 0, expected 1 or more"),
        (
            Duties(conditioning="auxiliary"),
            "none",
            "net: conditioning=auxiliary needs data with classes, got 0 classes",
        ),
        (Duties(categories=1), "none", "net: categories is 1"),
        (Duties(gradient_normalised=True), "batch", "net: gradient_normalised needs .*; got outputs=1, .*, norm=batch"),
        (Duties(gradient_normalised=True), "spectral", "got outputs=1, minibatch=none, norm=spectral"),
        (Duties(gradient_normalised=True, minibatch="deviation"), "none", "got outputs=1, minibatch=deviation"),
        (Duties(gradient_normalised=True, outputs=2), "none", "got outputs=2"),
    ],
    ids=str,
)
def test_what_cannot_go_together_is_refused(duties, norm, problem):
    with pytest.raises(ChoiceError, match=problem):
        duties.check("net", norm)
