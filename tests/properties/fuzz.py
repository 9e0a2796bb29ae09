"""Feed a reader bytes that reach ever more of its code, and tell whatever ends in another error than a documented one.

Needs atheris, which is no part of ganbench: `pip install --group fuzz` (Linux, Python 3.11 to 3.13). From the root:

    PYTHONPATH=.:plugins python tests/properties/fuzz.py TARGET FOLDER -max_total_time=300

`TARGET` is one of those below; what follows FOLDER goes to libFuzzer. FOLDER keeps the corpus from one run to the
next, and in `findings/` the input of each new kind of error, which is also printed as it is found. With a file in the
place of FOLDER, that is read once, and an undocumented error let through.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import tarfile
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))
os.environ["OMP_NUM_THREADS"] = "1"

with atheris.instrument_imports(
    include=["ganbench", "tomllib", "json", "numpy.lib", "zipfile", "tarfile", "PIL", "safetensors", "packaging"]
):
    import fabricate
    import numpy as np
    import pandas as pd
    import safetensors.torch
    import torch
    from PIL import Image
    from torch import nn

    from ganbench import archives, arrays, decoding, submissions, tables
    from ganbench.choices import parse_choice, parse_objective, resolve
    from ganbench.errors import GanbenchError, ResultsError
    from ganbench.parsing import read_facts, read_job, read_record
    from ganbench.plan import plan
    from ganbench.plugins import Registry, discover
    from ganbench.statistics import board
    from ganbench.store import CURVE, RECORD, TRIAL, Store
    from ganbench.suite import read_suite
    from ganbench.terms import KINDS, Choice
    from ganbench.views import render_table, select

SCRATCH = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
"""Where inputs lie as files; in memory, where there is such a folder."""

FEW_TRIALS = 2_000
"""Suites that would make more are only read: planning millions finds nothing that planning some does not."""


@dataclass(frozen=True)
class Target:
    """A reader: what is done with one input, and inputs that it can read."""

    read: Callable[[bytes], object]
    seeds: Callable[[], Iterator[bytes]]


@cache
def registry() -> Registry:
    return discover()


def _file(name: str, content: bytes) -> Path:
    path = SCRATCH / name
    path.write_bytes(content)
    return path


# --- suites, choices and comparisons


def suite(content: bytes) -> None:
    """A suite is read and, unless it is vast, planned."""
    read = read_suite(str(_file("some.toml", content)))
    matrix = read.matrix
    combinations = len(matrix.generator) * len(matrix.discriminator) * len(matrix.loss) if matrix else 0
    if (combinations + len(read.variants)) * len(read.datasets) * len(read.seeds) <= FEW_TRIALS:
        plan(read, registry())


def suite_seeds() -> Iterator[bytes]:
    for path in sorted((ROOT / "ganbench" / "suites").glob("*.toml")):
        yield path.read_bytes()
    yield (
        b'name="a"\ndatasets=["ring8",{name="mnist"}]\nseeds=[0,1]\nrequires=["ganbench>=0.1"]\n[budget]\nsteps=5\n'
        b'[[variants]]\ngenerator="mlp"\ndiscriminator="mlp(packing=2)"\nloss="hinge + r1(gamma=0.1)"\n'
        b"training={clip=0.1}\n[[exclude]]\nloss='wgan*'\n[[override]]\ndataset='r*'\nevaluation.samples=10\n"
    )


def choice(content: bytes) -> None:
    """A choice is parsed, survives being written, and is looked up as whatever it may be."""
    text = content.decode(errors="surrogateescape")
    try:
        parse_objective(text)
    finally:
        parsed = parse_choice(text)
    again = parse_choice(str(parsed)) if len(str(parsed)) <= 1000 else parsed
    if repr(again) != repr(parsed):
        raise AssertionError(f"{text!r} is {parsed!r}, but written and read again {again!r}")
    for kind in KINDS:
        try:
            resolve(registry(), kind, parsed)
        except GanbenchError:
            continue


def choice_seeds() -> Iterator[bytes]:
    for offer in registry().offers:
        yield offer.component.name.encode()
    yield b"hinge + r1(gamma=0.1) + diffaugment"
    yield b"""ganbench:mlp(width=16, depth=2, words=["a", 'b', [1.5e3, none, true]], text="\\u00e9\\n")"""
    yield b"""folder:"a b/c"(resolution=64, channels=1)"""


def where(content: bytes) -> None:
    """A comparison picks rows, what is behind the first zero byte picks columns, and the rest is written."""
    comparison, _, columns = content.decode(errors="surrogateescape").partition("\0")
    chosen = select(_table(), columns.split(",") if columns else None, [comparison] if comparison else ())
    for form in ("text", "json", "markdown", "latex"):
        render_table(chosen, form)


@cache
def _table() -> pd.DataFrame:
    return tables.load_results(fabricate.write_suite(SCRATCH / "whole", seeds=2).path)


def where_seeds() -> Iterator[bytes]:
    yield from (b"seed>=1", b"loss=wgan*", b"started_at<2030-12-31T23:59", b"status!=ok\0key,*score*", b"kimg = 1e3")
    yield from (f"{name}=0".encode() for name in tables.COLUMNS)


# --- results


def record(content: bytes) -> None:
    read_record(_file(RECORD, content))


def job(content: bytes) -> None:
    """A job is described, named and keyed."""
    read = read_job(_file(TRIAL, content))
    assert len(read.key) == 64
    str(read.dataset)


def facts(content: bytes) -> None:
    read_facts(_file("environment.json", content))


def rows(content: bytes) -> None:
    """One file of a results folder is replaced; the whole is loaded, ranked and written. The first byte says which."""
    folder = _attempt()
    name = (RECORD, TRIAL, "environment.json")[content[0] % 3] if content else RECORD
    old = (folder / name).read_bytes()
    try:
        (folder / name).write_bytes(content[1:])
        table = tables.load_results(folder.parents[2])
        ranked = board(table)
        for form in ("text", "json", "csv"):
            render_table(table, form)
            render_table(ranked, form)
    finally:
        (folder / name).write_bytes(old)


@cache
def _attempt() -> Path:
    store = fabricate.write_suite(SCRATCH / "small", seeds=1)
    return next(attempt.path for attempt in store.newest() if (attempt.path / CURVE).exists())


def _json_seeds(name: str) -> Iterator[bytes]:
    _table()
    store = Store(SCRATCH / "whole")
    yield from sorted({(attempt.path / name).read_bytes() for attempt in store.newest()}, key=len)[:: max(1, 8)]
    yield b'{"a": [1, 2.5e3, null, true, "\\u00e9"]}'


def record_seeds() -> Iterator[bytes]:
    return _json_seeds(RECORD)


def job_seeds() -> Iterator[bytes]:
    return _json_seeds(TRIAL)


def facts_seeds() -> Iterator[bytes]:
    return _json_seeds("environment.json")


def rows_seeds() -> Iterator[bytes]:
    for index, name in enumerate((RECORD, TRIAL, "environment.json")):
        yield bytes([index]) + (_attempt() / name).read_bytes()


def curve(content: bytes) -> None:
    """The curve of a results folder is replaced, and all are loaded."""
    folder = _attempt()
    (folder / CURVE).write_bytes(content)
    tables.load_curves(folder.parents[2])


def curve_seeds() -> Iterator[bytes]:
    yield (_attempt() / CURVE).read_bytes()
    for frame in (pd.DataFrame({"kimg": [1.0, 2.0], "steps": [1, 2]}), pd.DataFrame({"text": ["a"], "suite": ["b"]})):
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False, compression=None)
        yield buffer.getvalue()


# --- samples and weights


def npz(content: bytes) -> None:
    """An array file is read as images and as points."""
    path = _file("some.npz", content)
    for read in (lambda: arrays.read_arrays(path, decoding.Form()), lambda: arrays.read_points_of(path)):
        try:
            read()
        except GanbenchError:
            continue


def npz_seeds() -> Iterator[bytes]:
    images, points = np.zeros((10, 2, 2), np.uint8), np.zeros((10, 2), np.float32)
    for named in ({"images": images, "labels": np.arange(10)}, {"points": points}):
        for save in (np.savez, np.savez_compressed):
            buffer = io.BytesIO()
            save(buffer, **named)
            yield buffer.getvalue()
    for array in (images, points, np.array([None]), np.zeros(3, "M8[s]"), np.zeros(2, [("a", "f4"), ("b", "U3")])):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=True)
        yield buffer.getvalue()


def weights(content: bytes) -> None:
    submissions.load_weights(nn.Linear(2, 3), _file("generator.safetensors", content), Choice("linear"))


def weights_seeds() -> Iterator[bytes]:
    yield safetensors.torch.save(nn.Linear(2, 3).state_dict())
    yield safetensors.torch.save({"weight": torch.zeros(3), "other": torch.zeros(0)})


def script(content: bytes) -> None:
    """A file that is to be TorchScript is told from others, and loaded if it is one."""
    path = _file("generator.pt", content)
    submissions.is_cut(path)
    submissions._load_script(path)


def script_seeds() -> Iterator[bytes]:
    with warnings.catch_warnings(action="ignore"):
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), buffer)
        yield buffer.getvalue()


def image(content: bytes) -> None:
    """A picture is decoded as it is, and resized."""
    shown = decoding.picture(decoding.Encoded("some picture", lambda: content))
    decoding.pixels("some picture", shown, decoding.Form(8, 3, "stretch"))


def image_seeds() -> Iterator[bytes]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        for form in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"):
            buffer = io.BytesIO()
            try:
                Image.new(mode, (4, 3)).save(buffer, form)
            except (OSError, ValueError):
                continue
            yield buffer.getvalue()
    yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def tar(content: bytes) -> None:
    archives.read_tar(_file("some.tar", content), decoding.Form(8, 3, "stretch"))


def tar_seeds() -> Iterator[bytes]:
    picture = io.BytesIO()
    Image.new("L", (2, 2)).save(picture, "PNG")
    for mode in ("w", "w:gz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            for number in range(10):
                for name, content in ((f"{number}.png", picture.getvalue()), (f"{number}.cls", b"1")):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        yield buffer.getvalue()


TARGETS = {
    "choice": Target(choice, choice_seeds),
    "curve": Target(curve, curve_seeds),
    "facts": Target(facts, facts_seeds),
    "image": Target(image, image_seeds),
    "job": Target(job, job_seeds),
    "npz": Target(npz, npz_seeds),
    "record": Target(record, record_seeds),
    "rows": Target(rows, rows_seeds),
    "script": Target(script, script_seeds),
    "suite": Target(suite, suite_seeds),
    "tar": Target(tar, tar_seeds),
    "weights": Target(weights, weights_seeds),
    "where": Target(where, where_seeds),
}


# --- the fuzzer


def _once(target: Target, content: bytes) -> None:
    """Read one input. A documented error is what bad input is to end in."""
    try:
        target.read(content)
    except GanbenchError as error:
        if isinstance(error, ResultsError) and not str(error):
            raise AssertionError("an error without a message") from error


def _collecting(target: Target, findings: Path) -> Callable[[bytes], None]:
    """Reads one input, and keeps the first that ends in each kind of undocumented error."""
    known: set[tuple[str, ...]] = set()

    def run(content: bytes) -> None:
        try:
            _once(target, content)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            frames = traceback.extract_tb(error.__traceback__)
            kind = (type(error).__name__, *(f"{frame.filename}:{frame.lineno}" for frame in frames[-3:]))
            if kind in known:
                return
            known.add(kind)
            path = findings / f"{len(known):03d}-{type(error).__name__}"
            path.write_bytes(content)
            print(f"FINDING {path}", traceback.format_exc(limit=-6), sep="\n", file=sys.stderr, flush=True)

    return run


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"fuzz.py TARGET FOLDER [libFuzzer's options], with one of {', '.join(TARGETS)}")
    target, place = TARGETS[sys.argv[1]], Path(sys.argv[2])
    warnings.simplefilter("ignore")
    if place.is_file():
        _once(target, place.read_bytes())
        return
    for name in ("corpus", "findings"):
        (place / name).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (place / "corpus" / f"seed-{number:03d}").write_bytes(seed)
    arguments = ["-rss_limit_mb=4096", "-timeout=30", f"-artifact_prefix={place / 'findings'}/", *sys.argv[3:]]
    atheris.Setup([sys.argv[0], *arguments, str(place / "corpus")], _collecting(target, place / "findings"))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
