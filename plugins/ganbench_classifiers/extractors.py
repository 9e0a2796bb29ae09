"""The shipped classifiers as torch-fidelity feature extractors, each registered under the hash of its weights."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from ganbench.errors import DataError
from ganbench.protocols import Extractor, Places
from ganbench_classifiers.networks import DIGITS, MNIST, Architecture, Classifier

FEATURES, LOGITS = "features", "logits"


class ClassifierExtractor(FeatureExtractorBase):  # type: ignore[misc]
    """uint8 images (N, 1 or 3, H, W) to a tuple of a classifier's features and logits, those that were asked for."""

    def __init__(self, name: str, features_list: list[str], network: Classifier) -> None:
        super().__init__(name, features_list)
        self.network = network
        self.requires_grad_(requires_grad=False)
        self.eval()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The layers that were asked for, in that order."""
        if images.dtype != torch.uint8:
            raise TypeError(f"extractor {self.get_name()}: images are {images.dtype}, expected torch.uint8")
        layers = dict(zip((FEATURES, LOGITS), self.outputs(images), strict=True))
        return tuple(layers[layer] for layer in self.features_list)

    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and logits of the images."""
        features, logits = self.network(images)
        return features, logits

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """The layers that there are."""
        return FEATURES, LOGITS

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """The logits for torch-fidelity's inception score, the features for everything else."""
        return LOGITS if metric == "isc" else FEATURES

    @staticmethod
    def can_be_compiled() -> bool:
        """Whether torch-fidelity may compile it: yes."""
        return True

    @staticmethod
    def get_dummy_input_for_compile() -> torch.Tensor:
        """One black image."""
        return torch.zeros(1, 3, 32, 32, dtype=torch.uint8)


class ShippedClassifier(ClassifierExtractor):
    """A classifier whose weights are in the package: features (N, 64), logits (N, 10).

    torch-fidelity constructs it with all of its settings, which this ignores. Raises DataError if the weights in the
    package are not those that `sha256` names.
    """

    data: ClassVar[str]
    sha256: ClassVar[str]
    architecture: ClassVar[Architecture]
    images: ClassVar[int] = 1

    def __init__(self, name: str, features_list: list[str], **_settings: object) -> None:
        content = _weights(self.data, self.sha256)
        with torch.random.fork_rng(devices=[]):
            network = Classifier(self.architecture)
        network.load_state_dict(load(content))
        super().__init__(name, features_list, network)
        self.accuracy: float = _description(content)["accuracy"] ** self.images


class DigitsClassifier(ShippedClassifier):
    """Classifies scikit-learn's digits."""

    data = "digits"
    sha256 = "ecc14e02be7e3c116f56e43b26fa7de49931816417e8a7924a087a92fb5b1ae4"
    architecture = DIGITS


class MnistClassifier(ShippedClassifier):
    """Classifies MNIST's digits."""

    data = "mnist"
    sha256 = "d3d798506beb761b5e81f3bfacb08b3f539eccc3315e86fd2672b52ee5b84c30"
    architecture = MNIST


class Stacked(ShippedClassifier):
    """Put before a shipped classifier: three pictures in three channels, features (N, 192), logits (N, 1000).

    The features of the three stand side by side. Class 100a + 10b + c shows the digits a, b and c, in the channels'
    order; its logit is the logarithm of the probability that the classifier gives to all three.
    """

    images = 3

    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and logits of images (N, 3, H, W)."""
        features, logits = super().outputs(images.flatten(0, 1).unsqueeze(1))  # (3N, 64), (3N, 10)
        first, second, third = F.log_softmax(logits, dim=1).reshape(len(images), 3, -1).unbind(1)  # (N, 10) each
        joint = first[:, :, None, None] + second[:, None, :, None] + third[:, None, None, :]  # (N, 10, 10, 10)
        return features.reshape(len(images), -1), joint.flatten(1)


class StackedDigitsClassifier(Stacked, DigitsClassifier):
    """Classifies three of scikit-learn's digits in three channels."""


class StackedMnistClassifier(Stacked, MnistClassifier):
    """Classifies three of MNIST's digits in three channels."""


def digits(places: Places) -> Extractor:
    """The classifier of 8×8 digits, trained on the training split of the data set `digits`."""
    return _extractor("digits", DigitsClassifier)


def mnist(places: Places) -> Extractor:
    """The classifier of MNIST's digits, which sees 32×32 pixels: 28² is framed with black, other sizes are resized.

    It was trained for images of 16² and more; at 8² it cannot tell the digits apart.
    """
    return _extractor("mnist", MnistClassifier)


def stacked_digits(places: Places) -> Extractor:
    """The classifier `digits` on each of three channels (arXiv:1611.02163); right only if it is right on all."""
    return _extractor("stacked_digits", StackedDigitsClassifier)


def stacked_mnist(places: Places) -> Extractor:
    """The classifier `mnist` on each of three channels (arXiv:1611.02163); right only if it is right on all."""
    return _extractor("stacked_mnist", StackedMnistClassifier)


def _extractor(tag: str, classifier: type[ShippedClassifier]) -> Extractor:
    # torch-fidelity caches statistics by the extractor's name alone, so the name must change when the weights do.
    name = f"ganbench-{tag}-{classifier.sha256[:8]}"
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, classifier)
    module = classifier(name, [FEATURES, LOGITS])
    return Extractor(
        module=module,
        tag=tag,
        weights_sha256=classifier.sha256,
        layer=FEATURES,
        dimension=classifier.architecture.features * classifier.images,
        logits_layer=LOGITS,
        accuracy=module.accuracy,
    )


def _weights(data: str, sha256: str) -> bytes:
    """The bytes of the shipped file, checked before anything reads them."""
    path = files("ganbench_classifiers") / "weights" / f"{data}-{sha256[:8]}.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"extractor {data}: cannot read {path} ({error.strerror}). Install ganbench again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(f"extractor {data}: {path} has SHA-256 {found}, expected {sha256}. Install ganbench again")
    return content


def _description(content: bytes) -> dict[str, Any]:
    """What `train.pack` says of the weights; for the layout see https://github.com/huggingface/safetensors#format."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    description: dict[str, Any] = json.loads(metadata["description"])
    return description
