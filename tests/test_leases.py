from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from ganbench.errors import ResultsError
from ganbench.guard import end_marked
from ganbench.leases import MARK, Leases, Owner, Watch, claimed, process_mark, read_owner


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def dead_process():
    """A process that has ended, as it was while it ran."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def of_another(results, number=1, **differences):
    """A claim of somebody else's to key `ab`."""
    folder = results / "runs" / "ab"
    folder.mkdir(parents=True, exist_ok=True)
    with Leases(results) as mine:
        own = read_owner(results / "runners" / f"{mine.runner}.json")
    owner = replace(own, runner="another", **differences)
    path = folder / f"claim.{number}"
    path.write_text(json.dumps(vars(owner)))
    return path


def test_a_key_is_had_by_one_and_given_back_without_a_trace(results):
    folder = results / "runs" / "ab"
    with Leases(results) as leases:
        claim, life = leases.claim(folder)
        assert claim.holds
        assert life is None
        assert claimed(folder).runner == process_mark()
        assert leases.claim(folder) == (None, "alive")
        leases.release(claim)
        assert not claim.holds
        assert claimed(folder) is None
    assert not (results / "runners").exists()
    assert list(folder.iterdir()) == []


def test_what_is_held_at_the_end_is_given_back(results):
    with Leases(results) as leases:
        leases.claim(results / "runs" / "ab")
    assert claimed(results / "runs" / "ab") is None


def test_a_claim_of_one_that_lives_is_respected(results):
    of_another(results)  # by our own process number, which lives
    with Leases(results) as leases:
        assert leases.claim(results / "runs" / "ab") == (None, "alive")
        assert leases.taken(results / "runs" / "ab")
        assert str(leases.owner_of(results / "runs" / "ab")).startswith(f"process {os.getpid()} on ")


@pytest.mark.parametrize("how", ["ended", "its number used again"])
def test_a_claim_of_one_that_is_gone_from_this_machine_is_taken_over_at_once(results, how):
    differences = {"pid": dead_process()} if how == "ended" else {"started": 1.0}
    theirs = of_another(results, **differences)
    with Leases(results) as leases:
        claim, life = leases.claim(theirs.parent)
        assert life == "gone"
        assert claim.path.name == "claim.2"
        leases.release(claim)
    assert list(theirs.parent.iterdir()) == []


def test_a_claim_from_elsewhere_is_taken_over_when_its_lease_has_ended_and_not_before(results):
    theirs = of_another(results, machine="another", host="far", pid=1)
    with Leases(results, lease_seconds=0.4) as leases:
        assert leases.claim(theirs.parent) == (None, "alive")
        for _ in range(4):
            time.sleep(0.2)
            os.utime(theirs)  # it lives, whatever its clock says
            assert leases.claim(theirs.parent) == (None, "alive")
        time.sleep(0.5)
        claim, life = leases.claim(theirs.parent)
        assert life == "silent"
        assert claim.holds


def test_whoever_was_taken_over_notices_and_removes_nothing_of_the_other(results):
    folder = results / "runs" / "ab"
    with Leases(results) as leases:
        claim, _ = leases.claim(folder)
        other = of_another(results, number=2)
        assert not claim.holds
        leases.release(claim)
        assert other.exists()


def test_only_one_of_many_gets_a_key(results):
    code = (
        "import sys; from pathlib import Path; from ganbench.leases import Leases\n"
        "results = Path(sys.argv[1])\n"
        "with Leases(results) as leases:\n"
        "    print(sum(leases.claim(results / 'runs' / str(key))[0] is not None for key in range(40)))\n"
        "    sys.stdout.flush(); sys.stdin.read()\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, results], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    counts = [int(process.stdout.readline()) for process in started]
    for process in started:
        process.communicate()
    assert sum(counts) == 40


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"runner": 3}', b"\xff\xfe", b"[" * 9000])
def test_a_claim_that_says_nothing_of_use_lasts_as_long_as_a_lease(results, content):
    folder = results / "runs" / "ab"
    folder.mkdir(parents=True)
    (folder / "claim.1").write_bytes(content)
    assert read_owner(folder / "claim.1") == Owner()
    watch = Watch(seconds=0.1)
    assert watch.life_of(folder / "claim.1") == "alive"
    time.sleep(0.2)
    assert watch.life_of(folder / "claim.1") == "silent"


def test_without_hard_links_a_claim_is_a_file_of_its_own(results, monkeypatch):
    def refuse(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    with Leases(results) as leases:
        claim, _ = leases.claim(results / "runs" / "ab")
        assert claim.holds
        assert leases.claim(results / "runs" / "ab") == (None, "alive")


def test_claims_are_kept_fresh(results):
    with Leases(results, lease_seconds=0.4) as leases:
        claim, _ = leases.claim(results / "runs" / "ab")
        before = claim.path.stat().st_mtime_ns
        time.sleep(0.3)
        assert claim.path.stat().st_mtime_ns > before


def test_sweeping_removes_what_the_dead_have_left_and_nothing_of_the_living(results):
    dead = of_another(results, number=1, pid=dead_process())
    (results / "runs" / "cd").mkdir()
    living = of_another(results, number=2).rename(results / "runs" / "cd" / "claim.1")
    (results / "runners").mkdir()
    (results / "runners" / "another.json").write_text(dead.read_text())
    (results / "runners" / "another.stop").touch()
    with Leases(results) as leases:
        leases.sweep()
        assert [path.stem for path in (results / "runners").iterdir()] == [process_mark()]
    assert not dead.exists()
    assert living.exists()


def test_where_nothing_can_be_written_there_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write results here"), Leases(tmp_path / "file"):
        pass


def test_processes_that_bear_a_mark_are_ended_and_no_others():
    def sleeping(**environment):
        return subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, **environment}
        )

    marked, other = sleeping(**{MARK: "of-a-test"}), sleeping(**{MARK: "of-another"})
    try:
        time.sleep(0.2)
        end_marked(MARK, "of-a-test")
        assert marked.wait(timeout=5) == -9
        assert psutil.pid_exists(other.pid)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
