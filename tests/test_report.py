import base64
import hashlib
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import fabricate
import pandas as pd
import pytest
from odd_files import ODD_FILES, as_odd_file
from PIL import Image

from ganbench import charts
from ganbench.albums import MAX_PICTURE_BYTES
from ganbench.report import render_html, render_markdown, render_text, write_reports
from ganbench.standings import rankings, verdict
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_curves, load_results
from ganbench.terms import Budget, Choice, Reference, Spent, Training, Variant
from ganbench.views import format_number, one_line

HOSTILE = {
    "script": "<script>document.title='broken'</script>",
    "long": "n" * 300,
    "right-to-left": "مولد\u202eevil",
    "quote": "\"' onmouseover=alert(1) x='",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "quick"
    fabricate.write_suite(path)
    return path


@pytest.fixture(scope="module")
def page(results):
    return page_of(results)


@pytest.fixture
def plain_script(monkeypatch):
    """The page without the libraries that draw and sort: quick, and quiet to search in."""
    monkeypatch.setattr("ganbench.page.javascript", lambda: "/* library */")
    monkeypatch.setattr("ganbench.page.datatables", lambda: "/* library */")


def page_of(path):
    table = load_results(path)
    return render_html(table, load_curves(path), board(table), path.name, {"fcd": "Distance of features."})


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text outside scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.scripts, self._inside = [], [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        (self.scripts if self._inside == "script" else self.words).append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def test_text_shows_ranks_means_intervals_and_references(results):
    text = render_text(board(load_results(results)), width=120)
    assert re.search(r"^ 1–3 +dcgan / relativistic +\d\.\d\d +\d\.\d\d – \d\.\d\d +[─●]+ +3/3", text, re.MULTILINE)
    assert re.search(r"^ +real data +0\.610", text, re.MULTILINE)
    assert re.search(r"^ +7 +dcgan / minimax .* 1/3 ", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 120


def test_a_narrow_terminal_gets_fewer_columns(results):
    text = render_text(board(load_results(results)), width=80)
    assert "coverage_digits" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("width", [72, 80, 100, 120, 160])
def test_no_width_cuts_a_number_off(results, width):
    ranked = board(load_results(results))
    text = render_text(ranked, width)
    assert max(map(len, text.splitlines())) <= width
    for row in ranked.to_dict("records"):
        assert format_number(row["mean"]) in text.split() or f"({format_number(row['mean'])})" in text.split()
        if row["kind"] == "trial" and row["ok"]:
            assert f"{row['ok']}/{row['attempted']}" in text


def test_intervals_have_bars_on_one_scale_where_there_is_room(results):
    ranked = board(load_results(results))
    measured = ranked[(ranked["kind"] == "trial") & ranked["mean"].notna()]
    assert render_text(ranked, 170).count("●") == len(measured)
    assert "●" not in render_text(board(load_results(results)), 70)


def test_markdown_has_a_table_for_each_ranking(results):
    text = render_markdown(board(load_results(results)))
    assert re.findall("^### (.*)", text, re.MULTILINE) == ["digits", "ring8(sigma=0.02)"]
    assert "| 1–3 | dcgan / relativistic |" in text


def sentence(path):
    return render_text(board(load_results(path)), width=400).splitlines()[1]


def add(store, loss, values, training=None):
    for seed, value in enumerate(values):
        outcome = (
            fabricate.Outcome(fabricate.image_scores(value)) if value else fabricate.Outcome((), "oom", "no memory")
        )
        job = fabricate.trial(fabricate.variant(loss), seed, training=training or Training())
        fabricate.commit(store, job, outcome)


def test_the_sentence_names_the_leader_and_what_it_cannot_be_told_from(tmp_path):
    store = Store(tmp_path)
    add(store, "a", [3.0, 3.1, 3.2])
    add(store, "b", [3.3, 3.0, 3.2])
    add(store, "c", [9.0, 9.1, 9.2])
    assert sentence(tmp_path) == (
        "After 100 kimg, a has the best fcd_digits: 3.10 [2.86, 3.36] (lower is better). "
        "These seeds do not separate it from b."
    )


def test_the_sentence_says_when_the_leader_stands_alone(tmp_path):
    add(Store(tmp_path), "a", [3.0, 3.1, 3.2])
    add(Store(tmp_path), "b", [9.0, 9.1, 9.2])
    assert sentence(tmp_path).endswith("It is separated from every other variant.")


def test_the_sentence_claims_nothing_for_single_seeds_or_failures(tmp_path):
    add(Store(tmp_path / "single"), "a", [3.0])
    add(Store(tmp_path / "single"), "b", [9.0])
    add(Store(tmp_path / "failed"), "a", [3.0, None])
    assert "one seed cannot tell them apart" in sentence(tmp_path / "single")
    assert sentence(tmp_path / "failed").endswith("so none leads.")


def judged(path):
    return verdict(rankings(board(load_results(path)))[0])


def test_the_verdict_says_in_a_few_words_who_leads_or_that_nobody_does(tmp_path):
    for name, seeds in {
        "tied": ([3.0, 3.1, 3.2], [3.3, 3.0, 3.2], [9.0, 9.1, 9.2]),
        "apart": ([3.0, 3.1, 3.2], [9.0, 9.1, 9.2]),
        "single": ([3.0], [9.0]),
        "alone": ([3.0, 3.1, 3.2],),
        "failed": ([3.0, None],),
    }.items():
        for loss, values in zip("abc", seeds, strict=False):
            add(Store(tmp_path / name), loss, values)
    assert judged(tmp_path / "tied") == "no clear winner, 2 of 3 tie; best mean: a, 3.10 [2.86, 3.36]"
    assert judged(tmp_path / "apart") == "best: a, 3.10 [2.86, 3.36]"
    assert judged(tmp_path / "single") == "one seed tells no variants apart; best: a, 3.00"
    assert judged(tmp_path / "alone") == "a, 3.10 [2.86, 3.36]"
    assert judged(tmp_path / "failed") == "no variant finished every seed"


def test_nobody_wins_who_is_no_better_than_noise(tmp_path):
    store = Store(tmp_path)
    add(store, "a", [190.0, 191.0])
    add(store, "b", [200.0, 201.0])
    noise = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    fabricate.commit(store, noise, fabricate.Outcome(fabricate.image_scores(188.0)))
    assert judged(tmp_path).startswith("none is better than noise; best mean: a, 190")
    assert sentence(tmp_path).startswith("After 100 kimg, no variant is better than noise: the best fcd_digits is 190")


@pytest.mark.usefixtures("plain_script")
def test_the_page_says_where_one_budget_is_unlike_numbers_of_updates(tmp_path):
    for loss, steps in (("a", 700), ("b", 750), ("slow", 140)):
        for seed in range(2):
            outcome = fabricate.Outcome(fabricate.image_scores(3.0 + seed), spent=Spent(100.0, steps, 20.0, 0.3))
            fabricate.commit(Store(tmp_path / loss[0]), fabricate.trial(fabricate.variant(loss), seed), outcome)
    told = "not the same number of generator updates: from 140 (slow) to 750 (b)"
    assert told in Page(page_of(tmp_path)).text
    assert "number of generator updates" not in Page(page_of(tmp_path / "a")).text


def run_on(store, facts, costs=None, loss="a", **changes):
    """Two seeds that ran in the environment of `facts`, and cost `costs` each."""
    for seed in (0, 1):
        outcome = fabricate.Outcome(fabricate.image_scores(3.0 + seed), costs=costs or {"images_per_second": 5000.0})
        job = fabricate.trial(fabricate.variant(loss), seed, **changes)
        fabricate.commit(store, job, outcome, {**fabricate.ENVIRONMENT_FACTS, **facts})


def test_rankings_that_only_their_conditions_tell_apart_say_these(tmp_path, plain_script):
    run_on(Store(tmp_path), {"precision": "bf16"})
    run_on(Store(tmp_path), {"precision": "float32"}, loss="b")
    ranked = board(load_results(tmp_path))
    text, markdown, page = render_text(ranked, 200), render_markdown(ranked), Page(page_of(tmp_path)).text
    for told in (text, markdown):
        assert told.count("100 kimg · seeds 2 (provisional) · precision bf16 · ") == 1
        assert told.count("100 kimg · seeds 2 (provisional) · generator") == 1
    assert page.count("precision bf16") == 2  # in the list of rankings, and among the facts of its own
    assert page.count("Conditions") == 1


@pytest.mark.parametrize(("drivers", "told"), [(["eager", "graph"], False), (["eager", "vectorised+graph"], True)])
def test_the_page_says_what_the_speed_of_seeds_that_trained_together_is(tmp_path, plain_script, drivers, told):
    for driver in drivers:
        run_on(Store(tmp_path), {"driver": driver, "seeds_together": 2}, loss=driver.replace("+", "-"))
    assert ("Seeds that trained together" in page_of(tmp_path)) == told


BUSY = "The machine was busy with other work"


@pytest.mark.parametrize(
    ("share", "kind", "told"), [(0.62, "cpu", True), (0.79, "cpu", True), (0.8, "cpu", False), (0.3, "cuda", False)]
)
def test_the_page_says_when_the_machine_was_busy_with_other_work(tmp_path, plain_script, share, kind, told):
    run_on(Store(tmp_path), {"device_kind": kind}, {"processor_share": share})
    page = page_of(tmp_path)
    assert (BUSY in page) == told
    if told:
        assert f"got {share:.0%} of a processor core" in page
        assert "affected by it, scores are not." in page


def test_the_median_trial_decides_whether_the_machine_was_busy(tmp_path, plain_script):
    for loss, share in (("a", 0.1), ("b", 0.9), ("c", 0.95)):
        run_on(Store(tmp_path), {"device_kind": "cpu"}, {"processor_share": share}, loss)
    assert BUSY not in page_of(tmp_path)


def test_a_busy_machine_is_said_to_change_scores_where_device_time_is_the_budget(tmp_path, plain_script):
    run_on(Store(tmp_path), {"device_kind": "cpu"}, {"processor_share": 0.5}, budget=Budget(device_seconds=20.0))
    assert "and with them scores, for device time is the budget." in page_of(tmp_path)


def test_results_that_say_nothing_of_the_processor_get_no_note(page):
    assert BUSY not in page


def test_two_recipes_of_a_variant_have_different_names(tmp_path):
    add(Store(tmp_path), "a", [3.0, 3.1])
    add(Store(tmp_path), "a", [9.0, 9.1], Training(batch_size=8))
    names = board(load_results(tmp_path))["recipe"].tolist()
    assert all(f"a [{recipe}]" in render_text(board(load_results(tmp_path))) for recipe in names)


def test_the_page_fetches_nothing(page):
    seen = Page(page)
    links = [value for _, attributes in seen.elements for name, value in attributes.items() if name in ("src", "href")]
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert not seen.of("link")
    assert not re.search(r"url\(|@import", page[: page.index("</style>")])


def test_the_page_allows_only_its_own_scripts(page):
    policy = next(meta["content"] for meta in Page(page).of("meta") if meta.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert policy.count("'sha256-") == 9
    assert "unsafe-eval" not in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_the_page_shows_rankings_floors_failures_and_how_it_was_measured(page):
    text = Page(page).text
    for words in (
        "real data", "noise", "Not every seed finished", "discriminator loss is not finite", "out of memory",
        "898 generated against 898 real", "Test CPU", "Distance of features.", "dcgan / minimax", "1/3",
    ):  # fmt: skip
        assert words in text


def test_a_page_of_very_many_variants_shows_the_best_and_says_so(results, monkeypatch):
    monkeypatch.setattr("ganbench.abridging.ROWS", 4)
    monkeypatch.setattr("ganbench.abridging.FEWEST", 1)
    monkeypatch.setattr("ganbench.abridging.MANY_ROWS", 3)
    monkeypatch.setattr("ganbench.page.LISTED", 1)
    page = page_of(results)
    text = Page(page).text
    assert "The best 2 of 7 variants stand here" in text
    assert "And 2 more, which ganbench table" in text
    shown = re.findall(r'<tr class="(complete|failed|reference|evaluated)', page)
    told = [json.loads(script) for script in Page(page).scripts if script.lstrip().startswith('{"copies"')]
    assert sum(len(section["rows"]) for section in told) == len(shown)
    for section in told:
        assert {len(cells) for stops in section["cuts"].values() for cells in stops} == {len(section["rows"])}


def test_a_recipe_is_told_once_with_the_variants_that_it_trained(page):
    training = page[page.index("Training settings that differ") :]
    rows = re.findall(r'<tr><th scope="row"><code>(\w+)</code>', training[: training.index("</table>")])
    assert rows
    assert len(rows) == len(set(rows))


def test_the_page_marks_the_leading_group(page):
    leading = re.findall(r'<tr class="complete leads">.*?</tr>', page, re.DOTALL)
    assert len(leading) == 3 + 4
    assert "relativistic" in leading[0]


def test_the_page_has_samples_of_every_variant_and_reference(page):
    pictures = Page(page).of("img")
    assert len(pictures) == 9  # digits only: seven variants, real data, noise
    assert pictures[0]["alt"] == "Samples: real data"
    assert {picture["width"] for picture in pictures} == {"192"}  # three times 64 pixels


def test_a_page_has_a_plot_of_cost_and_of_each_curve(page):
    drawn = [json.loads(script) for script in Page(page).scripts if script.lstrip().startswith('{"axes"')]
    assert len(drawn) == (5 + 2) + (4 + 1)  # the plots of each board, and the effects of its parts
    assert page.count("fcd_digits while training") >= 1
    assert len(page) < 5_000_000


def test_a_failed_seed_is_drawn_to_its_end(results):
    table = load_results(results)
    ranking = board(table).query("dataset == 'digits'").reset_index(drop=True)
    runs = table[(table["dataset"] == "digits") & (table["kind"] == "trial")]
    curve = charts.plots(ranking, runs, load_curves(results))[1]
    points = next(iter(curve.specification["datasets"].values()))
    ends = [point for point in points if point["last"]]
    assert {(round(point["kimg"], 1), point["label"]) for point in ends} == {(26.4, "dcgan / minimax")}
    assert "cross" in curve.about


def test_a_curve_is_the_mean_of_its_seeds_between_the_lowest_and_the_highest(tmp_path):
    for seed, value in enumerate((1.0, 4.0)):
        attempt = fabricate.commit(
            Store(tmp_path), fabricate.trial(seed=seed), fabricate.Outcome(fabricate.image_scores(value))
        )
        fabricate.write_curve(attempt, {}, points=1)
        curve = (
            load_curves(tmp_path).query(f"seed == {seed}").drop(columns=["suite", "key", "dataset", "variant", "seed"])
        )
        curve.assign(fcd_digits=value).to_parquet(attempt.path / "curve.parquet")
    table = load_results(tmp_path)
    plot = charts.plots(board(table), table, load_curves(tmp_path))[1]
    (point,) = next(iter(plot.specification["datasets"].values()))
    assert (point["low"], point["y"], point["high"]) == pytest.approx((1.0, 2.0, 4.0))  # geometric


def test_bars_come_before_long_names_and_numbers_before_bars(tmp_path):
    names = ("relativistic + r1(gamma=0.1) + r2(gamma=0.1)", "hinge + r1(gamma=0.1) + r2(gamma=0.1)")
    for name in names:
        for seed in (0, 1, 2):
            made = fabricate.trial(fabricate.variant(name, "dcgan" if name == names[0] else "mlp"), seed)
            fabricate.commit(Store(tmp_path), made, noisy(10.5 + seed, 0.2))
    ranked = board(load_results(tmp_path))
    assert render_text(ranked, 120).count("●") == len(names)
    for width in (80, 120):
        text = render_text(ranked, width)
        assert all(word in text for name in names for word in name.split())
        assert text.count("3/3") == text.count("11.5   ") == len(names)


@pytest.mark.usefixtures("plain_script")
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_are_only_ever_text(tmp_path, name):
    store = Store(tmp_path / "suite")
    network = Choice(name)
    for loss in ("hinge", name):
        attempt = fabricate.commit(
            store,
            fabricate.trial(Variant(network, network, Choice(loss)), dataset=Choice(name)),
            fabricate.Outcome(fabricate.image_scores(3.0)),
        )
        fabricate.write_curve(attempt, {"fcd_digits": 3.0})
    failure = fabricate.Outcome((), "error", name)
    fabricate.commit(store, fabricate.trial(Variant(network, network, Choice("x")), dataset=Choice(name)), failure)
    seen = Page(page_of(store.path))
    sections = [attributes for attributes in seen.of("section") if attributes.get("class") == "ranking"]
    assert len(seen.of("script")) == 9 + 2 + len(sections) + len(seen.of("figure"))
    assert not any(key.startswith("on") for _, attributes in seen.elements for key in attributes)
    assert one_line(name) in seen.text


@pytest.mark.usefixtures("plain_script")
def test_a_page_of_failures_only_says_so(tmp_path):
    add(Store(tmp_path), "hinge", [None, None])
    text = Page(page_of(tmp_path)).text
    assert "none leads" in text
    assert text.count("no memory") == 2


def test_a_page_without_trials_says_so_and_has_no_script(tmp_path):
    (tmp_path / "runs").mkdir()
    seen = Page(page_of(tmp_path))
    assert "No trials are recorded here yet." in seen.text
    assert not seen.of("script")
    assert "No trials" in render_text(board(load_results(tmp_path)))
    assert "No trials" in render_markdown(board(load_results(tmp_path)))


@pytest.mark.usefixtures("plain_script")
@pytest.mark.parametrize("content", [b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n" + b"0" * MAX_PICTURE_BYTES])
def test_a_file_that_is_no_picture_of_ours_is_not_shown(tmp_path, content):
    attempt = fabricate.commit(Store(tmp_path), fabricate.trial(), fabricate.Outcome(fabricate.image_scores(3.0)))
    (attempt.path / "samples-00000001.png").write_bytes(content)
    assert not Page(page_of(tmp_path)).of("img")


def noisy(value, noise):
    first, *others = fabricate.image_scores(value)
    return fabricate.Outcome((replace(first, noise=noise), *others))


@pytest.fixture
def compared(tmp_path):
    """Two variants, what was evaluated beside them, and all references: each with its own noise."""
    store = Store(tmp_path / "quick")
    for loss in ("hinge", "wgan"):
        for seed in (0, 1):
            attempt = fabricate.commit(store, fabricate.trial(fabricate.variant(loss), seed), noisy(3.0 + seed, 0.2))
            fabricate.write_samples(attempt)
    for name, value in (("<b>theirs</b>", 2.0), ("ours", 4.0)):
        fabricate.write_samples(fabricate.commit(store, fabricate.submission(name), noisy(value, 0.125)))
    for name, value in (("real_floor", 0.6), ("perfect", 0.5), ("noise", 180.0)):
        fabricate.commit(store, Reference(fabricate.DIGITS, name, fabricate.evaluation()), noisy(value, None))
    return store.path


def test_text_and_markdown_mark_what_was_only_evaluated_and_show_the_metrics_noise(compared):
    ranked = board(load_results(compared))
    text, markdown = render_text(ranked, width=120), render_markdown(ranked)
    assert re.search(r"rank +variant +fcd_digits +95% interval +metric noise +ok ", text)
    assert re.search(r"^ +<b>theirs</b> \(evaluated only\) +2\.00 +± 0\.125 ", text, re.MULTILINE)
    assert re.search(r"^ +perfect sampler +0\.500 ", text, re.MULTILINE)
    assert "| ours (evaluated only) | 4.00 |  | ± 0.125 |  |" in markdown
    assert "metric noise" not in render_text(board(load_results(compared), "coverage_digits"), width=120)


@pytest.mark.usefixtures("plain_script")
def test_the_page_sets_what_was_only_evaluated_apart_with_its_samples(compared):
    seen = Page(page_of(compared))
    assert "evaluated only Made elsewhere" in seen.text
    assert "4 trials · 2 evaluated only" in seen.text
    assert "<b>theirs</b> evaluated only" in seen.text
    assert "±\xa00.125" in "".join(seen.words)
    assert "Metric noise is the score's own deviation" in seen.text
    assert [image["alt"] for image in seen.of("img")] == [
        "Samples: hinge", "Samples: wgan", "Samples: <b>theirs</b> (evaluated only)", "Samples: ours (evaluated only)",
    ]  # fmt: skip
    dots = [attributes["d"] for attributes in seen.of("path") if attributes.get("class") == "dots"]
    assert [path.count("M") for path in dots] == [2, 2]  # a dot for each seed, none for the rest


@pytest.mark.usefixtures("plain_script")
def test_a_page_of_evaluations_alone_speaks_of_no_budget_and_no_seeds(tmp_path):
    store = Store(tmp_path)
    fabricate.commit(store, fabricate.submission("mine"), noisy(2.0, 0.125))
    fabricate.commit(store, Reference(fabricate.DIGITS, "noise", fabricate.evaluation()), noisy(180.0, None))
    seen, text = Page(page_of(tmp_path)), render_text(board(load_results(tmp_path)), width=120)
    heads = " ".join(word for word in seen.text.partition("Ranking on digits ")[2].split() if word != "?")
    assert "Nothing was trained here" in seen.text
    assert "Seeds ok" not in seen.text
    assert "Budget" not in seen.text
    assert heads.startswith("Variant fcd_digits lower is better Metric noise coverage_digits higher is better")
    assert "1 evaluated only" in seen.text
    assert "0 trials" not in seen.text
    assert re.search(r"^variant +fcd_digits +metric noise +coverage_digits", text, re.MULTILINE)
    assert not seen.of("figure")


@pytest.mark.usefixtures("plain_script")
def test_reports_are_written_beside_the_runs(results):
    page, ranked = write_reports(results)
    assert page == results / "leaderboard.html"
    assert "quick · ganbench" in page.read_text(encoding="utf-8")
    assert (results / "leaderboard.md").read_text(encoding="utf-8") == render_markdown(ranked)
    assert (results / "table.csv").read_text(encoding="utf-8").count("\n") == 1 + len(load_results(results))


@pytest.fixture(scope="module")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    # The package cannot bring a browser; what the page holds is tested without one as well.
    return found or pytest.skip("no Chromium to open the page in")


def test_a_browser_draws_every_plot_under_the_pages_own_policy(chromium, page, tmp_path):
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "page.html").as_uri(),
    ]  # fmt: skip
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert drawn.count('class="marks"') == 12
    assert "cannot be drawn" not in drawn.rpartition("<script>")[0].replace("This plot cannot be drawn: ${", "")


# --- what a foreign folder of results holds


def newest_picture(store):
    attempt = next(store.newest())
    for old in attempt.path.glob("samples-*.png"):
        old.unlink()
    return attempt.path / "samples-00000001.png"


def one_trial(folder):
    store = Store(folder / "suite")
    fabricate.write_samples(fabricate.commit(store, fabricate.trial(), fabricate.Outcome(fabricate.image_scores(3.0))))
    return store


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", [*ODD_FILES, "cut", "no width", "vast", "a link to a picture elsewhere"])
def test_a_picture_that_is_none_of_the_folders_own_is_left_out(tmp_path, plain_script, kind):
    store = one_trial(tmp_path)
    assert "data:image/png;base64" in page_of(store.path)
    path = newest_picture(store)
    elsewhere = tmp_path / "private.png"
    Image.new("L", (8, 8)).save(elsewhere)
    header = elsewhere.read_bytes()[:16]
    odd = {
        "cut": lambda: path.write_bytes(header[:12]),
        "no width": lambda: path.write_bytes(header + bytes(8)),
        "vast": lambda: path.write_bytes(header + b"\xff" * 8),
        "a link to a picture elsewhere": lambda: path.symlink_to(elsewhere),
    }
    odd[kind]() if kind in odd else as_odd_file(path, kind)
    assert "data:image/png;base64" not in page_of(store.path)


def test_a_picture_of_an_attempt_that_lies_elsewhere_is_left_out(tmp_path, plain_script):
    store = one_trial(tmp_path)
    attempt = next(store.newest())
    attempt.path.parent.rename(tmp_path / "moved")
    attempt.path.parent.symlink_to(tmp_path / "moved")
    page = page_of(store.path)
    assert "3.00" in page
    assert "data:image/png;base64" not in page


def test_results_that_lie_behind_a_link_have_their_pictures(tmp_path, plain_script):
    store = one_trial(tmp_path)
    (tmp_path / "link").symlink_to(store.path)
    assert "data:image/png;base64" in page_of(tmp_path / "link")


def test_a_very_long_message_is_cut_on_the_page(tmp_path, plain_script):
    store = Store(tmp_path / "suite")
    fabricate.commit(store, fabricate.trial(), fabricate.Outcome((), "error", "why " * 100_000))
    assert 3_000 < len(page_of(store.path)) < 100_000


def test_numbers_without_end_leave_every_plot_readable(tmp_path, plain_script):
    store = Store(tmp_path / "suite")
    for seed, value in enumerate((1e-30, 1e30)):
        attempt = fabricate.commit(store, fabricate.trial(seed=seed), fabricate.Outcome(fabricate.image_scores(value)))
        axes = {name: [0.5, 1.0, 2.0] for name in ("kimg", "steps", "device_seconds", "petaflops")}
        pd.DataFrame({**axes, "fcd_digits": [1.0, math.inf, -math.inf]}).to_parquet(attempt.path / "curve.parquet")
    specifications = re.findall(r'<script type="application/json">(.*?)</script>', page_of(store.path), re.DOTALL)
    assert specifications
    for specification in specifications:
        json.loads(specification, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


def test_the_page_may_run_its_own_scripts_and_nothing_else_and_load_nothing(tmp_path):
    page = page_of(fabricate.write_suite(tmp_path / "suite", seeds=2).path)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page).group(1)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in rules["script-src"]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    attributes = [item for _, attributes in Page(page).elements for item in attributes.items()]
    assert not [name for name, _ in attributes if name.startswith("on")]
    assert not [value for name, value in attributes if name in ("src", "href") and not value.startswith(("data:", "#"))]


def test_why_effects_are_left_out_is_told(results, plain_script, monkeypatch):
    monkeypatch.setattr("ganbench.effects.MOST_LEVELS", 1)
    words = " ".join(" ".join(Page(page_of(results)).words).split())
    assert re.search(
        r"What each part does Not shown\. The parts have \d+ levels, more than the 1 that are fitted\.", words
    )


def test_a_button_of_a_variant_has_its_whole_name_as_title_and_grey_is_explained(results, plain_script):
    seen = Page(page_of(results))
    titles = [about["title"] for tag, about in seen.elements if tag == "button" and "data-place" in about]
    table = load_results(results)
    assert titles == [entry["label"] for ranking in rankings(board(table)) for entry in charts.legend(ranking)]
    assert " ".join(seen.words).count("the grey lines and dots are the variants behind them") == 1  # of two boards
