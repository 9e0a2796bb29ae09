"""Runs on a disk that is full at one write after the other: a small file system where one can be made, else a limit."""

from __future__ import annotations

import contextlib
import functools
import json
import resource
import signal
import subprocess
import sys

from trouble import Command, differences, outcome, residue

STEP = 160 * 1024
"""Bytes by which there is more room each time: less than most of a run's files take together."""

MOST_STEPS = 400


def small_file_system(folder, size):
    """A file system of so many bytes at the folder, if this user may make one."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    return made.returncode == 0


def fill_step_by_step(suite, folder, step=STEP):
    """The number of tries, how the disk was made full, and what was not as it should be."""
    plain = Command(suite, folder / "plain" / suite.stem, ("--device", "cpu", "--checkpoint", "0"))
    plain.finish()
    expected = outcome(plain.results)
    place = folder / "full"
    with _disk(place, step) as grow:
        command = Command(suite, place / suite.stem, plain.options)
        how = "a small file system" if grow else "a limit on the size of files"
        tries, wrong, before = _try(command, grow, step)
        wrong += before + differences(expected, outcome(command.results))
        wrong += [f"left behind: {path}" for path in residue(command.results)]
    return tries, how, wrong


def _try(command, grow, step):
    """Run with more room each time, until there is enough; what was recorded must still be there, as it was."""
    wrong, known, tries = [], {}, 0
    for number in range(1, MOST_STEPS):
        limit = {} if grow else {"preexec_fn": functools.partial(_limit, number * step // 8)}
        if grow:
            grow(number * step)
        process = command.start(**limit)
        said, _ = process.communicate(timeout=300)
        tries += 1
        now = {path: path.read_bytes() for path in command.results.glob("runs/*/*/record.json")}
        wrong += [f"changed: {path}" for path, content in known.items() if now.get(path) != content]
        wrong += [f"torn: {path}" for path in now if not _whole(path)]
        known = now
        if process.returncode == 0:
            return tries, wrong, []
        message = [line for line in said.splitlines() if line.startswith("ganbench: ")]
        if process.returncode != 2 or len(message) != 1 or "Traceback" in said:
            wrong.append(f"exit status {process.returncode}: {said[-400:]}")
    return tries, wrong, ["never enough room"]


def _whole(path):
    with contextlib.suppress(ValueError):
        return isinstance(json.loads(path.read_bytes()), dict)
    return False


@contextlib.contextmanager
def _disk(place, size):
    """A way to make the disk at `place` larger; None where files are limited instead."""
    if sys.platform == "linux" and small_file_system(place, size):
        try:
            yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)
        finally:
            subprocess.run(["umount", "-l", place], check=False)
    else:
        yield None


def _limit(size):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does: writing then fails with an error
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
