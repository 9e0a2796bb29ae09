from __future__ import annotations

import pytest
import torch

from ganbench.packing import pack, packed_shape, unpack


def test_packing_joins_consecutive_samples_on_the_channel_axis():
    images = torch.arange(16).reshape(4, 1, 2, 2)
    packed = pack(images, 2)
    assert packed.shape == (2, 2, 2, 2)
    assert torch.equal(packed[1, 0], images[2, 0])
    assert torch.equal(packed[1, 1], images[3, 0])
    assert pack(torch.arange(8).reshape(4, 2), 2).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert packed_shape((3, 8, 8), 2) == (6, 8, 8)
    assert packed_shape((2,), 3) == (6,)


def test_without_packing_samples_are_the_very_same():
    samples = torch.zeros(4, 2)
    assert pack(samples, 1) is samples
    assert unpack(samples, 1) is samples
    assert packed_shape((3, 8, 8), 1) == (3, 8, 8)


def test_what_was_packed_comes_apart_in_its_own_order():
    assert unpack(torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]]), 2).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    joined = torch.arange(24).reshape(1, 6, 2, 2)
    assert torch.equal(unpack(joined, 2), joined.reshape(2, 3, 2, 2))
    assert torch.equal(unpack(joined, 2)[1, 0], joined[0, 3])


@pytest.mark.parametrize("packing", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", [(2,), (1, 4, 4), (3, 2, 5)])
def test_unpacking_undoes_packing(packing, shape):
    samples = torch.rand(6, *shape, generator=torch.Generator().manual_seed(0))
    packed = pack(samples, packing)
    assert tuple(packed.shape) == (6 // packing, *packed_shape(shape, packing))
    assert torch.equal(unpack(packed, packing), samples)
