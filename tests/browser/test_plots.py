"""The plots of the page as a browser draws them: axes, variants alone, keyboard, colours, and what it says aloud."""

from __future__ import annotations

import fabricate
import pytest

from ganbench.report import render_html
from ganbench.statistics import board
from ganbench.tables import load_curves, load_results

DRAWN = "(() => { const all = [...document.querySelectorAll('.canvas')].filter(c => c.offsetWidth); "
DRAWN += "return all.length > 0 && all.every(c => c.querySelector('svg') || c.textContent.includes('cannot')); })()"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of a small suite, as a file."""
    path = tmp_path_factory.mktemp("plots") / "quick"
    fabricate.write_suite(path)
    table = load_results(path)
    page = path.parent / "page.html"
    page.write_text(render_html(table, load_curves(path), board(table), "quick", {}), encoding="utf-8")
    return page


@pytest.fixture
def opened(browser, written):
    """A function that opens the page at a fragment, drawn; afterwards nothing may have been complained about."""
    said, pages = [], []

    def go(fragment="", width=1440, scheme="light", path=written, ready=DRAWN):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
        page.goto(path.as_uri() + fragment)
        until(page, ready)
        return page

    yield go
    for page in pages:
        page.close()
    assert [text for text in said if not text.startswith("data:")] == []


def until(page, condition):
    """Wait until the expression is true: the page's own policy lets nobody wait in the page."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"waited in vain for {condition}")


def first_section(page):
    return page.locator(".drawings").first


def pressed(page, what):
    buttons = first_section(page).locator(f"[{what}][aria-pressed=true]").all()
    return [button.get_attribute(what) for button in buttons]


LIT = """(() => {
  const curve = document.querySelectorAll('.drawings')[0].querySelectorAll('figure')[1];
  const lines = [...curve.querySelectorAll('.mark-line path')];
  return lines.filter(line => Number(line.getAttribute('opacity') ?? 1) > 0.9).length;
})()"""
TITLES = """[...document.querySelectorAll('.drawings')[0].querySelectorAll('figure')].slice(0, 4)
  .map(figure => [...figure.querySelectorAll('svg text')].map(text => text.textContent)
    .find(text => text.startsWith('training') || text.includes('updates') || text.includes('images shown')))"""


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (400, "light"), (400, "dark")])
def test_every_plot_is_drawn_and_the_page_is_no_wider_than_the_window(opened, width, scheme):
    page = opened(width=width, scheme=scheme)
    assert page.locator(".canvas svg").count() == page.locator(".canvas").count() > 8
    assert page.locator("text=cannot be drawn").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_choice_of_axis_changes_every_plot_and_stands_in_the_fragment(opened):
    page = opened()
    assert page.evaluate(TITLES) == ["training, device seconds", *["real images shown, thousands"] * 3]
    first_section(page).get_by_role("button", name="updates").click()
    until(page, f"new Set({TITLES}).size === 1")
    assert page.evaluate(TITLES) == ["generator updates"] * 4
    assert "axis=steps" in page.url
    assert pressed(page, "data-axis") == ["steps"]
    first_section(page).get_by_role("button", name="each its own").click()
    until(page, f"{TITLES}[0] === 'training, device seconds'")
    assert "axis" not in page.url


def test_a_link_brings_another_reader_to_the_same_axis_and_variant(opened):
    page = opened("#axis=petaflops&isolate=0-2")
    until(page, f"{LIT} === 1")
    assert page.evaluate(TITLES) == ["training, PFLOP"] * 4
    assert (pressed(page, "data-axis"), pressed(page, "data-place")) == (["petaflops"], ["2"])


@pytest.mark.parametrize("fragment", ["#axis=<img>&isolate=0-99", "#isolate=<script>", "#isolate=9-1&axis=constructor"])
def test_what_no_plot_knows_in_a_fragment_is_left_alone(opened, fragment):
    page = opened(fragment)
    assert (pressed(page, "data-axis"), pressed(page, "data-place")) == ([""], [])
    assert page.evaluate(LIT) > 5


def test_a_variant_is_seen_alone_by_mouse_and_by_keyboard_and_brought_back(opened):
    page = opened()
    all_lines = page.evaluate(LIT)
    assert all_lines > 5
    entry = first_section(page).locator("[data-place='1']")
    entry.focus()
    page.keyboard.press("Enter")
    until(page, f"{LIT} === 1")
    assert "isolate=0-1" in page.url
    assert pressed(page, "data-place") == ["1"]
    page.keyboard.press("Space")
    until(page, f"{LIT} === {all_lines}")
    assert pressed(page, "data-place") == []
    entry.click()
    until(page, f"{LIT} === 1")


def test_a_click_on_a_line_shows_it_alone_and_one_beside_it_brings_the_others_back(opened):
    page = opened()
    all_lines = page.evaluate(LIT)
    figure = first_section(page).locator("figure").nth(1)
    figure.scroll_into_view_if_needed()
    mark = figure.locator(".mark-symbol path[opacity='0'], .mark-symbol path").last
    mark.click(force=True)
    until(page, f"{LIT} < {all_lines}")
    assert "isolate=0-" in page.url
    figure.locator("svg").click(position={"x": 3, "y": 3})
    until(page, f"{LIT} === {all_lines}")
    assert "isolate" not in page.url


def test_plots_that_are_hidden_at_first_are_drawn_when_they_are_shown(opened, written):
    parted = written.with_name("parted.html")
    text = written.read_text(encoding="utf-8")
    text = text.replace('<div class="drawings"', '<div data-view="board" class="drawings"')
    parted.write_text(text.replace("</main>", '<div data-view="elsewhere"></div></main>'), encoding="utf-8")
    page = opened("#view=elsewhere", path=parted, ready="document.readyState === 'complete'")
    page.wait_for_timeout(500)
    before = page.locator(".canvas svg").count()
    assert before < page.locator(".canvas").count()
    page.evaluate("ganbench.state.set({ view: null })")
    until(page, DRAWN)
    assert page.locator(".canvas svg").count() == page.locator(".canvas").count()
    assert page.evaluate("Math.min(...[...document.querySelectorAll('.canvas svg')].map(s => s.clientWidth))") > 100


def test_every_plot_is_told_in_words_and_in_numbers(opened):
    page = opened()
    for figure in first_section(page).locator("figure").all():
        assert len(figure.locator(".canvas").get_attribute("aria-label")) > 40
    first_section(page).locator("details summary").first.click()
    assert first_section(page).locator("details table").first.is_visible()
    assert first_section(page).locator("details tbody th").first.inner_text() == "dcgan / relativistic"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_plots(opened, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(scheme=scheme)
    found = axe.Axe().run(page, context=".drawings").response["violations"]
    serious = [
        (item["id"], item["nodes"][0]["html"][:200]) for item in found if item["impact"] in ("serious", "critical")
    ]
    assert serious == []
