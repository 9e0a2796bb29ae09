"""Inception-v3 with the weights that FID is defined by, from a file or from torch hub's cache."""

from __future__ import annotations

import hashlib
import io
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import torch
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from ganbench.errors import DataError
from ganbench.protocols import Extractor, Places

NAME = "inception-v3-compat"
LAYER = "2048"
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the file at URL_INCEPTION_V3, whose name holds the first eight digits."""


class Inception(FeatureExtractorInceptionV3):  # type: ignore[misc]
    """torch-fidelity's `inception-v3-compat`, which takes grey images (N, 1, H, W) too: as three equal channels."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Features (N, 2048) of uint8 images (N, 1 or 3, H, W), in a tuple."""
        features: tuple[torch.Tensor, ...] = super().forward(images.expand(-1, 3, -1, -1))
        return features


def inception(places: Places) -> Extractor:
    """Inception-v3 as FID is computed with (arXiv:1706.08500), weights from `places.weights` or torch hub's cache.

    They are downloaded into the cache only where `places.download` asks for it. Raises DataError if they are missing or
    are not the published ones: they are a pickle, which must not be loaded before its SHA-256 is known.
    """
    content = _verified(places.weights or _cached(places))
    module = Inception(NAME, [LAYER], feature_extractor_weights_path=io.BytesIO(content))
    return Extractor(module=module, tag="inception", weights_sha256=WEIGHTS_SHA256, layer=LAYER, dimension=2048)


def _cached(places: Places) -> Path:
    """The file in torch hub's cache, where torch-fidelity too would put it."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(urlsplit(URL_INCEPTION_V3).path).name
    if not path.is_file():
        if not places.download:
            raise DataError(f"extractor inception: no weights at {path}. Pass --download. {_by_hand()}")
        _download(path)
    return path


def _download(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=WEIGHTS_SHA256, progress=False)
    except (OSError, RuntimeError, HTTPException) as error:
        raise DataError(f"extractor inception: the download of the weights failed ({error}). {_by_hand()}") from error


def _verified(path: Path) -> bytes:
    """The file's bytes, which are the published ones: what was hashed is what gets loaded."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"extractor inception: cannot read {path} ({error.strerror}). {_by_hand()}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise DataError(
            f"extractor inception: {path} has SHA-256 {found}, expected {WEIGHTS_SHA256}; not loaded. {_by_hand()}"
        )
    return content


def _by_hand() -> str:
    return f"By hand: fetch {URL_INCEPTION_V3} on any machine, and pass --weights FILE"
