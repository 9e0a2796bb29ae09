"""What runs leave behind in a results folder: claims, runner files, checkpoints, and what was about to be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
from safetensors.numpy import save_file

from ganbench import leases
from ganbench.disk import this_machine
from ganbench.leases import CLAIM, RUNNERS, Owner

HOURS = 3 * 3600.0


def ended_process():
    """The number of a process that has come to its end."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def owner(*, here=True, gone=False):
    """A runner of this machine or another one, at work or gone."""
    machine, pid = this_machine() if here else "elsewhere", ended_process() if gone else os.getpid()
    started = leases.start_of(os.getpid())
    return Owner("ab" * 16, "somewhere", machine, pid, started)


def put_claim(folder, runner, number=1):
    """That runner's claim to the key of the folder."""
    path = folder / f"{CLAIM}{number}"
    path.write_text(json.dumps(vars(runner)))
    return path


def put_runner(store, runner, name="cd" * 16):
    """That runner's own file, and its wish that trials end."""
    path = store.path / RUNNERS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(vars(runner)))
    path.with_suffix(".stop").touch()
    return path


def put_checkpoint(store, *keys):
    """A checkpoint of the jobs with these keys."""
    path = store.checkpoint_of(keys)
    path.parent.mkdir(exist_ok=True)
    header = {"identity": {"trials": list(keys)}, "tree": {}}
    save_file({"a": np.zeros(2, np.float32)}, path, {"ganbench": json.dumps(header)})
    return path


def put_temporary(folder, *, ended=True):
    """What a process of this machine was about to rename to curve.parquet."""
    pid = ended_process() if ended else os.getpid()
    path = folder / f".curve.parquet.{this_machine()}.{pid}"
    path.write_bytes(b"PAR1")
    return path


def make_old(path):
    """As if nobody had touched it for hours."""
    long_ago = time.time() - HOURS
    os.utime(path, (long_ago, long_ago))


def contents(folder):
    """Every file below the folder, with what is in it."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
