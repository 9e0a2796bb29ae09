"""Reads scikit-learn's digits, splits them the same way every time, and stacks them."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits

from ganbench.datasets import split, stacked
from ganbench.protocols import Data, Places

HELDOUT = 898
BRIGHTEST = 16

STACKED_TRAIN = 60_000
STACKED_HELDOUT = 26_000


def digits(places: Places) -> Data:
    """1,797 handwritten digits, uint8 (N, 1, 8, 8), in ten classes: 899 to train on, 898 held out.

    The values 0 to 16 of the original (UCI Optical Recognition of Handwritten Digits, its test part) become 0 to 255.
    """
    bundle = load_digits()
    values = torch.from_numpy(bundle.images)  # (1797, 8, 8) float64
    images = values.mul(255 / BRIGHTEST).round().to(torch.uint8).unsqueeze(1)  # (1797, 1, 8, 8)
    labels = torch.from_numpy(bundle.target).long()
    train, heldout = split(len(images), HELDOUT, "digits")
    return Data(
        train=images[train],
        heldout=images[heldout],
        train_labels=labels[train],
        heldout_labels=labels[heldout],
        class_names=tuple(str(name) for name in bundle.target_names),
        origin="scikit-learn load_digits",
    )


def stacked_digits(places: Places) -> Data:
    """Three digits as the channels of one image, uint8 (N, 3, 8, 8): what stacked MNIST is to MNIST, of a small size.

    The 1,000 classes are 100 a + 10 b + c. 60,000 triples of the training digits, 26,000 of the held-out ones.
    """
    return stacked(digits(places), "stacked-digits", STACKED_TRAIN, STACKED_HELDOUT)
