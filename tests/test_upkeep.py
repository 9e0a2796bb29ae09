from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from commands import ganbench
from fabricate import Outcome, commit, image_scores, trial, whole_trial, write_suite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from left_behind import (
    contents,
    make_old,
    owner,
    put_checkpoint,
    put_claim,
    put_runner,
    put_temporary,
)

from ganbench.disk import sha256_of
from ganbench.errors import ResultsError, StorageError
from ganbench.leases import Leases
from ganbench.store import CURVE, RECORD, TRIAL, Store, is_final
from ganbench.terms import Budget
from ganbench.upkeep import collect, verify, waste_at

WELL = Outcome(image_scores(2.5))
ALL = ("left over", "cut short", "superseded")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def recorded(store):
    return whole_trial(store, trial(), WELL)


def found(store):
    """What there is to say, as pairs of a place and a word."""
    problems = verify(store.path).problems
    return sorted(
        (str(each.path.relative_to(store.path)).replace(trial().key, "KEY"), each.problem) for each in problems
    )


def swept(store, *kinds):
    """What is gone once waste of these kinds is deleted."""
    before = {path for path in store.path.rglob("*") if not path.is_dir() or path.name.isdecimal()}
    deleted, freed = collect(store.path, waste_at(store.path, ("left over", *kinds)))
    lost = {path for path in before if not path.exists()}
    gone = sorted(path for path in lost if path.parent not in lost)
    assert deleted == len(gone)
    assert freed >= 0
    return gone


# --- sound


def test_results_that_were_just_written_are_sound(tmp_path):
    write_suite(tmp_path / "a" / "one")
    survey = verify(tmp_path / "a")
    assert survey.problems == ()
    assert survey.sound
    assert str(survey) == "Sound: 39 recorded attempts of 1 suite"
    assert waste_at(tmp_path / "a", ALL) == []


def test_every_suite_is_looked_at_but_none_that_only_a_link_leads_to(tmp_path, recorded):
    shutil.copytree(tmp_path / "results", tmp_path / "all" / "one")
    shutil.copytree(tmp_path / "results", tmp_path / "all" / "two")
    (tmp_path / "all" / "three").symlink_to(tmp_path / "results")
    assert str(verify(tmp_path / "all")) == "Sound: 2 recorded attempts of 2 suites"
    (tmp_path / "link").symlink_to(tmp_path / "results")
    assert verify(tmp_path / "link").recorded == 1  # who names a link means what it leads to


def test_results_of_schema_1_are_sound_though_their_files_cannot_be_compared():
    survey = verify(Path(__file__).parent / "data" / "schema-1")
    assert (survey.sound, survey.unchecked) == (True, 4)
    assert str(survey) == "Sound: 4 recorded attempts of 1 suite (4 older than checksums)"


def test_where_there_are_no_results_there_is_nothing_to_look_at(tmp_path):
    for look in (verify, lambda path: waste_at(path, ALL)):
        with pytest.raises(ResultsError, match="Expected a results folder"):
            look(tmp_path)


def test_looking_changes_nothing(store, recorded):
    store.begin(trial(seed=1))
    before = contents(store.path)
    verify(store.path)
    waste_at(store.path, ALL)
    assert contents(store.path) == before


# --- what was cut short


def test_an_attempt_without_a_record_was_cut_short(store, recorded):
    torn = store.begin(trial())
    assert found(store) == [("runs/KEY/2", "torn")]
    assert "no checkpoint" in verify(store.path).problems[0].what
    assert swept(store) == [torn.path]
    assert verify(store.path).sound


def test_what_can_go_on_from_a_checkpoint_is_kept_unless_asked_for(store, recorded):
    key = trial(seed=1).key
    torn, checkpoint = store.begin(trial(seed=1)), put_checkpoint(store, key, trial().key)
    (problem,) = verify(store.path).problems
    assert (problem.path, problem.problem) == (torn.path, "torn")
    assert "a checkpoint to go on from" in problem.what
    assert swept(store) == []
    assert swept(store, "cut short") == [checkpoint, torn.path]
    assert not torn.path.parent.exists()
    assert verify(store.path).sound


def test_an_older_attempt_goes_on_from_no_checkpoint(store):
    torn = store.begin(trial())
    whole_trial(store, trial(), WELL)
    checkpoint = put_checkpoint(store, trial().key)
    assert found(store) == [(f"checkpoints/{checkpoint.name}", "checkpoint"), ("runs/KEY/1", "torn")]
    assert swept(store) == [checkpoint, torn.path]


def test_what_a_living_runner_has_is_under_way_and_nobody_elses(store, recorded):
    with Leases(store.path) as leases:
        leases.claim(recorded.path.parent)
        torn = store.begin(trial())
        put_temporary(torn.path)
        put_checkpoint(store, trial().key)
        survey = verify(store.path)
        assert survey.sound
        assert [(each.path, each.problem) for each in survey.problems] == [(torn.path, "under way")]
        assert f"process {os.getpid()} on " in survey.problems[0].what
        assert str(survey).endswith("1 suite (1 under way)")
        assert swept(store, "cut short", "superseded") == []


def test_what_somebody_took_up_since_it_was_looked_at_is_let_alone(store, recorded):
    torn = store.begin(trial())
    waste = waste_at(store.path, ALL)
    with Leases(store.path) as leases:
        leases.claim(torn.path.parent)
        assert collect(store.path, waste) == (0, 0)
    (torn.path / RECORD).write_text("{}")
    assert collect(store.path, waste) == (0, 0)
    assert torn.path.exists()


# --- runners


@pytest.mark.parametrize(("here", "gone", "old", "lives"), [
    (True, False, True, True),
    (True, True, False, False),
    (False, False, False, True),
    (False, False, True, False),
])  # fmt: skip
def test_a_runner_lives_as_its_process_does_or_elsewhere_as_its_file_is_touched(
    store, recorded, here, gone, old, lives
):
    runner = owner(here=here, gone=gone)
    paths = [put_claim(recorded.path.parent, runner), put_runner(store, runner)]
    torn = store.begin(trial())
    for path in paths if old else ():
        make_old(path)
    if lives:
        assert found(store) == [("runs/KEY/2", "under way")]
        assert swept(store, *ALL) == []
    else:
        words = sorted(problem for _, problem in found(store))
        assert words == ["claim", "runner", "runner", "torn"]
        assert torn.path in swept(store)
        assert verify(store.path).problems == ()
        assert not (store.path / "runners").exists()


def test_a_claim_that_says_nothing_of_use_is_anothers_until_it_is_old(store, recorded):
    claim = recorded.path.parent / "claim.3"
    claim.write_bytes(b"\xff")
    store.begin(trial())
    assert found(store) == [("runs/KEY/2", "under way")]
    make_old(claim)
    assert found(store) == [("runs/KEY/2", "torn"), ("runs/KEY/claim.3", "claim")]


def test_a_claim_that_is_no_file_is_not_opened_and_keeps_others_off(store, recorded):
    os.mkfifo(recorded.path.parent / "claim.1")
    store.begin(trial())
    assert ("runs/KEY/claim.1", "stray") in found(store)
    assert swept(store, *ALL) == []


# --- checkpoints and temporary files


def test_a_checkpoint_of_what_is_recorded_or_that_says_nothing_is_left_over(store, recorded):
    of_use, useless = put_checkpoint(store, trial().key), put_checkpoint(store, "..")
    broken = useless.with_name("broken.safetensors")
    broken.write_bytes(b"\xff" * 20)
    assert [problem for _, problem in found(store)] == ["checkpoint"] * 3
    assert sorted(swept(store)) == sorted([of_use, useless, broken])
    assert not of_use.parent.exists()


def test_what_an_ended_process_was_about_to_write_is_left_over_and_what_a_living_one_is_not(store, recorded):
    places = [store.path, store.path / "runs", recorded.path.parent, recorded.path]
    living = [put_temporary(folder, ended=False) for folder in places]
    assert verify(store.path).problems == ()
    ended = [put_temporary(folder) for folder in places]
    assert [problem for _, problem in found(store)] == ["temporary"] * 4
    assert sorted(swept(store)) == sorted(ended)
    assert all(path.exists() for path in living)


def test_folders_that_were_about_to_be_renamed_go_with_all_that_is_in_them(store, recorded):
    temporary = recorded.path.parent / ".3.0123456789abcdef.12"
    shutil.copytree(recorded.path, temporary)
    make_old(temporary)
    assert found(store) == [("runs/KEY/.3.0123456789abcdef.12", "temporary")]
    collect(store.path, waste_at(store.path, ALL))
    assert not temporary.exists()


# --- strays


def test_what_does_not_belong_is_named_and_never_deleted(tmp_path, store, recorded):
    key, runs = recorded.path.parent, store.path / "runs"
    for path in (key / "notes.txt", key / "01" / "x", runs / "README", runs / "what" / "x", recorded.path / "x.txt"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    (key / "2").symlink_to(recorded.path)
    (runs / "link").symlink_to(tmp_path)
    assert found(store) == [
        ("runs/KEY/01", "stray"),
        ("runs/KEY/1/x.txt", "stray"),
        ("runs/KEY/2", "link"),
        ("runs/KEY/notes.txt", "stray"),
        ("runs/README", "stray"),
        ("runs/link", "link"),
        ("runs/what", "stray"),
        ("runs/what/x", "stray"),
    ]
    assert swept(store, *ALL) == []


@pytest.mark.parametrize("name", ["runs", "runners", "checkpoints"])
def test_a_folder_that_is_a_link_is_not_followed(tmp_path, store, recorded, name):
    put_runner(store, owner(gone=True))
    put_checkpoint(store, trial().key)
    (store.path / name).rename(tmp_path / "moved")
    (store.path / name).symlink_to(tmp_path / "moved")
    assert (name, "link") in found(store)
    before = contents(tmp_path / "moved")
    swept(store, *ALL)
    assert contents(tmp_path / "moved") == before


# --- contradictions


def test_two_attempts_by_the_same_software_with_other_scores_are_named(store):
    whole_trial(store, trial(), Outcome(image_scores(2.6)))
    whole_trial(store, trial(), WELL)
    (problem,) = verify(store.path).problems
    assert (problem.path.name, problem.problem) == ("1", "differs")
    assert problem.what == "fcd_digits: not as in attempt 2, by the same software"


def test_scores_may_differ_by_software_by_failure_and_where_the_clock_decides(store):
    timed = trial(budget=Budget(device_seconds=5.0))
    for job, outcome, environment in (
        (trial(seed=1), WELL, {"ganbench": "0.0.9"}),
        (trial(seed=1), Outcome(image_scores(2.6)), None),
        (trial(seed=2), WELL, None),
        (trial(seed=2), Outcome((), "error", "no such file"), None),
        (timed, WELL, None),
        (timed, Outcome(image_scores(2.6)), None),
        (trial(seed=3), WELL, None),
        (trial(seed=3), WELL, None),
    ):
        commit(store, job, outcome, environment)
    assert verify(store.path).problems == ()


# --- superseded


def test_older_recorded_attempts_are_deleted_only_if_asked_for_and_the_newest_never(store):
    attempts = [whole_trial(store, trial(), WELL) for _ in range(3)]
    newest = contents(attempts[2].path)
    assert swept(store) == []
    assert swept(store, "superseded") == [attempt.path for attempt in attempts[:2]]
    assert contents(attempts[2].path) == newest
    assert swept(store, "superseded") == []


def test_older_attempts_stay_where_something_is_wrong_with_the_newest(store):
    attempts = [whole_trial(store, trial(), WELL) for _ in range(2)]
    (attempts[1].path / CURVE).write_bytes(b"")
    assert swept(store, *ALL) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_read_is_said_and_let_alone(store, recorded):
    recorded.path.chmod(0)
    try:
        assert ("runs/KEY/1", "unreadable") in found(store)
        assert swept(store, *ALL) == []
    finally:
        recorded.path.chmod(0o755)


def test_a_disk_that_lets_nothing_be_deleted_is_one_message(store, monkeypatch):
    store.begin(trial())

    def fail(*arguments):
        raise OSError(30, "Read-only file system")

    waste = waste_at(store.path, ALL)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StorageError, match="Read-only file system"):
        collect(store.path, waste)


# --- whatever lies there


def mangle(path, how, seed):
    """Do something to a file that no careful program does."""
    content, chance = bytearray(path.read_bytes()), random.Random(seed)
    if how == "flip" and content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del content[chance.randrange(len(content) + 1) :]
    elif how == "noise":
        content = bytearray(chance.randbytes(chance.randrange(200)))
    elif how == "number":  # valid JSON, and not what anybody expects
        text = content.decode("utf-8", errors="replace")
        places = [place for place, character in enumerate(text) if character.isdecimal()] or [0]
        place = chance.choice(places)
        content = bytearray((text[:place] + chance.choice(["1e999", "null", "[]", "{}", '"x"', "-0", "9" * 5000])
                             + text[place + 1 :]).encode())  # fmt: skip
    path.unlink()
    if how == "link":
        path.symlink_to("/etc/passwd" if chance.random() < 0.5 else ".")
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how != "gone":
        path.write_bytes(content)


HOW = st.sampled_from(["flip", "cut", "noise", "number", "link", "folder", "pipe", "gone"])


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """Results with a bit of everything."""
    store = Store(tmp_path_factory.mktemp("pristine") / "results")
    jobs = [trial(seed=seed) for seed in (0, 1)]
    for job in jobs:
        whole_trial(store, job, WELL, jobs)
    whole_trial(store, jobs[0], WELL, jobs)
    commit(store, trial(seed=2), Outcome((), "error", "no such file"))
    torn = store.begin(trial(seed=3))
    put_claim(torn.path.parent, owner(gone=True))
    put_runner(store, owner(gone=True))
    put_checkpoint(store, trial(seed=3).key)
    return store


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mangled=st.lists(st.tuples(st.integers(0, 10**6), HOW), min_size=1, max_size=4), seed=st.integers(0, 2**32))
def test_whatever_lies_there_is_told_without_a_traceback(mangled, seed, pristine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mangled") / "results"
    shutil.copytree(pristine.path, folder)
    touched = set()
    for number, how in mangled:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        path = files[number % len(files)]
        mangle(path, how, seed)
        touched.add(path)
    originals = {path: pristine.path / path.relative_to(folder) for path in touched}
    changed = {
        path
        for path, original in originals.items()
        if not path.is_file() or path.is_symlink() or path.read_bytes() != original.read_bytes()
    }
    told = ganbench("results", "verify", folder, "--format", "json")
    assert told.status == 1, told  # for what is left behind in the folder that all of this begins with
    places = {folder / row["place"] for row in told.rows}
    final = [path for path in changed if is_final(path.name) and (path.parent / RECORD).is_file()]
    if not any(path.name == RECORD for path in changed):  # which says what the others are to be
        recorded = [path for path in final if path.parent.parent.name != trial(seed=3).key]
        assert places.issuperset(recorded), (changed, told.out)
    for arguments in (
        ("gc", folder, "--cut-short", "--superseded", "--yes"),
        ("merge", folder, "--into", folder.parent / "all"),
    ):
        done = ganbench("results", *arguments)
        assert done.status in (0, 1, 2), done
        assert "Traceback" not in done.err


def test_two_thousand_attempts_are_looked_at_in_a_few_seconds(tmp_path):
    store = Store(tmp_path / "results")
    first = whole_trial(store, trial(), WELL)
    for seed in range(1, 2000):
        folder = store.path / "runs" / trial(seed=seed).key
        shutil.copytree(first.path, folder / "1", copy_function=os.link)
        for name in (TRIAL, "task.json", RECORD):
            path = folder / "1" / name
            text = path.read_text().replace(trial().key, folder.name).replace('"seed": 0', f'"seed": {seed}')
            path.unlink()
            path.write_text(text)
        record = json.loads((folder / "1" / RECORD).read_text())
        record["files"] |= {name: sha256_of(folder / "1" / name) for name in (TRIAL, "task.json")}
        (folder / "1" / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True))
    began = time.perf_counter()
    survey = verify(store.path)
    seconds = time.perf_counter() - began
    assert (survey.problems, survey.recorded) == ((), 2000)
    assert seconds < 30  # some three on a usual core
