from __future__ import annotations

import io
from dataclasses import replace

import fabricate
import pytest
from rich.console import Console

from ganbench import live
from ganbench.events import EventLog
from ganbench.live import LiveView, PlainView, Remaining, StatusView, duration, result, title, view_for
from ganbench.protocols import Places
from ganbench.store import Store
from ganbench.tasks import Task
from ganbench.terms import Budget, Record, Reference, Score, Spent


@pytest.fixture
def task(tmp_path):
    """A trial of 100 kimg that has reported 50 of them, and a score."""
    job = fabricate.trial(fabricate.variant("hinge", margin=2), seed=3)
    attempt = Store(tmp_path).begin(job)
    events = EventLog(attempt, Budget(kimg=100))
    events.evaluated(Spent(kimg=25), (Score("unknown", None, "lower"), Score("fcd_digits", 12.3456, "lower")))
    events.progress(Spent(kimg=50))
    return Task(job, attempt, Places(), "cpu")


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
    view.started(task)
    clock[0] = 110.0
    view.tick([task])
    whole, trial = shown(view, width)
    assert whole.startswith("0 of 2 done · 30 s left ")
    assert trial.startswith("  digits · hinge(margin=2) · seed 3 · dcgan / dcgan ")
    assert trial.endswith(" fcd_digits 12.35")
    assert len(whole) <= width
    assert len(trial) <= width
    view.finished(task, record(task))
    view.tick([])
    assert [line.split(" ━")[0].rstrip() for line in shown(view, width)] == ["1 of 2 done · 10 s left"]


def test_long_names_are_cut_before_the_score_is(task):
    long = replace(task, job=fabricate.trial(fabricate.variant("hinge", "mlp" * 30), seed=3))
    view = LiveView(console(80), total=1)
    view.started(long)
    view.tick([long])
    line = shown(view, 80)[1]
    assert line.startswith("  digits · hinge · seed 3 · mlp")
    assert "…" in line
    assert line.endswith(" fcd_digits 12.35")


def test_the_live_view_keeps_a_line_for_each_failure_and_none_for_what_went_well(task):
    screen = console()
    with LiveView(screen, total=2) as view:
        for status in ("ok", "error"):
            view.started(task)
            view.finished(task, record(task, status, "loss [x] raised", scores=()))
        view.tick([])
        assert "2 of 2 done · 1 failed" in shown(view, 100)[0]
    assert f"✗ error    {title(task.job)} · loss [x] raised · 61.2 s" in screen.file.getvalue()
    assert "✗ ok" not in screen.file.getvalue()


def test_without_a_terminal_there_is_one_line_for_each_job_that_ends(task):
    screen = console(width=40, terminal=False)
    with PlainView(screen, total=2) as view:
        view.started(task)
        view.tick([task])
        view.finished(task, record(task))
        view.finished(task, record(task, "killed", "by [signal] 9", scores=()))
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
        view.tick([task])
    assert screen.file.getvalue().splitlines() == [f"   50% {title(task.job)} fcd_digits 12.35", "  about 30 s left"]


def test_a_job_that_has_told_nothing_yet_is_at_its_beginning(tmp_path):
    job = fabricate.trial()
    task = Task(job, Store(tmp_path).begin(job), Places(), "cpu")
    view = LiveView(console(), total=1)
    view.started(task)
    view.tick([task])
    assert [line.split(" ━")[0].rstrip() for line in shown(view, 100)] == [
        "0 of 1 done", "  digits · hinge · seed 0 · dcgan / dcgan",
    ]  # fmt: skip


def test_a_status_says_what_is_measured_at_a_terminal_and_leaves_nothing_behind(task):
    for terminal in (True, False):
        screen = console(terminal=terminal)
        with StatusView(screen) as view:
            view.started(task)
            assert f"Measuring {title(task.job)}" in str(view._status.renderable.text)
            view.tick([task])
            view.finished(task, record(task, "error", "raised", scores=()))
        assert "raised" not in screen.file.getvalue()
    assert "Measuring" not in screen.file.getvalue()


def test_the_view_is_live_at_a_terminal_only():
    assert isinstance(view_for(console(), 1), LiveView)
    assert isinstance(view_for(console(terminal=False), 1), PlainView)
