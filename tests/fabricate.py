"""Results trees that no GAN was trained for, written through the store: what the tables and reports are tested on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from safetensors.numpy import save_file

from ganbench.assignments import Assignment
from ganbench.drivers import Driver
from ganbench.portrait_files import (
    INTERPOLATIONS,
    NEIGHBOURS,
    PORTRAIT,
    Classes,
    Neighbours,
    Points,
    Portrait,
    content_of,
)
from ganbench.store import CURVE, ENVIRONMENT, GENERATOR, Attempt, Store
from ganbench.terms import (
    Budget,
    Choice,
    Evaluation,
    Job,
    Record,
    Reference,
    Score,
    Spent,
    Status,
    Submission,
    Training,
    Trial,
    Variant,
    kind_of,
)

FEATURES = {"extractor": "digits", "weights_sha256": "ab" * 32, "layer": "features", "dimension": 64}
ENVIRONMENT_FACTS = {
    "device": "Test CPU", "ganbench": "0.1.0", "python": "3.11.9", "packages": {"torch": "2.11.0"}, "threads": 1,
}  # fmt: skip
DIGITS = Choice("digits")
RING = Choice("ring8", (("sigma", 0.02),))


@dataclass(frozen=True)
class Outcome:
    """What one made-up attempt left behind."""

    scores: tuple[Score, ...] = ()
    status: Status = "ok"
    message: str = ""
    failed_step: int | None = None
    spent: Spent = Spent(100.0, 1562, 20.0, 0.3)
    costs: dict[str, float] = field(default_factory=lambda: {"images_per_second": 5000.0, "wall_seconds": 25.0})
    finished_at: str = "2030-01-01T00:00:25+00:00"


def image_scores(fcd: float, coverage: float = 0.8, n: int = 898) -> tuple[Score, ...]:
    """The scores of a picture data set, the headline first."""
    common = {"n_fake": n, "n_real": n, **FEATURES}
    return (
        Score("fcd_digits", fcd, "lower", "geometric", metric="fcd", **common),
        Score("coverage_digits", coverage, "higher", metric="prdc", settings="k=5", **common),
        Score("tvd_digits", (1 - coverage) / 2, "lower", metric="classes", **common),
    )


def point_scores(modes: float, share: float = 0.9, n: int = 10_000) -> tuple[Score, ...]:
    """The scores of a data set with known modes."""
    return (
        Score("modes_20pct", modes, "higher", metric="modes", n_fake=n, n_real=n),
        Score("high_quality", share, "higher", metric="modes", n_fake=n, n_real=n, settings="3 sigma"),
    )


def variant(loss: str = "hinge", generator: str = "dcgan", **parameters: float) -> Variant:
    """A variant whose networks share a name."""
    network = Choice(generator)
    return Variant(network, network, Choice(loss, tuple(sorted(parameters.items()))))


def evaluation(dataset: Choice = DIGITS, samples: int = 898) -> Evaluation:
    extractor = Choice("digits") if dataset.name == "digits" else None
    return Evaluation((0.25, 0.5, 1.0), (Choice("fcd"), Choice("prdc")), samples, extractor)


def submission(name: str = "elsewhere", dataset: Choice = DIGITS, sha256: str = "cd" * 32) -> Submission:
    """Samples that were made elsewhere, measured as the trials of the data set are."""
    return Submission(dataset, name, "samples", sha256, replace(evaluation(dataset), points=(1.0,)))


def trial(made: Variant | None = None, seed: int = 0, dataset: Choice = DIGITS, **changes: object) -> Trial:
    made_trial = Trial(dataset, made or variant(), seed, Budget(kimg=100.0), Training(), evaluation(dataset))
    return replace(made_trial, **changes)


def commit(
    store: Store,
    job: Job,
    outcome: Outcome,
    environment: dict[str, object] | None = None,
    *writers: Callable[[Attempt], None],
) -> Attempt:
    """One recorded attempt at `job`, with what `writers` put into its folder before the record is written."""
    attempt = store.begin(job)
    attempt.write_json(ENVIRONMENT, ENVIRONMENT_FACTS if environment is None else environment)
    for write in writers:
        write(attempt)
    attempt.commit(
        Record(
            key=job.key,
            kind=kind_of(job),
            status=outcome.status,
            started_at="2030-01-01T00:00:00+00:00",
            finished_at=outcome.finished_at,
            message=outcome.message,
            failed_step=outcome.failed_step,
            spent=outcome.spent if isinstance(job, Trial) else Spent(),
            scores=outcome.scores,
            costs=outcome.costs,
        )
    )
    return attempt


def write_curve(attempt: Attempt, final: dict[str, float], kimg: float = 100.0, points: int = 8) -> None:
    """A curve that ends with `final`: a distance that falls, shares that rise, and a critic that wavers."""
    rng = np.random.default_rng(int(attempt.key[:8], 16))
    share = np.linspace(1 / points, 1, points)
    noise = np.exp(rng.normal(0, 0.08, (len(final) + 2, points)))
    noise[: len(final), -1] = 1
    grow = {name: 30 ** (1 - share) if name.startswith("fcd") else share**0.5 for name in final}
    scores = {name: value * grow[name] * noise[i] for i, (name, value) in enumerate(final.items())}
    curve = pd.DataFrame(
        {
            "kimg": kimg * share,
            "steps": (kimg * share * 1000 / 64).round().astype(int),
            "device_seconds": 20 * share,
            "petaflops": 0.3 * share,
            "wall_seconds": 25 * share,
            **scores,
            "discriminator/adversarial": 1.2 * noise[-1],
            "generator/adversarial": 0.9 * noise[-2],
            "logit/real": 0.8 * noise[-1],
            "logit/fake": -0.7 * noise[-2],
            "discriminator/accuracy": np.clip(0.7 * noise[-1], 0, 1),
            "gradient_norm/generator": 0.5 * noise[-2],
            "gradient_norm/discriminator": 1.5 * noise[-1],
        }
    )
    curve.to_parquet(attempt.path / CURVE, index=False)


def write_samples(attempt: Attempt, name: str = "samples-00001563.png", blur: float = 0.3) -> None:
    """An 8 × 8 grid of 8 × 8 pictures of rings, more or less noisy."""
    rng = np.random.default_rng(int(attempt.key[:8], 16))
    row, column = np.mgrid[0:8, 0:8] - 3.5
    ring = np.exp(-((np.hypot(row, column) - 2.2) ** 2))
    pictures = ring[None] + rng.normal(0, blur, (64, 8, 8))
    grid = pictures.reshape(8, 8, 8, 8).transpose(0, 2, 1, 3).reshape(64, 64)
    Image.fromarray((np.clip(grid, 0, 1) * 255).astype(np.uint8)).save(attempt.path / name)


def write_portrait(attempt: Attempt, *, pictorial: bool = True) -> None:
    """A portrait of digits, or of points on a ring: some classes too often, and nothing learnt by heart."""
    rng = np.random.default_rng(int(attempt.key[:8], 16))
    shares = rng.dirichlet(np.full(8, 20.0)).tolist()
    classes = Classes(tuple(f"class {number}" for number in range(8)), (0.125,) * 8, tuple(shares))
    write_samples(attempt, INTERPOLATIONS, 0.1)
    if pictorial:
        write_samples(attempt, NEIGHBOURS, 0.2)
        near = [tuple(rng.normal(typical, 0.2, 300).clip(0).tolist()) for typical in (2.0, 1.7)]
        portrait = Portrait(classes, None, Neighbours("Euclidean distance of the pixels", 899, *near))
    else:
        angles = rng.integers(0, 8, (2, 300)) * np.pi / 4
        places = np.stack([np.cos(angles), np.sin(angles)], axis=2) + rng.normal(0, 0.03, (2, 300, 2))
        portrait = Portrait(classes, Points(*(tuple(map(tuple, side)) for side in places.tolist())), None)
    (attempt.path / PORTRAIT).write_bytes(content_of(portrait))


def write_generator(attempt: Attempt) -> None:
    """A generator of one layer."""
    save_file({"layers.0.weight": np.ones((4, 2), np.float32)}, attempt.path / GENERATOR)


def whole_trial(store: Store, job: Trial, outcome: Outcome, together: Sequence[Trial] = ()) -> Attempt:
    """A recorded trial with every file that one leaves which ended well."""
    final = {score.name: score.value for score in outcome.scores}
    company = Assignment(Driver(), tuple(other.key for other in together or (job,)))
    writers = (company.write, partial(write_curve, final=final), write_samples, write_portrait, write_generator)
    return commit(store, job, outcome, None, *writers)


def write_suite(path: Path, seeds: int = 3) -> Store:
    """A results tree like that of a small suite: two data sets, six losses, references, a collapse, a failure."""
    store, rng = Store(path), np.random.default_rng(7)
    for loss, typical in (
        ("relativistic", 2.9),
        ("hinge", 3.1),
        ("nonsaturating", 3.3),
        ("lsgan", 5.2),
        ("wgan", 14.0),
    ):
        for seed in range(seeds):
            _digits_trial(store, variant(loss), seed, typical * math.exp(rng.normal(0, 0.12)))
            _ring_trial(store, variant(loss, "mlp"), seed, min(8.0, round(8.2 - typical / 3 + rng.normal(0, 0.5))))
    _failing_minimax(store)
    _references(store)
    return store


def _digits_trial(store: Store, made: Variant, seed: int, fcd: float) -> None:
    speed = {"lsgan": 5200.0, "wgan": 1900.0}.get(made.loss.name, 4800.0)
    scores = image_scores(fcd, max(0.05, 0.95 - fcd / 20))
    spent = Spent(100.03, 1563, 100_000 / speed, 0.31)
    costs = {
        "images_per_second": speed, "wall_seconds": 130_000 / speed, "training_seconds": 100_000 / speed,
        "evaluation_seconds": 2.5, "steps_per_second": speed / 64, "sampling_images_per_second": 21_000.0,
        "peak_memory_bytes": 412_000_000.0, "generator_parameters": 310_000.0, "discriminator_parameters": 295_000.0,
        "flops_per_step": 2.1e9,
    }  # fmt: skip

    def write(attempt: Attempt) -> None:
        write_curve(attempt, {score.name: score.value for score in scores}, kimg=100.03)
        write_samples(attempt, "samples-00000780.png", 0.6)
        write_samples(attempt, "samples-00001563.png", fcd / 20)

    commit(store, trial(made, seed), Outcome(scores, spent=spent, costs=costs), None, write)


def _ring_trial(store: Store, made: Variant, seed: int, modes: float) -> None:
    scores = point_scores(modes, min(0.98, modes / 8.3))
    values = {score.name: score.value for score in scores}
    job = trial(made, seed, RING, evaluation=evaluation(RING, 10_000))
    commit(store, job, Outcome(scores), None, lambda attempt: write_curve(attempt, values))


def _failing_minimax(store: Store) -> None:
    message = "discriminator loss is not finite"
    for seed in range(2):
        outcome = Outcome((), "diverged", message, 412, Spent(26.4, 412, 5.1, 0.08))
        job = trial(variant("minimax"), seed)
        commit(store, job, outcome, None, lambda attempt: write_curve(attempt, {"fcd_digits": 60.0}, 26.4, 2))
    _digits_trial(store, variant("minimax"), 2, 9.0)
    _digits_trial(store, variant("hinge", "mlp"), 0, 11.0)
    commit(store, trial(variant("hinge", "mlp"), 1), Outcome((), "oom", "out of memory: 2.1 GiB asked for"))


def _references(store: Store) -> None:
    for name, scores, blur in (("real_floor", image_scores(0.61, 0.97), 0), ("noise", image_scores(188.0, 0.0), 3)):
        job = Reference(DIGITS, name, evaluation())
        commit(store, job, Outcome(scores), None, partial(write_samples, blur=blur))
    ring = evaluation(RING, 10_000)
    commit(store, Reference(RING, "real_floor", ring), Outcome(point_scores(8.0, 0.989)))
    commit(store, Reference(RING, "noise", ring), Outcome(point_scores(0.0, 0.06)))
