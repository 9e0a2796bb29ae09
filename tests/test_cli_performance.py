from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
from commands import ganbench, write_suite

from ganbench import bench as benches
from ganbench.errors import GanbenchError
from ganbench.plan import plan
from ganbench.plugins import discover
from ganbench.stopwatch import Benchmark, Result, Sides, markdown
from ganbench.suite import read_suite


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    """Room for whole tables, whatever terminal the tests run in."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A suite of two losses with three seeds each, in the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    return write_suite(tmp_path / "tiny.toml", seeds=3)


def key(suite, loss, seed):
    """The key of the trial that the suite plans for them."""
    (trial,) = plan(read_suite(str(suite)), discover(), [f"loss={loss}", f"seed={seed}"]).trials
    return trial.key


def meant(result):
    """The loss and the seeds that were profiled."""
    assert result.status == 0, result.err
    profile = json.loads(result.out)
    return profile["variant"].rpartition(" / ")[2], profile["seeds"]


# --- profile


def test_a_trial_is_profiled_on_one_screen(tiny):
    result = ganbench("profile", tiny, "--steps", 3, "--device", "cpu")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) <= 40
    assert lines[0].endswith("hinge on ring8, seed 0")
    assert lines[1].startswith("eager on ")
    assert lines[1].endswith(", 3 steps")
    heads = [line.split()[0] for line in lines if line.strip()]
    assert {"phase", "data", "optimiser", "rest", "operator", "Trace,", "All"} <= set(heads)
    assert [path.name for path in tiny.parent.glob("profile-tiny-1/*")]
    assert (tiny.parent / "profile-tiny-1" / "trace.json").stat().st_size
    assert str(tiny.parent / "profile-tiny-1" / "operators.txt") in lines[-1]
    assert not (tiny.parent / "results").exists()


def test_a_trial_is_meant_by_its_line_in_the_plan_or_by_its_key(tiny, tmp_path):
    arguments = ["--steps", 1, "--format", "json", "--out", tmp_path / "p"]
    lines = [line for line in ganbench("plan", tiny).out.splitlines() if line.startswith("ring8")]
    assert "nonsaturating" in lines[1]
    assert meant(ganbench("profile", tiny, "--trial", 2, *arguments)) == ("nonsaturating", [0])
    written = key(tiny, "hinge", 2)[:10]
    assert meant(ganbench("profile", tiny, "--trial", written, *arguments)) == ("hinge", [2])
    assert (tmp_path / "p" / "trace.json").is_file()


def test_only_narrows_what_is_numbered(tiny):
    only = ["--only", "loss=nonsat*", "--only", "seed=2"]
    assert meant(ganbench("profile", tiny, *only, "--steps", 1, "--format", "json")) == ("nonsaturating", [2])


def test_seeds_together_are_those_of_the_variant_with_the_one_that_is_meant_first(tiny):
    arguments = ["--driver", "vectorised", "--steps", 1, "--format", "json"]
    assert meant(ganbench("profile", tiny, *arguments)) == ("hinge", [0, 1, 2])
    written = key(tiny, "nonsaturating", 1)
    assert meant(ganbench("profile", tiny, "--trial", written, *arguments)) == ("nonsaturating", [1, 0, 2])
    arguments[-1] = "text"
    assert "hinge on ring8, seeds 0, 1, 2\n" in ganbench("profile", tiny, *arguments).out


@pytest.mark.parametrize("written", ["0", "3", "-1", "x", "1.5", "²"])
def test_a_line_that_the_plan_does_not_have_is_refused_with_those_that_there_are(tiny, written):
    result = ganbench("profile", tiny, f"--trial={written}")
    assert (result.status, result.out) == (2, "")
    assert (
        f"--trial {written}: suite tiny has no such line. Expected a line of 'ganbench plan', 1 to 2, or" in result.err
    )


def test_a_key_that_no_trial_has_is_refused(tiny):
    result = ganbench("profile", tiny, "--trial", "0123456789")
    assert result.status == 2
    assert "--trial 0123456789: 0 trials of suite tiny have such a key" in result.err


def test_a_suite_of_which_nothing_can_be_trained_has_nothing_to_profile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suite = write_suite(tmp_path / "none.toml")
    suite.write_text(suite.read_text().replace("mlp(width=16, depth=2)", "dcgan"))
    result = ganbench("profile", suite)
    assert result.status == 2
    assert "suite none: nothing to profile. 'ganbench plan' says what is left out, and why" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "seed=9"], "--only 'seed=9' matches no seed"),
        (["--device", "cuda:77"], "--device cuda:77: not on this machine. Found: cpu"),
        (["--device", "cpu", "--driver", "graph"], "driver graph: a CUDA graph needs a GPU, and the device is cpu"),
    ],
)
def test_what_cannot_be_profiled_is_told_in_a_line(tiny, arguments, message):
    result = ganbench("profile", tiny, *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_steps_are_at_least_one(tiny):
    assert ganbench("profile", tiny, "--steps", 0).status == 2


# --- bench


@contextmanager
def _sides():
    yield Sides(lambda: 0.25, lambda: 1.0)


@contextmanager
def _refused():
    raise GanbenchError("needs another machine")
    yield


FAST = Benchmark("fast", "a small thing", "ours", "by hand", "step", "processor", "speed-up", 3.0, _sides)
SLOW = Benchmark("slow", "another", "ours", "by hand", "step", "processor", "overhead", 0.03, _refused)


@pytest.fixture
def two(monkeypatch):
    """Two benchmarks, and the devices that were asked for."""
    asked = []

    def benchmarks(device):
        asked.append(device)
        return [FAST, SLOW]

    def measure(benchmark, rounds):
        return real(benchmark, rounds, budget_seconds=0.01)

    real = benches.measure
    monkeypatch.setattr(benches, "benchmarks", benchmarks)
    monkeypatch.setattr(benches, "measure", measure)
    return asked


def test_benchmarks_are_told_as_they_end_and_then_in_a_table(two):
    result = ganbench("bench", "--rounds", 2)
    assert result.status == 0
    assert two == ["cpu"]
    assert result.err.splitlines() == ["[1/2] fast: 4.00×", "[2/2] slow: needs another machine"]
    head, *lines = [line.split() for line in result.out.splitlines()]
    assert [head[0], *head[-4:]] == ["benchmark", "figure", "rounds", "target", "met"]
    assert (lines[0][0], lines[0][-1]) == ("fast", "yes")
    assert {"4.00×", "3.00×", "≥"} <= set(lines[0])
    assert "by hand: 1 s" in result.out
    assert "ours: 250 ms" in result.out


def test_only_picks_benchmarks_by_name(two):
    result = ganbench("bench", "--only", "fa*", "--rounds", 3, "--format", "json")
    (row,) = result.rows
    assert (row["name"], row["median"], row["rounds"], row["met"]) == ("fast", 4.0, 3, True)
    assert result.err == "[1/1] fast: 4.00×\n"


def test_a_glob_that_fits_no_benchmark_is_refused_with_the_names(two):
    result = ganbench("bench", "--only", "fats")
    assert (result.status, result.out) == (2, "")
    assert "--only 'fats': no benchmark has such a name. Did you mean 'fast'? Known: fast, slow" in result.err


def test_the_table_for_a_page_is_markdown(two):
    result = ganbench("bench", "--rounds", 1, "--format", "markdown")
    assert result.out == markdown([Result(FAST, (0.25,), (1.0,)), Result(SLOW, why_not="needs another machine")])


def test_an_interrupt_ends_the_command_with_its_own_status(two, monkeypatch):
    def measure(benchmark, rounds):
        raise KeyboardInterrupt

    monkeypatch.setattr(benches, "measure", measure)
    assert ganbench("bench").status == 130


def test_a_gpu_that_is_not_there_is_no_place_for_benchmarks(two, monkeypatch):
    monkeypatch.setattr("ganbench.profiling.cuda_devices", list)
    result = ganbench("bench", "--device", "cuda")
    assert (result.status, two) == (2, [])
    assert "--device cuda: not on this machine. Found: cpu" in result.err


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["profile", "--help"]])
def test_help_needs_no_torch(arguments):
    program = (
        "import sys\nsys.modules['torch'] = None\nfrom ganbench import cli\n"
        f"sys.argv = ['ganbench', *{arguments!r}]\ncli.main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Usage" in ended.stdout
