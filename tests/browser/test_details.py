"""The pages of variants and of trials, the quiz, and the page as a folder, as a reader's browser shows them."""

import io
import itertools
import json
import re
from dataclasses import replace
from urllib.parse import unquote, urlparse

import fabricate
import numpy as np
import pytest
from fabricate import DIGITS, Outcome, evaluation, image_scores, trial, variant
from PIL import Image
from scipy import stats

from ganbench.report import write_page
from ganbench.sites import write_site
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_results
from ganbench.terms import Choice, Reference, Score

EVIL = "<img src=x onerror=\"document.title='broken'\">\u202e'\""
COSTS = {"images_per_second": 5000.0, "peak_memory_bytes": 644_464_640.0, "generator_parameters": 310_000.0}
MODES = tuple(f"mode {number}" for number in range(1, 9))
REAL, FAKE = 250, 10
"""How bright real and generated images are here, so that a reader who looks is always right."""


def grid(brightness, side=8, images=64, columns=8):
    """A grid of images of one brightness, each with a number of its own in a corner pixel."""
    rows = images // columns
    picture = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1), 255, np.uint8)
    for index in range(images):
        top, left = index // columns * (side + 1), index % columns * (side + 1)
        picture[top : top + side, left : left + side] = brightness
        picture[top, left] = index
    return Image.fromarray(picture)


def portrait(**parts):
    return json.dumps({"classes": None, "points": None, "neighbours": None, **parts})


def trained(store, job, score, brightness, *, films=3):
    scores = image_scores(score)

    def write(attempt):
        fabricate.write_curve(attempt, {item.name: item.value for item in scores})
        for step in range(films):
            grid(brightness + step).save(attempt.path / f"samples-{781 * step + 1:08d}.png")
        for name, columns in (("interpolations", 8), ("neighbours", 6)):
            grid(brightness + 40, images=8 * columns, columns=columns).save(attempt.path / f"{name}.png")
        shares = {"names": ["0", "1", EVIL], "data": [0.4, 0.4, 0.2], "samples": [0.5, 0.5, 0.0]}
        near = {"distance": "pixels", "of": 9, "samples": [1.0, 2.0, 2.5], "heldout": [1.5, 2.0, 3.0]}
        (attempt.path / "portrait.json").write_text(portrait(classes=shares, neighbours=near), encoding="utf-8")

    return fabricate.commit(store, job, Outcome(scores, costs=COSTS), None, write)


def failed(store, job, message, log):
    def write(attempt):
        (attempt.path / "log.txt").write_text(log, encoding="utf-8")

    return fabricate.commit(store, job, Outcome((), "error", message, 412), None, write)


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Two variants of pictures, one with a hostile name; real images; a ring of points; a failure."""
    store = Store(tmp_path_factory.mktemp("details") / "quick")
    fabricate.commit(
        store,
        Reference(DIGITS, "real_floor", evaluation()),
        Outcome(image_scores(0.6)),
        None,
        lambda attempt: grid(REAL).save(attempt.path / "samples-00000000.png"),
    )
    for seed in range(2):
        trained(store, trial(variant("hinge"), seed), 3.0 + seed / 10, FAKE + 10 * seed)
        trained(store, trial(variant(EVIL), seed), 5.0 + seed / 10, FAKE + 10 * seed + 5)
    failed(store, trial(variant("hinge"), 2), f"it broke {EVIL}", f'  File "/home/me/a/b/c.py", line 3\n{EVIL}\n')
    rng = np.random.default_rng(0)
    points = {name: rng.normal(0, 1, (50, 2)).tolist() for name in ("data", "samples")}
    shares = {"names": [*MODES, "no mode"], "data": [0.125] * 8 + [0.0], "samples": [0.1] * 8 + [0.2]}

    def write(attempt):
        (attempt.path / "portrait.json").write_text(portrait(points=points, classes=shares), encoding="utf-8")
        Image.new("RGB", (320, 320), "white").save(attempt.path / "interpolations.png")

    ring = trial(variant("hinge", "mlp"), 0, Choice("ring8"), evaluation=evaluation(Choice("ring8"), 100))
    found, share = fabricate.point_scores(8.0)
    fabricate.commit(store, ring, Outcome((replace(found, noise=2.98e-08), share)), None, write)
    return store


def key_of(results, **wanted):
    table = load_results(results.path)
    found = table[(table[list(wanted)] == list(wanted.values())).all(axis=1)]
    return str(found["key"].iloc[0])


@pytest.fixture(scope="session")
def page_file(results, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    table = load_results(results.path)
    write_page(path, table, board(table))
    return path


@pytest.fixture(scope="session")
def site_index(results, tmp_path_factory):
    table = load_results(results.path)
    return write_site(tmp_path_factory.mktemp("public") / "site", table, board(table))


@pytest.fixture
def read(browser):
    """Opens a file at a fragment. At the end nothing may have been asked for outside its folder, nor gone wrong."""
    contexts, asked, complaints, folders = [], [], [], []

    def go(path, fragment="", width=1440, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        folders.append(path.parent.resolve())
        context.on("request", lambda request: asked.append(request.url))
        context.on("console", lambda message: complaints.append(message.text))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        page.goto(f"{path.as_uri()}#{fragment}")
        return page

    yield go
    for context in contexts:
        context.close()
    files = [unquote(urlparse(url).path) for url in asked if url.startswith("file:")]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert all(any(name.startswith(f"{folder}/") for folder in folders) for name in files)
    assert complaints == []


@pytest.fixture(params=["page", "site"])
def made(request, page_file, site_index):
    """The page as one file, and as a folder."""
    return page_file if request.param == "page" else site_index


def trial_fragment(results, **wanted):
    return f"view=trial&id={key_of(results, **wanted)}"


# Variants


def test_a_variants_page_is_reached_from_the_board_and_left_by_the_back_button(made, read):
    page = read(made)
    page.locator("table.board a", has_text=re.compile("^hinge$")).first.click()
    page.locator("#variant h2", has_text="hinge").wait_for()
    assert page.locator("[data-view=board]").first.is_hidden()
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.go_back()
    assert page.locator("#variant").is_hidden()
    assert page.locator("[data-view=board]").first.is_visible()


def test_each_page_has_a_title_of_its_own(made, read, results):
    page = read(made)
    own = page.title()
    page.locator("table.board a", has_text=re.compile("^hinge$")).first.click()
    page.locator("#variant h2").wait_for()
    assert page.title() == f"hinge · digits · {own}"
    page.locator("#variant table a").first.click()
    page.locator("#trial h2").wait_for()
    assert page.title() == f"hinge, seed 0 · digits · {own}"
    page.locator("#trial .path a").first.click()
    page.locator("[data-view=board]").first.wait_for()
    assert page.title() == own
    page.locator("header a", has_text="Real or fake?").click()
    assert page.title() == f"Real or fake? · {own}"
    page.go_back()
    page.locator("[data-view=board]").first.wait_for()
    assert page.title() == own
    page.evaluate("location.hash = 'view=trial&id=no'")
    page.locator("#trial h2", has_text="No such").wait_for()
    assert page.title() == f"No such trial · {own}"


FOCUSED = "document.activeElement.textContent"


def test_the_way_back_leads_to_the_link_that_was_followed(made, read, results):
    page = read(made)
    link = page.locator("table.board a", has_text="onerror").first
    link.press("Enter")
    page.locator("#variant table a").first.click()
    page.locator("#trial .path a", has_text="Leaderboard").click()
    page.locator("[data-view=board]").first.wait_for()
    assert link.evaluate("(link) => link === document.activeElement")
    link.click()
    page.locator("#variant h2").wait_for()
    page.go_back()
    page.locator("[data-view=board]").first.wait_for()
    assert link.evaluate("(link) => link === document.activeElement")


def test_the_way_back_of_a_reader_who_came_by_an_address_leads_to_the_boards(page_file, read):
    page = read(page_file, "view=variant&id=0-0")
    page.locator("#variant .path a").click()
    page.locator("[data-view=board]").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "main"


def test_an_anchor_of_the_board_leads_there_from_inside_the_page(page_file, read):
    page = read(page_file, "view=variant&id=0-0", width=400, reduced_motion="reduce")
    page.locator("#variant h2").wait_for()
    page.locator("header nav a").last.click()
    page.locator("#ranking-1").wait_for()
    assert abs(page.evaluate("document.querySelector('#ranking-1').getBoundingClientRect().top")) < 80


def test_a_variants_page_has_its_trials_their_last_samples_and_its_parts(made, read, results):
    page = read(made, "view=variant&id=0-0")
    page.locator("#variant h2").wait_for()
    rows = page.locator("#variant table").first.locator("tbody tr")
    words = [row.split() for row in rows.all_inner_texts()]
    by_seed = {row[1]: row[2] for row in words}
    assert set(by_seed.values()) <= {"ok", "error"}
    pictures = page.locator("#variant .seeds img")
    assert pictures.count() == 2
    assert pictures.first.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") == 71
    assert "learning_rate = 0.0002" in page.locator("#variant .parts").inner_text()
    page.locator("#variant table a").first.click()
    page.locator("#trial h2").wait_for()


def test_a_variants_page_has_its_size_speed_and_memory(made, read):
    page = read(made, "view=variant&id=0-0")
    table = page.locator("#variant table", has_text="peak memory")
    rows = [row.split("\t") for row in table.locator("tbody tr").all_inner_texts()]
    assert rows == [
        ["generator parameters", "310,000", "–"],
        ["generator updates", "1,562", "–"],
        ["images per second", "5,000", "images/s"],
        ["peak memory", "615", "MiB"],
    ]
    assert "Medians over the seeds that have a score." in page.locator("#variant").inner_text()


def test_seeds_lead_to_each_other(made, read, results):
    page = read(made, trial_fragment(results, loss="hinge", seed=0, dataset="digits"))
    ways = page.get_by_role("navigation", name="Other seeds").locator("a")
    assert ways.all_inner_texts() == ["seed 1 →"]
    ways.click()
    page.locator("#trial h2", has_text="seed 1").wait_for()
    assert ways.all_inner_texts() == ["← seed 0", "seed 2 →"]
    ways.last.click()
    page.locator("#trial h2", has_text="seed 2").wait_for()
    assert ways.all_inner_texts() == ["← seed 1"]
    page.evaluate(f"location.hash = '{trial_fragment(results, dataset='ring8')}'")
    page.locator("#trial .cloud").wait_for()
    assert ways.count() == 0


def test_a_hostile_variant_is_text_everywhere(made, read, results):
    page = read(made)
    page.locator("table.board a", has_text="onerror").first.click()
    page.locator("#variant h2").wait_for()
    assert "<img src=x onerror" in page.locator("#variant h2").inner_text()
    page.locator("#variant table a").first.click()
    page.locator("#trial h2").wait_for()
    assert page.locator("#trial img[src=x]").count() == 0
    assert page.title().startswith("<img src=x")
    assert "\u202e" not in page.title()
    assert "\u202e" not in page.locator("#trial").inner_text()


# Trials


def test_a_trials_page_shows_all_that_was_recorded_of_it(made, read, results):
    page = read(made, trial_fragment(results, loss="hinge", seed=1, dataset="digits"))
    page.locator("#trial h2").wait_for()
    headings = page.locator("#trial h3").all_inner_texts()
    assert headings == [
        "Samples", "Scores", "Curves", "What it learnt of the data", "Between samples", "Memorisation", "What it cost",
        "Do it again", "Recipe", "Environment",
    ]  # fmt: skip
    assert "fcd_digits\t3.10\t–\tlower" in page.locator("#trial table").first.inner_text()
    figures = page.locator("#trial .small-figure figcaption b").all_inner_texts()
    assert {"Terms of the discriminator's loss", "Mean logits", "fcd_digits", "Classes"} <= set(figures)
    assert page.locator("#trial .sample-bar").count() == 3
    assert "Median: samples 2, held-out images 2." in page.locator("#trial").inner_text()
    assert page.locator("#trial .wide-figure img").count() == 2
    words = page.locator("#trial").inner_text()
    assert "First column: samples. To the right of each: the training images" in words
    assert "may be copies" in words
    assert "615\tMiB" in words
    assert "generator updates\t1,562" in words
    assert "0.300\tPFLOP" in words


@pytest.mark.parametrize("width", [1440, 400])
def test_a_picture_has_its_room_at_once_and_pixels_of_one_size(made, read, results, width):
    page = read(made, trial_fragment(results, loss="hinge", seed=0, dataset="digits"), width)
    page.locator("#trial h2").wait_for()
    pictures = page.locator("#trial .whole")
    found = pictures.evaluate_all(
        "(all) => all.map((one) => [one.width, one.height, one.getAttribute('width'), one.getAttribute('height')])"
    )
    assert len(found) == 1 + 3 + 2
    assert {(int(wide), int(high)) for _, _, wide, high in found} == {(71, 71), (53, 71)}
    for wide, high, *own in found:
        across, down = wide / int(own[0]), high / int(own[1])
        assert across == down == round(across) >= 1
    assert found[-1][0] > 250
    assert {pictures.nth(i).evaluate("(one) => getComputedStyle(one).imageRendering") for i in range(6)} == {
        "pixelated"
    }


def test_a_wide_picture_is_as_large_as_its_room_and_a_large_one_is_reduced(page_file, read):
    page = read(page_file, "view=variant&id=0-0", 400)
    page.locator("#variant h2").wait_for()
    place = "document.querySelector('#variant').append(ganbench.figures.picture('data:,', [600, 300], ''))"
    page.evaluate(place)
    assert page.locator("#variant > .whole").evaluate("(one) => one.clientWidth") == 366
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_toy_data_are_shown_as_points(made, read, results):
    page = read(made, trial_fragment(results, dataset="ring8"))
    page.locator("#trial h2").wait_for()
    assert page.locator("#trial .cloud .data-dot circle").count() == 50
    assert "held-out points" in page.locator("#trial").inner_text()
    assert "Samples" not in page.locator("#trial h3").all_inner_texts()
    assert page.locator("#trial .legend", has_text="held-out").locator("li").all_inner_texts() == [
        " held-out points", " samples",
    ]  # fmt: skip
    grey, blue = page.locator("#trial .cloud .data-dot"), page.locator("#trial .cloud .sample-dot")
    assert grey.evaluate("(dots) => getComputedStyle(dots).fill") == "none"
    assert float(blue.evaluate("(dots) => getComputedStyle(dots).fillOpacity")) < 1
    radius = "(dots) => Number(dots.firstChild.getAttribute('r'))"
    assert grey.evaluate(radius) > blue.evaluate(radius)


def test_what_lies_between_points_is_told_and_so_is_the_frame(made, read, results):
    page = read(made, trial_fragment(results, dataset="ring8"))
    caption = page.locator("#trial .wide-figure figcaption").inner_text()
    for words in (
        "Blue squares: samples",
        "The line from one to the other",
        "Grey: held-out points",
        "leaves the frame",
    ):
        assert words in caption
    assert page.locator("#trial .wide-figure img").evaluate("(one) => one.width") == 320


def test_counts_are_whole_and_noise_that_is_rounding_is_none(made, read, results):
    page = read(made, trial_fragment(results, dataset="ring8"))
    page.locator("#trial h2").wait_for()
    assert "modes_20pct\t8\t± 0\thigher" in page.locator("#trial table").first.inner_text()


def test_labels_of_classes_do_not_touch(page_file, read, results):
    page = read(page_file, trial_fragment(results, dataset="ring8"))
    page.locator("#trial h2").wait_for()
    classes = page.locator("#trial .small-figure", has_text="Total variation").locator("svg")
    ticks = classes.locator("text[text-anchor=middle]")
    assert ticks.all_text_contents() == [*"12345678", "none"]
    assert classes.locator("text", has_text=re.compile("^mode$")).count() == 1
    assert apart(ticks)


def apart(ticks):
    """Whether no two neighbours among labels overlap."""
    boxes = ticks.evaluate_all("(all) => all.map((one) => [one.getBBox().x, one.getBBox().x + one.getBBox().width])")
    return all(left[1] < right[0] for left, right in itertools.pairwise(boxes))


def test_long_names_of_classes_are_tilted_and_stay_inside(page_file, read, results):
    page = read(page_file, "view=variant&id=0-0")
    page.locator("#variant h2").wait_for()
    page.evaluate(
        "(names) => document.querySelector('#variant').append("
        "ganbench.figures.classes(names, Array(10).fill(.1), Array(10).fill(.1)))",
        ["airplane", "automobile", "a name that has no end", *"3456789"],
    )
    drawn = page.locator("#variant .small-figure > svg")
    assert drawn.locator("text[transform]").all_text_contents() == [
        "airplane", "automobile", "a name that has…", *"3456789",
    ]  # fmt: skip
    bottom = drawn.evaluate("(one) => one.getBoundingClientRect().bottom")
    assert drawn.locator("text[transform]").nth(2).evaluate("(one) => one.getBoundingClientRect().bottom") <= bottom


def test_a_logarithmic_axis_says_so(page_file, read, results):
    page = read(page_file, trial_fragment(results, loss="hinge", seed=0, dataset="digits"))
    page.locator("#trial h2").wait_for()
    falling = page.locator("#trial .small-figure", has_text="fcd_digits").locator("svg")  # by a factor of thirty
    assert "logarithmic scale" in falling.text_content()
    assert falling.get_attribute("aria-label") == "fcd_digits, on a logarithmic scale"
    rising = page.locator("#trial .small-figure", has_text="coverage_digits").locator("svg")
    assert "logarithmic" not in rising.text_content()


def test_a_film_is_moved_by_the_keyboard(made, read, results):
    page = read(made, trial_fragment(results, loss="hinge", seed=0, dataset="digits"))
    slider, told, large = (
        page.locator("#film-slider"),
        page.locator(".film-controls output"),
        page.locator(".film .large"),
    )
    slider.wait_for()
    assert told.inner_text().startswith("generator update 1,563")
    last = large.get_attribute("src")
    slider.focus()
    page.keyboard.press("Home")
    assert told.inner_text().startswith("generator update 1")
    assert slider.get_attribute("aria-valuetext") == told.inner_text()
    assert large.get_attribute("src") != last
    page.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("generator update 782")
    assert page.locator(".film-strip [aria-current]").get_attribute("aria-label") == f"Show {told.inner_text()}"
    page.locator(".film-strip button").nth(2).press("Enter")
    assert large.get_attribute("src") == last
    assert large.evaluate("(image) => image.width / image.naturalWidth") == 7


def test_a_film_plays_when_it_is_asked_to_and_stops_at_the_end(page_file, read, results):
    page = read(page_file, trial_fragment(results, loss="hinge", seed=0, dataset="digits"))
    play, told = page.get_by_role("button", name="Play"), page.locator(".film-controls output")
    play.wait_for()
    page.wait_for_timeout(800)
    assert told.inner_text().startswith("generator update 1,563")  # nothing moves by itself
    play.click()
    assert told.inner_text().startswith("generator update 1")
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for(timeout=5000)
    assert told.inner_text().startswith("generator update 1,563")


def test_a_reader_who_wants_no_motion_gets_a_slider_alone(page_file, read, results):
    page = read(page_file, trial_fragment(results, loss="hinge", seed=0, dataset="digits"), reduced_motion="reduce")
    page.locator("#film-slider").wait_for()
    assert page.get_by_role("button", name="Play").count() == 0


def test_the_command_is_copied_and_names_suite_and_key(page_file, read, results):
    key = key_of(results, loss="hinge", seed=0, dataset="digits")
    page = read(page_file, f"view=trial&id={key}", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_text("Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"ganbench reproduce quick {key[:16]}"


def test_a_failed_trial_is_reached_from_the_failures_and_its_log_is_text(made, read, results):
    page = read(made)
    page.locator("[aria-labelledby=ranking-0-failures] a").first.click()
    page.locator("#trial h2").wait_for()
    assert page.locator("#trial .status").first.inner_text() == "error"
    assert page.locator("#trial .message").inner_text().startswith("it broke <img")
    log = page.locator("#trial pre.log")
    assert log.inner_text().startswith('  File "…/b/c.py", line 3\n<img src=x')
    assert log.locator("img").count() == 0
    assert page.title().startswith("hinge, seed 2 · ")
    assert "at generator update 412" in page.locator("#trial .message").inner_text()


@pytest.mark.parametrize(
    "fragment",
    [
        "view=trial&id=" + "0" * 64,
        "view=trial&id=__proto__",
        "view=variant&id=constructor",
        "view=trial&id=../x",
        "view=variant",
        "view=trial&id=%3Cimg%3E",
    ],
)
def test_a_link_to_what_is_not_there_says_so(page_file, read, fragment):
    page = read(page_file, fragment)
    page.locator("article:visible h2", has_text="No such").wait_for()


def test_curves_are_drawn_over_the_axis_of_the_board(page_file, read, results):
    page = read(page_file, trial_fragment(results, loss="hinge", seed=0, dataset="digits") + "&axis=device_seconds")
    page.locator("#trial .small-figure").first.wait_for()
    assert page.locator("#trial .small-figure svg text", has_text="device s").count() > 3


# The quiz


def brightness(page):
    """That of the picture, away from its corner."""
    return Image.open(io.BytesIO(page.locator("#quiz canvas").screenshot())).convert("L").getpixel((99, 99))


def start(page, **choices):
    page.locator("#quiz-choice button").wait_for()
    for name, value in choices.items():
        page.locator(f"#quiz-choice select[name={name}]").select_option(value)
    page.get_by_role("button", name="Start").click()


def drawn(page, number):
    page.locator(f"#quiz canvas[aria-label='Picture {number} of 20, enlarged']").wait_for()
    page.wait_for_timeout(60)


def test_a_quiz_is_run_by_the_keys_and_tells_how_detectable_each_variant_was(page_file, read):
    page = read(page_file, "view=quiz&seed=5")
    start(page, count="10")
    results, right = page.locator(".quiz-results tbody"), 0
    for number in range(1, 21):
        drawn(page, number)
        real = brightness(page) > 100
        lie = number % 5 == 0
        page.keyboard.press("r" if real != lie else "f")
        said = page.locator(".quiz-verdict").inner_text()
        assert said.startswith("✗ Wrong" if lie else "✓ Right")
        assert (f"picture {number} was a real image" in said) == real
        right += not lie
    assert right == 16
    rows = [row.split("\t") for row in results.locator("tr").all_inner_texts()]
    assert sum(int(row[1].split("/")[0]) for row in rows) == 16
    for _, count, share, interval in rows:
        good, n = map(int, count.split("/"))
        assert n == 10
        assert share == f"{good * 10} %"
        found = stats.binomtest(good, n).proportion_ci(method="wilson")
        assert interval == f"{100 * found.low:.0f} % – {100 * found.high:.0f} %"
    assert page.locator("[data-answer=real]").is_disabled()
    assert page.evaluate(FOCUSED) == "How detectable they were to you"


def test_the_verdict_is_seen_beside_the_picture_in_a_colour_of_its_own(page_file, read):
    page = read(page_file, "view=quiz&seed=5", reduced_motion="reduce")
    start(page, count="10")
    colours = set()
    for number in range(1, 3):
        drawn(page, number)
        page.keyboard.press("r" if (brightness(page) > 100) == (number == 1) else "f")
        mark = page.locator(".quiz-verdict b")
        assert mark.inner_text() == ("✓ Right" if number == 1 else "✗ Wrong")
        colours.add(mark.evaluate("(mark) => getComputedStyle(mark).color"))
    assert len(colours) == 2
    for part in (".quiz-verdict", "canvas", ".quiz-answers"):
        box = page.locator(f"#quiz {part}").bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 900
    assert page.locator(".quiz-verdict").bounding_box()["x"] > page.locator("#quiz canvas").bounding_box()["x"] + 200


def test_on_a_phone_the_verdict_is_seen_above_the_picture(page_file, read):
    page = read(page_file, "view=quiz&seed=5", 400, reduced_motion="reduce")  # or it would still be scrolling
    start(page, count="10")
    page.keyboard.press("r")
    verdict, picture = (page.locator(f"#quiz {part}").bounding_box() for part in (".quiz-verdict", "canvas"))
    assert 0 <= verdict["y"] < verdict["y"] + verdict["height"] <= picture["y"]


def test_buttons_that_answer_no_more_look_like_it(page_file, read):
    page = read(page_file, "view=quiz&seed=5")
    start(page, count="10")
    button = page.locator("[data-answer=fake]")
    looks = "(button) => ['color', 'cursor', 'borderColor'].map((name) => getComputedStyle(button)[name])"
    before = button.evaluate(looks)
    for _ in range(20):
        page.keyboard.press("f")
    after = button.evaluate(looks)
    assert all(was != now for was, now in zip(before, after, strict=True))
    assert after[1] == "default"


def test_a_quiz_says_how_many_pictures_of_each_kind_it_shows(page_file, read):
    page = read(page_file, "view=quiz")
    options = page.locator("#quiz-choice select[name=count] option")
    assert options.all_inner_texts() == [f"{n} samples and {n} real images" for n in (5, 10, 20)]
    start(page, count="40")
    assert len(page.evaluate("ganbench.quiz.deck()")) == 2 * (20 + 20)


@pytest.mark.parametrize("asked", [False, True])
def test_a_classifier_has_a_column_only_where_it_was_asked(tmp_path, read, asked):
    store = Store(tmp_path / "quick")
    common = {"n_fake": 898, "n_real": 898, **fabricate.FEATURES}
    found = (Score("c2st_1nn_digits", 0.875, "lower", metric="detectability", **common),) if asked else ()
    outcome = Outcome(image_scores(3.0) + found)
    for job in (Reference(DIGITS, "real_floor", evaluation()), trial()):
        fabricate.commit(store, job, outcome, None, lambda attempt: grid(FAKE).save(attempt.path / "samples-1.png"))
    table = load_results(store.path)
    write_page(tmp_path / "page.html", table, board(table))
    page = read(tmp_path / "page.html", "view=quiz&seed=1")
    start(page, count="10")
    page.keyboard.press("f")
    assert page.locator(".quiz-machine:visible").count() == (2 if asked else 0)
    cells = page.locator(".quiz-results tbody td").all_inner_texts()
    assert cells[3:] == (["c2st_1nn_digits 0.875"] if asked else [])


def test_a_quiz_has_as_many_real_pictures_as_samples_and_none_twice(page_file, read):
    page = read(page_file, "view=quiz&seed=6")
    start(page, count="40")
    deck = page.evaluate("ganbench.quiz.deck()")
    assert len(deck) == 80
    for name in {question["variant"] for question in deck}:
        sides = [question["real"] for question in deck if question["variant"] == name]
        assert sides.count(True) == sides.count(False) == 20
    assert len({(question["place"], question["cell"]) for question in deck}) == 80


def test_a_seed_gives_the_same_quiz_and_a_new_round_another(page_file, read):
    decks = []
    for seed in (7, 7, 8):
        page = read(page_file, f"view=quiz&seed={seed}")
        start(page)
        decks.append(page.evaluate("ganbench.quiz.deck()"))
    assert decks[0] == decks[1] != decks[2]
    start(page)
    assert page.evaluate("ganbench.quiz.deck()") != decks[2]


def test_the_order_tells_nothing_and_neither_do_the_words_of_a_picture(page_file, read):
    page = read(page_file, "view=quiz&seed=9")
    start(page, count="40")
    sides = [question["real"] for question in page.evaluate("ganbench.quiz.deck()")]
    changes = sum(a != b for a, b in itertools.pairwise(sides))
    assert 25 < changes < 55  # of 79: neither in turns nor in blocks
    assert page.locator("#quiz canvas").get_attribute("aria-label") == "Picture 1 of 80, enlarged"


def test_the_buttons_answer_as_the_keys_do_and_keys_of_the_browser_stay_its_own(made, read):
    page = read(made, "view=quiz&seed=3")
    start(page, count="10")
    page.keyboard.press("Control+f")
    assert page.locator(".quiz-place").inner_text() == "Picture 1 of 20"
    page.get_by_role("button", name="Fake").click()
    assert page.locator(".quiz-place").inner_text() == "Picture 2 of 20"
    assert page.evaluate("document.activeElement.dataset.answer") == "fake"


def test_wilsons_interval_is_that_of_scipy(page_file, read):
    page = read(page_file, "view=quiz")
    for n in (1, 2, 7, 20, 400):
        for right in sorted({0, 1, n // 3, n // 2, n - 1, n}):
            found = stats.binomtest(right, n).proportion_ci(method="wilson")
            told = page.evaluate(f"ganbench.wilson({right}, {n})")
            assert told == pytest.approx([found.low, found.high], abs=1e-12)
    assert page.evaluate("ganbench.wilson(0, 0)") == [0, 1]


# Everywhere

VIEWS = {
    "variant": lambda results: "view=variant&id=0-0",
    "trial": lambda results: trial_fragment(results, loss="hinge", seed=0, dataset="digits"),
    "points": lambda results: trial_fragment(results, dataset="ring8"),
    "failure": lambda results: trial_fragment(results, status="error"),
    "quiz": lambda results: "view=quiz&seed=1",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 400])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_hard_to_reach_or_wider_than_the_screen(page_file, read, results, view, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = read(page_file, VIEWS[view](results), width, scheme)
    page.locator("article:visible h2").wait_for()
    if view == "quiz":
        start(page)
        page.keyboard.press("r")
    page.evaluate("document.querySelectorAll('article details').forEach((part) => (part.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.run(page, context="article:not([hidden])").response["violations"]
    assert [(item["id"], item["nodes"][0]["html"]) for item in found] == []


@pytest.mark.parametrize("view", VIEWS)
def test_whatever_is_to_be_hit_is_at_least_24_pixels_high(page_file, read, results, view):
    page = read(page_file, VIEWS[view](results), 400)
    page.locator("article:visible h2").wait_for()
    if view == "quiz":
        start(page)
    targets = "article:visible :is(button, summary, select, label, input[type=range], .seeds-beside a)"
    heights = page.locator(targets).evaluate_all("(all) => all.map((one) => [one.outerHTML, one.offsetHeight])")
    assert [(html, height) for html, height in heights if 0 < height < 24] == []


def test_the_chosen_frame_is_told_from_the_others_in_forced_colours(page_file, read, results):
    fragment = trial_fragment(results, loss="hinge", seed=0, dataset="digits")
    page = read(page_file, fragment, forced_colors="active")
    page.locator(".film-strip button").first.wait_for()
    border = "(button) => ['borderColor', 'outlineStyle'].map((name) => getComputedStyle(button)[name]).join(' ')"
    chosen, *others = [button.evaluate(border) for button in reversed(page.locator(".film-strip button").all())]
    assert len(set(others)) == 1
    assert chosen not in others
    assert chosen.endswith("solid")
