from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_biggan.conditions import Flat, Hierarchical, chunk_sizes
from ganbench_layers.conditioning import ConditionalBatchNorm2d

LABELS = torch.tensor([0, 2, 1])


def as_it_is(layer: nn.Module, _gain: float) -> nn.Module:
    return layer


@pytest.mark.parametrize(
    ("latent_dim", "chunks", "sizes"), [(120, 6, [20] * 6), (128, 6, [22, 22, 21, 21, 21, 21]), (3, 3, [1, 1, 1])]
)
def test_chunks_use_every_latent_and_differ_by_one_at_most(latent_dim, chunks, sizes):
    assert chunk_sizes(latent_dim, chunks) == sizes


def test_fewer_latents_than_parts_are_refused_with_the_way_out():
    with pytest.raises(ChoiceError, match=r"biggan: 2 latents for the 3 parts .* at least 3, or hierarchical=false"):
        chunk_sizes(2, 3)


def test_latents_in_chunks_go_to_the_bottom_and_beside_the_shared_embedding_to_each_block():
    embedding = nn.Embedding(4, 2)
    conditions, latents = Hierarchical(7, 2, embedding), torch.arange(21.0).reshape(3, 7)
    bottom, blocks = conditions(latents, LABELS)
    assert conditions.bottom == 3
    assert_close(bottom, latents[:, :3])
    for condition, chunk in zip(blocks, (latents[:, 3:5], latents[:, 5:]), strict=True):
        assert_close(condition, torch.cat([embedding.weight[LABELS], chunk], dim=1))


def test_without_classes_a_chunk_is_all_that_a_block_depends_on():
    latents = torch.arange(10.0).reshape(2, 5)
    _, (condition,) = Hierarchical(5, 1, None)(latents, None)
    assert_close(condition, latents[:, 3:])


def test_flat_latents_all_enter_at_the_bottom_and_labels_go_to_every_block():
    conditions, latents = Flat(7, 2, 4), torch.randn(3, 7)
    bottom, blocks = conditions(latents, LABELS)
    assert conditions.bottom == 7
    assert bottom is latents
    assert all(condition is LABELS for condition in blocks)
    assert len(blocks) == 2


@pytest.mark.parametrize(
    ("conditions", "norm"),
    [
        (Flat(7, 2, 0), nn.BatchNorm2d),
        (Flat(7, 2, 4), ConditionalBatchNorm2d),
        (Hierarchical(7, 2, None), ConditionalBatchNorm2d),
        (Hierarchical(7, 2, nn.Embedding(4, 2)), ConditionalBatchNorm2d),
    ],
)
def test_each_block_gets_normalisations_that_take_its_condition(conditions, norm):
    _, given = conditions(torch.randn(3, 7), LABELS)
    makers = conditions.normalise(as_it_is)
    assert len(makers) == len(given) == 2
    for make, condition in zip(makers, given, strict=True):
        made = make(5)
        assert type(made) is norm
        arguments = [condition] if norm is ConditionalBatchNorm2d else []
        assert made(torch.randn(3, 5, 2, 2), *arguments).shape == (3, 5, 2, 2)
