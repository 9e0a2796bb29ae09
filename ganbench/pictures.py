"""Pictures of samples as PNG files: a grid of images, or points drawn over the data's."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from ganbench.disk import write_atomically
from ganbench.protocols import Data

GRID_COLUMNS = 8
GRID_IMAGES = 64
GRID_GAP = 1  # pixels
PLOT_PIXELS = 320
PLOT_POINTS = 2000
REAL_COLOUR = (190, 190, 190)
FAKE_COLOUR = (0, 114, 178)  # blue of Okabe and Ito's palette, told apart by every kind of colour vision


def draw_samples(samples: Tensor, data: Data, path: Path) -> None:
    """Write a picture of the first `samples`: uint8 images (N, C, H, W), or points (N, D) over held-out ones.

    Points are drawn by their first two coordinates, those of a line along the middle, in a frame that depends on the
    data alone.
    """
    picture = image_grid(samples) if samples.dtype == torch.uint8 else point_plot(data.heldout, samples)
    write_atomically(path, as_png(picture))


def as_png(picture: Image.Image) -> bytes:
    """What a PNG file of the picture holds."""
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()


def by_class(samples: Tensor, labels: Tensor) -> Tensor:
    """As many samples as a grid shows, a row for each of the first classes in turn: the nth of a class in column n.

    All of them in their own order where a class has too few.
    """
    classes: list[int] = sorted(set(labels.tolist()))
    rows = [samples[labels == classes[row % len(classes)]] for row in range(GRID_IMAGES // GRID_COLUMNS)]
    again = [row // len(classes) * GRID_COLUMNS for row in range(len(rows))]
    cut = [row[start : start + GRID_COLUMNS] for row, start in zip(rows, again, strict=True)]
    return torch.cat(cut) if all(len(row) == GRID_COLUMNS for row in cut) else samples


def image_grid(images: Tensor, columns: int = GRID_COLUMNS) -> Image.Image:
    """Up to 64 images (N, C, H, W), uint8 with 1 or 3 channels, row by row."""
    shown = images[:GRID_IMAGES]
    columns = min(columns, len(shown))
    rows = math.ceil(len(shown) / columns)
    height, width = shown.shape[2] + GRID_GAP, shown.shape[3] + GRID_GAP
    canvas = np.full((rows * height - GRID_GAP, columns * width - GRID_GAP, 3), 255, dtype=np.uint8)
    for index, image in enumerate(shown.permute(0, 2, 3, 1).numpy()):  # (H, W, C)
        top, left = index // columns * height, index % columns * width
        canvas[top : top + height - GRID_GAP, left : left + width - GRID_GAP] = image  # one channel is broadcast to 3
    return Image.fromarray(canvas)


def point_plot(real: Tensor, fake: Tensor) -> Image.Image:
    """Fake points (N, D) in blue over real ones in grey, the first two coordinates."""
    frame = _frame(real)
    canvas = Image.new("RGB", (PLOT_PIXELS, PLOT_PIXELS), "white")
    pen = ImageDraw.Draw(canvas)
    for points, colour in ((real, REAL_COLOUR), (fake, FAKE_COLOUR)):
        _draw_points(pen, _places(points[:PLOT_POINTS], frame), colour)
    return canvas


def curve_plot(real: Tensor, curves: Tensor) -> Image.Image:
    """Curves (N, T, D) in blue, with a dot at each end, over real points (M, D) in grey, framed as in `point_plot`."""
    frame = _frame(real)
    canvas = point_plot(real, curves[:0].flatten(0, 1))
    pen = ImageDraw.Draw(canvas)
    for curve in curves:
        places = _places(curve, frame)  # (T, 2)
        near = np.all((places >= -1) & (places <= 2), axis=1)  # a line to a far place would overflow
        for number in np.flatnonzero(near[:-1] & near[1:]):
            ends = places[number : number + 2] * (PLOT_PIXELS - 1)
            pen.line([(x, PLOT_PIXELS - 1 - y) for x, y in ends.tolist()], fill=FAKE_COLOUR)
        _draw_points(pen, places[[0, -1]], FAKE_COLOUR, radius=2.0)
    return canvas


def _draw_points(
    pen: ImageDraw.ImageDraw, places: np.ndarray, colour: tuple[int, int, int], radius: float = 0.5
) -> None:
    """Squares of twice the radius, in pixels, at the places (N, 2) that are inside the frame."""
    inside = places[((places >= 0) & (places <= 1)).all(axis=1)]
    for x, y in inside * (PLOT_PIXELS - 1):
        top = PLOT_PIXELS - 1 - y
        pen.rectangle([x - radius, top - radius, x + radius, top + radius], fill=colour)


Frame = tuple[np.ndarray, np.ndarray]


def _places(points: Tensor, frame: Frame) -> np.ndarray:
    """Where points (N, D) are drawn: (N, 2), from 0 to 1 inside the frame, upwards."""
    low, high = frame
    places: np.ndarray = (plane(points) - low) / (high - low)
    return places


def _frame(points: Tensor) -> Frame:
    """Two corners around the points with a margin of a fifth, or of 1 around a single place; the rest is not drawn."""
    low, high = plane(points).min(axis=0), plane(points).max(axis=0)
    margin = np.where(high > low, 0.2 * (high - low), 1.0)
    return low - margin, high + margin


def plane(points: Tensor) -> np.ndarray:
    """The first two coordinates of points (N, D): (N, 2) float64, with 0 for a second one that is not there."""
    flat = points[:, :2].double()
    return F.pad(flat, (0, 2 - flat.shape[1])).numpy()
