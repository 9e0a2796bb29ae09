from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from ganbench_layers.conditioning import (
    Added,
    ConditionalBatchNorm2d,
    LabelEmbedding,
    Multiplied,
    Projection,
    one_hot,
    with_labels,
)

LABELS = torch.tensor([2, 0, 1, 2, 2])


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_one_hot_has_a_1_at_the_label():
    marks = one_hot(torch.tensor([2, 0]), 3, torch.float64)
    assert marks.dtype == torch.float64
    assert marks.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_labels_are_appended_to_points_as_coordinates_and_to_images_as_planes():
    points = with_labels(torch.tensor([[5.0], [6.0]]), torch.tensor([1, 0]), 2)
    assert points.tolist() == [[5, 0, 1], [6, 1, 0]]
    images = with_labels(torch.full((2, 1, 2, 2), 7.0), torch.tensor([1, 0]), 2)
    assert images[:, :, 1, 1].tolist() == [[7, 0, 1], [7, 1, 0]]
    assert (images == images[:, :, :1, :1]).all()


def test_projection_is_the_inner_product_of_features_with_the_labels_row():
    projection, features = Projection(4, 3).double(), randn(5, 4)
    expected = [(features[n] @ projection.embedding.weight[label]).item() for n, label in enumerate(LABELS)]
    assert_close(projection(features, LABELS), torch.tensor(expected, dtype=torch.float64))


def test_a_projections_embedding_starts_uniform_as_glorot_has_it():
    torch.manual_seed(0)
    values, bound = Projection(400, 100).embedding.weight.detach().flatten(), (6 / 500) ** 0.5
    assert values.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert values.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_with_labels_it_is_batchnorm_and_an_affine_function_of_each_class():
    layer, features = ConditionalBatchNorm2d(4, 3).double(), randn(5, 4, 2, 2)
    nn.init.normal_(layer.gain.weight)
    nn.init.normal_(layer.shift.weight)
    plain = F.batch_norm(features, None, None, training=True)
    gain, shift = layer.gain.weight[LABELS], layer.shift.weight[LABELS]
    assert_close(layer(features, LABELS), plain * gain[:, :, None, None] + shift[:, :, None, None])


def test_with_labels_it_starts_as_batchnorm():
    features = randn(5, 4, 2, 2)
    assert_close(
        ConditionalBatchNorm2d(4, 3).double()(features, LABELS), F.batch_norm(features, None, None, training=True)
    )


def test_with_vectors_scale_minus_1_and_shift_are_linear_without_bias():
    layer, features, condition = ConditionalBatchNorm2d(4, 7, embedded=True).double(), randn(5, 4, 2, 2), randn(5, 7)
    gain, shift = 1 + condition @ layer.gain.weight.T, condition @ layer.shift.weight.T
    plain = F.batch_norm(features, None, None, training=True)
    assert_close(layer(features, condition), plain * gain[:, :, None, None] + shift[:, :, None, None])
    assert [tuple(p.shape) for p in layer.parameters()] == [(4, 7), (4, 7)]


def test_evaluation_uses_the_running_statistics():
    layer, features = ConditionalBatchNorm2d(4, 3).double(), 3 + randn(50, 4, 2, 2)
    labels = torch.zeros(50, dtype=torch.int64)
    layer(features, labels)
    layer.eval()
    mean, variance = 0.1 * features.mean(dim=(0, 2, 3)), 0.9 + 0.1 * features.var(dim=(0, 2, 3))
    expected = (features - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
    assert_close(layer(features, labels), expected)


@pytest.mark.parametrize("outputs", [1, 3])
def test_each_logit_gets_the_inner_product_of_the_features_and_an_embedding_of_its_own(outputs):
    torch.manual_seed(0)
    added, features = Added(5, 4, outputs, lambda embedding: embedding), torch.randn(6, 5)
    logits, labels = torch.randn(6, outputs), torch.tensor([0, 3, 1, 1, 2, 0])
    tables = [projection.embedding.weight for projection in added.outputs]
    expected = torch.stack([(features * table[labels]).sum(dim=1) for table in tables], dim=1)
    assert len({table[0, 0].item() for table in tables}) == outputs
    assert_close(added(logits, features, labels), logits + expected)


def test_a_logit_is_what_is_said_times_the_labels_embedding_and_depends_on_no_feature():
    embedding = nn.Embedding.from_pretrained(torch.tensor([[1.0, 10.0], [2.0, 0.0]]))
    said, labels = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]), torch.tensor([0, 1])
    multiplied = Multiplied(embedding, scale=0.5)
    # two outputs of two numbers each: (1·1 + 2·10)/2, (3·1 + 4·10)/2 for label 0; 5·2/2, 7·2/2 for label 1
    assert multiplied(said, torch.full((2, 7), torch.nan), labels).tolist() == [[10.5, 21.5], [5.0, 7.0]]


def test_a_label_embedding_is_the_layers_row_of_the_label():
    linear = nn.Linear(3, 2, bias=False).double()
    labels = torch.tensor([2, 0, 2])
    assert_close(LabelEmbedding(linear, 3)(labels), linear.weight.T[labels])
