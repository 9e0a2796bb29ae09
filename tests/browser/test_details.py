"""The pages of variants and of trials, the quiz, and the page as a folder, as a reader's browser shows them."""

import io
import itertools
import json
import re
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
from ganbench.terms import Choice, Reference

EVIL = "<img src=x onerror=\"document.title='broken'\">\u202e'\""
REAL, FAKE = 250, 10
"""How bright real and generated images are here, so that a reader who looks is always right."""


def grid(brightness, side=8, images=64):
    """A grid of images of one brightness, each with a number of its own in a corner pixel."""
    rows = images // 8
    picture = np.full((rows * (side + 1) - 1, 8 * (side + 1) - 1), 255, np.uint8)
    for index in range(images):
        top, left = index // 8 * (side + 1), index % 8 * (side + 1)
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
        for name in ("interpolations", "neighbours"):
            grid(brightness + 40).save(attempt.path / f"{name}.png")
        shares = {"names": ["0", "1", EVIL], "data": [0.4, 0.4, 0.2], "samples": [0.5, 0.5, 0.0]}
        near = {"distance": "pixels", "of": 9, "samples": [1.0, 2.0, 2.5], "heldout": [1.5, 2.0, 3.0]}
        (attempt.path / "portrait.json").write_text(portrait(classes=shares, neighbours=near), encoding="utf-8")

    return fabricate.commit(store, job, Outcome(scores), None, write)


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

    def write(attempt):
        (attempt.path / "portrait.json").write_text(portrait(points=points), encoding="utf-8")

    ring = trial(variant("hinge", "mlp"), 0, Choice("ring8"), evaluation=evaluation(Choice("ring8"), 100))
    fabricate.commit(store, ring, Outcome(fabricate.point_scores(8.0)), None, write)
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


def test_an_anchor_of_the_board_leads_there_from_inside_the_page(page_file, read):
    page = read(page_file, "view=variant&id=0-0", width=400, reduced_motion="reduce")
    page.locator("#variant h2").wait_for()
    page.locator("header nav a").last.click()
    page.locator("#ranking-1").wait_for()
    assert abs(page.evaluate("document.querySelector('#ranking-1').getBoundingClientRect().top")) < 80


def test_a_variants_page_has_its_trials_their_last_samples_and_its_parts(made, read, results):
    page = read(made, "view=variant&id=0-0")
    page.locator("#variant h2").wait_for()
    rows = page.locator("#variant table tbody tr")
    words = [row.split() for row in rows.all_inner_texts()]
    by_seed = {row[1]: row[2] for row in words}
    assert set(by_seed.values()) <= {"ok", "error"}
    pictures = page.locator("#variant .seeds img")
    assert pictures.count() == 2
    assert pictures.first.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") == 71
    assert "learning_rate = 0.0002" in page.locator("#variant .parts").inner_text()
    page.locator("#variant table a").first.click()
    page.locator("#trial h2").wait_for()


def test_a_hostile_variant_is_text_everywhere(made, read, results):
    page = read(made)
    page.locator("table.board a", has_text="onerror").first.click()
    page.locator("#variant h2").wait_for()
    assert "<img src=x onerror" in page.locator("#variant h2").inner_text()
    page.locator("#variant table a").first.click()
    page.locator("#trial h2").wait_for()
    assert page.locator("#trial img[src=x]").count() == 0
    assert "broken" not in page.title()
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
    assert page.locator("#trial .wide-picture").count() == 2


def test_toy_data_are_shown_as_points(made, read, results):
    page = read(made, trial_fragment(results, dataset="ring8"))
    page.locator("#trial h2").wait_for()
    assert page.locator("#trial .cloud .data-dot circle").count() == 50
    assert "held-out points" in page.locator("#trial").inner_text()
    assert "Samples" not in page.locator("#trial h3").all_inner_texts()


def test_a_film_is_moved_by_the_keyboard(made, read, results):
    page = read(made, trial_fragment(results, loss="hinge", seed=0, dataset="digits"))
    slider, told, large = (
        page.locator("#film-slider"),
        page.locator(".film-controls output"),
        page.locator(".film .large"),
    )
    slider.wait_for()
    assert told.inner_text().startswith("update 1,563")
    last = large.get_attribute("src")
    slider.focus()
    page.keyboard.press("Home")
    assert told.inner_text().startswith("update 1")
    assert slider.get_attribute("aria-valuetext") == told.inner_text()
    assert large.get_attribute("src") != last
    page.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("update 782")
    assert page.locator(".film-strip [aria-current]").get_attribute("aria-label") == f"Show {told.inner_text()}"
    page.locator(".film-strip button").nth(2).press("Enter")
    assert large.get_attribute("src") == last
    assert large.evaluate("(image) => image.width / image.naturalWidth") == 7


def test_a_film_plays_when_it_is_asked_to_and_stops_at_the_end(page_file, read, results):
    page = read(page_file, trial_fragment(results, loss="hinge", seed=0, dataset="digits"))
    play, told = page.get_by_role("button", name="Play"), page.locator(".film-controls output")
    play.wait_for()
    page.wait_for_timeout(800)
    assert told.inner_text().startswith("update 1,563")  # nothing moves by itself
    play.click()
    assert told.inner_text().startswith("update 1")
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for(timeout=5000)
    assert told.inner_text().startswith("update 1,563")


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
    assert "broken" not in page.title()


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
        assert said.startswith("Wrong" if lie else "Right")
        assert ("it was a real image" in said) == real
        right += not lie
    assert right == 16
    rows = [row.split("\t") for row in results.locator("tr").all_inner_texts()]
    assert sum(int(row[1].split("/")[0]) for row in rows) == 16
    for _, count, share, interval, machine in rows:
        good, n = map(int, count.split("/"))
        assert n == 10
        assert share == f"{good * 10} %"
        found = stats.binomtest(good, n).proportion_ci(method="wilson")
        assert interval == f"{100 * found.low:.0f} % – {100 * found.high:.0f} %"
        assert machine == "–"
    assert page.locator("[data-answer=real]").is_disabled()
    assert page.evaluate("document.activeElement.textContent") == "How detectable they were to you"


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
