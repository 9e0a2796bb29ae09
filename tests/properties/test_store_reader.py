from __future__ import annotations

import contextlib
import json
import shutil

import fabricate
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_files import ODD_FILES, as_odd_file
from properties.mangling import (
    HOSTILE,
    damaged,
    json_values,
    replaced,
    texts,
    tried,
    well_or_refused,
)

from ganbench.errors import ResultsError
from ganbench.parsing import read_facts, read_job, read_record
from ganbench.report import render_html, render_markdown, render_text
from ganbench.statistics import board
from ganbench.store import CURVE, ENVIRONMENT, RECORD, TRIAL, Attempt, Store
from ganbench.table_text import render_sections
from ganbench.tables import load_curves, load_results
from ganbench.terms import STATUSES, Record, Score, Spent, kind_of, plain
from ganbench.views import render_table

JOBS = [
    fabricate.trial(),
    fabricate.trial(fabricate.variant("wgan", "mlp", clip=0.01), seed=3, dataset=fabricate.RING),
    fabricate.submission(),
]
RECORDED = [
    Record("ab", "trial", "ok", "2030-01-01T00:00:00+00:00", "2030-01-01T00:00:25+00:00", spent=Spent(1.0, 2, 3.0, 4.0),
           scores=fabricate.image_scores(3.0), costs={"wall_seconds": 1.5, "peak_memory_bytes": 4e8}),
    Record("ab", "trial", "diverged", "2030-01-01T00:00:00Z", "2030-01-01T00:00:25Z", "a loss is not finite", 7),
]  # fmt: skip
READERS = {RECORD: read_record, TRIAL: read_job, ENVIRONMENT: read_facts}
VALID = {
    RECORD: [plain(record) for record in RECORDED],
    TRIAL: [{"type": kind_of(job), **plain(job)} for job in JOBS],
    ENVIRONMENT: [fabricate.ENVIRONMENT_FACTS],
}
BYTES = {name: [json.dumps(data, indent=1, sort_keys=True).encode() for data in of] for name, of in VALID.items()}

finite = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**53)
scores = st.builds(
    Score,
    name=texts,
    value=st.none() | finite,
    direction=st.sampled_from(["lower", "higher"]),
    mean=st.sampled_from(["geometric", "arithmetic"]),
    metric=texts,
    n_fake=counts,
    settings=texts,
    noise=st.none() | finite,
)
records = st.builds(
    Record,
    key=texts,
    kind=st.sampled_from(["trial", "reference", "evaluated"]),
    status=st.sampled_from(STATUSES),
    started_at=texts,
    finished_at=texts,
    message=texts,
    failed_step=st.none() | counts,
    spent=st.builds(Spent, finite, counts, finite, finite),
    scores=st.lists(scores, max_size=3).map(tuple),
    costs=st.dictionaries(texts, finite, max_size=3),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of four trials with curves, of two data sets, some of which are damaged in turn."""
    store = Store(tmp_path_factory.mktemp("results") / "suite")
    for seed in (0, 1):
        for scores_of, dataset in (
            (fabricate.image_scores, fabricate.DIGITS),
            (fabricate.point_scores, fabricate.RING),
        ):
            job = fabricate.trial(seed=seed, dataset=dataset)
            attempt = fabricate.commit(store, job, fabricate.Outcome(scores_of(3.0 + seed)))
            fabricate.write_curve(attempt, {"fcd_digits": 3.0}, points=3)
    return store.path


@contextlib.contextmanager
def one_damaged(folder, name):
    """A file of one attempt, which may be spoilt meanwhile."""
    attempt = next(iter(Store(folder).newest()))
    path, content = attempt.path / name, (attempt.path / name).read_bytes()
    try:
        yield path
    finally:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        path.write_bytes(content)


def whatever_is_there(folder):
    """All that can be made of results in text."""
    table = load_results(folder)
    ranked = board(table)
    for form in ("text", "json", "csv", "markdown", "latex"):
        render_table(table, form)
    said = render_text(ranked) + render_markdown(ranked) + render_table(table, "text") + render_sections(table)
    assert not [letter for letter in said if not (letter.isprintable() or letter == "\n")]
    load_curves(folder)


@tried
@given(records)
def test_a_record_that_is_written_is_read_back_the_same(tmp_path_factory, record):
    attempt = Attempt(tmp_path_factory.getbasetemp() / "1")
    attempt.path.mkdir(exist_ok=True)
    attempt.write_json(RECORD, plain(record))
    assert read_record(attempt.path / RECORD) == record


@pytest.mark.parametrize("name", READERS)
def test_whatever_is_in_a_file_it_is_read_or_one_error_names_it(tmp_path, name):
    path = tmp_path / name
    valid = replaced(VALID[name]).map(lambda data: json.dumps(data, indent=1, sort_keys=True).encode())
    other = json_values.map(lambda data: json.dumps(data).encode())

    @tried
    @given(valid | damaged(BYTES[name]) | other | st.binary(max_size=60))
    def check(content):
        path.write_bytes(content)
        with well_or_refused(ResultsError, str(path)):
            READERS[name](path)

    check()


@pytest.mark.parametrize("name", READERS)
def test_whatever_a_file_of_results_says_they_are_shown_or_one_error_names_it(folder, name):
    valid = replaced(VALID[name]).map(lambda data: json.dumps(data, indent=1, sort_keys=True).encode())

    @tried
    @given(valid | damaged(BYTES[name]))
    def check(content):
        with one_damaged(folder, name) as path:
            path.write_bytes(content)
            with well_or_refused(ResultsError, str(path.parent)):  # a job of another kind is its record's fault
                whatever_is_there(folder)

    check()


@pytest.mark.parametrize("name", [RECORD, TRIAL])
def test_whatever_a_file_of_results_says_a_page_is_made_of_them_or_one_error_names_it(folder, monkeypatch, name):
    monkeypatch.setattr("ganbench.page.javascript", lambda: "")

    @settings(tried, max_examples=max(10, tried.max_examples // 6))
    @given(replaced(VALID[name]))
    def check(data):
        with one_damaged(folder, name) as path, well_or_refused(ResultsError, str(path.parent)):
            path.write_text(json.dumps(data))
            table = load_results(folder)
            render_html(table, load_curves(folder), board(table), "title")

    check()


@pytest.mark.parametrize("kind", ODD_FILES)
@pytest.mark.parametrize("name", [RECORD, TRIAL, ENVIRONMENT, CURVE])
@pytest.mark.timeout(20)
def test_what_is_no_file_of_ganbenchs_is_passed_over_or_one_error_names_it(folder, name, kind):
    with one_damaged(folder, name) as path:
        as_odd_file(path, kind)
        with well_or_refused(ResultsError, str(path)):
            whatever_is_there(folder)


@tried
@given(st.sampled_from(HOSTILE) | texts, st.sampled_from(HOSTILE) | texts)
def test_names_that_could_steer_a_terminal_are_shown_without_doing_so(tmp_path_factory, name, message):
    store = Store(tmp_path_factory.getbasetemp() / "steering")
    shutil.rmtree(store.path, ignore_errors=True)
    for seed in (0, 1):
        job = fabricate.trial(fabricate.variant(name or "x", name or "x"), seed)
        fabricate.commit(store, job, fabricate.Outcome((Score(name or "y", 1.0 + seed, "lower", metric=name),)))
    failed = fabricate.Outcome((), "error", message)
    fabricate.commit(store, fabricate.trial(seed=3), failed, {"device": message, "packages": {"torch": name}})
    whatever_is_there(store.path)


columns = st.lists(finite | st.none(), min_size=2, max_size=2)


@tried
@given(st.dictionaries(st.sampled_from(["kimg", "steps", "suite", "seed", "key", "fcd_digits"]) | texts, columns))
def test_whatever_columns_a_curve_has_it_is_loaded_or_one_error_names_it(folder, data):
    with one_damaged(folder, CURVE) as path:
        pd.DataFrame({**{key: [0.0, 1.0] for key in ["device_seconds", "petaflops"]}, **data}).to_parquet(path)
        with well_or_refused(ResultsError, str(path)):
            assert load_curves(folder).select_dtypes(include="object").empty


@tried
@given(st.binary(max_size=40))
def test_bytes_that_are_no_parquet_are_one_error(folder, content):
    with one_damaged(folder, CURVE) as path:
        path.write_bytes(b"PAR1" + content + b"PAR1")
        with pytest.raises(ResultsError, match="not a curve that ganbench wrote"):
            load_curves(folder)
