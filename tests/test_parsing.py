from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fabricate import RING, evaluation, image_scores, submission, trial, variant
from small import trial as planned_trial

from ganbench import parsing
from ganbench.errors import ResultsError
from ganbench.parsing import MAX_JSON_BYTES, once, read_facts, read_job, read_record
from ganbench.statistics import board
from ganbench.store import RECORD, TRIAL
from ganbench.tables import load_curves, load_results
from ganbench.terms import Budget, Choice, Record, Reference, Score, Spent, kind_of, plain

RECORDED = Record(
    key="ab",
    kind="trial",
    status="diverged",
    started_at="2030-01-01T00:00:00.000+00:00",
    finished_at="2030-01-01T00:00:01.000+00:00",
    message="a loss term is not finite at step 7: NaN, Infinity \u2028 \\n",
    failed_step=7,
    spent=Spent(0.448, 7, 0.5, 1e-6),
    scores=(Score("kl_modes", None, "lower"), *image_scores(0.1 + 0.2)),
    costs={"wall_seconds": 1.5},
)
ODD = Choice("a", (("flag", True), ("names", ("a", "b")), ("size", 3), ("text", ',\n "seed": 7'), ("x", 1.0)))
JOBS = [
    trial(replace(variant("hinge", width=32), penalties=(Choice("r1", (("gamma", 0.1),), defaults=(("x", None),)),))),
    trial(replace(variant(), loss=ODD), budget=Budget(steps=3, petaflops=0.5)),
    planned_trial(loss="wgan + r1(gamma=1)", discriminator="mlp(packing=2)", schedule="cosine"),
    Reference(RING, "noise", evaluation(RING)),
    submission(),
]


def written(path: Path, data: dict, indent: int | None = 1) -> Path:
    """The file as ganbench lays it out, or in another layout of the same."""
    path.write_text(json.dumps(data, indent=indent, sort_keys=True))
    return path


def described(job) -> dict:
    return {"type": kind_of(job), **plain(job)}


@pytest.fixture
def no_long_way(monkeypatch):
    """Fails what does not go the fast way."""

    def fail(*arguments):
        raise AssertionError("went the long way")

    monkeypatch.setattr(parsing, "_validated", fail)


# --- two ways of reading


def test_a_record_is_the_same_in_whatever_layout(tmp_path):
    records = [read_record(written(tmp_path / RECORD, plain(RECORDED), indent)) for indent in (1, None, 4)]
    assert records == [RECORDED] * 3


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_the_same_in_whatever_layout(tmp_path, job):
    jobs = [read_job(written(tmp_path / TRIAL, described(job), indent)) for indent in (1, None, 4, 0)]
    assert [repr(found) for found in jobs] == [repr(job)] * 4  # repr tells 1, 1.0 and True apart
    assert {found.key for found in jobs} == {job.key}


@pytest.mark.usefixtures("no_long_way")
def test_what_ganbench_lays_out_is_read_the_fast_way(tmp_path):
    plainly_told = replace(RECORDED, message="")
    assert read_record(written(tmp_path / RECORD, plain(plainly_told))) == plainly_told
    for job in JOBS:
        assert read_job(written(tmp_path / TRIAL, described(job))) == job


def test_equal_numbers_that_are_written_differently_stay_apart(tmp_path):
    for value in (1, 1.0, True):
        job = trial(replace(variant(), loss=Choice("a", (("x", value),))))
        assert repr(read_job(written(tmp_path / TRIAL, described(job)))) == repr(job)


def test_jobs_have_the_same_objects_for_what_they_have_in_common(tmp_path):
    first, second = (read_job(written(tmp_path / TRIAL, described(trial(seed=seed)))) for seed in (0, 1))
    assert (first.seed, second.seed) == (0, 1)
    assert first.variant is second.variant
    assert first.evaluation is second.evaluation


def test_files_of_the_same_facts_are_read_once_and_where_there_is_none_there_are_no_facts(tmp_path):
    first, second = (written(tmp_path / name, {"threads": 1}) for name in ("a.json", "b.json"))
    assert read_facts(first) == {"threads": 1}
    assert read_facts(first) is read_facts(second)
    assert read_facts(written(first, {"threads": 2})) == {"threads": 2}
    assert read_facts(tmp_path / "c.json") == {}


@pytest.mark.parametrize("damage", [("}", "},}"), ("1", "1,"), ('"type"', '"kind"'), ('"seed"', '"seeds"'), ("\n", "")])
def test_a_damaged_job_is_refused_though_its_layout_is_ganbenchs(tmp_path, damage):
    path = written(tmp_path / TRIAL, described(trial(seed=1)))
    text = path.read_text()
    place = text.rindex(damage[0]) if damage[0] != "\n" else len(text) - 2
    path.write_text(text[:place] + damage[1] + (text[place + len(damage[0]) :] if damage[1] else ""))
    with pytest.raises(ResultsError, match=r"trial\.json: (not valid JSON|type None|at 'seed': Field required)"):
        read_job(path)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_json_are_refused_by_both_readers(tmp_path, constant):
    for name, data, read in ((RECORD, plain(RECORDED), read_record), (TRIAL, described(trial()), read_job)):
        path = tmp_path / name
        text = json.dumps(data, indent=1, sort_keys=True)
        number = '"kimg": 0.448' if read is read_record else '"kimg": 100.0'
        assert number in text
        path.write_text(text.replace(number, f'"kimg": {constant}'))
        with pytest.raises(ResultsError, match=f"not valid JSON .*{constant} is not JSON"):
            read(path)


# --- older schemas

OLD = Path(__file__).parent / "data" / "schema-1"
"""What ganbench wrote before records had checksums: a reference, two seeds that trained together, and a failure."""


def test_a_record_of_schema_1_is_read_as_one_of_today_that_lacks_what_was_not_known_then(tmp_path):
    old = {name: value for name, value in plain(RECORDED).items() if name not in ("files", "log")}
    for indent in (1, None):
        path = written(tmp_path / RECORD, {**old, "schema": 1}, indent)
        before = path.read_bytes()
        assert read_record(path) == RECORDED
        assert path.read_bytes() == before


def test_every_older_schema_has_a_way_to_todays():
    assert sorted(parsing._MIGRATIONS) == list(range(1, Record.schema))


def test_results_of_schema_1_make_tables_rankings_and_curves():
    table = load_results(OLD)
    assert sorted(table["kind"]) == ["reference", "trial", "trial", "trial"]
    assert sorted(table["status"]) == ["diverged", "ok", "ok", "ok"]
    assert list(table.loc[table["status"] == "ok", "tvd_modes"].round(2)) == [0.99, 1.0, 1.0]
    ranked = board(table)
    assert list(ranked.loc[ranked["kind"] == "trial", "attempted"]) == [2, 1]
    curves = load_curves(OLD)
    assert list(curves["steps"]) == [2, 4, 2, 4]


# --- once


def test_a_function_is_called_once_for_an_object_but_again_for_an_equal_one():
    calls = []
    written_once = once(lambda value: calls.append(value) or str(value))
    one, same, other = (1,), (1.0,), (True,)
    assert [written_once(value) for value in (one, same, other, one)] == ["(1,)", "(1.0,)", "(True,)", "(1,)"]
    assert len(calls) == 3


def test_no_more_is_remembered_than_is_told(monkeypatch):
    monkeypatch.setattr(parsing, "MOST_KNOWN", 2)
    calls = []
    length = once(lambda value: calls.append(value) or len(value))
    values = ["a", "bb", "ccc"]
    assert [length(value) for value in values * 2] == [1, 2, 3] * 2
    assert len(calls) > 3


# --- files that are not what they should be


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON"),
        ('{"schema": 2,', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1, 2]", "holds a list, expected a JSON object"),
        ("{}", "schema None, expected 2: not a record that ganbench wrote"),
        ('{"schema": 0}', "schema 0, expected 2: not a record"),
        ('{"schema": true}', "schema True, expected 2: not a record"),
        ('{"schema": "1"}', "schema '1', expected 2: not a record"),
        ('{"schema": 3}', "schema 3, expected at most 2: written by a newer ganbench. Upgrade ganbench to read it"),
        ('{"schema": 1}', "at 'key': Field required"),
        ('{"schema": 2}', "at 'key': Field required"),
    ],
)
def test_a_file_that_is_no_record_is_named_with_what_is_wrong(tmp_path, content, message):
    path = tmp_path / RECORD
    path.write_text(content)
    with pytest.raises(ResultsError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("indent", [1, None])
def test_a_field_of_the_wrong_type_is_named(tmp_path, indent):
    data = plain(RECORDED)
    data["scores"][1]["value"] = "low"
    path = written(tmp_path / RECORD, data, indent)
    with pytest.raises(ResultsError, match=r"record\.json: at 'scores\.1\.value': "):
        read_record(path)


def test_an_unknown_status_is_refused(tmp_path):
    path = tmp_path / RECORD
    path.write_text(json.dumps({**vars(RECORDED), "spent": {}, "scores": [], "status": "fine"}))
    with pytest.raises(ResultsError, match=r"at 'status': .*'ok'"):
        read_record(path)


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    path = tmp_path / RECORD
    with path.open("wb") as file:
        file.truncate(MAX_JSON_BYTES + 1)
    with pytest.raises(ResultsError, match=f"larger than {MAX_JSON_BYTES} bytes"):
        read_record(path)


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(ResultsError, match=r"record\.json: cannot be read \(No such file"):
        read_record(tmp_path / RECORD)


@pytest.mark.parametrize("kind", ["party", ["trial"], None])
def test_a_job_of_an_unknown_type_is_refused(tmp_path, kind):
    (tmp_path / TRIAL).write_text(json.dumps({"type": kind}))
    with pytest.raises(ResultsError, match=r"type .*, expected one of trial, reference"):
        read_job(tmp_path / TRIAL)


# --- what nobody vouches for


@pytest.mark.parametrize("indent", [1, None])
@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("costs", {"wall_seconds": "nan"}, "at 'costs.wall_seconds'"),
        ("failed_step", 2**53 + 1, r"a whole number of 9\.007e\+15, expected at most 9007199254740992"),
        ("failed_step", 7.0, "at 'failed_step'"),
        ("failed_step", "7", "at 'failed_step'"),
        ("failed_step", 10**30, "10000000000000000000… is beyond 64 bits"),
    ],
)
def test_a_number_of_a_record_is_one_that_every_reader_of_json_sees_alike(tmp_path, indent, field, value, problem):
    path = written(tmp_path / RECORD, {**plain(RECORDED), field: value}, indent)
    with pytest.raises(ResultsError, match=problem):
        read_record(path)


@pytest.mark.parametrize("indent", [1, None])
@pytest.mark.parametrize("read", [read_record, read_job])
def test_a_number_beyond_all_numbers_is_not_read_as_infinity(tmp_path, indent, read):
    data = plain(RECORDED) if read is read_record else described(JOBS[0])
    path = written(tmp_path / "file.json", data, indent)
    path.write_text(re.sub(r'("kimg": )[0-9.]+', r"\g<1>1e999", path.read_text(), count=1))
    with pytest.raises(ResultsError, match="1e999 is beyond all numbers"):
        read(path)


@pytest.mark.parametrize("indent", [1, None])
def test_a_trial_without_any_limit_is_refused(tmp_path, indent):
    path = written(tmp_path / TRIAL, described(trial(budget=Budget())), indent)
    with pytest.raises(ResultsError, match=r"trial\.json: at 'budget': no limit, expected at least one"):
        read_job(path)


@pytest.mark.parametrize("indent", [1, None])
def test_what_is_nested_too_deeply_to_be_written_again_is_not_read(tmp_path, indent):
    data = described(JOBS[0])
    for _ in range(70):
        data["variant"]["loss"]["parameters"] = [["x", data["variant"]["loss"]["parameters"]]]
    with pytest.raises(ResultsError, match="more than 64 lists and objects in each other"):
        read_job(written(tmp_path / TRIAL, data, indent))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", [read_record, read_job, read_facts])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(ResultsError, match=f"{name}: no regular file"):
            read(tmp_path / name)
