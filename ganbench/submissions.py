"""What was made elsewhere, as data lies at rest: samples read from files, or drawn from a generator that is loaded."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model
from torch import Tensor, nn

from ganbench.contracts import takes_labels
from ganbench.datasets import quantise
from ganbench.decoding import Advice, Crop, Images
from ganbench.errors import DataError, PluginError, ResultsError
from ganbench.imagefiles import combined, read_images, read_points
from ganbench.metrics import spread
from ganbench.networks import classes_told
from ganbench.objective import blame, expect_shape
from ganbench.players import sample
from ganbench.protocols import Data
from ganbench.seeding import global_stream, stream
from ganbench.tasks import Source
from ganbench.terms import Choice, Submission, content_key
from ganbench.workshop import Workshop

LATENT_BLOCK = 1000
ROUNDING = 1e-4
"""How far outside of its range rounding alone may carry a pixel."""

_EXPORT = "Export them in that form, or set the data set's resolution, if it has one"

AS_DATA_SET = Advice(size=_EXPORT, grey="Convert it first: the data set is grey")
"""For samples that must have the form of a data set."""

AS_OPTIONS = Advice(
    square="State --resolution N, and --crop centre or stretch",
    size="State --resolution N, and --crop centre or stretch, to resize",
)
"""For images whose form is what the user says."""

CHANGED = "{}: it has changed since it was looked at. Wait until it is written, and evaluate again"

Labelled = tuple[Tensor, Tensor | None]
"""Samples at rest (N, …), and the classes that they were to be of, (N,) int64, where that is known."""


def submitted(submission: Submission, source: Source | None, data: Data, count: int, workshop: Workshop) -> Labelled:
    """`count` samples of the submission at rest, on the CPU: of a generator drawn, of samples evenly spaced ones.

    Raises DataError for what cannot be read, or is not of the form that the data set has, PluginError for a generator
    that fails.
    """
    if source is None:
        raise DataError(f"{submission.name}: nobody said where it lies; 'ganbench evaluate' does")
    if source.kind != "samples":
        return _drawn(submission, source, data, count, workshop)
    read = read_samples(source, data)
    if read.sha256 != submission.sha256:
        raise DataError(CHANGED.format(source))
    if len(read.samples) < count:
        raise DataError(f"{source}: {len(read.samples)} samples, {count} are compared")
    kept = spread(len(read.samples), count)
    return read.samples[kept], None if read.labels is None else read.labels[kept]


@dataclass(frozen=True)
class Samples:
    """Samples at rest (N, …), the classes that they were to be of, (N,) int64, and the SHA-256 of their files.

    `labels` are None where there are none, or where they are `strange`: not the data set's classes.
    """

    samples: Tensor
    labels: Tensor | None
    sha256: str
    strange: bool = False


def read_samples(source: Source, data: Data) -> Samples:
    """All samples that lie at the source. Raises DataError where they are not of the form that the data set has."""
    shape = tuple(data.heldout.shape[1:])
    if len(shape) == 1:
        points = read_points(source.path)
        _check_shape(source, tuple(points.shape[1:]), shape)
        return Samples(points, None, _sha256(source.path))
    images = read_images(source.path, shape[-1], shape[0], source.crop, advice=AS_DATA_SET)
    _check_shape(source, tuple(images.images.shape[1:]), shape)
    labels = _labels(images, data)
    strange = labels is None and images.labels is not None and data.heldout_labels is not None
    return Samples(images.images, labels, images.sha256, strange)


@dataclass(frozen=True)
class Look:
    """What is seen of a collection of square images: how many there are, their side, and whether they have colours."""

    count: int
    resolution: int
    channels: int


def look_at(path: Path, resolution: int | None = None, crop: Crop | None = None) -> Look:
    """The images at `path` in a word: 1 channel if all are grey. Raises DataError where they differ in size."""
    images = read_images(path, resolution, 3, crop or "exact", advice=AS_OPTIONS).images
    grey = bool((images[:, :1] == images).all())
    return Look(len(images), int(images.shape[-1]), 1 if grey else 3)


def fingerprint(source: Source) -> str:
    """The SHA-256 of a generator's files, and of how they are read: the network, or the entry that is called."""
    if source.path.is_dir():
        files = sorted(path for path in source.path.rglob("*") if path.is_file() and not _is_passing(path, source.path))
        content = combined([path.relative_to(source.path).as_posix() for path in files], map(_sha256, files))
    else:
        content = _sha256(source.path)
    asked = content_key(source.network) if source.network else source.entry
    return hashlib.sha256(f"{content}\n{asked}".encode()).hexdigest() if asked else content


def _is_passing(path: Path, folder: Path) -> bool:
    """Whether a file comes and goes without changing what the code does: what version control and Python leave."""
    return any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _check_shape(source: Source, came: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if came == expected:
        return
    kind = "points" if len(expected) == 1 else "images"
    hint = "" if kind == "points" else f". {_EXPORT}"
    raise DataError(f"{source}: {kind} of shape {came}, the data set's are {expected}{hint}")


def _labels(images: Images, data: Data) -> Tensor | None:
    """Labels in the data set's numbers: by the names of its classes, or by numbers where the names are numbers.

    None where they are not the data set's: folders may stand for anything.
    """
    names, labels = images.class_names, images.labels
    if labels is None or data.heldout_labels is None:
        return None
    if names and set(names) <= set(data.class_names):
        labels = torch.tensor([data.class_names.index(name) for name in names])[labels]
    elif names and all(name.isdecimal() for name in names):
        labels = torch.tensor([int(name) for name in names])[labels]
    elif names:
        return None
    known = len(data.class_names) or int(data.heldout_labels.max()) + 1
    return labels if int(labels.max()) < known else None


def _drawn(submission: Submission, source: Source, data: Data, count: int, workshop: Workshop) -> Labelled:
    shape = tuple(data.heldout.shape[1:])
    if fingerprint(source) != submission.sha256:
        raise DataError(CHANGED.format(source))
    generator = load_generator(source, submission, shape, workshop)
    latents = evaluation_latents(submission.seed, submission.latent_dim, count).to(workshop.device)
    labels = _asked_for(submission, source, data, count, workshop)
    told = None if labels is None else labels.to(workshop.device)
    try:
        made = sample(generator, latents, str(source), labels=told)
        return at_rest(str(source), made, (count, *shape)), labels
    except FloatingPointError as error:
        raise PluginError(f"{source}: gave samples that are not finite") from error
    except PluginError as error:
        if error.__cause__ is None:
            raise
        asked = f"cannot make samples of latents (N, {submission.latent_dim})"
        raise PluginError(f"{source}: {asked}: {_last_line(error.__cause__)}") from error


def _asked_for(submission: Submission, source: Source, data: Data, count: int, workshop: Workshop) -> Tensor | None:
    """The classes (count,) that the generator is asked for; None for one that is told none, as far as ganbench knows.

    Raises DataError where the data set has no classes to ask for.
    """
    network = source.network
    if network is None or not takes_labels(workshop.registry.find("generator", network).component, network):
        return None
    if data.train_labels is None:
        raise DataError(f"{source}: generator {network} is told classes, and {submission.dataset} has none")
    return evaluation_labels(submission.seed, data.train_labels, count)


def load_generator(source: Source, submission: Submission, shape: tuple[int, ...], workshop: Workshop) -> nn.Module:
    """The generator that lies at the source, in evaluation mode on the workshop's device.

    Raises DataError for a file that is not what it should be, PluginError where code that belongs to it fails.
    """
    if source.kind == "safetensors" and source.network is not None:
        classes = classes_told(workshop, "generator", source.network, submission.dataset)
        generator = workshop.make("generator", source.network, submission.latent_dim, shape, *classes)
        load_weights(generator, source.path, source.network)
    elif source.kind == "torchscript":
        generator = _load_script(source.path)
    else:
        generator = _load_from_hub(source)
    if not isinstance(generator, nn.Module):
        raise PluginError(f"{source}: gave a {type(generator).__name__}, expected a torch.nn.Module")
    return generator.eval().to(workshop.device)


def load_weights(generator: nn.Module, path: Path, network: Choice) -> None:
    """Put the weights at `path` into the generator that `network` names. Raises ResultsError if they do not fit."""
    try:
        load_model(generator, str(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        cause = _misfit(generator, path) if isinstance(error, RuntimeError) else ""
        raise ResultsError(f"{path}: does not fit generator '{network}' ({cause or _last_line(error)})") from error


def _misfit(generator: nn.Module, path: Path) -> str:
    """The first tensors that the file lacks, has too many, or has in another shape; nothing where there are none."""
    expected = {name: list(tensor.shape) for name, tensor in generator.state_dict().items()}
    with safe_open(path, "pt") as file:
        found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118  # it is no mapping
    problems = {
        "it lacks ": [name for name in expected if name not in found],
        "it has also ": [name for name in found if name not in expected],
        "": [
            f"{name} has shape {tuple(shape)}, expected {tuple(expected[name])}"
            for name, shape in found.items()
            if shape != expected.get(name, shape)
        ],
    }
    return "; ".join(f"{words}{_first_two(items)}" for words, items in problems.items() if items)


def _first_two(items: Sequence[str]) -> str:
    more = f" and {len(items) - 2} more" if len(items) > 2 else ""
    return f"{', '.join(items[:2])}{more}"


def _load_script(path: Path) -> nn.Module:
    """A TorchScript file, which torch reads without unpickling. Anything else is refused: a pickle can run any code."""
    if not is_script(path):
        raise DataError(
            f"{path}: not TorchScript. A pickled model is not read, for that would run whatever code is in it; "
            "save it with torch.jit.script(model).save(…)"
        )
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # TorchScript is old; files of it remain
            module: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:  # torch's reader, written in C++, lets any error of that language through
        raise DataError(f"{path}: TorchScript that cannot be loaded: {_last_line(error)}") from error
    return module


def is_script(path: Path) -> bool:
    """Whether the file is TorchScript: a ZIP archive with constants and code, where a pickled model has neither."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    # What is no readable archive is no TorchScript. NotImplementedError: it asks for a newer reader than Python has.
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
    return "constants.pkl" in names and any(name.startswith("code/") for name in names)


def is_cut(path: Path) -> bool:
    """Whether the file begins as a ZIP archive does, TorchScript for one, and is not a whole one."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04" and not zipfile.is_zipfile(file)
    except zipfile.BadZipFile:  # from Python 3.12 on, it answers by False here too
        return True
    except OSError:
        return False


def _load_from_hub(source: Source) -> object:
    with global_stream(0, "generator"), blame(str(source)):
        generator: object = torch.hub.load(str(source.path), source.entry, source="local")  # type: ignore[no-untyped-call]
    return generator


def at_rest(label: str, samples: object, shape: tuple[int, ...]) -> Tensor:
    """Generated samples of `shape` (N, …) as data lies at rest, on the CPU: images uint8 as a PNG would hold them.

    Raises PluginError for another shape and for pixels outside of [-1, 1], FloatingPointError where a number is not
    finite.
    """
    made = expect_shape(label, samples, shape)
    if not bool(made.isfinite().all()):
        raise FloatingPointError(f"{label}: gave samples that are not finite")
    if len(shape) == 4 and bool(made.abs().max() > 1 + ROUNDING):
        low, high = made.min().item(), made.max().item()
        raise PluginError(f"{label} gave pixels from {low:.3g} to {high:.3g}, expected -1 to 1")
    return quantise(made).cpu()


def evaluation_latents(seed: int, latent_dim: int, count: int) -> Tensor:
    """The latents (count, Z) that a generator is measured with: the same at every point of its curve, and ever after.

    Drawn in whole blocks, because torch's numbers depend on how many are drawn at once: so more begin with the same.
    """
    rng = stream(seed, "evaluation")
    blocks = [torch.randn(LATENT_BLOCK, latent_dim, generator=rng) for _ in range(0, count, LATENT_BLOCK)]
    return torch.cat(blocks)[:count]


def evaluation_labels(seed: int, training_labels: Tensor, count: int) -> Tensor:
    """The classes (count,) that a conditional generator is asked for: as often as they occur in the training split."""
    chosen = torch.randint(len(training_labels), (count,), generator=stream(seed, "evaluation labels"))
    return training_labels.cpu()[chosen]


def _last_line(error: BaseException) -> str:
    """What went wrong in a line: torch's interpreter tells it last, after where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
