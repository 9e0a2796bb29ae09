"""The long run of faults, as `tox -e soak` has it: what was done to runs, how often, and what came of it.

    python tests/soak.py --kills 200 --pairs 50 --out docs/reliability.md

writes the table into the page; without `--out` it is printed. Parts of it can be run by themselves (`--only`), with
what they found kept in a file (`--keep`), from which the table of all parts is then made. Exits with 1 where anything
was not as it should be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import psutil
import torch
from commands import write_suite
from full_disk import fill_step_by_step
from trouble import (
    EIGHT,
    HARMLESS,
    TWENTY,
    Command,
    Killing,
    breaking_suite,
    differences,
    expected_of_harm,
    orphans,
    outcome,
    residue,
    starts,
)

import ganbench

PARTS = ("kills", "pairs", "harms", "disk", "properties")

BEGIN, END = "<!-- begin: soak -->", "<!-- end -->"


@dataclass
class Row:
    """One kind of fault: how often it was made, what was expected, what went wrong."""

    fault: str
    tries: int
    expected: str
    wrong: list[str]
    seconds: float

    def cells(self):
        found = "as expected" if not self.wrong else f"{len(self.wrong)} not: {self.wrong[0][:120]}"
        return f"| {self.fault} | {self.tries} | {self.expected} | {found} | {self.seconds / 60:.1f} min |"


def reference(folder, text, name):
    """A suite's file, and what comes of it when nobody disturbs it."""
    suite = folder / f"{name}.toml"
    suite.write_text(text)
    results = folder / "undisturbed" / name
    Command(suite, results).finish()
    return suite, outcome(results)


def kills(folder, count, seed, longest):
    """So many kills at random moments of runs of 20 trials, each run to the end in between."""
    suite, expected = reference(folder, TWENTY, "twenty")
    began = time.monotonic()
    killing = Killing(Command(suite, folder / "killed" / "twenty"), expected, seed, longest)
    while killing.kills < count or not killing.finished:
        if killing.once():
            say(f"{killing.kills} kills, {killing.finished} tables, wrong: {killing.wrong or 'nothing'}")
            remove(killing.command.results)
    killing.wrong += [f"process left: {process}" for process in orphans()]
    expectation = f"{killing.finished} final tables, curves, weights and pictures equal bit by bit; nothing left behind"
    return Row(
        "`kill -9` of the runner or its whole group at a random moment",
        killing.kills,
        expectation,
        killing.wrong,
        time.monotonic() - began,
    )


def pairs(folder, count, seed):
    """So many rounds with two runners on one folder; in half of them one is killed."""
    suite, expected = reference(folder, EIGHT, "eight")
    chance, began, wrong, killed = random.Random(seed), time.monotonic(), [], 0
    for number in range(count):
        results = folder / "shared" / "eight"
        runs = [Command(suite, results).start()]
        time.sleep(chance.uniform(0, 4))
        runs.append(Command(suite, results).start())
        victim = chance.randrange(2) if chance.random() < 0.5 else None
        if victim is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                runs[victim].wait(timeout=chance.uniform(0.5, 10))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(runs[victim].pid, signal.SIGKILL)
            killed += 1
        ends = [(place, *process.communicate(), process.returncode) for place, process in enumerate(runs)]
        wrong += [
            f"exit status {status}: {said[-300:]}" for place, said, _, status in ends if place != victim and status
        ]
        wrong += differences(expected, outcome(results)) + [f"left behind: {path}" for path in residue(results)]
        twice = [count for count in starts(results).values() if count > 1]
        wrong += ["a job was started twice"] if twice and victim is None else []
        say(f"pair {number + 1} of {count}, wrong: {wrong or 'nothing'}")
        remove(results)
    wrong += [f"process left: {process}" for process in orphans()]
    expectation = f"no job twice, tables equal bit by bit, nothing left behind; {killed} rounds with one run killed"
    return Row("two runs on one folder", count, expectation, wrong, time.monotonic() - began)


def harms(folder):
    """Every harm that a plugin can do to its process, in one suite."""
    began, wrong, rows = time.monotonic(), [], []
    suite, options = breaking_suite(folder)
    Command(suite, folder / "broken", options).finish(status=1)
    table = ganbench.load_results(folder / "broken").set_index("loss")
    for harm, (status, message) in expected_of_harm().items():
        row = table.loc[harm]
        right = row["status"] == status and message in row["message"]
        said = f"`{status}`: {message}" if message else f"`{status}`"
        wrong_here = [] if right else [f"{row['status']}: {row['message']}"]
        rows.append(Row(f"a loss that {HARMLESS.get(harm, harm)}", 1, said, wrong_here, 0.0))
    wrong += [f"process left: {process}" for process in orphans()] + [
        f"left: {path}" for path in residue(folder / "broken")
    ]
    rows.append(Row("what these leave behind", len(rows), "no process, no file", wrong, time.monotonic() - began))
    return rows


def properties():
    """The property-based tests with 10,000 examples each: odd suites, choices, records, folders, conditions, tables."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "0", "tests/properties"]
    environment = {**os.environ, "GANBENCH_SOAK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-200:]
    expectation = "nothing but the documented errors"
    wrong = [summary] if done.returncode else []
    return Row(f"10,000 made-up inputs a property ({summary})", 10_000, expectation, wrong, time.monotonic() - began)


def full_disk(folder):
    """A file system that is full at one write after the other."""
    suite = write_suite(folder / "small.toml", losses=["hinge", "nonsaturating"], seeds=2, steps=40)
    began = time.monotonic()
    tries, how, wrong = fill_step_by_step(suite, folder)
    expectation = "one message and status 2 each time, what is recorded stays; with room, the same table as ever"
    return Row(f"a full disk ({how}), a little later each time", tries, expectation, wrong, time.monotonic() - began)


def page(rows, started):
    """The table, and what it was made on."""
    lines = ["| fault | tries | expected | found | took |", "| --- | ---: | --- | --- | ---: |"]
    lines += [row.cells() for row in rows]
    software = f"Python {platform.python_version()}, torch {torch.__version__}"
    where = f"{platform.system()}, {psutil.cpu_count()} cores, {software}"
    told = f"Made on {started} by `tests/soak.py`, with the parts that the table names: {where}."
    return "\n".join([told, "", *lines])


def kept(path, rows):
    """The rows of the file with these in the place of those of the same faults, or behind them; written back."""
    known = {row["fault"]: Row(**row) for row in json.loads(path.read_text())} if path.exists() else {}
    known |= {row.fault: row for row in rows}
    path.write_text(json.dumps([vars(row) for row in known.values()], indent=1))
    return list(known.values())


def say(line):
    """Tell how far the run is."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def remove(results):
    """Make room for the next round."""
    import shutil

    shutil.rmtree(results, ignore_errors=True)


def main():
    """Do what is asked for, and write down what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--longest", type=float, default=15.0, help="seconds until a run is killed, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--keep", type=Path, help="a JSON file with what parts have found, which is added to")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    started, wanted = time.strftime("%Y-%m-%d"), asked.only or PARTS
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows += [kills(folder, asked.kills, asked.seed, asked.longest)] if "kills" in wanted else []
        rows += [pairs(folder, asked.pairs, asked.seed)] if "pairs" in wanted else []
        rows += harms(folder) if "harms" in wanted else []
        rows += [full_disk(folder)] if "disk" in wanted else []
        rows += [properties()] if "properties" in wanted else []
    rows = kept(asked.keep, rows) if asked.keep else rows
    text = page(rows, started)
    if asked.out:
        before, _, rest = asked.out.read_text().partition(BEGIN)
        asked.out.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    print(text)
    sys.exit(any(row.wrong for row in rows))


if __name__ == "__main__":
    main()
