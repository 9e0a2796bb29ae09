"""A page of made-up results, opened from its file in headless Chromium: what every test here starts from."""

from __future__ import annotations

import os
import shutil

import fabricate
import pytest

from ganbench.leases import MARK
from ganbench.report import write_page
from ganbench.statistics import board
from ganbench.tables import load_results
from ganbench.terms import Choice, Spent, Variant

CHROMIUM = "GANBENCH_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = {
    "element": "<img src=x onerror=alert(1)>",
    "script": "</script><script>alert(2)</script>",
    "quote": "\"' onmouseover=alert(3) x='",
    "right-to-left": "مولد\u202eevil",
    "long": "n" * 300,
    "entity": "&lt;b onclick=alert(4)&gt;",
    "separators": "a,b:c|d&e=f#g%2C",
}


@pytest.fixture(scope="session")
def browser():
    """Chromium, started once."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, which drives a browser")
    path = os.environ.get(CHROMIUM) or next(filter(None, map(shutil.which, NAMES)), None)
    if not path:  # the package cannot bring a browser; what the page holds is tested without one as well
        pytest.skip(f"needs a browser: {CHROMIUM} is not set and none of {', '.join(NAMES)} is on the path")
    with sync_api.sync_playwright() as playwright:
        own = {name: value for name, value in os.environ.items() if name != MARK}  # it belongs to no run
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"], env=own)
        yield chromium
        chromium.close()


def written(results, page):
    """The page of `results`, in the file `page`."""
    table = load_results(results)
    write_page(page, table, board(table), {"fcd": "Distance of features (arXiv:1706.08500)."})
    return page


@pytest.fixture(scope="session")
def suite_page(tmp_path_factory):
    """Two data sets, a collapse, failures, references, curves, pictures, and what was made elsewhere."""
    folder = tmp_path_factory.mktemp("browser")
    store = fabricate.write_suite(folder / "quick")
    fabricate.commit(store, fabricate.submission("somebody's"), fabricate.Outcome(fabricate.image_scores(2.0)))
    return written(store.path, folder / "page.html")


@pytest.fixture(scope="session")
def long_page(tmp_path_factory):
    """More variants than a board shows at once."""
    folder = tmp_path_factory.mktemp("long")
    store = fabricate.Store(folder / "quick")
    for place in range(120):
        outcome = fabricate.Outcome(fabricate.image_scores(1.0 + place))
        fabricate.commit(store, fabricate.trial(fabricate.variant(f"loss{place}")), outcome)
    return written(store.path, folder / "page.html")


@pytest.fixture(scope="session")
def partial_page(tmp_path_factory):
    """Three variants, of which one ended after half of the budget."""
    folder = tmp_path_factory.mktemp("partial")
    store = fabricate.Store(folder / "quick")
    for loss, kimg in (("short", 50.0), ("long", 100.0), ("longer", 100.0)):
        for seed in range(2):
            outcome = fabricate.Outcome(fabricate.image_scores(3.0 + seed), spent=Spent(kimg, 700, 20.0, 0.3))
            attempt = fabricate.commit(store, fabricate.trial(fabricate.variant(loss), seed), outcome)
            fabricate.write_curve(attempt, {"fcd_digits": 3.0 + seed}, kimg=kimg)
    return written(store.path, folder / "page.html")


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory):
    """Variants, data sets, submissions and messages that nobody should be called by."""
    folder = tmp_path_factory.mktemp("hostile")
    store = fabricate.Store(folder / "quick")
    for place, name in enumerate(HOSTILE.values()):
        made = Variant(Choice(name), Choice("dcgan"), Choice(name))
        for seed in range(2):
            outcome = fabricate.Outcome(fabricate.image_scores(3.0 + place + seed / 10))
            fabricate.whole_trial(store, fabricate.trial(made, seed), outcome)
        failure = fabricate.Outcome((), "error", name)
        fabricate.commit(store, fabricate.trial(made, 2), failure)
        fabricate.commit(store, fabricate.trial(made, dataset=Choice(name)), failure)
        fabricate.commit(store, fabricate.submission(name), fabricate.Outcome(fabricate.image_scores(2.0)))
    return written(store.path, folder / "page.html")


@pytest.fixture
def hostile_names():
    return tuple(HOSTILE.values())


@pytest.fixture
def opened(browser):
    """Opens a page's file as a reader would, at a width and in a colour scheme.

    At the end none may have asked for anything that is not in it, complained, or shown a dialogue.
    """
    contexts, asked, complaints = [], [], []

    def go(path, fragment="", width=1440, height=1000, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        context.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("dialog", lambda dialog: (complaints.append(f"dialogue: {dialog.message}"), dialog.dismiss()))
        page = context.new_page()
        page.goto(f"{path.as_uri()}{fragment}")
        return page

    yield go
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == len(contexts)
    assert complaints == []
