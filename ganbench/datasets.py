"""Data at rest and data as networks see them: the conversions and the splits that every data set shares."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import torch.nn.functional as F

from ganbench.errors import DataError
from ganbench.protocols import Data

CHUNK = 4096
"""Images resized at a time: bounds the float32 copy."""


def quantise(samples: torch.Tensor) -> torch.Tensor:
    """Generated samples as they lie at rest: images (N, C, H, W) uint8, points (N, D) as they are.

    Images are clamped to [-1, 1] and rounded as a PNG would hold them: -1 gives 0, 1 gives 255, and 0, of 127.5, gives
    128 (half to even).
    """
    if samples.ndim == 2:
        return samples.detach().float()
    return samples.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


def as_input(real: torch.Tensor) -> torch.Tensor:
    """Data at rest as a network sees them: uint8 images as float32 in [-1, 1], points unchanged."""
    return real.float().div(127.5).sub(1) if real.dtype == torch.uint8 else real.float()


def noise_like(data: Data, count: int, rng: torch.Generator) -> torch.Tensor:
    """What a generator that knows only the data's range would give: (count, *shape), at rest.

    Uniform pixels for images; for points, uniform over the bounding box of the training points, or where there are none
    of those that are held out.
    """
    known = data.train if len(data.train) else data.heldout
    shape = (count, *known.shape[1:])
    if known.dtype == torch.uint8:
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=rng)
    lowest, highest = known.aminmax(dim=0)  # (D,), (D,)
    return torch.lerp(lowest, highest, torch.rand(shape, generator=rng))


def split(count: int, heldout: int, seed: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The indices of the training samples and of the held-out ones, each ascending, together all of 0 to count - 1.

    The held-out ones are those whose SHA-256 with `seed` is smallest: no library's random numbers decide, so that the
    split stays what it is. Raises DataError unless both parts would hold something.
    """
    if not 0 < heldout < count:
        raise DataError(f"split '{seed}': {heldout} held-out of {count} samples, expected at least one in each part")
    ranked = sorted(range(count), key=lambda index: hashlib.sha256(f"{seed}/{index}".encode()).digest())
    return torch.tensor(sorted(ranked[heldout:])), torch.tensor(sorted(ranked[:heldout]))


def stacked(data: Data, name: str, train: int, heldout: int) -> Data:
    """Triples of one-channel images of ten classes as the channels of one image each, in 1,000 classes: stacked MNIST.

    The class is 100 a + 10 b + c, in the order of the channels. Triples are drawn with replacement, those of a split
    from that split, by PCG64's own numbers: `name` decides them, whatever NumPy's version (arXiv:1611.02163, §3.3.1).
    """
    assert data.train_labels is not None
    assert data.heldout_labels is not None
    drawn = _triples(data.train, data.train_labels, train, f"{name}/train")
    apart = _triples(data.heldout, data.heldout_labels, heldout, f"{name}/heldout")
    class_names = tuple(f"{number:03}" for number in range(1000))
    origin = f"{train:,} training and {heldout:,} held-out triples of {data.origin}"
    return Data(drawn[0], apart[0], drawn[1], apart[1], class_names, origin=origin)


def _triples(images: torch.Tensor, labels: torch.Tensor, count: int, seed: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(count, 3, H, W) of images (N, 1, H, W), and the classes of the triples, (count,)."""
    numbers = np.random.PCG64(seed_of(seed)).random_raw(3 * count) % np.uint64(len(images))
    triples = torch.from_numpy(numbers.astype(np.int64)).view(count, 3)
    return images[:, 0][triples], labels[triples] @ torch.tensor([100, 10, 1])


def seed_of(text: str) -> int:
    """A seed of 63 bits that `text` names, the same everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def fingerprint(*tensors: torch.Tensor) -> str:
    """The first 12 digits of the SHA-256 of the tensors' bytes: tells two versions of a data set apart in a record."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def fit(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """Float images (N, C, H, W) at `resolution`: (N, C, resolution, resolution), on the scale they had.

    Images of 28² are framed with black to 32² first, unless 28 is asked for: MNIST's digits keep their size, and a
    power of two is reached. All else is bilinear with antialiasing.
    """
    if images.shape[-2:] == (28, 28) and resolution != 28:
        images = F.pad(images, (2, 2, 2, 2))  # (N, C, 32, 32)
    if images.shape[-2:] == (resolution, resolution):
        return images
    return F.interpolate(images, (resolution, resolution), mode="bilinear", antialias=True, align_corners=False)


def resize_images(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """uint8 images (N, C, H, W) at `resolution` by the rule of `fit`, rounded to uint8."""
    if images.shape[-2:] == (resolution, resolution):
        return images
    fitted = (fit(chunk.float(), resolution).round().clamp(0, 255) for chunk in torch.split(images, CHUNK))
    return torch.cat([chunk.to(torch.uint8) for chunk in fitted])
