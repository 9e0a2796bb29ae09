"""Where on this machine the thing lies that is to be evaluated, and what it is, from how the user named it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ganbench.choices import parse_choice, resolve
from ganbench.decoding import Crop
from ganbench.errors import ChoiceError, DataError, GanbenchError
from ganbench.imagefiles import existing
from ganbench.parsing import read_job
from ganbench.plugins import Registry
from ganbench.store import TRIAL
from ganbench.submissions import is_cut, is_script
from ganbench.tasks import Source
from ganbench.terms import Choice, Trial
from ganbench.views import one_line

SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class Request:
    """What was asked for, option by option; None and () stand for those that were not given."""

    samples: Path | None = None
    generator: Path | None = None
    hub: str | None = None
    dataset: str | None = None
    against: Path | None = None
    network: str | None = None
    latent_dim: int | None = None
    seed: int | None = None
    name: str | None = None
    suite: str | None = None
    metric: tuple[str, ...] = ()
    extractor: str | None = None
    count: int | None = None
    resolution: int | None = None
    crop: Crop | None = None


@dataclass(frozen=True)
class Located:
    """Where it lies, what tables call it, and for a generator the latents that it takes: how many numbers, the seed."""

    source: Source
    name: str
    latent_dim: int = 0
    seed: int = 0


def locate(request: Request, registry: Registry) -> Located:
    """What the request names. Raises GanbenchError where that is not one thing, not there, or lacks a description."""
    _check(request)
    if request.samples is not None:
        source = Source("samples", existing(request.samples).absolute(), crop=request.crop or "exact")
        return Located(source, _name(request, source))
    if request.hub is not None:
        return _generator(request, _hub(request.hub))
    assert request.generator is not None
    path = existing(request.generator).absolute()
    if path.suffix.lower() == SAFETENSORS:
        return _weights(request, path, registry)
    if request.network is not None:
        raise GanbenchError(f"--network: is for the weights in a file that ends in {SAFETENSORS}; {path} does not")
    if is_cut(path):
        raise DataError(
            f"{path}: begins as TorchScript does and has no end: it may be cut. Save it again, or copy it again"
        )
    if not is_script(path):
        raise DataError(
            f"{path}: neither {SAFETENSORS} nor TorchScript. A pickled model is never loaded, for reading it would run "
            "whatever code is in it; save it with torch.jit.script(model).save(…), or its weights as safetensors"
        )
    return _generator(request, Source("torchscript", path))


_SOURCES = ("samples", "generator", "hub")
_ONLY_WITH: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("network", ("generator",)),
    ("latent_dim", ("generator", "hub")),
    ("seed", ("generator", "hub")),
    ("resolution", ("against",)),
    ("crop", ("against",)),
    ("suite", ("dataset",)),
)


def _check(request: Request) -> None:
    """Refuse options that contradict each other, or that would do nothing."""
    for names in (_SOURCES, ("dataset", "against")):
        given = [name for name in names if getattr(request, name) is not None]
        if len(given) != 1:
            options = ", ".join(map(_option, names))
            came = " and ".join(map(_option, given)) or "none of them"
            raise GanbenchError(f"evaluate: expected exactly one of {options}; got {came}")
    for name, wanted in _ONLY_WITH:
        if getattr(request, name) is not None and all(getattr(request, other) is None for other in wanted):
            raise GanbenchError(f"{_option(name)}: means something with {' or '.join(map(_option, wanted))} only")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _hub(written: str) -> Source:
    folder, _, entry = written.rpartition(":")
    if not folder or not entry:
        expected = "DIR:ENTRY, a repository's folder and a function of its hubconf.py"
        raise GanbenchError(f"--hub {written}: expected {expected}")
    path = existing(Path(folder)).absolute()
    if not (path / "hubconf.py").is_file():
        raise DataError(f"--hub {path}: no hubconf.py in it, which says what a torch.hub repository has to offer")
    return Source("hub", path, entry=entry)


def _generator(request: Request, source: Source, trial: Trial | None = None) -> Located:
    """A generator with its latents: as they are asked for, or as they were when its own trial was measured."""
    latent_dim = request.latent_dim or (trial.training.latent_dim if trial else None)
    if latent_dim is None:
        raise GanbenchError(f"--latent-dim: needed, for nothing says how many numbers a latent of {source} has")
    seed = request.seed if request.seed is not None else trial.seed if trial else 0
    return Located(source, _name(request, source), latent_dim, seed)


def _weights(request: Request, path: Path, registry: Registry) -> Located:
    """A generator that ganbench trained: what it is stands beside it, in the folder of its trial, or is asked for."""
    beside = path.with_name(TRIAL)
    job = read_job(beside) if beside.is_file() else None
    trial = job if isinstance(job, Trial) else None
    if request.network is not None:
        network = _network(request.network, registry)
    elif trial is not None:
        network = trial.variant.generator
    else:
        example = "--network 'dcgan(width=32)' --latent-dim 64"
        raise GanbenchError(f"{path}: no {TRIAL} of its training lies beside it. Say what it is: {example}")
    return _generator(request, Source("safetensors", path, network), trial)


def _network(written: str, registry: Registry) -> Choice:
    try:
        return resolve(registry, "generator", parse_choice(written))
    except ChoiceError as error:
        raise ChoiceError(f"--network: {error}") from error


def _name(request: Request, source: Source) -> str:
    path = source.path
    usual = f"{path.name}:{source.entry}" if source.entry else path.name if path.is_dir() else path.stem
    name = one_line(request.name if request.name is not None else usual).strip()
    if not name:
        raise GanbenchError("--name: expected a few words, to call it by in tables")
    return name
