import csv
import io
import json

import fabricate
import numpy as np
import pandas as pd
import pytest

from ganbench.errors import ResultsError
from ganbench.store import Store
from ganbench.tables import load_results
from ganbench.views import escape_markdown, format_number, one_line, render_table, select, short_columns


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("results") / "suite")
    for loss, seeds in (("hinge", 3), ("wgan", 2), ("wgan-gp", 1)):
        for seed in range(seeds):
            fabricate.commit(
                store,
                fabricate.trial(fabricate.variant(loss), seed),
                fabricate.Outcome(fabricate.image_scores(3.0 + seed)),
            )
    failure = fabricate.Outcome((), "diverged", "loss is not finite", 7)
    fabricate.commit(store, fabricate.trial(fabricate.variant("minimax"), 0), failure)
    return load_results(store.path)


def chosen(table, *where):
    rows = select(table, ["loss", "seed"], where).sort_values(["loss", "seed"])
    return [tuple(row) for row in rows.itertuples(index=False)]


@pytest.mark.parametrize(
    ("where", "count"),
    [
        (["status=ok"], 6), (["status!=ok"], 1), (["loss=wgan"], 2), (["loss=wgan*"], 3), (["loss!=wgan*"], 4),
        (["seed>=1"], 3), (["seed<1"], 4), (["seed=2"], 1), (["seed!=0"], 3), (["fcd_digits<=3"], 3),
        (["fcd_digits > 3.5"], 3), (["finished_at<2031-01-01"], 7), (["finished_at>2031-01-01"], 0),
        (["loss=wgan*", "seed>=1"], 1), (["failed_step=7"], 1), (["message=*not finite"], 1),
    ],
)  # fmt: skip
def test_a_comparison_keeps_the_rows_it_holds_for(table, where, count):
    assert len(select(table, None, where)) == count


def test_comparisons_and_columns_go_together(table):
    assert chosen(table, "loss=wgan*", "seed>=1") == [("wgan", 1)]
    assert list(select(table, ["seed", "loss"]).columns) == ["seed", "loss"]
    assert list(select(table, ["*_digits"]).columns) == ["fcd_digits", "coverage_digits", "tvd_digits"]


def test_a_missing_number_holds_for_no_comparison_but_unequal(table):
    failed = select(table, None, ["status=diverged"])
    assert len(select(failed, None, ["fcd_digits>0"])) == len(select(failed, None, ["fcd_digits<=0"])) == 0
    assert len(select(failed, None, ["fcd_digits!=3"])) == 1


@pytest.mark.parametrize(
    ("columns", "where", "message"),
    [
        (["sed"], [], "Did you mean 'seed'"),
        (["nothing*"], [], "no column 'nothing"),
        (None, ["lss=hinge"], "Did you mean 'loss'"),
        (None, ["seed"], "no comparison"),
        (None, ["seed>=two"], "numbers, not 'two'"),
        (None, ["finished_at>soon"], "times"),
        (None, ["loss<hinge"], "= and != only"),
        (None, ["__import__('os')=1"], "no column"),
    ],
)
def test_what_cannot_be_selected_says_why(table, columns, where, message):
    with pytest.raises(ResultsError, match=message.replace("(", "\\(").replace("*", "\\*")):
        select(table, columns, where)


def test_csv_reads_back_as_it_was(table):
    read = pd.read_csv(io.StringIO(render_table(table, "csv")))
    assert read["fcd_digits"].equals(table["fcd_digits"])
    assert list(read.columns) == list(table.columns)


def test_json_is_a_list_of_objects_with_null_for_what_is_missing(table):
    rows = json.loads(render_table(table, "json"))
    assert [list(row) for row in rows] == [list(table.columns)] * len(table)
    failed = next(row for row in rows if row["status"] == "diverged")
    assert failed["fcd_digits"] is None
    assert (failed["failed_step"], failed["finished_at"]) == (7, "2030-01-01T00:00:25+00:00")


def test_parquet_reads_back_as_it_was(table):
    pd.testing.assert_frame_equal(
        pd.read_parquet(io.BytesIO(render_table(table, "parquet"))), table.reset_index(drop=True)
    )


def test_text_aligns_numbers_right_and_words_left():
    table = pd.DataFrame({"name": ["a", "bcd"], "n": [1.0, 1234.5]})
    assert render_table(table, "text") == "name      n\na      1.00\nbcd   1,234\n"


def test_text_counts_the_cells_of_wide_letters():
    lines = render_table(pd.DataFrame({"name": ["数字", "ab"], "n": [1, 2]}), "text").splitlines()
    assert lines == ["name  n", "数字  1", "ab    2"]


def test_markdown_is_a_table_with_numbers_to_the_right():
    table = pd.DataFrame({"name": ["a"], "n": [1.5]})
    assert render_table(table, "markdown") == "| name | n |\n| --- | ---: |\n| a | 1.50 |\n"


HOSTILE = [
    "<script>alert(1)</script>",
    "a | b\n| c",
    "\x1b[31mred\x1b[0m",
    "\\input{/etc/passwd} & 50% _x_ $y$ #",
    "\u202eevil",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_one_cell_of_markdown_and_no_markup(name):
    text = render_table(pd.DataFrame({"name": [name], "n": [1]}), "markdown")
    assert text.count("\n") == 3
    assert len(text.splitlines()[2].replace("\\|", "").split("|")) == 4
    assert "<script" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_cannot_steer_a_terminal(name):
    text = render_table(pd.DataFrame({"name": [name]}), "text")
    assert text.count("\n") == 2
    assert text.replace("\n", "").isprintable()


def test_latex_escapes_its_own_letters():
    text = render_table(pd.DataFrame({"a_b": ["\\input{x} & 50% _y_ $z$ #1 ~ ^"]}), "latex")
    assert r"\textbackslash input\{x\} \& 50\% \_y\_ \$z\$ \#1" in text
    assert "a\\_b" in text


def test_an_empty_table_renders_in_every_format(tmp_path):
    (tmp_path / "runs").mkdir()
    table = load_results(tmp_path)
    assert json.loads(render_table(table, "json")) == []
    assert next(csv.reader(io.StringIO(render_table(table, "csv")))) == list(table.columns)
    for form in ("text", "markdown", "latex", "parquet"):
        assert render_table(table, form)


def test_an_unknown_format_names_the_nearest(table):
    with pytest.raises(ResultsError, match="Did you mean 'markdown'"):
        render_table(table, "markdwn")


def test_the_short_columns_hold_the_scores_and_the_speed(table):
    assert short_columns(table) == [
        "dataset", "generator", "discriminator", "loss", "seed", "status", "kimg",
        "fcd_digits", "coverage_digits", "tvd_digits", "images_per_second",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (3.14159, "3.14"), (12.0, "12.0"), (120.0, "120"), (999.6, "1,000"), (12345.6, "12,346"),
        (0.00012345, "0.000123"), (1.234e-7, "1.23e-07"), (-2.5, "-2.50"), (np.nan, "–"), (pd.NA, "–"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert format_number(value) == text


def test_one_line_keeps_letters_of_every_script():
    assert one_line("مولد\tdcgan\n数字") == "مولد dcgan 数字"


def test_markdown_escapes_what_it_would_read_as_markup():
    assert escape_markdown("a_b*c`d|e<f>[g]") == r"a\_b\*c\`d\|e&lt;f&gt;\[g\]"


def test_json_has_nothing_where_an_end_is_infinite():
    assert json.loads(render_table(pd.DataFrame({"high": [np.inf, 1.0]}), "json")) == [{"high": None}, {"high": 1.0}]
