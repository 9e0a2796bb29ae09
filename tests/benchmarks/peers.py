"""Images a second of training: ganbench beside the public loops that people start from, in one run on one thread.

    python tests/benchmarks/peers.py --checkouts DIR [--rounds 5] [--format markdown|json]

DIR holds a clone of each peer, under the name in brackets, at the commit that the patches below were written for:

- [examples] https://github.com/pytorch/examples, 77f55b912142e11fcfdf5b530231fb9c52f181e8
- [PyTorch-GAN] https://github.com/eriklindernoren/PyTorch-GAN, 36d3c77e5ff20ebe0aeefd322326a134a279b93e
- [mimicry] https://github.com/kwotsin/mimicry, a7fda06c4aff1e6af8dc4c4a35ed6636e434c766
- [torchgan] https://github.com/torchgan/torchgan, fe86d7cf6cac9b6676aa43b56eabc6b4d583bbcf

**The work.** Random uint8 images of one channel, batches of 64, Adam, 64 latent numbers. The networks are ganbench's
dcgan for everybody, activations in place as the peers have them in their own. Nonsaturating: one critic step, batch
norm; WGAN-GP: five critic steps, layer norm. What counts is real images that a critic was updated on. Processor time is
that of the process and of its data loader's workers; wall time is printed beside it.

**Data.** "theirs" is the loader that a peer documents or ships: torchvision's MNIST through PIL (the files hold the
random images, at the network's resolution already, so that Resize finds nothing to do), `ToTensor`, `Normalize`, and as
many workers as it has by default: examples 2, PyTorch-GAN 0 (its `--n_cpu` is read nowhere), mimicry 4, torchgan 0.
"memory" gives the same loop float32 tensors at an index, with no data set, collation or worker between.

**What is patched, at load time.** Of scripts, the source is changed before it is executed: the classes `Generator` and
`Discriminator` give way to the networks above (with the Sigmoid that `BCELoss` needs, and the shapes they expect), the
data loader gets a stopwatch which ends the loop, and what saves pictures or checkpoints is left out. Losses are read
and printed at each step as ever, to the null device. Of mimicry, packages' `__init__` is not run (it imports
TensorFlow), `skimage` and `torch.utils.tensorboard` are empty stand-ins, so that no summary is written, and the
penalty's `view(N, 3, H, W)`, which takes three channels for granted, takes the images' shape. Of torchgan nothing is;
its end of an epoch, which recent torchvision refuses (`make_grid(range=...)`), lies beyond the end of the measurement.

**What is not the same.** For the generator's update mimicry and torchgan draw new fakes; the DCGANs of examples and
PyTorch-GAN use those that the critic saw, so that their generators compute once a step and not twice. Each is compared
with ganbench doing the same: with `reuse_fakes` for these two, without for the others.
PyTorch-GAN's WGAN-GP backpropagates the critic's loss through the generator too. torchgan's makes two critic updates a
batch, one on the loss and one on the penalty, on different fakes, takes the gradient's norm over the whole batch, and
backpropagates the penalty through the generator. examples has no WGAN-GP. ganbench keeps its statistics and looks for
divergence as in a trial; it trains one seed, since convolutions of several seeds together gain nothing on a processor.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # what a process's first optimiser would import
from peers_loops import Setting, examples, ganbench, mimicry, pytorch_gan, reusing, torchgan
from peers_work import BATCH, CASES, Case, Enough, write_mnist


@dataclass(frozen=True)
class Row:
    """A loop with a source of data, as it stands in the table."""

    name: str
    train: Callable[[Setting], None]
    in_memory: bool

    def __str__(self) -> str:
        ours = self.name.startswith("ganbench")
        return self.name if ours else f"{self.name}, {'memory' if self.in_memory else 'theirs'}"


PEERS = {"examples": examples, "PyTorch-GAN": pytorch_gan, "mimicry": mimicry, "torchgan": torchgan}
ROWS = (
    Row("ganbench", ganbench, in_memory=True),
    Row("ganbench, fakes reused", reusing, in_memory=True),
    *(Row(name, train, in_memory) for name, train in PEERS.items() for in_memory in (False, True)),
)
LACKS = {("examples", "wgan-gp"): "has none", ("ganbench, fakes reused", "wgan-gp"): "no peer does so"}
REUSE = {("examples", "nonsaturating"), ("PyTorch-GAN", "nonsaturating")}
"""The peers that update the generator on the fakes that the critic saw: compared with ganbench doing the same."""

Outcome = dict[str, float] | str
"""Images a second by clock, or why there are none."""


def once(row: Row, case: Case, checkouts: Path, data: Path) -> Outcome:
    """One run, in a process of its own that begins with torch imported."""
    if lack := LACKS.get((row.name, case.objective)):
        return lack
    ours, its = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_child, args=(its, row, Setting(case, checkouts / row.name, data, row.in_memory)))
    process.start()
    its.close()
    with contextlib.suppress(EOFError):
        outcome = ours.recv()
        process.join()
        return outcome
    process.join()
    return f"its process ended with exit status {process.exitcode}"


def _child(pipe: Any, row: Row, setting: Setting) -> None:
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as null:  # noqa: PTH123 - as print() takes it
        os.chdir(folder)
        sys.stdout = null
        try:
            row.train(setting)
            outcome: Outcome = "it ended before its time"
        except Enough:
            outcome = _rates(setting)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a peer's failure is its row's content
            outcome = f"cannot run: {type(error).__name__}: {' '.join(str(error).split())}"
        sys.stdout = sys.__stdout__
        os.chdir("/")
    pipe.send(outcome)


def _rates(setting: Setting) -> Outcome:
    assert setting.loader is not None
    start, end = setting.loader.start, setting.loader.end
    images = setting.case.batches * BATCH
    return {"processor": images / (end.processor - start.processor), "wall": images / (end.wall - start.wall)}


def measure(checkouts: Path, rounds: int) -> dict[tuple[Case, Row], list[Outcome]]:
    """Every row of every case once a round, each round beginning with another row."""
    outcomes: dict[tuple[Case, Row], list[Outcome]] = {(case, row): [] for case in CASES for row in ROWS}
    with tempfile.TemporaryDirectory() as folder:
        for side in {case.side for case in CASES}:
            write_mnist(Path(folder) / str(side), next(case for case in CASES if case.side == side).images())
        for round_number in range(rounds):
            first = round_number * 2 % len(ROWS)
            for case in CASES:
                for row in (*ROWS[first:], *ROWS[:first]):
                    outcomes[case, row].append(once(row, case, checkouts, Path(folder) / str(case.side)))
            print(f"round {round_number + 1} of {rounds} done", file=sys.stderr)
    return outcomes


def records(outcomes: dict[tuple[Case, Row], list[Outcome]]) -> list[dict[str, Any]]:
    """A flat record per row: median and range by clock, and how many times as fast ganbench was, round by round."""
    found = []
    for (case, row), runs in outcomes.items():
        record: dict[str, Any] = {"case": str(case), "loop": str(row)}
        refusals = [run for run in runs if isinstance(run, str)]
        if refusals:
            found.append({**record, "why_not": refusals[0]})
            continue
        for clock in ("processor", "wall"):
            record[clock] = _spread([run[clock] for run in runs])
            ours = outcomes[case, ROWS[(row.name, case.objective) in REUSE]]
            if not any(isinstance(run, str) for run in ours):
                record[f"ganbench_over_it_{clock}"] = _spread(
                    [a[clock] / b[clock] for a, b in zip(ours, runs, strict=True)]
                )
        found.append(record)
    return found


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def markdown(found: list[dict[str, Any]]) -> str:
    """The records as a table: images a second, and ganbench's ratio to each row."""
    lines = [
        "| work | loop, data | images / processor s | ganbench ÷ it | images / wall s | ganbench ÷ it |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for record in found:
        if "why_not" in record:
            cells = [f"n/a: {record['why_not']}", "", "", ""]
        else:
            cells = [
                _cell(record.get(name), digits)
                for clock in ("processor", "wall")
                for name, digits in ((clock, 0), (f"ganbench_over_it_{clock}", 2))
            ]
        lines.append("| " + " | ".join([record["case"], record["loop"], *cells]) + " |")
    return "\n".join(lines)


def _cell(spread: dict[str, float] | None, digits: int) -> str:
    if spread is None:
        return ""
    median, lowest, highest = (f"{spread[name]:,.{digits}f}" for name in ("median", "lowest", "highest"))
    return f"{median} ({lowest}–{highest})"


def main() -> None:
    parser = argparse.ArgumentParser(description="ganbench's images a second beside those of public training loops")
    parser.add_argument("--checkouts", type=Path, required=True, help="the folder that holds the peers' clones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--format", choices=["markdown", "json"], default="markdown")
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # before any fork: none may inherit a pool of threads
    found = records(measure(chosen.checkouts.resolve(), chosen.rounds))
    print(markdown(found) if chosen.format == "markdown" else json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
