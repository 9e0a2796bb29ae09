from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ganbench.pictures import (
    FAKE_COLOUR,
    PLOT_PIXELS,
    REAL_COLOUR,
    by_class,
    curve_plot,
    draw_samples,
    image_grid,
    point_plot,
)
from ganbench.protocols import Data

SQUARE = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def pixels(picture):
    return np.asarray(picture)


def places(picture, colour):
    """Rows and columns (N, 2) of the pixels of a colour."""
    return np.argwhere((pixels(picture) == colour).all(axis=2))


def test_images_stand_row_by_row_with_a_white_pixel_between():
    images = torch.arange(10, dtype=torch.uint8).reshape(10, 1, 1, 1).expand(10, 1, 2, 2) * 10
    grid = pixels(image_grid(images))
    assert grid.shape == (2 * 3 - 1, 8 * 3 - 1, 3)
    assert (grid[0:2, 3:5] == 10).all()
    assert (grid[3:5, 0:2] == 80).all()
    assert (grid[2] == 255).all()
    assert (grid[:, 2] == 255).all()
    assert (grid[3:5, 6:8] == 255).all()  # nothing stands there


def test_colours_keep_their_channels():
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(1, 3, 1, 1)
    assert pixels(image_grid(image)).tolist() == [[[10, 20, 30]]]


def test_a_grid_shows_at_most_64_images():
    assert image_grid(torch.zeros(200, 1, 4, 4, dtype=torch.uint8)).size == (8 * 5 - 1, 8 * 5 - 1)
    assert image_grid(torch.zeros(3, 1, 4, 4, dtype=torch.uint8)).size == (3 * 5 - 1, 4)


def test_a_grid_may_have_other_columns():
    assert image_grid(torch.zeros(12, 1, 4, 4, dtype=torch.uint8), 6).size == (6 * 5 - 1, 2 * 5 - 1)


def test_points_are_drawn_upwards_in_the_frame_of_the_real_ones():
    picture = point_plot(SQUARE, torch.tensor([[0.5, 1.0]]))
    assert picture.size == (PLOT_PIXELS, PLOT_PIXELS)
    (row, column) = places(picture, FAKE_COLOUR).mean(axis=0)
    margin = PLOT_PIXELS * 0.2 / 1.4
    assert row == pytest.approx(margin, abs=1.5)
    assert column == pytest.approx(PLOT_PIXELS / 2, abs=1.5)
    assert len(places(picture, REAL_COLOUR)) >= 4


def test_points_outside_the_frame_are_not_drawn():
    assert len(places(point_plot(SQUARE, torch.tensor([[9.0, 0.5], [0.5, -9.0]])), FAKE_COLOUR)) == 0


def test_the_frame_does_not_depend_on_the_fakes():
    one = point_plot(SQUARE, torch.tensor([[0.5, 0.5]]))
    other = point_plot(SQUARE, torch.tensor([[0.5, 0.5], [100.0, 100.0]]))
    assert (pixels(one) == pixels(other)).all()


def test_points_of_more_dimensions_are_drawn_by_the_first_two():
    deeper = torch.cat([SQUARE, torch.full((4, 1), 7.0)], dim=1)
    assert (pixels(point_plot(deeper, deeper)) == pixels(point_plot(SQUARE, SQUARE))).all()


def test_points_on_a_line_are_drawn_along_the_middle():
    picture = point_plot(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.25]]))
    (row, column) = places(picture, FAKE_COLOUR).mean(axis=0)
    assert row == pytest.approx(PLOT_PIXELS / 2, abs=1.5)
    assert column == pytest.approx(PLOT_PIXELS * 0.45 / 1.4, abs=1.5)


@pytest.mark.parametrize(
    ("samples", "heldout"),
    [
        (torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.zeros(9, 1, 8, 8, dtype=torch.uint8)),
        (torch.zeros(5, 2), SQUARE),
    ],
)
def test_a_picture_of_samples_is_a_png(tmp_path, samples, heldout):
    draw_samples(samples, Data(heldout, heldout), tmp_path / "samples.png")
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.format == "PNG"
        assert picture.mode == "RGB"


# --- curves


def test_a_curve_is_a_line_through_its_points_in_the_frame_of_the_real_ones():
    across = torch.tensor([[[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]]])
    found = places(curve_plot(SQUARE, across), FAKE_COLOUR)
    margin = PLOT_PIXELS * 0.2 / 1.4
    assert found[:, 0].mean() == pytest.approx(PLOT_PIXELS / 2, abs=1.5)
    assert found[:, 0].max() - found[:, 0].min() <= 5  # of the dots at its ends
    assert set(range(round(margin) + 2, round(PLOT_PIXELS - margin) - 2)) <= set(found[:, 1].tolist())
    assert found[:, 1].min() == pytest.approx(margin, abs=3.5)
    assert found[:, 1].max() == pytest.approx(PLOT_PIXELS - margin, abs=3.5)


def test_curves_lie_over_the_points_that_a_plot_of_samples_lies_over():
    nothing = point_plot(SQUARE, torch.zeros(0, 2))
    inside = curve_plot(SQUARE, torch.full((1, 3, 2), 0.5))
    changed = np.argwhere((pixels(inside) != pixels(nothing)).any(axis=2))
    assert 0 < len(changed) <= 36
    assert changed.mean(axis=0) == pytest.approx([PLOT_PIXELS / 2] * 2, abs=1.5)


def test_of_a_curve_that_leaves_the_frame_what_is_inside_is_drawn():
    leaving = torch.tensor([[[0.5, 0.5], [0.5, 1.5], [0.5, 3e38]], [[-3e38, 0.5], [0.5, 0.5], [3e38, 3e38]]])
    found = places(curve_plot(SQUARE, leaving), FAKE_COLOUR)
    assert found[:, 0].min() == 0
    assert found[:, 0].max() == pytest.approx(PLOT_PIXELS / 2, abs=3.5)
    assert found[:, 1].tolist() == pytest.approx([PLOT_PIXELS / 2] * len(found), abs=3.5)


# --- a row for each class


def of_labels(labels):
    """Each sample tells its place and its label."""
    return torch.stack([torch.arange(len(labels)), labels], 1)


def test_each_row_of_a_grid_shows_the_first_samples_of_a_class_in_their_order():
    labels = torch.arange(10).repeat(20)  # 0, 1, …, 9, 0, 1, …: sample 10k + c is the kth of class c
    shown = by_class(of_labels(labels), labels)
    assert shown.shape == (64, 2)
    assert [row[:, 1].tolist() for row in shown.split(8)] == [[label] * 8 for label in range(8)]
    assert [row[:, 0].tolist() for row in shown.split(8)] == [list(range(label, 80, 10)) for label in range(8)]


def test_fewer_classes_than_rows_begin_again_with_the_samples_that_follow():
    labels = torch.tensor([2, 5, 7] * 30)
    shown = by_class(of_labels(labels), labels)
    assert [row[0, 1].item() for row in shown.split(8)] == [2, 5, 7, 2, 5, 7, 2, 5]
    assert shown[:8, 0].tolist() == list(range(0, 24, 3))
    assert shown[24:32, 0].tolist() == list(range(24, 48, 3))
    assert shown[48:56, 0].tolist() == list(range(48, 72, 3))


def test_where_a_class_has_too_few_samples_all_stay_in_their_own_order():
    labels = torch.tensor([0] * 100 + [1] * 31)
    samples = of_labels(labels)
    assert torch.equal(by_class(samples, labels), samples)
    enough = torch.tensor([0] * 100 + [1] * 32)
    assert by_class(of_labels(enough), enough)[8:16, 1].tolist() == [1] * 8


def test_classes_that_a_grid_has_no_row_for_may_have_few_samples():
    labels = torch.cat([torch.arange(8).repeat(8), torch.tensor([9])])
    shown = by_class(of_labels(labels), labels)
    assert shown[:, 1].tolist() == [label for label in range(8) for _ in range(8)]
