"""Train the classifiers whose weights ganbench ships: `python -m ganbench_classifiers.train digits --out DIR`."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from ganbench.protocols import Data, Places
from ganbench_classifiers.networks import DIGITS, MNIST, Architecture, Classifier
from ganbench_classifiers.training import Recipe, accuracy, train
from ganbench_digits.data import digits
from ganbench_torchvision.data import mnist

SEED = 0

logger = logging.getLogger("ganbench_classifiers")


@dataclass(frozen=True)
class Shipped:
    """A classifier that ganbench ships: of what data, of what shape, and how it was trained."""

    load: Callable[[Places], Data]
    architecture: Architecture
    recipe: Recipe


SHIPPED = {
    "digits": Shipped(
        digits, DIGITS, Recipe(epochs=120, rotation_degrees=12, shear=0.1, scaling=0.1, shift=0.08, elastic=0)
    ),
    "mnist": Shipped(
        mnist,
        MNIST,
        Recipe(epochs=36, rotation_degrees=15, shear=0.2, scaling=0.15, shift=0.08, elastic=0.03, coarse=0.2),
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one classifier and write its weights as `NAME-HASH.safetensors`, accuracy and settings in its metadata."""
    parser = argparse.ArgumentParser(prog="python -m ganbench_classifiers.train", description=__doc__)
    parser.add_argument("name", choices=sorted(SHIPPED))
    parser.add_argument("--data-root", type=Path, help="the folder that holds MNIST/raw")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder to write to")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    given.out.mkdir(parents=True, exist_ok=True)
    shipped = SHIPPED[given.name]
    data = shipped.load(Places(data_root=given.data_root))
    network = train(shipped.architecture, shipped.recipe, data, torch.Generator().manual_seed(SEED))
    content, share = pack(network, data)
    path = given.out / f"{given.name}-{hashlib.sha256(content).hexdigest()[:8]}.safetensors"
    path.write_bytes(content)
    logger.info("%s: accuracy %.4f on %d held-out images", path, share, len(data.heldout))


def pack(network: Classifier, data: Data) -> tuple[bytes, float]:
    """The weights as a safetensors file, which says in its metadata, as JSON, what they are; and their accuracy."""
    assert data.heldout_labels is not None
    share = accuracy(network, data.heldout, data.heldout_labels)
    description = {
        "accuracy": share,
        "n_train": len(data.train),
        "n_test": len(data.heldout),
        "origin": data.origin,
        "seed": SEED,
        "torch": torch.__version__,
    }
    # One entry only: safetensors writes several in random order, and the file's hash is its name.
    content = save(network.state_dict(), metadata={"description": json.dumps(description, sort_keys=True)})
    return content, share


if __name__ == "__main__":
    main()
