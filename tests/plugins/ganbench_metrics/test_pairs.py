from __future__ import annotations

import pytest
import torch
from featured import evidence, mixed

from ganbench_metrics import pairs


def assembled(blocks, shape: tuple[int, int]) -> torch.Tensor:
    whole = torch.full(shape, torch.nan, dtype=torch.float64)
    for rows, columns, products in blocks:
        assert whole[rows, columns].isnan().all()
        whole[rows, columns] = products
    return whole


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(pairs, "SIDE", 8)


def test_blocks_within_a_side_hold_each_pair_once_on_and_above_the_diagonal():
    samples = mixed(21, 3, 0).float()
    whole = assembled(pairs.within(samples), (21, 21))
    expected = samples.double() @ samples.double().T
    known = ~whole.isnan()
    assert (known | known.T).all()
    torch.testing.assert_close(whole[known], expected[known])
    assert whole[16:, :16].isnan().all()


@pytest.mark.parametrize("kept", [0, 2**27])
def test_blocks_between_the_sides_hold_every_pair_with_reals_in_the_rows(monkeypatch, kept):
    monkeypatch.setattr(pairs, "KEPT", kept)
    real, fake = mixed(21, 3, 0).float(), mixed(10, 3, 1).float()
    shown = evidence(real, fake)
    expected = real.double() @ fake.double().T
    for _ in range(2):
        torch.testing.assert_close(assembled(pairs.all_between(shown, real, fake), (21, 10)), expected)
    for side, samples in (("real", real), ("fake", fake)):
        diagonal = [block for block in pairs.all_within(shown, side, samples) if block[0] == block[1]]
        trace = sum(float(products.trace()) for _, _, products in diagonal)
        assert trace == pytest.approx(float(samples.double().square().sum()))


def test_products_that_fit_are_computed_once_for_an_evaluation(monkeypatch):
    real, fake = mixed(21, 3, 0), mixed(10, 3, 1)
    shown = evidence(real, fake)
    first = list(pairs.all_between(shown, real, fake)), list(pairs.all_within(shown, "fake", fake))
    monkeypatch.setattr(pairs, "between", None)
    monkeypatch.setattr(pairs, "within", None)
    again = list(pairs.all_between(shown, real, fake)), list(pairs.all_within(shown, "fake", fake))
    for blocks, recalled in zip(first, again, strict=True):
        assert all(torch.equal(block[2], other[2]) for block, other in zip(blocks, recalled, strict=True))


def test_squared_norms_are_those_of_float64():
    samples = mixed(21, 3, 0).float() + 1000
    torch.testing.assert_close(pairs.squared_norms(samples), samples.double().square().sum(dim=1), rtol=1e-15, atol=0)
