from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from functools import partial

import fabricate
import numpy as np
import pytest
from commands import ganbench
from PIL import Image

from ganbench.errors import ResultsError
from ganbench.plotting import FONTS, Wanted, for_file, plot_of, write_plot
from ganbench.portrait_files import PORTRAIT, Classes, Portrait, content_of
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_results
from ganbench.terms import Budget

PAPER = {"light": (255, 255, 255), "dark": (0x14, 0x17, 0x1A)}
BLUE = {"light": (0x00, 0x72, 0xB2), "dark": (0x3D, 0x9F, 0xDC)}
HOSTILE = "<script>alert('x')</script>\u202evar(--paper)\x1b[31m" + "n" * 300


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "quick"
    fabricate.write_suite(path)
    return path


def portrayed(store, loss, seed, shares, names=("zero", "one", "two", "three")):
    """A trial with a portrait that has these shares of classes."""
    portrait = Portrait(Classes(names, (0.25,) * 4, tuple(shares)))
    job, outcome = fabricate.trial(fabricate.variant(loss), seed), fabricate.Outcome(fabricate.image_scores(3.0 + seed))
    return fabricate.commit(
        store, job, outcome, None, lambda at: (at.path / PORTRAIT).write_bytes(content_of(portrait))
    )


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).reshape(-1, 3)


def share_of(path, colour):
    return (pixels(path) == colour).all(axis=1).mean()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["curves", "pareto", "heatmap"])
def test_a_png_has_the_plot_in_the_theme_s_colours(results, tmp_path, kind, theme):
    file = tmp_path / "plot.png"
    said = ganbench("plot", results, file, "--kind", kind, "--dataset", "digits", "--theme", theme)
    assert said.status == 0, said.err
    assert said.out.endswith(f": {file}\n")
    assert share_of(file, PAPER[theme]) > 0.5
    assert len(np.unique(pixels(file), axis=0)) > 50
    if kind != "heatmap":
        assert share_of(file, BLUE[theme]) > 1e-4
    with Image.open(file) as picture:
        assert min(picture.size) > 400


def test_an_svg_is_text_with_the_names_and_without_anything_of_the_page_s_own(results, tmp_path):
    write_plot(results, Wanted("pareto", "digits"), tmp_path / "plot.SVG")
    text = (tmp_path / "plot.SVG").read_text(encoding="utf-8")
    words = {element.text for element in ElementTree.fromstring(text).iter() if element.text}
    assert {"digits: Quality against cost", "dcgan / hinge", "training, device seconds"} <= words
    assert any("0.610, below this axis." in word for word in words)
    assert "var(" not in text
    assert "system-ui" not in text
    assert "http" not in re.sub(r"xmlns(:\w+)?=\"[^\"]*\"", "", text)


def test_without_a_data_set_the_first_board_is_drawn_and_the_others_are_named(results, tmp_path):
    file = tmp_path / "plot.svg"
    said = ganbench("plot", results, file, "--kind", "pareto")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines() == [
        f"Quality against cost · digits · 100 kimg: {file}",
        "Also here: ring8(sigma=0.02). --dataset names one.",
    ]
    assert ">digits: Quality against cost<" in file.read_text(encoding="utf-8")
    named = ganbench("plot", results, file, "--kind", "pareto", "--dataset", "ring8(sigma=0.02)")
    assert named.out == f"Quality against cost · ring8(sigma=0.02) · 100 kimg: {file}\n"


def test_a_board_that_has_nothing_to_draw_is_passed_over(tmp_path):
    store = Store(tmp_path)
    fabricate.commit(store, fabricate.trial(), fabricate.Outcome(fabricate.image_scores(3.0)))
    portrait = Portrait(Classes(("zero", "one"), (0.5, 0.5), (0.6, 0.4)))
    fabricate.commit(
        store, fabricate.trial(dataset=fabricate.RING), fabricate.Outcome(fabricate.point_scores(8.0)), None,
        lambda at: (at.path / PORTRAIT).write_bytes(content_of(portrait)),
    )  # fmt: skip
    drawn = plot_of(tmp_path, Wanted("modes"))
    assert (drawn.dataset, drawn.budget, drawn.others) == ("ring8(sigma=0.02)", "100 kimg", ("digits",))


def test_where_no_board_has_anything_to_draw_the_first_one_s_reason_is_told(results, tmp_path):
    said = ganbench("plot", results, tmp_path / "plot.png", "--kind", "modes")
    assert (said.status, said.out) == (2, "")
    assert f"{results}: no trial on digits has the shares of classes" in said.err
    assert not (tmp_path / "plot.png").exists()


def test_boards_of_one_data_set_are_told_apart_by_their_protocol(tmp_path):
    for kimg in (100.0, 200.0):
        job = fabricate.trial(budget=Budget(kimg=kimg))
        fabricate.commit(Store(tmp_path), job, fabricate.Outcome(fabricate.image_scores(3.0)))
    ranked = board(load_results(tmp_path))
    first, second = zip(ranked["protocol"], ranked["budget"], strict=True)
    with pytest.raises(ResultsError, match="2 boards, and a plot is of one") as refused:
        plot_of(tmp_path, Wanted("pareto", "digits"))
    assert all(f"{protocol} (digits, {budget})" in str(refused.value) for protocol, budget in (first, second))
    named, drawn = plot_of(tmp_path, Wanted("pareto", first[0][:6])), plot_of(tmp_path, Wanted("pareto"))
    assert (named.plot.title, named.dataset, named.budget) == ("Quality against cost", "digits", first[1])
    assert (named.others, drawn.others) == ((), (f"{second[0]} (digits, {second[1]})",))


@pytest.mark.parametrize(("arguments", "told"), [
    (("plot.pdf",), "no picture format '.pdf'"),
    (("plot",), "no picture format ''"),
    (("plot.png", "--dataset", "digit"), "no data set 'digit' in these results. Did you mean 'digits'?"),
    (("plot.png", "--dataset", ""), "no data set ''"),
    (("plot.png", "--dataset", "digits", "--score", "fcd_digit"), "no score 'fcd_digit' in these results. Did"),
    (("plot.png", "--dataset", "digits", "--kind", "modes"), "no trial on digits has the shares of classes"),
    (("no/such/folder/plot.png", "--dataset", "digits"), "cannot be written"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_one_message(results, tmp_path, arguments, told, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = ganbench("plot", results, *arguments)
    assert (said.status, said.out) == (2, "")
    assert told in said.err
    assert len(said.err.splitlines()) == 1


def test_results_without_trials_are_one_message(tmp_path):
    (tmp_path / "runs").mkdir()
    said = ganbench("plot", tmp_path, tmp_path / "plot.png")
    assert (said.status, said.err) == (2, f"ganbench: {tmp_path}: no trials are recorded here yet\n")


def test_where_every_trial_failed_the_message_says_that_there_is_no_quality(tmp_path):
    fabricate.commit(Store(tmp_path), fabricate.trial(), fabricate.Outcome((), "oom", "no memory"))
    said = ganbench("plot", tmp_path, tmp_path / "plot.svg", "--kind", "pareto")
    assert (said.status, "no trial on digits has a score" in said.err) == (2, True)
    assert ganbench("plot", tmp_path, tmp_path / "plot.svg", "--kind", "heatmap").status == 0


def test_curves_of_a_signal_and_over_another_axis(results):
    plot = plot_of(results, Wanted("curves", "digits", "logit/real", "petaflops")).plot
    assert (plot.title, plot.axes[0]) == ("logit/real while training", "petaflops")
    assert {"name": "axis", "value": "petaflops"} in plot.specification["params"]


def test_a_single_variant_has_plots_too(tmp_path):
    final = {"fcd_digits": 3.0}
    outcome = fabricate.Outcome(fabricate.image_scores(3.0))
    fabricate.commit(Store(tmp_path), fabricate.trial(), outcome, None, partial(fabricate.write_curve, final=final))
    for kind in ("curves", "pareto", "heatmap"):
        assert ganbench("plot", tmp_path, tmp_path / f"{kind}.svg", "--kind", kind).status == 0


def test_modes_are_the_mean_share_over_seeds_and_count_what_is_covered(tmp_path):
    store = Store(tmp_path)
    portrayed(store, "hinge", 0, (0.4, 0.4, 0.2, 0.0))
    portrayed(store, "hinge", 1, (0.2, 0.4, 0.3, 0.1))
    portrayed(store, "wgan", 0, (0.98, 0.02, 0.0, 0.0))
    plot = plot_of(tmp_path, Wanted("modes")).plot
    rows = next(iter(plot.specification["datasets"].values()))
    hinge = [(row["class"], row["share"], row["low"], row["high"]) for row in rows if row["title"].startswith("hinge")]
    assert [name for name, *_ in hinge] == ["zero", "one", "two", "three"]
    assert hinge[0][1:] == pytest.approx((0.3, 0.2, 0.4))
    assert plot.rows == (("wgan", "1"), ("hinge", "4"))  # a fifth of a quarter is 5 %
    assert plot.fact == ("Of 4 classes of the data, with at least a fifth of the data's share: wgan 1; hinge 4.")
    file = tmp_path / "modes.png"
    assert ganbench("plot", tmp_path, file, "--kind", "modes").status == 0
    assert share_of(file, BLUE["light"]) > 0.005


def test_modes_of_portraits_that_name_other_classes_are_not_mixed(tmp_path):
    store = Store(tmp_path)
    portrayed(store, "hinge", 0, (0.4, 0.4, 0.2, 0.0))
    portrayed(store, "hinge", 1, (0.0, 0.0, 0.0, 1.0), names=("a", "b", "c", "d"))
    rows = next(iter(plot_of(tmp_path, Wanted("modes")).plot.specification["datasets"].values()))
    assert [row["share"] for row in rows] == pytest.approx([0.4, 0.4, 0.2, 0.0])


def test_hostile_names_are_text_in_a_picture(tmp_path):
    store = Store(tmp_path / "results")
    for loss in ("hinge", HOSTILE):
        portrayed(store, loss, 0, (0.4, 0.4, 0.2, 0.0), names=(HOSTILE[:300], "one", "two", "three"))
    for kind in ("pareto", "heatmap", "modes"):
        file = tmp_path / f"{kind}.svg"
        assert ganbench("plot", store.path, file, "--kind", kind).status == 0
        root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        assert not [element for element in root.iter() if element.tag.endswith("script")]
        assert "\u202e" not in file.read_text(encoding="utf-8")


def test_colours_and_fonts_are_made_real_but_what_the_data_say_is_kept(results):
    drawn = plot_of(results, Wanted("curves", "digits"))
    drawn.plot.specification["datasets"]["extra"] = [{"label": "var(--paper)"}]
    made = for_file(drawn.plot, drawn.dataset, "dark")
    assert made["datasets"]["extra"] == [{"label": "var(--paper)"}]
    elsewhere = json.dumps({key: value for key, value in made.items() if key != "datasets"})
    assert "var(" not in elsewhere
    assert FONTS in elsewhere
    assert made["background"] == "#14171a"


def test_a_picture_that_was_there_stays_where_the_plot_fails(results, tmp_path):
    file = tmp_path / "plot.png"
    file.write_bytes(b"mine")
    assert ganbench("plot", results, file, "--dataset", "digits", "--kind", "modes").status == 2
    assert file.read_bytes() == b"mine"
