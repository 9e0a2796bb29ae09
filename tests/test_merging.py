from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fabricate import Outcome, commit, image_scores, trial, whole_trial
from left_behind import contents, put_checkpoint

from ganbench.errors import ResultsError
from ganbench.leases import Leases
from ganbench.merging import Conflict, merge
from ganbench.store import CURVE, RECORD, Store
from ganbench.tables import load_results
from ganbench.upkeep import collect, verify, waste_at


def well(fcd=2.5, day=1):
    """An outcome of that day of January."""
    return Outcome(image_scores(fcd), finished_at=f"2030-01-{day:02}T00:00:00+00:00")


@pytest.fixture
def place(tmp_path):
    """A function that gives the results folder of a name."""
    return lambda name: Store(tmp_path / name)


def scores(store):
    """The headline of each attempt at the usual trial, by number."""
    attempts = store.attempts(trial().key)
    return {each.number: each.record().scores[0].value for each in attempts if each.committed}


# --- the union


def test_what_each_folder_has_is_in_the_new_one_as_it_was(place):
    for name, seeds in (("a", (0, 1)), ("b", (2,))):
        for seed in seeds:
            whole_trial(place(name), trial(seed=seed), well())
    merged = merge([place("a").path, place("b").path], place("d").path)
    assert (merged.copied, merged.present, merged.conflicts, merged.left_out) == (3, 0, (), ())
    assert contents(place("d").path) == contents(place("a").path) | contents(place("b").path)
    assert verify(place("d").path).problems == ()
    assert len(load_results(place("d").path)) == 3


def test_merging_again_does_nothing(place):
    whole_trial(place("a"), trial(), well(2.5, 1))
    whole_trial(place("b"), trial(), well(2.6, 2))
    sources = [place("a").path, place("b").path]
    merge(sources, place("d").path)
    before = contents(place("d").path)
    merged = merge(sources, place("d").path)
    assert (merged.copied, merged.present, merged.conflicts) == (0, 2, ())
    assert contents(place("d").path) == before
    assert str(merged) == "0 copied, 2 there already"


def test_the_same_record_in_two_folders_is_one_attempt(place):
    whole_trial(place("a"), trial(), well())
    shutil.copytree(place("a").path, place("b").path)
    merged = merge([place("a").path, place("b").path], place("d").path)
    assert (merged.copied, merged.conflicts) == (1, ())
    assert scores(place("d")) == {1: 2.5}


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_other_records_of_one_key_the_newest_is_what_tables_show(place, order):
    whole_trial(place("a"), trial(), well(2.5, 2))
    whole_trial(place("b"), trial(), well(2.6, 1))
    merged = merge([place(name).path for name in order], place("d").path)
    assert scores(place("d")) == {1: 2.6, 2: 2.5}
    assert merged.conflicts == (Conflict(trial().key, str(trial().variant), 2, ("fcd_digits",)),)
    assert str(merged) == "2 copied, 0 there already, 1 of one key with other results"


def test_older_ones_are_put_before_what_is_there_and_newer_ones_behind(place):
    for day in (3, 5):
        whole_trial(place("d"), trial(), well(day, day))
    for day in (1, 4, 6):
        whole_trial(place("a"), trial(), well(day, day))
    merge([place("a").path], place("d").path)
    assert scores(place("d")) == {1: 1, 2: 3, 3: 4, 4: 5, 5: 6}
    assert list(load_results(place("d").path)["fcd_digits"]) == [6]


def test_what_is_there_keeps_its_number_where_there_is_room(place):
    for day in (1, 5):
        whole_trial(place("d"), trial(), well(day, day))
    folder = place("d").path / "runs" / trial().key
    (folder / "2").rename(folder / "7")
    (folder / "2").write_text("in the way")
    whole_trial(place("a"), trial(), well(3, 3))
    merge([place("a").path], place("d").path)
    assert scores(place("d")) == {1: 1, 3: 3, 7: 5}


def test_what_was_cut_short_stays_the_newest_so_that_it_goes_on(place):
    whole_trial(place("d"), trial(), well(1, 1))
    place("d").begin(trial())
    put_checkpoint(place("d"), trial().key)
    whole_trial(place("a"), trial(), well(2, 2))
    merge([place("a").path], place("d").path)
    assert scores(place("d")) == {1: 1, 2: 2}
    assert place("d").unfinished(trial().key).number == 3


def test_a_folder_that_only_goes_on_from_another_is_no_conflict(place):
    whole_trial(place("a"), trial(), well(1, 1))
    shutil.copytree(place("a").path, place("b").path)
    whole_trial(place("b"), trial(), well(2, 2))
    assert merge([place("a").path, place("b").path], place("d").path).conflicts == ()


def test_the_same_scores_at_another_time_are_a_conflict_in_which_no_score_differs(place):
    whole_trial(place("a"), trial(), well(2.5, 1))
    whole_trial(place("b"), trial(), well(2.5, 2))
    (conflict,) = merge([place("a").path, place("b").path], place("d").path).conflicts
    assert conflict.scores == ()


def test_results_of_schema_1_are_copied_as_they_are(place):
    old = Path(__file__).parent / "data" / "schema-1"
    assert merge([old], place("d").path).copied == 4
    assert contents(place("d").path) == contents(old)


# --- what is not copied


def test_what_has_no_record_or_something_wrong_is_left_out(place):
    damaged = whole_trial(place("a"), trial(), well())
    (damaged.path / CURVE).write_bytes(b"PAR1")
    place("a").begin(trial(seed=1))
    merged = merge([place("a").path], place("d").path)
    assert merged.copied == 0
    assert {(each.path.name, each.problem) for each in merged.left_out} == {(CURVE, "changed"), (CURVE, "unfit")}
    assert str(merged) == "0 copied, 0 there already, 1 left out, for something is wrong with them"
    assert not list(place("d").attempts())


def test_only_what_ganbench_wrote_is_copied_and_no_link_followed(tmp_path, place):
    attempt = whole_trial(place("a"), trial(), well())
    (tmp_path / "secret").write_text("secret")
    (attempt.path / "notes.txt").write_text("")
    (attempt.path / ".log.txt.host.1").write_text("")
    (attempt.path.parent / "2").symlink_to(attempt.path)
    (place("a").path / "runs" / ("ab" * 32)).symlink_to(attempt.path.parent)
    assert merge([place("a").path], place("d").path).copied == 1
    names = {path.name for path in contents(place("d").path)}
    assert names.isdisjoint({"notes.txt", ".log.txt.host.1"})
    assert len(list(place("d").attempts())) == 1
    (attempt.path / "log.txt").symlink_to(tmp_path / "secret")
    assert merge([place("a").path], place("e").path).copied == 0


# --- what cannot be merged


def test_folders_that_cannot_be_merged_are_refused_with_what_was_expected(tmp_path, place):
    a = whole_trial(place("a"), trial(), well()).path.parents[2]
    (tmp_path / "file").write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "runs").symlink_to(a / "runs")
    nothing = tmp_path / "nothing"
    for sources, into, message in (
        ([nothing], "d", "nothing: no such folder. Expected a suite's results folder"),
        ([tmp_path / "file"], "d", "file: not a folder. Expected a suite's results folder"),
        ([tmp_path / "mine"], "d", "mine: no runs in it. Expected"),
        ([tmp_path], "d", "holds the results of a. Expected one suite's"),
        ([a], "a", "is itself to be merged. Leave"),
        ([a], "a/runs/x", "lies inside"),
        ([a], ".", "lies around"),
        ([a], "file", "is a file. Expected a results folder"),
        ([a], "mine", "holds other things and no runs. Name"),
        ([a], "file/x", "cannot be written (Not a directory). Name another folder"),
        ([a], "linked", "runs: not a folder, so nothing is written there"),
    ):
        with pytest.raises(ResultsError) as caught:
            merge(sources, tmp_path / into)
        assert message in str(caught.value)
    assert not place("d").path.exists()


def test_a_key_that_a_living_runner_has_is_not_touched(place):
    whole_trial(place("a"), trial(), well())
    with Leases(place("d").path) as leases:
        leases.claim(place("d").folder_of(trial().key))
        with pytest.raises(
            ResultsError, match=r"process [0-9]+ on .* is at work on it\. Merge again when it has ended"
        ):
            merge([place("a").path], place("d").path)
    assert merge([place("a").path], place("d").path).copied == 1


def test_a_claim_that_is_no_file_is_not_opened(place):
    whole_trial(place("a"), trial(), well())
    folder = place("d").folder_of(trial().key)
    folder.mkdir(parents=True)
    os.mkfifo(folder / "claim.1")
    with pytest.raises(ResultsError, match=r"not as ganbench made it.*results verify"):
        merge([place("a").path], place("d").path)


# --- cut short

KILLED = """
import os, signal, sys
from pathlib import Path
from ganbench.merging import merge
left = int(sys.argv[1])
def counted(function):
    def call(*arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call
os.fsync, Path.rename = counted(os.fsync), counted(Path.rename)
merge([Path(path) for path in sys.argv[2:-1]], Path(sys.argv[-1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("calls", [0, 7, 8, 12, 16, 17, 18, 19])
def test_a_merge_that_is_killed_leaves_no_half_attempt_and_the_next_one_does_the_rest(place, calls):
    for name, day in (("a", 1), ("b", 2)):
        whole_trial(place(name), trial(), well(day, day))
    whole_trial(place("d"), trial(), well(3, 3))
    paths = [place(name).path for name in "abd"]
    done = subprocess.run([sys.executable, "-c", KILLED, str(calls), *map(str, paths)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    words = {each.problem for each in verify(paths[-1]).problems}
    assert words <= {"temporary", "claim", "runner", "differs"}
    assert list(scores(place("d")).values())[-1] == 3
    merge(paths[:2], paths[-1])
    assert scores(place("d")) == {1: 1, 2: 2, 3: 3}
    collect(paths[-1], waste_at(paths[-1], ["left over"]))
    assert {each.problem for each in verify(paths[-1]).problems} == {"differs"}  # as they do


FULL = """
import resource, sys
from ganbench import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
sys.argv = ["ganbench", "results", "merge", *sys.argv[1:-1], "--into", sys.argv[-1]]
cli.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_takes_no_more_is_one_message_and_what_is_there_stays_sound(place):
    commit(place("a"), trial(), well())
    large = max((trial(seed=seed) for seed in range(1, 9)), key=lambda job: job.key)
    whole_trial(place("a"), large, well())
    sources = [str(place(name).path) for name in "ad"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *sources], capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "cannot be written (File too large). What is recorded is safe." in line
    assert verify(place("d").path).problems == ()
    assert not (place("d").folder_of(large.key) / "1" / RECORD).exists()
    merged = merge([place("a").path], place("d").path)
    assert merged.copied + merged.present == 2
    assert verify(place("d").path).recorded == 2
