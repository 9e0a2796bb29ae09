from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import fabricate
import numpy as np
import pandas as pd
import psutil
import pytest
from commands import PATIENT, ganbench, patient, records, start, wait_for, waiting_process, write_suite
from PIL import Image

from ganbench import __version__, load_curves, load_results
from ganbench.store import Store
from ganbench.tables import COLUMNS
from ganbench.terms import Choice, Score, Variant

TIMES = ("seconds", "processor_share", "per_second", "started_at", "finished_at", "path", "suite", "peak_memory")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A suite of points and pictures: two losses, two seeds."""
    return write_suite(tmp_path_factory.mktemp("suite") / "tiny.toml", ("ring8", "digits"))


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """The results of that suite, two trials at a time, and what the command said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("results") / "tiny"
        return folder, ganbench("run", tiny, "--results", folder, "--workers", 2)


@pytest.fixture
def results(finished, tmp_path):
    """A copy of the results, to do with as a test likes."""
    return shutil.copytree(finished[0], tmp_path / "tiny")


def imread(path):
    with Image.open(path) as image:
        return np.asarray(image)


def same_for_ever(table):
    """The columns that do not tell of time, place or machine."""
    return table[[name for name in table.columns if not any(part in name for part in TIMES)]]


def test_a_suite_runs_from_its_file_to_a_board_and_a_page(finished):
    folder, result = finished
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert sum(line.startswith("[") and "] ok " in line for line in lines) == 13
    assert lines[-1] == f"Leaderboard: {folder / 'leaderboard.html'}"
    assert any("hinge" in line and "2/2" in line for line in lines)
    assert (folder / "leaderboard.html").read_text().startswith("<!")
    assert "| rank |" in (folder / "leaderboard.md").read_text()
    assert len(pd.read_csv(folder / "table.csv")) == 13


def test_every_job_is_a_row_with_its_scores(finished):
    table = load_results(finished[0])
    assert sorted(table["kind"]) == ["reference"] * 5 + ["trial"] * 8
    assert set(table["status"]) == {"ok"}
    trials = table[table["kind"] == "trial"]
    assert sorted(zip(trials["dataset"], trials["loss"], trials["seed"], strict=True)) == [
        (dataset, loss, seed)
        for dataset in ("digits", "ring8")
        for loss in ("hinge", "nonsaturating")
        for seed in (0, 1)
    ]
    assert (trials["steps"] == 20).all()
    assert trials.groupby("dataset")["fcd_digits"].count().to_dict() == {"digits": 4, "ring8": 0}
    curves = load_curves(finished[0])
    assert curves.groupby("key")["steps"].apply(list).tolist() == [[10, 20]] * 8


def test_trials_run_on_one_thread_each(finished):
    for path in finished[0].rglob("environment.json"):
        environment = json.loads(path.read_text())
        assert environment["threads"] == 1
        assert environment["thread_variables"]["OMP_WAIT_POLICY"] == "PASSIVE"


def test_the_same_suite_gives_the_same_bits_whether_trials_run_side_by_side_or_one_by_one(finished, tiny, tmp_path):
    again = tmp_path / "again"
    assert ganbench("run", tiny, "--results", again, "--workers", 1).status == 0
    for load in (load_results, load_curves):
        first, second = (same_for_ever(load(folder)) for folder in (finished[0], again))
        assert {"tvd_modes", "fcd_digits"} <= set(first.columns)
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    generators = sorted(finished[0].rglob("generator.safetensors"))
    assert len(generators) == 8
    for path in generators:
        assert path.read_bytes() == (again / path.relative_to(finished[0])).read_bytes()


@pytest.mark.slow
def test_seeds_train_together_unless_it_is_asked_otherwise_and_score_the_same_but_for_rounding(
    finished, tiny, tmp_path
):
    alone, only = tmp_path / "alone", ("--only", "dataset=ring8")
    assert ganbench("run", tiny, "--results", alone, "--driver", "eager", "--per-device", "1", *only).status == 0
    first, second = (
        load_results(folder).query("kind == 'trial' and dataset == 'ring8'") for folder in (finished[0], alone)
    )
    for table, driver in ((first, "vectorised"), (second, "eager")):
        environments = [json.loads((Path(path) / "environment.json").read_text()) for path in table["path"]]
        assert {(environment["driver"], environment["seeds_together"]) for environment in environments} == {
            (driver, 2 if driver == "vectorised" else 1)
        }
    both = first.merge(second, on="key", suffixes=("", "_alone"))
    assert len(both) == 4
    np.testing.assert_allclose(both["tvd_modes"], both["tvd_modes_alone"], atol=0.01)


def test_a_second_run_does_nothing_and_says_so(results, tiny):
    before = sorted(results.rglob("runs/*/*/*"))
    result = ganbench("run", tiny, "--results", results)
    assert result.status == 0
    assert "13 of 13 are done already." in result.out
    assert "] ok " not in result.out
    assert sorted(results.rglob("runs/*/*/*")) == before


def test_force_runs_again_what_only_picks(results, tiny):
    only = ("--only", "dataset=ring8", "--only", "loss=hinge", "--only", "seed=1")
    result = ganbench("run", tiny, "--results", results, "--force", *only)
    assert result.status == 0
    assert "done already" not in result.out
    again = load_results(results).query("attempt == 2")
    assert sorted(again["variant"].str.split(" / ").str[-1]) == ["hinge", "noise", "perfect", "real_floor"]
    assert set(again["seed"].dropna()) == {1}


def test_the_plan_tells_what_is_done_and_what_is_not(finished, tiny):
    folder = finished[0]
    rows = ganbench("plan", tiny, "--results", folder, "--only", "seed=0", "--format", "json").rows
    assert len(rows) == 9
    assert {row["status"] for row in rows} == {"done"}
    text = ganbench("plan", tiny, "--results", folder)
    assert "2 done" in text.out
    assert text.out.endswith("0 trials and 0 references to do: nothing to do.\n")


LISTINGS = {
    "plan": (("plan", "quick"), ["status", "dataset", "variant", "seed", "budget", "key", "reason"]),
    "suites": (("suites",), ["name", "description"]),
    "plugins": (
        ("plugins", "list"),
        ["name", "kind", "owner", "version", "status", "summary", "paper", "cause"],
    ),
}


@pytest.mark.parametrize(("command", "columns"), LISTINGS.values(), ids=LISTINGS)
def test_a_listing_as_json_is_a_list_of_objects_with_the_table_s_columns(command, columns):
    result = ganbench(*command, "--format", "json")
    assert (result.status, result.err) == (0, "")
    assert result.rows
    assert all(list(row) == columns for row in result.rows)


def test_the_table_as_json_has_the_documented_columns(finished):
    rows = ganbench("table", finished[0], "--format", "json").rows
    assert len(rows) == 13
    assert set(COLUMNS) <= set(rows[0])
    chosen = ganbench("table", finished[0], "--format", "json", "--columns", "seed, loss", "--where", "seed=1").rows
    assert sorted(chosen, key=lambda row: row["loss"])[0] == {"seed": 1, "loss": "hinge"}
    assert len(chosen) == 4


def test_the_board_as_json_has_one_object_a_variant_and_reference(finished):
    rows = ganbench("leaderboard", finished[0], "--format", "json").rows
    kinds = {"digits": ["reference"] * 2 + ["trial"] * 2, "ring8": ["reference"] * 3 + ["trial"] * 2}
    assert sorted((row["dataset"], row["kind"]) for row in rows) == [
        (dataset, kind) for dataset in kinds for kind in kinds[dataset]
    ]


@pytest.mark.parametrize("form", ["text", "csv", "markdown", "latex"])
def test_the_table_has_a_row_for_each_job_in_every_format(finished, form):
    result = ganbench("table", finished[0], "--format", form, "--columns", "dataset,status")
    assert result.status == 0
    assert result.out.count("ok") == 13


def test_a_table_is_written_where_out_says(finished, tmp_path):
    assert ganbench("table", finished[0], "--format", "parquet", "--out", tmp_path / "t.parquet").out == ""
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == 13
    refused = ganbench("table", finished[0], "--format", "parquet")
    assert (refused.status, refused.out) == (2, "")
    assert "Pass --out FILE" in refused.err
    nowhere = ganbench("table", finished[0], "--out", tmp_path / "none" / "t.txt")
    assert nowhere.status == 2
    assert "cannot be written (No such file or directory)" in nowhere.err


def test_the_board_is_ranked_by_the_score_that_is_asked_for(finished, tmp_path):
    result = ganbench("leaderboard", finished[0], "--score", "high_quality", "--html", tmp_path / "page.html")
    assert result.status == 0
    assert "best high_quality" in result.out
    assert "fcd_digits" not in result.out
    assert result.err == f"Leaderboard: {tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").stat().st_size > 10_000
    markdown = ganbench("leaderboard", finished[0], "--format", "markdown")
    assert markdown.out.count("| rank |") == 2


def test_samples_of_a_trained_generator_are_those_that_were_scored(finished, tmp_path):
    trials = load_results(finished[0]).query("kind == 'trial'")
    keys = {dataset: group["key"].iloc[0] for dataset, group in trials.groupby("dataset")}
    points = ganbench("sample", finished[0], keys["ring8"][:12], "--out", tmp_path / "points")
    assert (points.status, points.out) == (0, f"500 samples: {tmp_path / 'points'}\n")
    assert np.load(tmp_path / "points" / "points.npy").shape == (500, 2)
    assert ganbench("sample", finished[0], keys["digits"], "--count", 3, "--out", tmp_path / "images").status == 0
    assert [imread(path).shape for path in sorted((tmp_path / "images").iterdir())] == [(8, 8)] * 3
    twice = ganbench("sample", finished[0], keys["digits"], "--out", tmp_path / "images")
    assert twice.status == 2
    assert "exists and is not an empty folder" in twice.err


REFUSED = {
    "an unknown suite": (("run", "quik"), "no suite named 'quik'. Did you mean 'quick'?"),
    "a suite that is not there": (("plan", "./absent.toml"), "suite absent.toml: cannot be read (No such file"),
    "an unknown key": (("run", "quick", "--only", "los=hinge"), "no key 'los'. Did you mean 'loss'?"),
    "a glob for nothing": (("plan", "quick", "--only", "loss=hing"), "no loss of this suite. Did you mean 'hinge'"),
    "a filter that is none": (("plan", "quick", "--only", "hinge"), "expected KEY=GLOB, such as loss=hinge"),
    "a plugin file that is not there": (("run", "quick", "--plugin", "absent.py"), "absent.py: there is no such file"),
    "a results folder that is not there": (("table", "absent"), "absent: no such folder"),
    "an empty results folder": (("leaderboard", "."), "no runs in it. Expected a results folder"),
    "a score that nobody measured": (("leaderboard", "{results}", "--score", "fid"), "no score 'fid' in these results"),
    "an unknown column": (("table", "{results}", "--columns", "los"), "no column 'los'. Did you mean 'loss'?"),
    "a comparison of text": (("table", "{results}", "--where", "loss<3"), "which is compared by = and != only"),
    "an unknown trial": (("sample", "{results}", "zzz"), "no key begins with 'zzz'"),
    "a results folder that is a file": (("run", "{suite}", "--results", "{suite}"), "cannot write results here"),
    "no argument": (("run",), "Missing argument 'SUITE'"),
    "an unknown kind": (("plugins", "list", "--kind", "los"), "Invalid value for '--kind'"),
    "no workers": (("run", "quick", "--workers", "0"), "Invalid value for '--workers'"),
    "no process on a device": (("run", "quick", "--per-device", "0"), "Invalid value for '--per-device'"),
    "an unknown driver": (("run", "quick", "--driver", "quick"), "Invalid value for '--driver'"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_a_request_that_cannot_be_met_is_one_message_and_status_2(
    finished, tiny, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    result = ganbench(*(argument.format(results=finished[0], suite=tiny) for argument in arguments))
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert records(tmp_path) == []


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tiny, tmp_path, device, monkeypatch):
    import torch

    if torch.cuda.is_available():  # then `cuda` is there, and nothing is to be refused
        pytest.skip("this machine has a GPU")
    result = ganbench("run", tiny, "--results", tmp_path / "none", "--device", device)
    assert result.status == 2
    assert result.err == f"ganbench: --device {device}: not on this machine. Found: cpu\n"
    assert not (tmp_path / "none").exists()


def test_a_suite_of_which_nothing_fits_says_why(tmp_path):
    path = tmp_path / "unfit.toml"
    path.write_text(write_suite(path).read_text().replace("mlp(width=16, depth=2)", "dcgan"))
    result = ganbench("run", path)
    assert result.status == 2
    assert "suite unfit: nothing to train. The first of 2 skipped: dcgan / dcgan / hinge on ring8: " in result.err


QUICK = """
import contextlib, io, sys
from ganbench import cli
for arguments in {commands!r}:
    sys.argv = ["ganbench", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main()
    print(" ".join(arguments[:2]), sorted({{"torch", "torchvision", "torch_fidelity"}} & set(sys.modules)))
"""


def test_questions_about_suites_plugins_and_results_are_answered_without_torch(finished, tmp_path):
    folder, page = str(finished[0]), str(tmp_path / "page.html")
    commands = [
        ["--help"], ["run", "--help"], ["suites"], ["plugins", "list"], ["plan", "quick"], ["table", folder],
        ["leaderboard", folder], ["leaderboard", folder, "--html", page], ["reproduce", "--help"],
    ]  # fmt: skip
    code = QUICK.format(commands=commands)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [f"{' '.join(command[:2])} []" for command in commands]


def test_python_m_ganbench_is_the_same_command():
    process = start("--version")
    assert (process.communicate()[0], process.returncode) == (f"ganbench {__version__}\n", 0)


def test_help_names_every_command():
    result = ganbench("--help")
    assert result.status == 0
    for command in ("run", "plan", "suites", "plugins", "table", "leaderboard", "doctor", "sample", "evaluate"):
        assert f"\n  {command} " in result.out
        assert ganbench(command, "--help").status == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_cut_short_leaves_no_process_behind_and_is_finished_by_the_next(tmp_path, gate, how):
    suite = write_suite(tmp_path / "cut.toml", losses=["hinge", patient(gate)], seeds=1)
    arguments = ("run", suite, "--results", tmp_path / "cut", "--plugin", PATIENT, "--workers", 2)
    process = start(*arguments)
    wait_for(lambda: waiting_process(gate) and len(records(tmp_path)) == 4)
    family = psutil.Process(process.pid).children(recursive=True)
    assert waiting_process(gate) in [member.pid for member in family]
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert said.startswith("Interrupted. 4 of 5 are recorded, 1 is kept as far as it came. To go on: ganbench run ")
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert len(load_results(tmp_path / "cut")) == 4

    gate.unlink()
    result = ganbench(*arguments)
    assert result.status == 0
    assert "4 of 5 are done already." in result.out
    assert result.out.count("] ok ") == 1
    assert load_results(tmp_path / "cut")["attempt"].tolist() == [1] * 5  # what was cut short goes on


# --- names that no file can have, and names that could steer a terminal


@pytest.mark.parametrize(
    "arguments",
    [("table", "a" * 300), ("leaderboard", "a" * 300), ("sample", "a" * 300, "ab"), ("plugins", "check", "a" * 300),
     ("plan", "quick", "--plugin", "a" * 300), ("plan", "quick", "--results", "a" * 300),
     ("run", f"./{'a' * 300}.toml"), ("evaluate", "--samples", "a" * 300, "--dataset", "ring8")],
)  # fmt: skip
def test_a_name_that_is_too_long_is_one_message(arguments):
    done = ganbench(*arguments)
    assert done.status == 2
    assert done.err.startswith("ganbench: ")
    assert "File name too long" in done.err
    assert done.err.count("\n") == 1


STEERING = "\x1b[31mred\x9b2J\u202e"


@pytest.fixture
def steering(tmp_path):
    """Results whose names, scores and messages could all steer a terminal."""
    store = Store(tmp_path / "results" / "suite")
    loss = Choice(STEERING, (("weight", STEERING),))
    made = fabricate.trial(Variant(Choice(STEERING), Choice(STEERING), loss), dataset=Choice(STEERING))
    scores = (Score(STEERING, 1.0, "lower", metric=STEERING),)
    fabricate.commit(store, made, fabricate.Outcome(scores), {"device": STEERING})
    fabricate.commit(store, fabricate.trial(seed=1), fabricate.Outcome((), "error", STEERING))
    return store.path


@pytest.mark.parametrize(
    "arguments",
    [("table",), ("table", "--format", "markdown"), ("table", "--format", "latex"), ("table", "--format", "json"),
     ("table", "--columns", "*"), ("leaderboard",), ("leaderboard", "--format", "markdown"),
     ("leaderboard", "--format", "json"), ("table", "--where", f"{STEERING}=1"), ("leaderboard", "--score", STEERING)],
)  # fmt: skip
def test_nothing_in_results_steers_a_terminal(steering, arguments):
    done = ganbench(arguments[0], steering, *arguments[1:])
    assert not [letter for letter in done.out + done.err if not (letter.isprintable() or letter == "\n")]


def test_nothing_in_a_suite_steers_a_terminal(tmp_path):
    suite = write_suite(tmp_path / "small.toml")
    text = suite.read_text()
    for changed in (f"description = {json.dumps(STEERING)}\n{text}", text.replace('"ring8"', json.dumps(STEERING))):
        suite.write_text(changed)
        done = ganbench("plan", suite, "--results", tmp_path / "results")
        assert not [letter for letter in done.out + done.err if not (letter.isprintable() or letter == "\n")]


def test_json_of_names_that_could_steer_a_terminal_is_exact(steering):
    rows = ganbench("table", steering, "--format", "json").rows
    assert STEERING in {row["message"] for row in rows}
