from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganbench.protocols import Data, Evidence
from ganbench_metrics import pairs
from ganbench_metrics.nearest import Nearest, among_fakes, among_reals, nearest, of_fakes, of_reals


def line(*places: float) -> Tensor:
    return torch.tensor(places)[:, None]


def others_of(samples: Tensor) -> Nearest:
    return among_fakes(Evidence(fake=samples, real=samples, data=Data(train=samples, heldout=samples)), samples)


def test_the_nearest_on_a_line():
    found = nearest(line(0.0, 4.1, 9.0), line(1.0, 5.0))
    assert found.squared.tolist() == pytest.approx([1, 0.81, 16])
    assert found.index.tolist() == [0, 1, 1]
    assert found.ties.tolist() == [1, 1, 1]


def test_equally_near_samples_are_counted():
    found = nearest(line(3.0, 1.0), line(1.0, 5.0, 1.0, 1.0))
    assert found.squared.tolist() == pytest.approx([4, 0], abs=1e-12)
    assert found.ties.tolist() == [4, 3]


def test_no_sample_is_its_own_neighbour_but_its_copy_may_be():
    samples = line(0.0, 2.0, 2.0, 7.0)
    found = others_of(samples)
    assert found.squared.tolist() == pytest.approx([4, 0, 0, 25], abs=1e-12)
    assert found.ties.tolist() == [2, 1, 1, 2]
    assert found.index.tolist()[1:3] == [2, 1]


def test_the_nearest_is_that_of_a_plain_search_whatever_the_blocks(monkeypatch):
    monkeypatch.setattr(pairs, "SIDE", 7)
    rng = torch.Generator().manual_seed(0)
    queries, others = torch.randn(30, 5, generator=rng), torch.randn(41, 5, generator=rng)
    distances = torch.cdist(queries.double(), others.double(), compute_mode="donot_use_mm_for_euclid_dist")
    found = nearest(queries, others)
    assert torch.allclose(found.squared.sqrt(), distances.min(dim=1).values)
    assert torch.equal(found.index, distances.argmin(dim=1))
    own = torch.cdist(queries.double(), queries.double()).fill_diagonal_(torch.inf)
    assert torch.equal(others_of(queries).index, own.argmin(dim=1))


def test_ties_are_counted_across_blocks(monkeypatch):
    monkeypatch.setattr(pairs, "SIDE", 2)
    samples = line(5.0, 1.0, 1.0, 1.0, 9.0, 1.0)
    assert others_of(samples).ties.tolist() == [5, 3, 3, 3, 1, 3]


def test_copies_tie_although_arithmetic_rounds():
    rng = torch.Generator().manual_seed(0)
    samples = torch.randn(50, 2048, generator=rng)
    copies = samples.repeat(3, 1)
    assert nearest(samples, copies).ties.tolist() == [3] * 50


@pytest.mark.parametrize(("farther", "share"), [(1e-12, 0.5), (1e-6, 1.0), (-1e-12, 0.5), (-1e-6, 0.0)])
def test_what_rounding_could_make_differ_is_a_tie(farther, share):
    def one(squared: float) -> Nearest:
        whole = torch.tensor([1])
        return Nearest(torch.tensor([squared], dtype=torch.float64), whole, whole, torch.tensor([1e-9]).double())

    assert one(1.0).share(one(1.0 + farther)).item() == share


def test_between_two_sets_ties_are_shared_in_proportion():
    queries = line(0.0, 10.0, 20.0)
    first, second = nearest(queries, line(1.0, 1.0, 19.0)), nearest(queries, line(-1.0, 12.0))
    assert first.share(second).tolist() == pytest.approx([2 / 3, 0, 1])
    assert second.share(first).tolist() == pytest.approx([1 / 3, 1, 0])


def test_merging_two_sets_is_searching_both():
    queries = line(0.0, 10.0, 20.0)
    parts = line(1.0, 1.0, 19.0), line(-1.0, 12.0)
    merged = nearest(queries, parts[0]).merged(nearest(queries, parts[1]))
    whole = nearest(queries, torch.cat(parts))
    assert torch.equal(merged.squared, whole.squared)
    assert torch.equal(merged.ties, whole.ties)


def test_reals_and_fakes_find_each_other():
    real, fake = line(0.0, 4.0, 9.0), line(1.0, 8.5)
    evidence = Evidence(fake=fake, real=real, data=Data(train=real, heldout=real))
    assert of_reals(evidence, real, fake).index.tolist() == [0, 0, 1]
    assert of_fakes(evidence, real, fake).index.tolist() == [0, 2]
    assert among_reals(evidence, real).index.tolist() == [1, 0, 1]


def test_what_reals_are_to_each_other_is_remembered():
    real, others = line(0.0, 4.0, 9.0), line(3.0, 5.0, 7.0)
    evidence = Evidence(fake=others, real=real, data=Data(train=real, heldout=real))
    first = among_reals(evidence, real).squared
    assert torch.equal(among_reals(evidence, others).squared, first)


def test_samples_far_from_0_and_near_to_each_other_do_not_tie():
    found = nearest(line(100.0), line(100.001, 100.002))
    assert (found.index.item(), found.ties.item()) == (0, 1)
