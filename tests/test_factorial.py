"""Least squares against a published factorial experiment, and against regression on dummies."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from ganbench.factorial import cell_means, fit_levels, interact
from ganbench.multiplicity import holm

YIELD = np.array([[28, 25, 27], [36, 32, 32], [18, 19, 23], [31, 30, 29]], dtype=float)
"""A chemical process: reactant and catalyst, low and high, three times each (Montgomery, chapter 6)."""
LEVELS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


def chemical():
    means = cell_means(YIELD.ravel(), np.repeat(np.arange(4), 3))
    return means, fit_levels(LEVELS, [2, 2])


def test_the_effects_of_the_chemical_process_are_as_printed():
    means, fit = chemical()
    reactant_low, reactant_high, catalyst_low, catalyst_high = fit.effects @ means.means
    assert reactant_high - reactant_low == pytest.approx(8.33, abs=5e-3)
    assert catalyst_high - catalyst_low == pytest.approx(-5.00, abs=5e-3)
    interaction = interact(means, fit, LEVELS[:, 0], LEVELS[:, 1])
    both_high = (interaction.combinations @ means.means)[3]
    assert (interaction.first[3], interaction.second[3]) == (1, 1)
    assert 2 * both_high == pytest.approx(1.67, abs=5e-3)


def test_the_error_and_the_test_of_the_interaction_are_as_printed():
    means, fit = chemical()
    assert (means.variance, means.freedom) == (pytest.approx(3.92, abs=5e-3), 8)
    interaction = interact(means, fit, LEVELS[:, 0], LEVELS[:, 1])
    assert interaction.p == pytest.approx(stats.f.sf(2.13, 1, 8), abs=1e-3)


def test_the_variance_of_an_effect_is_that_of_the_difference_of_two_means():
    means, fit = chemical()
    contrast = (fit.effects[1] - fit.effects[0])[None]
    assert means.variances(contrast) == pytest.approx([1 / 6 + 1 / 6])
    assert_allclose(np.diag(means.covariance(fit.effects)), means.variances(fit.effects))


def drawn(seed, missing=0.0):
    """Values of 2 × 3 × 2 cells and 5 blocks, some of them missing."""
    rng = np.random.default_rng(seed)
    cells, blocks = (index.ravel() for index in np.indices((12, 5)))
    values = rng.normal(size=12)[cells] + rng.normal(size=5)[blocks] + rng.normal(size=60) / 3
    kept = rng.random(60) >= missing
    return values[kept], cells[kept], blocks[kept]


def on_dummies(values, *columns):
    """Least squares on dummies: the coefficients, their covariance but for the variance, the variance."""
    design = np.hstack([np.eye(column.max() + 1)[column] for column in columns])
    design = np.delete(design, np.cumsum([column.max() + 1 for column in columns[:-1]]), axis=1)
    solution, squares, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    assert rank == design.shape[1]
    return solution, np.linalg.inv(design.T @ design), squares[0] / (len(values) - rank)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_with_blocks_differences_of_means_are_those_of_regression_on_dummies(missing):
    values, cells, blocks = drawn(1, missing)
    means = cell_means(values, cells, blocks)
    solution, covariance, variance = on_dummies(values, cells, blocks)
    contrasts = np.eye(12)[1:] - np.eye(12)[:-1]
    wide = np.hstack([contrasts, np.zeros((11, 4))])
    assert means.blocked
    assert (means.variance, means.freedom) == (pytest.approx(variance), len(values) - 16)
    assert_allclose(contrasts @ means.means, wide @ solution, rtol=1e-9)
    assert_allclose(means.covariance(contrasts), wide @ covariance @ wide.T, atol=1e-12)


def test_without_blocks_means_are_means():
    values, cells, _ = drawn(2, 0.3)
    means = cell_means(values, cells)
    assert not means.blocked
    assert_allclose(means.means, [values[cells == cell].mean() for cell in range(12)])
    within = sum(((values[cells == cell] - values[cells == cell].mean()) ** 2).sum() for cell in range(12))
    assert means.variance == pytest.approx(within / (len(values) - 12))


def test_blocks_take_out_what_seeds_have_in_common():
    values, cells, blocks = drawn(3)
    shifted = values + np.arange(5)[blocks] * 100.0
    plain, moved = (cell_means(value, cells, blocks) for value in (values, shifted))
    assert moved.variance == pytest.approx(plain.variance)
    assert_allclose(np.diff(moved.means), np.diff(plain.means), atol=1e-9)
    assert cell_means(shifted, cells).variance > 100 * plain.variance


def test_blocks_that_do_not_connect_the_cells_are_ignored():
    values, cells, blocks = np.arange(8.0) ** 2, np.repeat([0, 1], 4), np.arange(8) // 2
    means = cell_means(values, cells, blocks)
    assert not means.blocked
    assert_allclose(means.means, [values[:4].mean(), values[4:].mean()])


def test_effects_add_up_to_zero_over_the_levels_of_each_factor():
    levels = np.array([[g, loss] for g in range(3) for loss in range(4) if (g, loss) not in {(0, 1), (2, 3)}])
    fit = fit_levels(levels, [3, 4])
    means = np.random.default_rng(4).normal(size=len(levels))
    effects = fit.effects @ means
    assert effects[:3].sum() == pytest.approx(0, abs=1e-12)
    assert effects[3:].sum() == pytest.approx(0, abs=1e-12)


def test_with_cells_missing_effects_are_those_of_the_additive_model():
    levels = np.array([[g, loss] for g in range(3) for loss in range(4) if (g, loss) not in {(0, 1), (2, 3)}])
    generator, loss = np.array([1.0, -3.0, 2.0]), np.array([0.5, -1.5, 2.0, -1.0])
    fit = fit_levels(levels, [3, 4])
    means = 7 + generator[levels[:, 0]] + loss[levels[:, 1]]
    assert_allclose(fit.effects @ means, [*generator, *loss], atol=1e-12)


def test_what_the_cells_cannot_tell_is_nan_and_the_rest_is_not():
    # Three factors: the third is the second, so neither has an effect of its own.
    levels = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 0], [1, 1, 1]])
    fit = fit_levels(levels, [2, 2, 2])
    assert np.isnan(fit.effects[2:]).all()
    assert_allclose(fit.effects[:2] @ np.array([1.0, 2.0, 5.0, 6.0]), [-2, 2])


def test_a_table_that_is_a_sum_has_no_interaction_and_one_that_is_not_has():
    levels = np.array([[g, loss] for g in range(3) for loss in range(3)])
    rng = np.random.default_rng(5)
    noise, cells = rng.normal(size=45) / 10, np.repeat(np.arange(9), 5)
    added = levels.sum(axis=1)[cells]
    crossed = (levels[:, 0] * levels[:, 1])[cells]
    fit = fit_levels(levels, [3, 3])
    sums, products = (interact(cell_means(value + noise, cells), fit, *levels.T) for value in (added, crossed))
    assert sums.p > 0.05
    assert products.p < 1e-9
    assert_allclose(products.combinations @ levels.prod(axis=1), (levels - 1).prod(axis=1), atol=1e-12)


def test_the_p_value_of_an_interaction_is_uniform_where_there_is_none():
    levels = np.array([[g, loss] for g in range(2) for loss in range(3)])
    fit, cells, rng = fit_levels(levels, [2, 3]), np.repeat(np.arange(6), 3), np.random.default_rng(6)
    kept = np.array([number for number in range(18) if number not in (4, 9, 10)])
    found = [interact(cell_means(rng.normal(size=15), cells[kept]), fit, *levels.T).p for _ in range(800)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize("missing", [0, 1])
def test_intervals_cover_the_truth_in_95_of_100_experiments_and_5_find_an_interaction_that_is_not_there(missing):
    levels = np.stack([index.ravel() for index in np.indices((2, 2, 3))], axis=1)
    truth, rng, fit = (
        np.array([-0.3, 0.3, 0.1, -0.1, 0.5, 0, -0.5]),
        np.random.default_rng(8),
        fit_levels(levels, [2, 2, 3]),
    )
    typical = truth[levels + np.array([0, 2, 4])].sum(axis=1)
    cells, blocks = (index.ravel() for index in np.indices((12, 3)))
    covered, found = [], 0
    for _ in range(600):
        kept = rng.permutation(36)[missing:]
        values = typical[cells] + rng.normal(0, 0.3, 36)
        means = cell_means(values[kept], cells[kept], blocks[kept])
        margin = stats.t.ppf(0.975, means.freedom) * np.sqrt(means.variances(fit.effects) * means.variance)
        covered.append(np.abs(fit.effects @ means.means - truth) <= margin)
        pairs = (levels[:, [0, 1]], levels[:, [0, 2]], levels[:, [1, 2]])
        found += (holm(np.array([interact(means, fit, *pair.T).p for pair in pairs])) <= 0.05).any()
    assert 0.94 < np.mean(covered) < 0.96
    assert 0.02 < found / 600 < 0.075


def test_levels_that_never_cross_leave_nothing_to_interact():
    levels = np.array([[0, 0], [1, 0], [1, 1]])
    means = cell_means(np.arange(6.0), np.repeat(np.arange(3), 2))
    assert interact(means, fit_levels(levels, [2, 2]), *levels.T) is None


def test_seeds_that_do_not_vary_leave_no_doubt():
    cells = np.repeat(np.arange(4), 2)
    fit = fit_levels(LEVELS, [2, 2])
    flat = cell_means(np.array([1.0, 2.0, 3.0, 4.0])[cells], cells)
    bent = cell_means(np.array([1.0, 2.0, 3.0, 9.0])[cells], cells)
    assert flat.variance == 0
    assert interact(flat, fit, *LEVELS.T).p == 1
    assert interact(bent, fit, *LEVELS.T).p == 0


def test_one_seed_in_each_cell_leaves_no_variance():
    means = cell_means(np.arange(4.0), np.arange(4))
    assert (means.freedom, np.isnan(means.variance)) == (0, True)
    assert np.isnan(interact(means, fit_levels(LEVELS, [2, 2]), *LEVELS.T).p)
