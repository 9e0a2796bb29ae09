"""What a trial leaves at its end beside its scores: interpolations, nearest neighbours, and where samples fall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganbench.datasets import resize_images
from ganbench.disk import write_atomically
from ganbench.extraction import Alive, nobody
from ganbench.membership import modes_of
from ganbench.metrics import Measured, spread
from ganbench.pictures import as_png, curve_plot, image_grid, plane
from ganbench.pixels import nearest_images
from ganbench.portrait_files import (
    INTERPOLATIONS,
    LONGEST_NAME,
    MOST_CLASSES,
    MOST_SAMPLES,
    NEIGHBOURS,
    PORTRAIT,
    Classes,
    Neighbours,
    Points,
    Portrait,
    content_of,
)
from ganbench.protocols import Data

ROWS = 8
LATENTS = 2 * ROWS
"""The first of the evaluation's latents, which are the ends of the rows: 0 and 1, 2 and 3, …"""

STEPS = 8
"""Images in a row, its ends among them."""

CURVE_STEPS = 65
"""Points of a curve, its ends among them."""

SHOWN = 8
SHOWN_NEIGHBOURS = 5

MOST_TRAINING = 10_000
"""Training images that are searched for neighbours: evenly spaced ones where there are more."""

LARGEST = 32
"""The side that larger images are reduced to before they are compared: this bounds the time that it takes."""

CHUNK = 128
"""Images reduced at once: 100 MB as numbers, of 256×256 in colour."""

NEARLY_PARALLEL = 1e-6
"""The sine of an angle below which a circle through both ends is not to be told from a line, or not to be found."""

DIGITS = 5
"""Of each number that is written."""

DOING = "portrait"


@dataclass(frozen=True)
class Sitting:
    """A generator at the end of its training, as a portrait is made of it.

    `samples` are at rest and on the CPU, those that were measured, and `real` what they were compared with.
    `class_names` are those of the classes that the logits in `measured` are of. `generate` maps latents (N, Z), and
    labels (N,) if there are any, to samples at rest on the CPU. `latents` (16, Z) are the ends of the interpolations,
    `labels` (8,) the class of each row of them. `device` computes distances, `alive` is told that it goes on.
    """

    data: Data
    real: Tensor
    samples: Tensor
    measured: Measured
    class_names: tuple[str, ...]
    generate: Callable[[Tensor, Tensor | None], Tensor]
    latents: Tensor
    labels: Tensor | None
    device: torch.device
    alive: Alive = nobody

    @property
    def pictorial(self) -> bool:
        """Whether samples are images, and not points."""
        return self.samples.dtype == torch.uint8


def portray(sitting: Sitting, folder: Path) -> None:
    """Write the portrait's files into the folder, after all of them are made.

    Draws no random number. Raises StorageError where the disk takes no more, and what `generate` raises.
    """
    sitting.alive(DOING)
    files = {INTERPOLATIONS: as_png(interpolations(sitting))}
    neighbours = None
    if sitting.pictorial and len(sitting.data.train):
        picture, neighbours = _neighbours(sitting)
        files[NEIGHBOURS] = as_png(picture)
    files[PORTRAIT] = content_of(Portrait(_classes(sitting), _points(sitting), neighbours))
    for name, content in files.items():
        write_atomically(folder / name, content)


def interpolations(sitting: Sitting) -> Image.Image:
    """What lies between pairs of latents: a row of images for each, or a curve over the data's points."""
    steps = STEPS if sitting.pictorial else CURVE_STEPS
    starts, ends = sitting.latents[0::2], sitting.latents[1::2]  # (8, Z), (8, Z)
    latents = slerp(starts, ends, steps).flatten(0, 1)  # (8 · steps, Z)
    labels = None if sitting.labels is None else sitting.labels.repeat_interleave(steps)
    samples = sitting.generate(latents, labels)
    if sitting.pictorial:
        return image_grid(samples, STEPS)
    return curve_plot(sitting.data.heldout, samples.reshape(ROWS, steps, -1))


def slerp(starts: Tensor, ends: Tensor, steps: int) -> Tensor:
    """Spherical interpolation between latents (N, Z), with both ends: (N, steps, Z) (arXiv:1609.04468, §2.1).

    Along the line where the angle is 0 or 180 degrees, or an end is the origin: then there is no circle, or no single
    one.
    """
    start, end = starts.double().unsqueeze(1), ends.double().unsqueeze(1)  # (N, 1, Z)
    share = torch.linspace(0, 1, steps, dtype=torch.float64, device=starts.device).reshape(1, -1, 1)
    lengths = start.norm(dim=2, keepdim=True) * end.norm(dim=2, keepdim=True)  # (N, 1, 1)
    angle = ((start * end).sum(dim=2, keepdim=True) / lengths).clamp(-1, 1).arccos()
    sine = angle.sin()
    curved = sine > NEARLY_PARALLEL  # not where it is NaN either
    before = torch.where(curved, ((1 - share) * angle).sin() / sine, 1 - share)  # (N, steps, 1)
    after = torch.where(curved, (share * angle).sin() / sine, share)
    return (before * start + after * end).to(starts.dtype)


def _neighbours(sitting: Sitting) -> tuple[Image.Image, Neighbours]:
    """The first samples, each with the training images nearest to it in a row; and how near training images are."""
    train, samples, real = sitting.data.train, sitting.samples, sitting.real
    searched = spread(len(train), min(len(train), MOST_TRAINING))  # indices
    samples, real = samples[:MOST_SAMPLES], real[spread(len(real), min(len(real), MOST_SAMPLES))]
    queries = torch.cat([_comparable(samples, sitting.alive), _comparable(real, sitting.alive)])
    others = torch.cat([_comparable(train[part], sitting.alive) for part in torch.split(searched, CHUNK)])
    distances, indices = nearest_images(queries, others, SHOWN_NEIGHBOURS, sitting.device)
    shown = samples[:SHOWN, None]
    rows = torch.cat([shown, train[searched[indices[: len(shown)]]]], dim=1)  # (8, 1 + 5, C, H, W)
    nearest = _rounded(distances[:, 0])
    what = "Euclidean distance of the pixels, each from 0 to 1"
    reduced = "" if queries.shape[1:] == samples.shape[1:] else f", of images reduced to {LARGEST}×{LARGEST}"
    numbers = Neighbours(what + reduced, len(searched), nearest[: len(samples)], nearest[len(samples) :])
    return image_grid(rows.flatten(0, 1), rows.shape[1]), numbers


def _comparable(images: Tensor, alive: Alive) -> Tensor:
    """The images (N, C, H, W) at a size at which they can all be compared."""
    if max(images.shape[2:]) <= LARGEST:
        return images
    reduced = []
    for part in torch.split(images, CHUNK):
        alive(DOING)
        reduced.append(resize_images(part, LARGEST))
    return torch.cat(reduced)


def _classes(sitting: Sitting) -> Classes | None:
    """Where samples and data fall: on known modes, or on the classes of a classifier that knows the data's."""
    modes, names = sitting.data.modes, sitting.class_names
    real, fake = sitting.measured.real_logits, sitting.measured.fake_logits
    if modes is not None and len(modes.weights) < MOST_CLASSES:
        bins = len(modes.weights) + 1
        data = _rounded(torch.cat([modes.weights.double(), torch.zeros(1, dtype=torch.float64)]))
        modal = (*(f"mode {number}" for number in range(1, bins)), "no mode")
        return Classes(modal, data, _shares(modes_of(sitting.samples, modes), bins))
    if real is None or fake is None or not 0 < len(names) <= MOST_CLASSES or fake.shape[1] != len(names):
        return None
    data, samples = (_shares(logits.argmax(dim=1).cpu(), len(names)) for logits in (real, fake))
    return Classes(tuple(map(_writable, names)), data, samples)


def _points(sitting: Sitting) -> Points | None:
    if sitting.pictorial:
        return None
    heldout = sitting.data.heldout
    data = heldout[spread(len(heldout), min(len(heldout), MOST_SAMPLES))]
    return Points(_pairs(data), _pairs(sitting.samples[:MOST_SAMPLES]))


def _pairs(points: Tensor) -> tuple[tuple[float, float], ...]:
    flat = _rounded(torch.from_numpy(plane(points)).flatten())
    return tuple(zip(flat[0::2], flat[1::2], strict=True))


def _shares(members: Tensor, number: int) -> tuple[float, ...]:
    """The share of each of 0 to `number` - 1 among `members` (N,)."""
    return _rounded(torch.bincount(members, minlength=number).double() / len(members))


def _rounded(values: Tensor) -> tuple[float, ...]:
    """Numbers (N,) as a small file has them."""
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())


def _writable(name: str) -> str:
    """A class's name as JSON can hold it for everybody: what a folder is called need not be text."""
    return name[:LONGEST_NAME].encode("utf-8", "replace").decode()
