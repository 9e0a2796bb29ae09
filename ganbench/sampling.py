"""Samples from a generator that a trial left behind: the very ones that were scored, or as many more as wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganbench.contracts import shape_of
from ganbench.datasets import quantise
from ganbench.environment import settle
from ganbench.errors import GanbenchError, ResultsError
from ganbench.networks import build_generator, told_labels
from ganbench.players import sample
from ganbench.plugins import Registry
from ganbench.protocols import Places
from ganbench.store import GENERATOR, Attempt
from ganbench.submissions import evaluation_labels, evaluation_latents, load_weights
from ganbench.terms import Trial
from ganbench.workshop import Workshop, load_data


def load_generator(attempt: Attempt, workshop: Workshop) -> tuple[nn.Module, Trial]:
    """The generator that the attempt's scores belong to, on the workshop's device, and its trial.

    Raises ResultsError where the attempt has none, or where it does not fit the plugin that is installed now.
    """
    trial = attempt.job()
    path = attempt.path / GENERATOR
    if not isinstance(trial, Trial) or not path.is_file():
        raise ResultsError(f"{attempt.path}: no {GENERATOR} here. Only trials that ended 'ok' leave a generator")
    shape = shape_of(workshop.registry.find("dataset", trial.dataset).component, trial.dataset)
    generator = build_generator(workshop, trial, shape)
    load_weights(generator, path, trial.variant.generator)
    return generator.eval().to(workshop.device), trial


def scored_count(attempt: Attempt) -> int:
    """How many samples the attempt was scored on."""
    counts = {score.n_fake for score in attempt.record().scores}
    return max(counts, default=64)


def draw(attempt: Attempt, workshop: Workshop, count: int) -> Tensor:
    """`count` samples at rest: uint8 images (count, C, H, W) or float32 points (count, D).

    With the count that was scored these are the samples that were scored, bit for bit on the same software and the same
    kind of device; more of them begin with the same latents.
    """
    generator, trial = load_generator(attempt, workshop)
    latents = evaluation_latents(trial.seed, trial.training.latent_dim, count).to(workshop.device)
    return quantise(sample(generator, latents, labels=_labels(trial, workshop, count))).cpu()


def _labels(trial: Trial, workshop: Workshop, count: int) -> Tensor | None:
    """The classes that the generator was asked for when it was scored, from the data set; None if it takes none."""
    if "generator" not in told_labels(workshop, trial):
        return None
    labels = load_data(workshop, trial.dataset).train_labels
    return None if labels is None else evaluation_labels(trial.seed, labels, count).to(workshop.device)


def export(attempt: Attempt, registry: Registry, device: str, count: int | None, folder: Path) -> int:
    """Write `count` samples, or as many as were scored, into the new `folder`; gives how many.

    Leaves torch with one thread, as trials have: with more, sums round otherwise, and the samples are not quite those.
    Raises GanbenchError for a device that torch does not know or cannot use.
    """
    try:
        workshop = Workshop(registry, Places(), torch.empty(0, device=device).device)
    except (RuntimeError, AssertionError) as error:
        raise GanbenchError(f"--device {device}: {str(error).splitlines()[0]}") from error
    settle(workshop.device)
    samples = draw(attempt, workshop, count or scored_count(attempt))
    write_samples(samples, folder)
    return len(samples)


def write_samples(samples: Tensor, folder: Path) -> None:
    """Images as `000000.png`, …; points as one `points.npy` (N, D). Raises ResultsError where `folder` has files."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResultsError(f"{folder}: exists and is not an empty folder. Pass another one with --out")
    try:
        _write(samples, folder)
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be written ({error.strerror}). Pass another one with --out") from error


def _write(samples: Tensor, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if samples.dtype != torch.uint8:
        np.save(folder / "points.npy", samples.numpy())
        return
    for index, image in enumerate(samples.permute(0, 2, 3, 1).numpy()):  # (H, W, C)
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(folder / f"{index:06d}.png")
