"""The command line, called in this process or in one of its own, and a suite that takes seconds."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

from ganbench import cli

PATIENT = Path(__file__).parent / "patient.py"
DEADLINE_SECONDS = 120.0


@dataclass(frozen=True)
class Result:
    """What a command left: its exit status and what it said."""

    status: int
    out: str
    err: str

    @property
    def rows(self):
        """The listing that `--format json` printed."""
        rows = json.loads(self.out)
        assert isinstance(rows, list)
        assert all(isinstance(row, dict) for row in rows)
        return rows


def ganbench(*arguments):
    """Call the command line in this process. Trials still run in processes of their own."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    argv = ["ganbench", *map(str, arguments)]
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code or 0
    return Result(status, out.getvalue(), err.getvalue())


def start(*arguments):
    """Start `python -m ganbench`, which an interrupt reaches even where this process has been told to ignore them."""
    return subprocess.Popen(
        [sys.executable, "-m", "ganbench", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def wait_for(condition):
    """Wait until `condition()` is true, and give its value."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def write_suite(path, datasets=("ring8",), losses=("hinge", "nonsaturating"), seeds=2, generators=(), steps=20):
    """A suite of small networks and few steps, at `path`."""
    network = "mlp(width=16, depth=2)"
    path.write_text(
        "\n".join(
            [
                f'name = "{path.stem}"',
                f"datasets = {json.dumps(datasets)}",
                f"seeds = {seeds}",
                "[matrix]",
                f"generator = {json.dumps([network, *generators])}",
                f'discriminator = ["{network}"]',
                f"loss = [{', '.join(map(_toml, losses))}]",
                f"[budget]\nsteps = {steps}",
                "[evaluation]\npoints = 2\nsamples = 500",
            ]
        )
    )
    return path


def _toml(loss):
    if isinstance(loss, str):
        return json.dumps(loss)
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in loss.items()) + " }"


def patient(gate):
    """A loss that waits, and says in the file at `gate` which process does, until that file is gone."""
    gate.touch()
    return {"name": "patient", "gate": str(gate)}


def waiting_process(gate):
    """The process that waits at the gate; None if none does."""
    text = gate.read_text()
    return int(text.split()[0]) if text.endswith("\n") else None


def records(folder):
    """The records below a results folder."""
    return list(folder.rglob("record.json"))
