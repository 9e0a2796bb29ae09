from __future__ import annotations

import io
from dataclasses import replace

import fabricate
import pytest
from rich.console import Console

from ganbench import live
from ganbench.events import EventLog
from ganbench.history import duration
from ganbench.live import (
    LiveView,
    PlainView,
    Remaining,
    StatusView,
    group_title,
    result,
    seeds_in_words,
    title,
    view_for,
)
from ganbench.protocols import Places
from ganbench.store import Store
from ganbench.tasks import Task
from ganbench.terms import Budget, Record, Reference, Score, Spent


def reporting(tmp_path, seed):
    """A trial of 100 kimg that has reported 50 of them, and a score."""
    job = fabricate.trial(fabricate.variant("hinge", margin=2), seed=seed)
    attempt = Store(tmp_path).begin(job)
    events = EventLog(attempt, Budget(kimg=100))
    events.evaluated(Spent(kimg=25), (Score("unknown", None, "lower"), Score("fcd_digits", 12.3456, "lower")))
    events.progress(Spent(kimg=50))
    return Task(job, attempt, Places(), "cpu")


@pytest.fixture
def task(tmp_path):
    return reporting(tmp_path, seed=3)


@pytest.fixture
def together(tmp_path):
    """Three seeds of a variant in one process."""
    return [reporting(tmp_path, seed) for seed in (3, 4, 5)]


SCORES = fabricate.image_scores(3.14159)


def record(task, status="ok", message="", scores=SCORES):
    return Record(task.job.key, "trial", status, "", "", message, scores=scores, costs={"wall_seconds": 61.23})


def console(width=100, terminal=True):
    return Console(force_terminal=terminal, width=width, file=io.StringIO(), color_system=None, _environ={})


def shown(view, width):
    """What the live view shows now, line by line."""
    still = Console(width=width, file=io.StringIO(), color_system=None, _environ={})
    still.print(view._progress.get_renderable())
    return [line.rstrip() for line in still.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3600, "1 h 00 min"),
        (90_061, "25 h 01 min"),
    ],
)
def test_durations_are_said_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text


def test_a_job_is_named_by_what_it_trains_on_what(task):
    assert title(task.job) == "digits · dcgan / dcgan / hinge(margin=2) · seed 3"
    assert title(Reference(fabricate.RING, "noise", fabricate.evaluation())) == "ring8(sigma=0.02) · noise"


@pytest.mark.parametrize(
    ("seeds", "words"),
    [([3], "seed 3"), ([0, 1], "seeds 0–1"), ([5, 0, 2, 1], "seeds 0–2, 5"), ([7, 3], "seeds 3, 7")],
)
def test_seeds_are_listed_as_a_person_lists_them(seeds, words):
    assert seeds_in_words(seeds) == words


def test_what_a_process_does_is_named_with_all_its_seeds(together):
    jobs = [task.job for task in together]
    assert group_title(jobs) == "digits · hinge(margin=2) · seeds 3–5 · dcgan / dcgan"
    assert group_title([Reference(fabricate.RING, "noise", fabricate.evaluation())]) == "ring8(sigma=0.02) · noise"


def test_a_result_is_its_first_known_score_or_why_there_is_none(task):
    assert result(task.job, record(task)) == f"ok       {title(task.job)} · fcd_digits 3.142 · 61.2 s"
    failed = record(task, "diverged", "a logit is not finite at step 7", scores=())
    assert result(task.job, failed) == f"diverged {title(task.job)} · a logit is not finite at step 7 · 61.2 s"


def test_the_time_that_is_left_follows_from_the_share_that_is_done(monkeypatch):
    clock = iter([100.0, 110.0, 110.0])
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock))
    remaining = Remaining(total=50)
    assert remaining.seconds(done=1) is None
    assert remaining.seconds(done=12.5) == 30


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_view_shows_bars_scores_and_time_left_whatever_the_width(task, width, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    view = LiveView(console(width), total=2)
    assert "2 jobs · starting" in shown(view, width)[0]
    view.started([task])
    clock[0] = 110.0
    view.tick([[task]])
    whole, trial = shown(view, width)
    assert whole.startswith("0 of 2 done · 30 s left ")
    assert trial.startswith("  digits · hinge(margin=2) · seed 3 · dcgan / dcgan ")
    assert trial.endswith(" fcd_digits 12.35")
    assert len(whole) <= width
    assert len(trial) <= width
    view.finished(task.job, record(task))
    view.tick([])
    assert [line.split(" ━")[0].rstrip() for line in shown(view, width)] == ["1 of 2 done · 10 s left"]


def test_seeds_of_one_process_share_a_bar_until_the_last_has_ended_and_count_one_by_one(together, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    screen = console()
    view = LiveView(screen, total=3)
    view.started(together)
    clock[0] = 110.0
    view.tick([together])
    whole, bar = shown(view, 100)
    assert whole.startswith("0 of 3 done · 10 s left ")  # half of each
    assert bar.startswith("  digits · hinge(margin=2) · seeds 3–5 · dcgan / dcgan ")
    view.finished(together[0].job, record(together[0], "diverged", "a logit", scores=()))
    view.tick([together[1:]])
    assert "✗ diverged" in screen.file.getvalue()
    assert len(shown(view, 100)) == 2
    assert "1 of 3 done · 1 failed" in shown(view, 100)[0]
    for task in together[1:]:
        view.finished(task.job, record(task))
    view.tick([[]])
    assert len(shown(view, 100)) == 1


def test_seeds_that_are_parted_leave_a_line_that_says_why(together):
    line = (
        "digits · hinge(margin=2) · seeds 3–5 · dcgan / dcgan: one by one, for together they could not go on: no [rule]"
    )
    screen, plain = console(), console(terminal=False)
    view = LiveView(screen, total=3)
    view.started(together)
    view.parted(together, "no [rule]")
    assert len(shown(view, 100)) == 1
    assert screen.file.getvalue().strip() == line
    PlainView(plain, total=3).parted(together, "no [rule]")
    assert plain.file.getvalue() == f"{line}\n"
    StatusView(plain).parted(together, "no [rule]")
    assert plain.file.getvalue() == f"{line}\n"


def test_a_busy_machine_is_told_of_with_what_it_spoils_and_what_not():
    line = (
        "The machine was busy with other work: trials got 55% of a core. Times are affected by that, scores are not.\n"
    )
    for terminal, kind, expected in ((True, LiveView, line), (False, PlainView, line)):
        screen = console(terminal=terminal)
        kind(screen, total=1).busy(0.551)
        assert screen.file.getvalue() == expected
    StatusView(screen).busy(0.551)
    assert screen.file.getvalue() == line


def test_the_search_for_the_fastest_way_is_told_of():
    status, plain = StatusView(console()), console(terminal=False)
    for view, said in (
        (status, lambda: str(status._status.renderable.text)),
        (PlainView(plain, total=2), plain.file.getvalue),
    ):
        view.surveying(2)
        assert said().strip() == "Looking at how 2 variants train fastest"
    view = LiveView(console(), total=2)
    view.surveying(1)
    assert shown(view, 100)[0].startswith("Looking at how it trains fastest")


def test_long_names_are_cut_before_the_score_is(task):
    long = replace(task, job=fabricate.trial(fabricate.variant("hinge", "mlp" * 30), seed=3))
    view = LiveView(console(80), total=1)
    view.started([long])
    view.tick([[long]])
    line = shown(view, 80)[1]
    assert line.startswith("  digits · hinge · seed 3 · mlp")
    assert "…" in line
    assert line.endswith(" fcd_digits 12.35")


def test_the_live_view_keeps_a_line_for_each_failure_and_none_for_what_went_well(task):
    screen = console()
    with LiveView(screen, total=2) as view:
        for status in ("ok", "error"):
            view.started([task])
            view.finished(task.job, record(task, status, "loss [x] raised", scores=()))
        view.tick([])
        assert "2 of 2 done · 1 failed" in shown(view, 100)[0]
    assert f"✗ error    {title(task.job)} · loss [x] raised · 61.2 s" in screen.file.getvalue()
    assert "✗ ok" not in screen.file.getvalue()


def test_without_a_terminal_there_is_one_line_for_each_job_that_ends(task):
    screen = console(width=40, terminal=False)
    with PlainView(screen, total=2) as view:
        view.started([task])
        view.tick([[task]])
        view.finished(task.job, record(task))
        view.finished(task.job, record(task, "killed", "by [signal] 9", scores=()))
    assert screen.file.getvalue().splitlines() == [
        f"[1/2] ok       {title(task.job)} · fcd_digits 3.142 · 61.2 s",
        f"[2/2] killed   {title(task.job)} · by [signal] 9 · 61.2 s",
    ]


def test_what_is_prepared_is_told_before_anything_starts(task):
    live, plain = console(80), console(terminal=False)
    with LiveView(live, total=2) as view:
        view.preparing(task.job)
    with PlainView(plain, total=2) as view:
        view.preparing(task.job)
    assert "Preparing digits (extractor digits)" in live.file.getvalue()
    assert plain.file.getvalue() == "Preparing digits (extractor digits)\n"


def test_without_a_terminal_progress_is_told_every_half_minute(task, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    screen = console(terminal=False)
    view = PlainView(screen, total=1)
    for clock[0] in (129.0, 130.0, 131.0):
        view.tick([[task]])
    assert screen.file.getvalue().splitlines() == [
        "   50% digits · hinge(margin=2) · seed 3 · dcgan / dcgan fcd_digits 12.35", "  about 30 s left",
    ]  # fmt: skip


def test_a_job_that_has_told_nothing_yet_is_at_its_beginning(tmp_path):
    job = fabricate.trial()
    task = Task(job, Store(tmp_path).begin(job), Places(), "cpu")
    view = LiveView(console(), total=1)
    view.started([task])
    view.tick([[task]])
    assert [line.split(" ━")[0].rstrip() for line in shown(view, 100)] == [
        "0 of 1 done", "  digits · hinge · seed 0 · dcgan / dcgan",
    ]  # fmt: skip


def test_a_status_says_what_is_measured_at_a_terminal_and_leaves_nothing_behind(task):
    for terminal in (True, False):
        screen = console(terminal=terminal)
        with StatusView(screen) as view:
            view.started([task])
            assert "Measuring digits · hinge(margin=2) · seed 3 · dcgan / dcgan" in str(view._status.renderable.text)
            view.tick([[task]])
            view.finished(task.job, record(task, "error", "raised", scores=()))
        assert "raised" not in screen.file.getvalue()
    assert "Measuring" not in screen.file.getvalue()


def test_the_view_is_live_at_a_terminal_only():
    assert isinstance(view_for(console(), 1), LiveView)
    assert isinstance(view_for(console(terminal=False), 1), PlainView)
