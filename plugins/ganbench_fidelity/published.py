"""What extractors with published weights share: a file that is verified before it is loaded, and grey images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from ganbench.errors import DataError
from ganbench.protocols import Places


@dataclass(frozen=True)
class Published:
    """A file of weights on the network, the SHA-256 that it must have, and its name in torch hub's cache."""

    extractor: str
    url: str
    sha256: str
    file_name: str

    def content(self, places: Places) -> bytes:
        """The file's bytes, from `places.weights` or torch hub's cache: what was hashed is what gets loaded.

        It is downloaded into the cache only where `places.download` asks for it. Raises DataError if it is missing, or
        is another file: these are pickles and programs, which must not be loaded before their SHA-256 is known.
        """
        path = places.weights or self._cached(places)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise self._error(f"cannot read {path} ({error.strerror})") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise self._error(f"{path} has SHA-256 {found}, expected {self.sha256}; not loaded")
        return content

    def _cached(self, places: Places) -> Path:
        """The file in torch hub's cache, where torch-fidelity too would put it."""
        path = Path(torch.hub.get_dir()) / "checkpoints" / self.file_name
        if not path.is_file():
            if not places.download:
                raise self._error(f"no weights at {path}. Pass --download")
            self._download(path)
        return path

    def _download(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(path), hash_prefix=self.sha256, progress=False)
        except (OSError, RuntimeError, HTTPException) as error:
            raise self._error(f"the download of the weights failed ({error})") from error

    def _error(self, problem: str) -> DataError:
        by_hand = f"By hand: fetch {self.url} on any machine, and pass --weights FILE"
        return DataError(f"extractor {self.extractor}: {problem}. {by_hand}")


class TakesGrey(FeatureExtractorBase):  # type: ignore[misc]
    """Put before a torch-fidelity extractor: it takes grey images (N, 1, H, W) too, as three equal channels."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The layers that were asked for, of uint8 images (N, 1 or 3, H, W)."""
        layers: tuple[torch.Tensor, ...] = super().forward(images.expand(-1, 3, -1, -1))
        return layers


@contextmanager
def global_draws_undone() -> Iterator[None]:
    """A block in which networks may draw initial weights: afterwards torch's global generator is where it was."""
    with torch.random.fork_rng(devices=[]):
        yield
