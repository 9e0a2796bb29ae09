"""Runs that are made to fail for real, and what is left of them: shared by the tests and by the soak run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from commands import write_suite

import ganbench
from ganbench.events import last_event
from ganbench.leases import MARK
from ganbench.store import Store

BREAKING = Path(__file__).parent / "breaking.py"

TWENTY = """
name = "twenty"
datasets = ["ring8"]
seeds = 4
[matrix]
generator = ["mlp(width=16, depth=2)"]
discriminator = ["mlp(width=16, depth=2)"]
loss = [
    "hinge",
    "nonsaturating + r1(gamma=0.1)",
    "nonsaturating + lecam",
    "hinge + instance-noise",
    "nonsaturating + unrolled(steps=1)",
]
[budget]
steps = 400
[training]
ema_half_life_kimg = 1
[evaluation]
points = 3
samples = 500
"""
"""20 trials: seeds together, parts that remember, an augmentation that draws, a method that trains alone."""

EIGHT = (
    TWENTY.replace('"twenty"', '"eight"')
    .replace("steps = 400", "steps = 1500")
    .replace(
        """    "nonsaturating + r1(gamma=0.1)",
    "nonsaturating + lecam",
    "hinge + instance-noise",
""",
        "",
    )
)

OF_TIME = ("seconds", "per_second", "_share", "memory", "_at", "path", "suite", "joules", "utilisation")
"""What the columns are called that no two runs have in common."""


@dataclass(frozen=True)
class Command:
    """`ganbench run` of a suite into a folder."""

    suite: Path
    results: Path
    options: tuple[str, ...] = ("--device", "cpu", "--checkpoint", "0.1")

    def start(self, **more):
        """Start it as the leader of a group of processes of its own."""
        arguments = [sys.executable, "-m", "ganbench", "run", self.suite, "--results", self.results, *self.options]
        return subprocess.Popen(
            list(map(str, arguments)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "200"},
            **more,
        )

    def finish(self, status=0, **more):
        """Let it come to its end, which must be of this status, and give what it said."""
        process = self.start(**more)
        said, _ = process.communicate(timeout=900)
        assert process.returncode == status, f"exit status {process.returncode}:\n{said}"
        return said


def outcome(results):
    """All of a results folder that two runs must have in common, bit for bit: table, curves, weights and portraits."""
    table, curves = ganbench.load_results(results), ganbench.load_curves(results)
    files = {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(results).glob("runs/*/*/*"))
        if path.name in ("generator.safetensors", "portrait.json") or path.suffix == ".png"
    }
    return _timeless(table), _timeless(curves), files


def _timeless(frame):
    names = [
        name for name in frame.columns if not any(part in name for part in OF_TIME) or name.startswith("overshoot")
    ]
    kept = frame[[name for name in names if name != "overshoot_device_seconds"]]
    return list(kept.columns), kept.to_json(orient="values", double_precision=15)


def begun(results, steps=10):
    """An attempt that has trained so many steps and has no record, if there is one."""
    for attempt in Store(results).attempts():
        spent = last_event(attempt, "progress", "evaluated").get("spent", {})
        if not attempt.committed and spent.get("steps", 0) >= steps:
            return attempt
    return None


def residue(results):
    """What a run leaves behind that has come to a good end: nothing."""
    folder = Path(results)
    left = [path for path in folder.rglob("*") if path.name.startswith((".", "claim."))]
    left += [folder / name for name in ("checkpoints", "runners", "groups.json") if (folder / name).exists()]
    left += [path.parent for path in folder.glob("runs/*/*/trial.json") if not (path.parent / "record.json").exists()]
    return sorted(str(path.relative_to(folder)) for path in left)


def marked_processes():
    """Processes that belong to a run whose runner is gone. Those of runs that go on, this test's too, do not count."""
    runs = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mark = process.environ().get(MARK)
            if mark and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                runs.setdefault(mark, []).append(process)
    return runs


def orphans(patience=10.0):
    """The processes of dead runners that are still there after so many seconds: their parents are nobody's."""
    end = time.monotonic() + patience
    while (left := _orphans()) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def _orphans():
    found = []
    for processes in marked_processes().values():
        for process in processes:
            with contextlib.suppress(psutil.Error):
                ancestors = [parent.pid for parent in process.parents()]
                if ancestors in ([], [1]) or process.ppid() == 1:
                    found.append(" ".join(process.cmdline())[:100])
    return found


_OF_HARM = {
    "hinge": ("ok", ""),
    "segfault": ("killed", "the trial's process ended by signal SIGSEGV"),
    "exits": ("killed", "the trial's process ended with exit status 3"),
    "hangs": ("timeout", "no sign of life for 5 s, its limit"),
    "spins": ("timeout", "no sign of life for 5 s, its limit"),
    "hoards": ("oom", "memory"),
    "overdraws": ("oom", "can't allocate memory"),
    "waits-for-data": ("timeout", "no sign of life for 5 s, its limit"),
    "leaves-a-process": ("ok", ""),
    "leaves-shared-memory": ("killed", "the trial's process ended with exit status 4"),
    "says-disk-full": ("error", "No space left on device"),
    "slow(pause=1.0)": ("timeout", "the trial took longer than 15 s, its limit"),
    "queueing": ("ok", ""),
}

HARMLESS = {
    "hinge": "does no harm",
    "exits": "ends its process (`os._exit`)",
    "segfault": "reads where nothing is (segmentation fault)",
    "hangs": "waits for a lock for ever",
    "spins": "goes round for ever",
    "hoards": "takes memory until there is none",
    "overdraws": "asks for more memory than there is",
    "waits-for-data": "waits for a loader of data that never answers",
    "leaves-a-process": "starts a process of its own and goes on",
    "leaves-shared-memory": "makes shared memory and ends its process",
    "says-disk-full": "raises an error of a full disk of its own",
    "slow(pause=1.0)": "takes longer than the limit on the wall",
    "queueing": "keeps a state that no checkpoint can hold",
}
"""What each loss of `breaking.py` does, in words."""


def expected_of_harm():
    """By loss, the status of its trial, and what the message must say."""
    return dict(_OF_HARM)


def breaking_suite(folder):
    """A suite with every harm, and the options that it is run with."""
    losses = [name for name in _OF_HARM if "(" not in name] + [{"name": "slow", "pause": 1.0}]
    suite = write_suite(folder / "broken.toml", losses=losses, seeds=1, steps=40)
    suite.write_text(suite.read_text() + "\n[limits]\nwall_seconds = 15\nsilent_seconds = 5\nmemory_gib = 1.5\n")
    return suite, ("--device", "cpu", "--plugin", str(BREAKING), "--driver", "eager", "--checkpoint", "0")


def starts(results):
    """How often each attempt was started, by its folder."""
    lines = {
        attempt.path: (attempt.path / "events.jsonl").read_text().splitlines() for attempt in Store(results).attempts()
    }
    return {path: sum(json.loads(line)["event"] == "process" for line in own) for path, own in lines.items()}


@dataclass
class Killing:
    """Kills runs at random moments until each suite is done, and looks at what came of it."""

    command: Command
    expected: tuple
    seed: int
    longest: float = 12.0
    kills: int = 0
    finished: int = 0
    wrong: list = field(default_factory=list)

    def __post_init__(self):
        self._random = random.Random(self.seed)

    def once(self):
        """Start the run, kill it at a random moment or let it end; whether it has ended, and was looked at."""
        process = self.command.start()
        try:
            said, _ = process.communicate(timeout=self._random.uniform(0.2, self.longest))
        except subprocess.TimeoutExpired:
            self._kill(process)
            self.kills += 1
            return False
        self.finished += 1
        if process.returncode != 0:
            self.wrong.append(f"exit status {process.returncode}: {said[-500:]}")
        self.wrong += differences(self.expected, outcome(self.command.results))
        self.wrong += [f"left behind: {path}" for path in residue(self.command.results)]
        return True

    def _kill(self, process):
        """Half of the times only the runner is killed, else its whole group."""
        with contextlib.suppress(ProcessLookupError):
            (os.kill if self._random.random() < 0.5 else os.killpg)(process.pid, signal.SIGKILL)
        process.communicate()


def differences(expected, found):
    """In what two outcomes differ, in words."""
    names = ("table", "curves", "files")
    return [f"{name} differ" for name, one, other in zip(names, expected, found, strict=True) if one != other]
