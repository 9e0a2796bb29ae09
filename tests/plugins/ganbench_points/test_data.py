"""PacGAN's toys: their geometry, weights and deviations, each within five standard errors."""

import math

import pytest
import torch

from ganbench.errors import ChoiceError
from ganbench.protocols import Places
from ganbench_points import ganbench_datasets
from ganbench_points.data import grid25, ring8

PLACES = Places()
TOYS = [(ring8, 8, 0.01), (grid25, 25, 0.05)]


def test_the_ring_has_eight_modes_at_multiples_of_45_degrees_on_the_unit_circle():
    half = math.sqrt(0.5)
    expected = [(1, 0), (half, half), (0, 1), (-half, half), (-1, 0), (-half, -half), (0, -1), (half, -half)]
    torch.testing.assert_close(ring8(PLACES).modes.centres, torch.tensor(expected, dtype=torch.float64))


def test_the_grid_has_a_mode_at_each_pair_of_even_numbers_up_to_four():
    centres = {tuple(centre) for centre in grid25(PLACES).modes.centres.tolist()}
    assert centres == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}


@pytest.mark.parametrize(("toy", "modes", "deviation"), TOYS)
def test_a_toy_is_of_the_papers_size_and_states_its_modes(toy, modes, deviation):
    data = toy(PLACES)
    assert (data.train.shape, data.heldout.shape) == ((100_000, 2), (10_000, 2))
    assert data.train.dtype == data.heldout.dtype == torch.float32
    assert data.train_labels.dtype == data.heldout_labels.dtype == torch.int64
    assert data.modes.deviation == deviation
    assert data.modes.centres.dtype == data.modes.weights.dtype == torch.float64
    assert data.modes.weights.tolist() == [1 / modes] * modes


@pytest.mark.parametrize(("toy", "modes", "_deviation"), TOYS)
def test_every_mode_has_its_share_of_the_points(toy, modes, _deviation):
    data = toy(PLACES)
    for labels in (data.train_labels, data.heldout_labels):
        counts = torch.bincount(labels, minlength=modes)
        expected = len(labels) / modes
        assert (counts - expected).abs().max() < 5 * math.sqrt(expected * (1 - 1 / modes))


@pytest.mark.parametrize(("toy", "_modes", "deviation"), TOYS)
def test_points_scatter_round_the_mode_that_labels_them_by_the_stated_deviation(toy, _modes, deviation):
    data = toy(PLACES)
    for points, labels in ((data.train, data.train_labels), (data.heldout, data.heldout_labels)):
        scaled = (points.double() - data.modes.centres[labels]) / deviation  # (N, 2)
        count = len(points)
        assert scaled.mean(dim=0).abs().max() < 5 / math.sqrt(count)
        assert (scaled.std(dim=0) - 1).abs().max() < 5 / math.sqrt(2 * count)
        assert abs((scaled[:, 0] * scaled[:, 1]).mean()) < 5 / math.sqrt(count)


@pytest.mark.parametrize(("toy", "_modes", "deviation"), TOYS)
def test_a_perfect_sampler_is_of_high_quality_98_9_percent_of_the_time(toy, _modes, deviation):
    data = toy(PLACES)
    nearest = torch.cdist(data.heldout.double(), data.modes.centres).min(dim=1).values  # (N,)
    share = (nearest < 3 * deviation).double().mean().item()
    expected = 1 - math.exp(-4.5)
    assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / len(nearest))


@pytest.mark.parametrize(("toy", "_modes", "_deviation"), TOYS)
def test_a_toy_is_the_same_every_time_and_its_splits_are_separate_draws(toy, _modes, _deviation):
    first, again = toy(PLACES), toy(PLACES)
    assert torch.equal(first.train, again.train)
    assert torch.equal(first.heldout, again.heldout)
    train, heldout = ({tuple(point) for point in points.tolist()} for points in (first.train, first.heldout))
    assert (
        len(train & heldout) < 10
    )  # float32 coordinates may coincide by chance; a shared stream would share thousands


def test_a_wider_ring_keeps_its_angles():
    data = ring8(PLACES, radius=2.0, deviation=0.05)
    torch.testing.assert_close(data.modes.centres, 2 * ring8(PLACES).modes.centres)
    assert data.modes.deviation == 0.05
    assert abs(data.train.norm(dim=1).mean().item() - 2) < 0.01


@pytest.mark.parametrize("deviation", [0.0, -0.1, math.inf, math.nan])
def test_a_deviation_that_is_no_positive_number_is_refused(deviation):
    with pytest.raises(ChoiceError, match=r"grid25\(deviation=.*\): expected a number above 0"):
        grid25(PLACES, deviation=deviation)


def test_what_is_declared_is_what_is_loaded():
    components = {component.name: component.gives for component in ganbench_datasets()}
    assert list(components) == ["ring8", "grid25"]
    for toy, _, _ in TOYS:
        gives, data = components[toy.__name__], toy(PLACES)
        assert gives["shape"] == tuple(data.train.shape[1:])
        assert gives["modes"] == len(data.modes.centres)
        assert gives["samples"] == len(data.heldout)
        assert (gives["data"], gives["classes"], gives["extractor"]) == ("points", 0, "")
