"""Five sets of points: their geometry, weights and deviations, each within five standard errors."""

import math

import pytest
import torch

from ganbench.datasets import fingerprint, noise_like
from ganbench.errors import ChoiceError
from ganbench.protocols import Data, Evidence, Places
from ganbench_metrics.modes import ModeCoverage
from ganbench_points import ganbench_datasets
from ganbench_points.data import RARE, grid25, rare_modes, ring8, spiral, two_scales

PLACES = Places()
SETS = {"ring8": ring8, "grid25": grid25, "spiral": spiral, "two-scales": two_scales, "rare-modes": rare_modes}
WITH_MODES = [ring8, grid25, two_scales, rare_modes]


def coverage(data: Data, fake: torch.Tensor) -> dict[str, float | None]:
    scores = ModeCoverage()(Evidence(fake=fake, real=data.heldout[: len(fake)], data=data))
    return {score.name: score.value for score in scores}


def component_of(data: Data, points: torch.Tensor) -> torch.Tensor:
    """The component (N,) that is nearest to each point in units of its deviation."""
    return (torch.cdist(points.double(), data.modes.centres) / data.modes.deviations).argmin(dim=1)


def test_the_ring_has_eight_modes_at_multiples_of_45_degrees_on_the_unit_circle():
    half = math.sqrt(0.5)
    expected = [(1, 0), (half, half), (0, 1), (-half, half), (-1, 0), (-half, -half), (0, -1), (half, -half)]
    torch.testing.assert_close(ring8(PLACES).modes.centres, torch.tensor(expected, dtype=torch.float64))


def test_the_grid_has_a_mode_at_each_pair_of_even_numbers_up_to_four():
    centres = {tuple(centre) for centre in grid25(PLACES).modes.centres.tolist()}
    assert centres == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}


@pytest.mark.parametrize(
    ("toy", "train", "heldout"), [(ring8, "1cb952e1dbb4", "9064d2ce941d"), (grid25, "c0707e57d3c7", "0c27805cd85e")]
)
def test_the_toys_points_and_labels_are_those_of_the_first_version(toy, train, heldout):
    data = toy(PLACES)
    assert fingerprint(data.train, data.train_labels) == train
    assert fingerprint(data.heldout, data.heldout_labels) == heldout


@pytest.mark.parametrize(("toy", "modes", "deviation"), [(ring8, 8, 0.01), (grid25, 25, 0.05)])
def test_a_toy_has_equal_modes_of_the_papers_deviation(toy, modes, deviation):
    data = toy(PLACES)
    assert data.modes.deviations.tolist() == [deviation] * modes
    assert data.modes.weights.tolist() == [1 / modes] * modes


def test_the_modes_of_the_narrow_ring_are_the_broad_ones_sixty_times_smaller():
    modes = two_scales(PLACES).modes
    torch.testing.assert_close(modes.centres[:8] * 60, modes.centres[8:])
    torch.testing.assert_close(modes.centres[8:], ring8(PLACES).modes.centres)
    torch.testing.assert_close(modes.deviations, torch.tensor([0.0005, 0.03], dtype=torch.float64).repeat_interleave(8))
    assert modes.weights.tolist() == [1 / 16] * 16


def test_two_scales_labels_say_which_ring_a_point_is_of():
    data = two_scales(PLACES)
    assert data.class_names == ("narrow", "broad")
    for points, labels in ((data.train, data.train_labels), (data.heldout, data.heldout_labels)):
        assert torch.equal(labels, (points.norm(dim=1) > 0.2).long())
        assert abs(labels.double().mean().item() - 0.5) < 5 * 0.5 / math.sqrt(len(labels))


def test_rare_modes_are_the_rings_with_weights_down_to_one_percent():
    modes = rare_modes(PLACES).modes
    torch.testing.assert_close(modes.centres, ring8(PLACES).modes.centres)
    assert modes.weights.tolist() == list(RARE)
    assert sum(RARE) == pytest.approx(1, abs=1e-12)
    assert min(RARE) == 0.01


def test_the_spiral_is_points_on_an_involute_with_noise():
    data = spiral(PLACES)
    assert (data.modes, data.train_labels, data.heldout_labels) == (None, None, None)
    radius = 1 / math.sqrt(1 + (4 * math.pi) ** 2)
    t = torch.linspace(0, 4 * math.pi, 20_001, dtype=torch.float64)
    curve = radius * torch.stack([t.cos() + t * t.sin(), t.sin() - t * t.cos()], dim=1)
    assert curve[-1].norm().item() == pytest.approx(1)
    off = torch.cdist(data.heldout[:2000].double(), curve).min(dim=1).values  # (N,): |N(0, 0.02²)|
    assert off.square().mean().sqrt().item() == pytest.approx(0.02, rel=0.08)
    assert torch.cdist(curve, data.density.centres).min(dim=1).values.max() < 0.011  # nowhere a gap


def test_the_spirals_components_are_evenly_spaced_along_the_curve_and_closer_than_a_deviation():
    for deviation in (0.02, 0.1):
        steps = spiral(PLACES, deviation=deviation).density.centres.diff(dim=0).norm(dim=1)  # (K - 1,): chords
        assert 0.9 * deviation < steps[len(steps) // 2 :].min()
        assert steps.max() <= deviation


def test_the_spirals_density_is_constant_along_its_last_turn():
    data = spiral(PLACES)
    t = torch.linspace(2.2 * math.pi, 3.8 * math.pi, 5000, dtype=torch.float64)
    radius = 1 / math.sqrt(1 + (4 * math.pi) ** 2)
    along = data.density.log_prob(radius * torch.stack([t.cos() + t * t.sin(), t.sin() - t * t.cos()], dim=1))
    assert (along.max() - along.min()).item() < 0.003


@pytest.mark.parametrize("load", SETS.values(), ids=SETS)
def test_a_set_is_of_the_stated_size_and_type(load):
    data = load(PLACES)
    assert (data.train.shape, data.heldout.shape) == ((100_000, 2), (10_000, 2))
    assert data.train.dtype == data.heldout.dtype == torch.float32
    assert data.origin
    if data.modes is not None:
        assert data.train_labels.dtype == data.heldout_labels.dtype == torch.int64
        assert data.modes.centres.dtype == data.modes.deviations.dtype == data.modes.weights.dtype == torch.float64


@pytest.mark.parametrize("load", WITH_MODES)
def test_every_mode_has_its_share_of_the_points(load):
    data = load(PLACES)
    for points in (data.train, data.heldout):
        counts = torch.bincount(component_of(data, points), minlength=len(data.modes.weights))
        expected = len(points) * data.modes.weights
        assert ((counts - expected).abs() < 5 * (expected * (1 - data.modes.weights)).sqrt()).all()


@pytest.mark.parametrize("load", WITH_MODES)
def test_points_scatter_round_their_mode_by_its_deviation(load):
    data = load(PLACES)
    for points in (data.train, data.heldout):
        nearest = component_of(data, points)
        scaled = (points.double() - data.modes.centres[nearest]) / data.modes.deviations[nearest, None]  # (N, 2)
        count = len(points)
        assert scaled.mean(dim=0).abs().max() < 5 / math.sqrt(count)
        assert (scaled.std(dim=0) - 1).abs().max() < 5 / math.sqrt(2 * count)
        assert abs((scaled[:, 0] * scaled[:, 1]).mean()) < 5 / math.sqrt(count)


@pytest.mark.parametrize("load", [ring8, grid25, rare_modes])
def test_labels_are_the_indices_of_the_points_own_modes(load):
    data = load(PLACES)
    assert torch.equal(data.train_labels, component_of(data, data.train))
    assert torch.equal(data.heldout_labels, component_of(data, data.heldout))


@pytest.mark.parametrize("load", WITH_MODES)
def test_a_perfect_sampler_scores_98_9_percent_high_quality_and_the_divergence_that_theory_gives(load):
    data, runs, count = load(PLACES), 5, 10_000
    scores = [coverage(data, data.density.sample(count, torch.Generator().manual_seed(seed))) for seed in range(runs)]
    expected, modes = 1 - math.exp(-4.5), len(data.modes.weights)
    high_quality = sum(score["high_quality"] for score in scores) / runs
    assert abs(high_quality - expected) < 5 * math.sqrt(expected * (1 - expected) / (runs * count))
    divergence = sum(score["kl_modes"] for score in scores) / runs
    floor = (modes - 1) / (2 * count)  # 2N·KL is χ² with K - 1 degrees of freedom
    assert abs(divergence - floor) < 5 * math.sqrt((modes - 1) / (2 * runs)) / count
    assert all(score["modes_20pct"] == score["modes_any"] == modes for score in scores)


@pytest.mark.parametrize("load", WITH_MODES)
def test_uniform_noise_covers_no_mode_by_a_fifth_of_its_share(load):
    data = load(PLACES)
    for seed in range(3):
        scores = coverage(data, noise_like(data, 10_000, torch.Generator().manual_seed(seed)))
        assert scores["modes_20pct"] == 0
        assert scores["tvd_modes"] > 0.9


@pytest.mark.parametrize("load", SETS.values(), ids=SETS)
def test_a_set_is_the_same_every_time_and_its_splits_are_separate_draws(load):
    first, again = load(PLACES), load(PLACES)
    assert torch.equal(first.train, again.train)
    assert torch.equal(first.heldout, again.heldout)
    train, heldout = ({tuple(point) for point in points.tolist()} for points in (first.train, first.heldout))
    coincidences = len(train & heldout)  # of float32 coordinates; a shared stream would share thousands
    assert coincidences < 10


def test_a_wider_ring_keeps_its_angles():
    data = ring8(PLACES, radius=2.0, deviation=0.05)
    torch.testing.assert_close(data.modes.centres, 2 * ring8(PLACES).modes.centres)
    assert data.modes.deviations.tolist() == [0.05] * 8
    assert abs(data.train.norm(dim=1).mean().item() - 2) < 0.01


@pytest.mark.parametrize("deviation", [0.0, -0.1, math.inf, math.nan])
@pytest.mark.parametrize("name", SETS)
def test_a_deviation_that_is_no_positive_number_is_refused(name, deviation):
    with pytest.raises(ChoiceError, match=rf"^{name}\(deviation=.*\): expected a number above 0(\.001)?$"):
        SETS[name](PLACES, deviation=deviation)


@pytest.mark.parametrize(
    ("load", "parameters", "message"),
    [
        (ring8, {"radius": -1.0}, "ring8(radius=-1.0): expected a number above 0"),
        (two_scales, {"ratio": 1.0}, "two-scales(ratio=1.0): expected a number above 1"),
        (spiral, {"deviation": 0.0005}, "spiral(deviation=0.0005): expected a number above 0.001"),
    ],
)
def test_other_parameters_out_of_their_range_are_refused(load, parameters, message):
    with pytest.raises(ChoiceError) as error:
        load(PLACES, **parameters)
    assert str(error.value) == message


def test_what_is_declared_is_what_is_loaded():
    components = {component.name: component for component in ganbench_datasets()}
    assert list(components) == list(SETS)
    for name, load in SETS.items():
        gives, data = components[name].gives, load(PLACES)
        assert components[name].target == f"ganbench_points.data:{load.__name__}"
        assert gives["shape"] == tuple(data.train.shape[1:])
        assert gives["modes"] == (len(data.modes.centres) if data.modes else 0)
        assert gives["splits"] == (len(data.train), len(data.heldout))
        assert gives["samples"] == len(data.heldout)
        assert gives["density"]
        assert data.density is not None
        assert gives["classes"] == len(data.class_names)
        assert (gives["data"], gives["extractor"]) == ("points", "")
        assert gives["licence"]
        assert gives["source"]
