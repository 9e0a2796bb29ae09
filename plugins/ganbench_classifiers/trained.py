"""A classifier of any labelled images: trained once, from a fixed seed, kept in the cache, and named by its weights."""

from __future__ import annotations

import logging
from dataclasses import asdict

import torch

from ganbench.cache import recall
from ganbench.errors import ChoiceError, DataError
from ganbench.protocols import Data, Extractor, Places
from ganbench.tensorfiles import digest
from ganbench_classifiers.extractors import FEATURES, LOGITS, ClassifierExtractor
from ganbench_classifiers.networks import Architecture, Classifier
from ganbench_classifiers.training import Recipe, accuracy, train

VERSION = 1
"""Of all that decides the weights and is not in the cache's key otherwise; raised when the training's code changes."""

SEED = 0
ACCURACY = "accuracy"
SMALLEST, LARGEST, LAST_SIDE = 8, 64, 4

logger = logging.getLogger(__name__)


def classifier(places: Places, data: Data, *, epochs: int = 12, width: int = 16) -> Extractor:
    """A classifier of the data set's own classes, whose 64 features come from a ReLU and have RMS deviation 1.

    The same training images and labels give the same weights on machines of one kind: float32 on one CPU thread, one
    seed, one order. Another kind of CPU or version of torch may give others; the tag ends in their hash, since only
    equal weights compare. `epochs` is how often it sees each image, `width` that of its first convolution. Its cost:
    50,000 images of 3×32×32 take about 15 minutes with the defaults, 10,000 of 1×28×28 two. Raises DataError for data
    without labels, or too few of them.
    """
    architecture, recipe = _architecture(data, width), _recipe(data, epochs)
    identity = {
        "version": VERSION,
        "torch": torch.__version__,
        "seed": SEED,
        "architecture": asdict(architecture),
        "recipe": asdict(recipe),
        "data": _digest_of(data),
    }
    weights = recall("classifiers", identity, lambda: _trained(architecture, recipe, data))
    share = weights.pop(ACCURACY, None)
    sha256 = digest({name: tensor.numpy() for name, tensor in weights.items()})
    with torch.random.fork_rng(devices=[]):
        network = Classifier(architecture)
    network.load_state_dict(weights)
    return Extractor(
        module=ClassifierExtractor(f"ganbench-classifier-{sha256[:8]}", [FEATURES, LOGITS], network),
        tag=f"classifier_{sha256[:8]}",
        weights_sha256=sha256,
        layer=FEATURES,
        dimension=architecture.features,
        logits_layer=LOGITS,
        accuracy=None if share is None else share.item(),
    )


def _trained(architecture: Architecture, recipe: Recipe, data: Data) -> dict[str, torch.Tensor]:
    """The weights, and the accuracy on the held-out images where those have labels."""
    logger.info("training a classifier on %d images, once; it is kept in the cache", len(data.train))
    network = train(architecture, recipe, data, torch.Generator().manual_seed(SEED))
    weights = dict(network.state_dict())
    if data.heldout_labels is not None:
        share = accuracy(network, data.heldout, data.heldout_labels)
        weights[ACCURACY] = torch.tensor(share, dtype=torch.float64)
    return weights


def _architecture(data: Data, width: int) -> Architecture:
    """A network for the data's images: halved until 4 pixels are left, and four times as wide in the end."""
    if width < 1:
        raise ChoiceError(f"extractor classifier: width is {width}, expected at least 1")
    if data.train_labels is None:
        raise DataError("extractor classifier: the data set's training images have no labels. Choose another extractor")
    if data.train.ndim != 4 or len(data.train) < 2:
        came = f"{len(data.train)} training samples of shape {tuple(data.train.shape[1:])}"
        raise DataError(f"extractor classifier: expected at least 2 training images (C, H, W), got {came}")
    if bool((data.train == data.train[:1]).all()):
        raise DataError("extractor classifier: all training images are equal, so their features have no scale")
    side = min(max(_power_of_two(max(data.train.shape[2:])), SMALLEST), LARGEST)
    blocks, last = [(width, 1)], width
    for _ in range((side // LAST_SIDE).bit_length() - 1):
        last = min(2 * last, 4 * width)
        blocks += [(last, 2), (last, 1)]
    classes = max(len(data.class_names), int(data.train_labels.max()) + 1)
    return Architecture(side, tuple(blocks), classes=classes, channels=data.train.shape[1])


def _recipe(data: Data, epochs: int) -> Recipe:
    """Small shifts, turns and scalings, which classes seldom depend on; the average spans a tenth of training."""
    if epochs < 1:
        raise ChoiceError(f"extractor classifier: epochs is {epochs}, expected at least 1")
    batch_size = min(64, len(data.train))
    steps = epochs * (len(data.train) // batch_size)
    return Recipe(
        epochs,
        rotation_degrees=5,
        scaling=0.05,
        shift=0.06,
        batch_size=batch_size,
        averaging=min(max(1 - 10 / steps, 0), 0.998),
    )


def _power_of_two(side: int) -> int:
    """The smallest power of two that is not below `side`."""
    return 1 << (side - 1).bit_length()


def _digest_of(data: Data) -> str:
    """The SHA-256 of all samples and labels: held-out ones decide the stated accuracy."""
    parts = {
        "train": data.train,
        "train_labels": data.train_labels,
        "heldout": data.heldout,
        "heldout_labels": data.heldout_labels,
        "classes": torch.tensor(len(data.class_names)),
    }
    return digest({name: part.contiguous().numpy() for name, part in parts.items() if part is not None})
