from __future__ import annotations

import io
import re
import sys
import time

import fabricate
import pytest
from commands import ganbench
from rich.cells import cell_len
from rich.console import Console

from ganbench import cli
from ganbench.store import Store
from ganbench.table_text import bars, fold, print_sections, render_sections, sections_of, shortened
from ganbench.tables import load_results
from ganbench.terminal import guarded
from ganbench.terms import Choice, Reference, Score, Variant
from ganbench.views import select

STEERING = "\x1b[31mred\x9b2J\u202e"
LONG = "relativistic + r1(gamma=0.1) + r2(gamma=0.1) + feature-matching"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two data sets with scores of their own, a reference without a seed, a failure, and a long name."""
    store = Store(tmp_path_factory.mktemp("results") / "quick")
    noise = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    fabricate.commit(store, noise, fabricate.Outcome(fabricate.image_scores(8.0), costs={}))
    for loss, fcd in (("hinge", 2.0), (LONG, 4.0)):
        made = fabricate.trial(fabricate.variant(loss))
        fabricate.commit(store, made, fabricate.Outcome(fabricate.image_scores(fcd)))
    failure = fabricate.Outcome((), "diverged", "a loss is NaN", 7)
    fabricate.commit(store, fabricate.trial(fabricate.variant("minimax")), failure)
    point = fabricate.trial(fabricate.variant("hinge", "mlp"), dataset=fabricate.RING)
    fabricate.commit(store, point, fabricate.Outcome(fabricate.point_scores(8.0)))
    return store.path


@pytest.fixture
def table(path):
    return load_results(path)


def shown(table, width, **settings):
    """What a terminal of that width shows."""
    console = guarded(Console(file=io.StringIO(), width=width, **settings))
    print_sections(console, table)
    return console.file.getvalue()


def sections_in(text):
    """The lines of each section, by its title."""
    parts = [part.splitlines() for part in text.split("\n\n")]
    return {lines[0]: lines[1:] for lines in parts}


def test_each_data_set_is_a_section_with_the_columns_that_its_rows_have(table):
    found = sections_in(render_sections(table))
    assert list(found) == ["digits", "ring8(sigma=0.02)"]
    common = ["variant", "seed", "status", "kimg", "images_per_second"]
    assert found["digits"][0].split() == [*common, "fcd_digits", "coverage_digits", "tvd_digits"]
    assert found["ring8(sigma=0.02)"][0].split() == [*common, "modes_20pct", "high_quality"]
    assert found["ring8(sigma=0.02)"][1].split()[-3:] == ["8.00", "████████", "0.900"]


def test_the_score_that_ranks_has_bars_on_one_scale(table):
    lines = sections_in(render_sections(table))["digits"]
    drawn = {re.split(r" {2,}", line)[0].split(" / ")[-1]: re.findall("[█-▏]+", line) for line in lines[1:]}
    assert drawn == {"noise": ["████████"], "hinge": ["██"], LONG: ["████"], "minimax": []}


def test_what_failed_has_its_message_in_the_place_of_its_scores(table):
    head, *lines = sections_in(render_sections(table))["digits"]
    (failed,) = [line for line in lines if "minimax" in line]
    assert re.search(r"minimax +0  diverged +100 +5,000  a loss is NaN$", failed)
    assert failed.index("a loss") == head.index("fcd_digits")


def test_where_every_row_failed_the_messages_stand_alone(table):
    text = render_sections(select(table, None, ["status!=ok"]))
    assert text.splitlines()[1:] == [
        "variant                  seed  status    kimg  images_per_second",
        "dcgan / dcgan / minimax     0  diverged   100              5,000  a loss is NaN",
    ]


def test_sections_of_several_suites_are_named_by_them(path, tmp_path):
    for suite in ("one", "two"):
        fabricate.commit(Store(tmp_path / suite), fabricate.trial(), fabricate.Outcome(fabricate.image_scores(2.0)))
    assert list(sections_in(render_sections(load_results(tmp_path)))) == ["one · digits", "two · digits"]


def test_no_rows_are_said_to_be_none(table, tmp_path):
    (tmp_path / "runs").mkdir()
    for empty in (load_results(tmp_path), select(table, None, ["seed>7"])):
        assert render_sections(empty) == shown(empty, 80) == "No rows.\n"


@pytest.mark.parametrize(("values", "drawn"), [
    ([0.0, 2.0, 4.0], ["", "████", "████████"]),
    ([-2.0, 0.0, 2.0], ["", "████", "████████"]),
    ([-4.0, -2.0, 0.0], ["", "████", "████████"]),
    ([float("nan"), 3.0], ["", "████████"]),
    ([0.0, 0.0], ["", ""]),
    ([float("nan")], [""]),
    ([], []),
    ([float("inf"), 1.0, 0.5], ["", "████████", "████"]),
    ([-1.7e308, 1.7e308], ["", ""]),
])  # fmt: skip
def test_bars_go_from_nothing_to_the_highest_and_from_the_lowest_where_one_is_below_nothing(values, drawn):
    assert [text.rstrip() for text in bars(values)] == drawn
    assert {len(text) for text in bars(values)} <= {8}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_a_section_fits_the_terminal_and_no_number_is_cut_off(table, width):
    text = shown(table, width)
    assert max(map(len, text.splitlines())) <= width
    for number in ("8.00", "2.00", "4.00"):
        assert number in text.split()
    assert "a loss is NaN" in text


def test_scores_are_left_out_from_the_right_and_named_below(table):
    hinge = select(table, None, ["loss=hinge", "dataset=digits"])
    said = "Left out: {}. --columns or a wider terminal shows them."
    wide, narrow, narrower, narrowest = (shown(hinge, width).splitlines() for width in (120, 100, 90, 80))
    assert "Left out" not in wide[-1]
    assert narrow[-1] == said.format("tvd_digits")
    assert narrower[-1] == said.format("coverage_digits, tvd_digits")
    assert "images_per_second" in narrower[1]
    assert narrowest[-1] == said.format("coverage_digits and 2 more")
    assert "images_per_second" not in narrowest[1]


def test_a_long_name_takes_two_lines_before_scores_are_left_out(table):
    whole = f"dcgan / dcgan / {LONG}"
    assert whole in shown(table, 200)
    assert whole not in (text := shown(table, 130))
    assert "Left out" not in text
    lines = shown(table, 80).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("dcgan / dcgan / relativistic"))
    assert re.fullmatch(r"dcgan / dcgan / relativistic \+ +0  ok +100 +4\.00  ████", lines[first].rstrip())
    assert lines[first + 1].startswith("  r1(gamma=0.1)")


def test_a_status_has_its_colour_in_a_terminal_and_none_elsewhere(table):
    text = shown(table, 100, force_terminal=True, color_system="standard")
    assert "\x1b[32mok      \x1b[0m" in text
    assert "\x1b[31mdiverged\x1b[0m" in text
    assert "\x1b" not in render_sections(table)


def test_a_pipe_gets_everything_and_a_terminal_what_fits(path, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "80")
    piped = ganbench("table", path).out
    assert f"dcgan / dcgan / {LONG} " in piped
    assert "Left out" not in piped
    ganbench("table", path, "--out", tmp_path / "table.txt")
    assert (tmp_path / "table.txt").read_text(encoding="utf-8") == piped
    monkeypatch.setattr(sys, "argv", ["ganbench", "table", str(path)])
    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(SystemExit):
        cli.main()
    assert "Left out: coverage_digits" in sys.stdout.getvalue()


def test_with_columns_it_is_one_plain_table(path):
    lines = ganbench("table", path, "--columns", "dataset,loss,fcd_digits").out.splitlines()
    assert lines[0].split() == ["dataset", "loss", "fcd_digits"]
    assert len(lines) == 6


@pytest.fixture
def hostile(tmp_path):
    """Names, scores and messages that could steer a terminal, are very long, or are written in wide letters."""
    store = Store(tmp_path / STEERING.replace("\x1b", "").replace("\x9b", ""))
    for name in (STEERING, "n" * 300, "数字" * 80, "a" + "数" * 80, f"{'w' * 12} " * 20):
        made = fabricate.trial(Variant(Choice("a"), Choice("b"), Choice(name)), dataset=Choice(STEERING))
        scores = (Score(STEERING, -1.0, "lower", metric="m"), Score("s" * 200, 2.0, "lower", metric="m"))
        fabricate.commit(store, made, fabricate.Outcome(scores))
    failed = fabricate.trial(seed=3, dataset=Choice(STEERING))
    fabricate.commit(store, failed, fabricate.Outcome((), "error", STEERING + "why\n" * 200))
    return load_results(store.path)


def test_hostile_names_stay_letters_of_one_row(hostile):
    text = render_sections(hostile)
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) == 2 + len(hostile)
    for width in (20, 80, 120):
        assert shown(hostile, width).replace("\n", "").isprintable()
    assert max(map(cell_len, shown(hostile, 80).splitlines())) <= 80


@pytest.mark.parametrize(("text", "width", "lines"), [
    ("short", 8, ("short", "")),
    ("two words", 7, ("two", "  words")),
    ("two words", 4, ("two", "  w…")),
    ("abcdefgh", 6, ("abcdef", "  gh")),
    ("a bcdefgh", 6, ("a bcde", "  fgh")),
    ("数字数字", 5, ("数字", "  数…")),
])  # fmt: skip
def test_a_name_is_parted_between_words_or_where_it_has_to_be(text, width, lines):
    assert fold(text, width) == lines
    assert max(map(cell_len, lines)) <= width


def test_what_is_too_long_ends_in_dots():
    assert [shortened("abcdef", width) for width in (6, 5, 1, 0, -3)] == ["abcdef", "abcd…", "…", "", ""]
    assert shortened("数字数字", 6) == "数字…"


def test_ten_thousand_rows_are_written_in_less_than_two_seconds(table):
    rows = table.iloc[[number % len(table) for number in range(10_000)]].reset_index(drop=True)
    rows.attrs = table.attrs
    started = time.process_time()
    assert sum(len(section.messages) - 1 for section in sections_of(rows)) == 10_000
    assert render_sections(rows).count("\n") == 10_005
    assert time.process_time() - started < 2  # a tenth of it, where nothing else runs
