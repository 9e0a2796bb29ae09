from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch.func import vmap
from torch.testing import assert_close

from ganbench_layers.codes import coded, codes_of

COUNT = 20_000


def latents(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_largest_of_the_first_normals_is_the_category():
    category, continuous, rest = codes_of(torch.tensor([[0.1, 3.0, -1.0, 0.0, 7.0], [0.1, -3.0, -1.0, 0.0, 8.0]]), 3, 1)
    assert category.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert continuous.tolist() == [[0], [0]]
    assert rest.tolist() == [[7], [8]]


def test_every_category_is_as_likely():
    category, _, _ = codes_of(latents(COUNT, 12), 10, 2)
    assert stats.chisquare(category.sum(dim=0).numpy()).pvalue > 0.01


def test_continuous_codes_are_uniform_between_minus_1_and_1():
    _, continuous, _ = codes_of(latents(COUNT, 12), 10, 2)
    for column in continuous.T:
        assert stats.kstest(column.numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.01


def test_a_code_is_twice_the_normals_distribution_function_less_1():
    given = latents(50, 2)
    _, continuous, _ = codes_of(given, 0, 2)
    assert_close(continuous, torch.as_tensor(2 * stats.norm.cdf(given.numpy()) - 1))


@pytest.mark.parametrize(("categories", "continuous"), [(0, 0), (4, 0), (0, 3), (4, 3), (5, 3)])
def test_coded_latents_are_as_many_with_the_rest_untouched(categories, continuous):
    given = latents(6, 8)
    result = coded(given, categories, continuous)
    assert result.shape == given.shape
    assert torch.equal(result[:, categories + continuous :], given[:, categories + continuous :])
    assert (result[:, :categories].sum(dim=1) == (1 if categories else 0)).all()


def test_seeds_in_one_operation_get_the_codes_that_each_gets_alone():
    given = latents(3, 6, 8)
    assert_close(vmap(lambda one: coded(one, 4, 2))(given), torch.stack([coded(one, 4, 2) for one in given]))
