"""CLIP, DINOv2 and VGG16 as torch-fidelity sees images with them, from a file or from torch hub's cache.

Weights are loaded only if they are the published file, whose SHA-256 is known; no program is fetched and run.
"""

from __future__ import annotations

import io
import warnings

import torch
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS, FeatureExtractorCLIP
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

from ganbench.protocols import Extractor, Places
from ganbench_fidelity.dinov2 import vision_transformer
from ganbench_fidelity.published import Published, TakesGrey, global_draws_undone

CLIP = Published(
    extractor="clip-vit-b-32",
    url=MODEL_URLS["clip-vit-b-32"],
    sha256="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    file_name=f"clip-vit-b-32-{MODEL_METADATA['clip-vit-b-32']['hash']}.pt",
)
DINOV2 = Published(
    extractor="dinov2-vit-b-14",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
    sha256="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    file_name="dinov2_vitb14_pretrain.pth",
)
VGG16 = Published(
    extractor="vgg16",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    file_name="vgg16-397923af.pth",
)


class Clip(TakesGrey, FeatureExtractorCLIP):  # type: ignore[misc]
    """CLIP's image encoder."""


class DinoV2(TakesGrey, FeatureExtractorDinoV2):  # type: ignore[misc]
    """DINOv2 with the weights given; torch-fidelity's own constructor fetches a program and runs it."""

    def __init__(self, name: str, features_list: list[str], weights: dict[str, torch.Tensor]) -> None:
        FeatureExtractorBase.__init__(self, name, features_list)
        self.feature_extractor_internal_dtype = torch.float32
        self.model = vision_transformer(weights, self.INPUT_IMAGE_SIZE)
        self.requires_grad_(requires_grad=False)
        self.eval()


class Vgg16(TakesGrey, FeatureExtractorVGG16):  # type: ignore[misc]
    """VGG16 without its last layer."""


def clip(places: Places) -> Extractor:
    """CLIP's image embedding (arXiv:2103.00020), before it is normalised; images are seen at 224×224."""
    content = CLIP.content(places)
    with global_draws_undone(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch.jit.load: TorchScript is what CLIP was published as
        module = Clip(CLIP.extractor, ["clip"], feature_extractor_weights_path=io.BytesIO(content))
    module.eval()  # torch-fidelity leaves that to its caller
    return Extractor(module, "clip", CLIP.sha256, "clip", module.model.visual.output_dim)


def dinov2(places: Places) -> Extractor:
    """DINOv2's class token (arXiv:2304.07193), normalised as it leaves the network; images are seen at 224×224."""
    weights = torch.load(io.BytesIO(DINOV2.content(places)), map_location="cpu", weights_only=True)
    with global_draws_undone():
        module = DinoV2(DINOV2.extractor, ["dinov2"], weights)
    return Extractor(module, "dinov2", DINOV2.sha256, "dinov2", weights["cls_token"].shape[-1])


def vgg16(places: Places) -> Extractor:
    """VGG16's second hidden layer after its ReLU (arXiv:1409.1556); images are seen at 224×224."""
    content = VGG16.content(places)
    with global_draws_undone():
        module = Vgg16(VGG16.extractor, ["fc2_relu"], feature_extractor_weights_path=io.BytesIO(content))
    return Extractor(module, "vgg16", VGG16.sha256, "fc2_relu", module.model.classifier[-1].out_features)
