"""EfficientNet-Lite0's network: its layers' shapes, and the padding that it was trained with."""

import pytest
import torch
import torch.nn.functional as F

from ganbench_efficientnet.networks import Block, EfficientNetLite0, SameConvolution


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return EfficientNetLite0().eval()


def test_it_has_as_many_parameters_as_the_published_one(network):
    # 4,652,008 trainable ones, as EfficientNet-Lite0's authors state (4.7 million).
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_652_008
    assert len(network.state_dict()) == 296


def test_images_become_1280_features_and_1000_logits(network):
    with torch.no_grad():
        features, logits = network(torch.zeros(2, 3, 224, 224))
    assert features.shape == (2, 1280)
    assert logits.shape == (2, 1000)
    assert 0 <= features.min() <= features.max() <= 6


def test_pixels_are_centred_at_127_and_divided_by_128(network):
    seen = []
    hook = network.body[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(torch.full((1, 3, 224, 224), 255.0))
    hook.remove()
    assert torch.equal(seen[0], torch.ones(1, 3, 224, 224))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        (224, 3, 2, (0, 1)),
        (56, 5, 2, (1, 2)),
        (7, 5, 1, (2, 2)),
        (7, 3, 2, (1, 1)),
        (8, 1, 1, (0, 0)),
        (8, 1, 2, (0, 0)),
    ],
)
def test_padding_is_tensorflows_same(size, kernel, stride, padding):
    convolution = SameConvolution(1, 1, kernel, stride, bias=False)
    images = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1))
    expected = F.conv2d(F.pad(images, padding * 2), convolution.weight, stride=stride)
    torch.testing.assert_close(convolution(images), expected)
    assert expected.shape[-1] == -(-size // stride)


@pytest.mark.parametrize(("width_out", "stride", "added"), [(4, 1, True), (6, 1, False), (4, 2, False)])
def test_a_block_adds_its_input_only_where_that_has_its_outputs_form(width_out, stride, added):
    block = Block(4, width_out, 3, stride, expansion=6).eval()
    block.layers[-1].weight.data.zero_()
    block.layers[-1].bias.data.fill_(0.5)
    maps = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    side = 8 // stride
    expected = maps + 0.5 if added else torch.full((1, width_out, side, side), 0.5)
    assert torch.equal(block(maps), expected)
