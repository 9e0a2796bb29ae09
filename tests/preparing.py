"""What other processes do in the tests of prepared data: each is a fresh interpreter that imports this."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from ganbench import imagefiles
from ganbench.protocols import Places
from ganbench_files import data as files


def fingerprint_of_folder(folder: str, cache: str, gate: str) -> tuple[str, str]:
    """The splits of a folder, hashed, prepared while others do the same; whoever decodes leaves a file in `gate`."""
    os.environ["GANBENCH_CACHE_DIR"] = cache
    original = imagefiles.read_folder

    def noted(path, form):
        (Path(gate) / f"decoded-{os.getpid()}").touch()
        time.sleep(0.5)  # long enough for the others to arrive
        return original(path, form)

    files.read_folder = noted
    (Path(gate) / f"ready-{os.getpid()}").touch()
    while len(list(Path(gate).glob("ready-*"))) < 2:
        time.sleep(0.01)
    data = files.folder(Places(), folder, 8, heldout=0.25)
    return tuple(hashlib.sha256(part.numpy().tobytes()).hexdigest() for part in (data.train, data.heldout))
