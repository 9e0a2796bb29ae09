from __future__ import annotations

import json
import math
import shlex
from dataclasses import replace
from functools import partial

import fabricate
import pandas as pd
import pytest
from commands import ganbench
from rich.cells import cell_len

from ganbench.portrait_files import PORTRAIT, Classes, Portrait, content_of
from ganbench.store import CURVE, Store
from ganbench.terms import Choice, Reference, Score, Spent

HOSTILE = "<b>\x1b[2J\u202e'\"" + "n" * 300
WELL = fabricate.Outcome(fabricate.image_scores(2.5), spent=Spent(100.03, 1563, 20.0, 0.3))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def recorded(store, job=None, outcome=WELL, *writers, **changes):
    return fabricate.commit(store, job or fabricate.trial(**changes), outcome, None, *writers)


def shown(store, key, *more, width="80"):
    """What `ganbench show` prints, as lines without the spaces at their ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", width)
        said = ganbench("show", store.path, key, *more)
    assert said.status == 0, said.err
    return [line.rstrip() for line in said.out.splitlines()]


def line_of(lines, start):
    return next(line for line in lines if line.strip().startswith(start))


def test_a_trial_is_told_from_its_scores_to_the_command_that_does_it_again(store):
    curve = partial(fabricate.write_curve, final={"fcd_digits": 2.5})
    attempt = recorded(store, None, WELL, curve)
    lines = shown(store, attempt.key[:6])
    assert lines[0] == "digits · dcgan / dcgan / hinge · seed 0"
    assert lines[1] == f"ok · trial {attempt.key[:12]} · attempt 1 of 1 · ended 2030-01-01 00:00:25 UTC"
    told = line_of(lines, "fcd_digits").split()
    assert told[:2] == ["fcd_digits", "2.50"]
    assert told[2:5] == ["lower", "is", "better"]
    assert (len(told[5]), told[5][0], told[5][-1]) == (8, "█", "▁")  # eight points, that fall
    assert line_of(lines, "discriminator/accuracy")
    assert line_of(lines, "kimg").split() == ["kimg", "100", "of", "100", "█" * 12, "0.0300", "over"]
    assert line_of(lines, "steps").split() == ["steps", "1,563", "no", "limit"]
    assert line_of(lines, "wall_seconds").split() == ["wall_seconds", "25.0", "s"]
    assert line_of(lines, "device ").split() == ["device", "Test", "CPU"]
    assert line_of(lines, "batch_size").split() == ["batch_size", "64"]
    command = line_of(lines, "ganbench reproduce")
    assert shlex.split(command) == ["ganbench", "reproduce", str(store.path), attempt.key[:12]]


def test_a_score_s_own_noise_stands_beside_it_and_an_undefined_one_is_called_so(store):
    noisy = replace(fabricate.image_scores(2.5)[0], noise=0.125)
    undefined = Score("kid_digits", None, "lower")
    lines = shown(store, recorded(store, None, replace(WELL, scores=(noisy, undefined))).key)
    assert "± 0.125" in line_of(lines, "fcd_digits")
    assert line_of(lines, "kid_digits").split()[1] == "undefined"


def test_a_failure_is_told_with_its_message_its_step_and_the_end_of_its_log(store):
    outcome = fabricate.Outcome((), "diverged", "a weight is not finite", 412, Spent(26.4, 412, 5.1, 0.08))
    attempt = recorded(store, None, outcome, lambda at: (at.path / "log.txt").write_text("first\n\x1b[31mlast words\n"))
    lines = shown(store, attempt.key)
    assert lines[1].startswith("diverged · trial ")
    assert lines[2] == "a weight is not finite at update 412"
    assert lines[-3:] == ["The end of its log", "  first", "  �[31mlast words"]
    assert line_of(lines, "kimg").split()[-2:] == ["73.6", "left"]
    assert not any(line == "Scores" for line in lines)


def test_classes_are_drawn_beside_those_of_the_data(store):
    portrait = Portrait(Classes(("zero", "one"), (0.5, 0.5), (1.0, 0.0)))
    attempt = recorded(store, None, WELL, lambda at: (at.path / PORTRAIT).write_bytes(content_of(portrait)))
    lines = shown(store, attempt.key)
    assert line_of(lines, "zero").split() == ["zero", "50.0%", "█" * 6, "100.0%", "█" * 12]
    assert line_of(lines, "one").split() == ["one", "50.0%", "█" * 6, "0.0%"]
    assert json.loads("\n".join(shown(store, attempt.key, "--format", "json")))["classes"]["samples"] == [1.0, 0.0]


def test_json_has_all_of_it_and_no_number_without_end(store):
    attempt = recorded(store)
    axes = {name: [0.5, 1.0] for name in ("kimg", "steps", "device_seconds", "petaflops")}
    pd.DataFrame({**axes, "fcd_digits": [math.inf, 2.5]}).to_parquet(attempt.path / CURVE)
    facts = json.loads("\n".join(shown(store, attempt.key, "--format", "json")), parse_constant=pytest.fail)
    assert facts["key"] == attempt.key
    assert facts["curve"]["fcd_digits"] == [None, 2.5]
    assert facts["budget"] == [{"axis": "kimg", "spent": 100.03, "limit": 100.0, "overshoot": pytest.approx(0.03)}]
    assert [score["name"] for score in facts["scores"]] == ["fcd_digits", "coverage_digits", "tvd_digits"]
    assert facts["recipe"]["variant"]["loss"]["name"] == "hinge"
    assert facts["command"] == f"ganbench reproduce {shlex.quote(str(store.path))} {attempt.key[:12]}"
    assert facts["environment"]["device"] == "Test CPU"


def test_a_reference_and_what_was_made_elsewhere_are_shown_too(store):
    reference = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    lines = shown(store, recorded(store, reference).key)
    assert lines[0] == "digits · noise"
    assert "Budget" not in lines
    assert line_of(lines, "ganbench reproduce")
    lines = shown(store, recorded(store, fabricate.submission()).key)
    assert lines[0] == "digits · elsewhere"
    assert "made elsewhere" in line_of(lines, "It was made")


def test_the_newest_attempt_is_shown_and_counted(store):
    recorded(store, None, fabricate.Outcome((), "oom", "no memory"))
    attempt = recorded(store, None, replace(WELL, finished_at="2031-01-01T00:00:00+00:00"))
    assert shown(store, attempt.key)[1].startswith(f"ok · trial {attempt.key[:12]} · attempt 2 of 2")


def test_a_plugin_that_was_a_file_is_asked_for(store):
    facts = {**fabricate.ENVIRONMENT_FACTS, "plugins": [{"plugin": "my gan.py", "sha256": "ab" * 32, "version": ""}]}
    attempt = fabricate.commit(store, fabricate.trial(), WELL, facts)
    command = json.loads("\n".join(shown(store, attempt.key, "--format", "json")))["command"]
    assert shlex.split(command)[-2:] == ["--plugin", "my gan.py"]


@pytest.mark.parametrize("width", ["80", "60", "120"])
def test_nothing_is_wider_than_the_terminal_but_what_is_to_be_copied(store, width):
    curve = partial(fabricate.write_curve, final={"fcd_digits": 2.5})
    attempt = recorded(store, None, WELL, curve)
    lines = shown(store, attempt.key, width=width)
    wide = [line for line in lines if cell_len(line) > int(width)]
    assert all(line.startswith(("  ganbench reproduce", "Its files: ")) for line in wide), wide


def test_hostile_names_and_messages_are_printable(store):
    made = fabricate.variant(HOSTILE)
    score = Score(HOSTILE, 1.0, "lower")
    facts = {"device": HOSTILE, HOSTILE: [HOSTILE], "plugins": [HOSTILE, {"plugin": HOSTILE}], "git": {"a": HOSTILE}}
    good = fabricate.commit(
        store, fabricate.trial(made, dataset=Choice(HOSTILE)), replace(WELL, scores=(score,)), facts
    )
    bad = recorded(store, fabricate.trial(made, 1), fabricate.Outcome((), "error", HOSTILE))
    for attempt in (good, bad):
        text = "\n".join(shown(store, attempt.key))
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "<b>�[2J�" in text
        json.loads("\n".join(shown(store, attempt.key, "--format", "json")))


def test_a_key_that_is_not_there_is_answered_with_the_nearest(store):
    key = recorded(store).key
    typed = key[:4] + ("0" if key[4] != "0" else "1") + key[5:8]
    said = ganbench("show", store.path, typed)
    assert (said.status, said.out) == (2, "")
    assert said.err == (
        f"ganbench: {store.path}: no key begins with '{typed}'. The nearest: {key[:12]}. "
        f"'ganbench table {store.path} --columns key,variant,seed' lists them\n"
    )
    assert "no key begins with '*'" in ganbench("show", store.path, "*").err


def test_a_key_that_begins_several_is_refused(store):
    for seed in range(40):
        recorded(store, seed=seed)
    starts = [folder.name[0] for folder in (store.path / "runs").iterdir()]
    twice = next(letter for letter in starts if starts.count(letter) > 1)
    said = ganbench("show", store.path, twice)
    assert (said.status, "Give more of it" in said.err) == (2, True)


def test_a_damaged_file_is_one_message_that_names_it(store):
    attempt = recorded(store)
    (attempt.path / CURVE).write_bytes(b"PAR1")
    said = ganbench("show", store.path, attempt.key)
    assert (said.status, said.out) == (2, "")
    assert f"{attempt.path / CURVE}: not a curve" in said.err
    (attempt.path / CURVE).unlink()
    (attempt.path / PORTRAIT).write_text("{")
    assert str(attempt.path / PORTRAIT) in ganbench("show", store.path, attempt.key).err


def test_results_without_runs_are_one_message(tmp_path):
    said = ganbench("show", tmp_path, "ab")
    assert (said.status, "no runs in it" in said.err) == (2, True)
