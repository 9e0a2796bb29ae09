"""What is seen of a trial while it trains: its curve, its pictures, its scores, and what measuring took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd
import torch
from torch import Tensor

from ganbench.accounting import clock_for, forget_peak_memory, peak_memory_bytes
from ganbench.disk import write_atomically
from ganbench.errors import StorageError
from ganbench.events import EventLog
from ganbench.metrics import Evaluator, Measured
from ganbench.pictures import by_class, draw_samples
from ganbench.players import Players, detached, sample
from ganbench.portraits import LATENTS, ROWS, Sitting, portray
from ganbench.protocols import Data
from ganbench.seeding import global_stream
from ganbench.states import State
from ganbench.stepping import Diverged
from ganbench.store import CURVE, Attempt
from ganbench.submissions import at_rest, evaluation_labels, evaluation_latents
from ganbench.terms import Score, Spent, Trial, plain

RESAMPLES = 20
"""How often metrics resample for the noise of the scores that a record holds; along a curve they do not."""


class Observer:
    """What is seen of a trial at its evaluation points: the curve, the pictures and the scores."""

    def __init__(
        self,
        trial: Trial,
        attempt: Attempt,
        data: Data,
        evaluator: Evaluator,
        device: torch.device,
        events: EventLog,
        *,
        conditional: bool = False,
    ) -> None:
        self._attempt, self._data, self._evaluator, self._events = attempt, data, evaluator, events
        latents = evaluation_latents(trial.seed, trial.training.latent_dim, max(evaluator.count, LATENTS))
        self._ends = latents[:LATENTS].to(device)  # of interpolations
        latents = latents[: evaluator.count]
        self._latents = latents.to(device)
        asked = None if data.train_labels is None else evaluation_labels(trial.seed, data.train_labels, len(latents))
        self._labels = asked if conditional else None
        self._sampling = clock_for(device)
        self._device = device
        forget_peak_memory(self._device)
        self._started = time.perf_counter()
        self.evaluation_seconds = 0.0
        self._peak_memory_bytes = 0
        self._rows: list[dict[str, float | None]] = []
        self.scores: tuple[Score, ...] = ()
        self.spent = Spent()

    def look(self, players: Players, spent: Spent, statistics: Mapping[str, float], *, final: bool) -> None:
        """Measure the generator now: one row of the curve, one picture, the current scores; in the end its portrait.

        Raises Diverged.
        """
        began = time.perf_counter()
        self._events.spent = spent
        self._peak_memory_bytes = max(self._peak_memory_bytes, peak_memory_bytes(self._device))
        samples = self._samples(players, spent)
        with global_stream(0, "metrics", self._device):  # whatever a plugin's metric draws
            resamples = RESAMPLES if final else 0
            measured = self._evaluator.measure(samples, self._labels, resamples, self._events.alive)
        self.scores = measured.scores
        self.spent = spent
        shown = samples if self._labels is None else by_class(samples, self._labels)
        draw_samples(shown, self._data, self._attempt.path / f"samples-{spent.steps:08d}.png")
        values = {score.name: score.value for score in self.scores}
        wall = {"wall_seconds": time.perf_counter() - self._started}
        self._rows.append({**asdict(spent), **wall, **values, **statistics})
        self._write_curve()
        self._events.evaluated(spent, self.scores)
        if final:
            self._portray(players, samples, measured)
        forget_peak_memory(self._device)
        self.evaluation_seconds += time.perf_counter() - began

    def _portray(self, players: Players, samples: Tensor, measured: Measured) -> None:
        """Leave the generator's portrait. Where none can be made the events say why, and the scores stay what they are.

        Raises StorageError.
        """

        def generate(latents: Tensor, labels: Tensor | None) -> Tensor:
            generator = detached(players.scored)  # what is saved is what was scored, whatever a call changes
            made = sample(generator, latents, players.generator_label, labels=labels)
            return at_rest(players.generator_label, made, (len(latents), *players.shape))

        sitting = Sitting(
            self._data,
            self._evaluator.real,
            samples,
            measured,
            self._evaluator.class_names,
            generate,
            self._ends,
            self._row_labels(),
            self._device,
            self._events.alive,
        )
        try:
            portray(sitting, self._attempt.path)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - a picture that cannot be made costs no trial its scores
            first_line = str(error).partition("\n")[0]
            self._events.write("without portrait", why=f"{type(error).__name__}: {first_line}")

    def _row_labels(self) -> Tensor | None:
        """For each row of a picture a class (8,): the first ones in turn, as in the picture of samples."""
        if self._labels is None:
            return None
        classes: list[int] = sorted(set(self._labels.tolist()))
        return torch.tensor([classes[row % len(classes)] for row in range(ROWS)], device=self._device)

    def state(self) -> State:
        """The curve so far, the newest scores, and what measuring took."""
        return {
            "rows": [dict(row) for row in self._rows],
            "scores": [plain(score) for score in self.scores],
            "spent": asdict(self.spent),
            "seconds": time.perf_counter() - self._started,
            "evaluation_seconds": self.evaluation_seconds,
            "sampling_seconds": self._sampling.seconds(),
            "peak_memory_bytes": max(self._peak_memory_bytes, peak_memory_bytes(self._device)),
        }

    def restore(self, state: State) -> None:
        """Go on from there: the curve's file too is as it was then."""
        self._rows = [dict(row) for row in state["rows"]]
        self.scores = tuple(Score(**score) for score in state["scores"])
        self.spent = Spent(**state["spent"])
        self._started -= state["seconds"]
        self.evaluation_seconds = state["evaluation_seconds"]
        self._sampling.start_at(state["sampling_seconds"])
        self._peak_memory_bytes = state["peak_memory_bytes"]
        if self._rows:
            self._write_curve()
            self._events.evaluated(self.spent, self.scores)

    def _write_curve(self) -> None:
        write_atomically(self._attempt.path / CURVE, pd.DataFrame(self._rows).to_parquet(index=False))

    def _samples(self, players: Players, spent: Spent) -> Tensor:
        self._sampling.resume()
        labels = None if self._labels is None else self._labels.to(self._device)
        samples = sample(players.scored, self._latents, players.generator_label, labels=labels)
        self._sampling.pause()
        try:
            return at_rest(players.generator_label, samples, (self._evaluator.count, *players.shape))
        except FloatingPointError as error:
            raise Diverged(spent.steps, "a generated sample") from error

    def costs(self, players: Players) -> dict[str, float]:
        """What the trial cost beside its budget, as far as it can be seen from here."""
        spent = self.spent
        seconds = max(spent.device_seconds, 1e-9)
        sampled = self._evaluator.count * len(self._rows)
        return {
            "evaluation_seconds": self.evaluation_seconds,
            "images_per_second": spent.kimg * 1000 / seconds,
            "steps_per_second": spent.steps / seconds,
            "sampling_images_per_second": sampled / max(self._sampling.seconds(), 1e-9),
            "peak_memory_bytes": float(self._peak_memory_bytes),
            "generator_parameters": float(_count_parameters(players.generator)),
            "discriminator_parameters": float(_count_parameters(players.discriminator)),
        }


def _count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
