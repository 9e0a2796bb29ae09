"""The pictures of the page that stand in the docs: `python docs/screenshots.py results/quick/leaderboard.html`.

Needs playwright and a Chromium, as the browser tests do; GANBENCH_CHROMIUM names one that is not on the path. Look at
what it wrote before it is committed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DOCS = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
DRAWN = 2_500
"""Milliseconds until plots have been drawn."""


@dataclass(frozen=True)
class Picture:
    """What a picture shows: a part of the board by its selector, or the page of a trial on one data set."""

    width: int
    height: int
    scheme: Literal["light", "dark"] = "light"
    top: str = ""
    trial_on: str = ""


PICTURES: Mapping[str, Picture] = {
    "leaderboard.png": Picture(1440, 1180),
    "pictures/leaderboard-dark.png": Picture(1440, 1180, "dark"),
    "pictures/leaderboard-phone.png": Picture(400, 860, top="#ranking-0"),
    "pictures/plots.png": Picture(1440, 1060, top="#ranking-0-plots"),
    "pictures/trial.png": Picture(1440, 1500, trial_on="digits"),
    "pictures/trial-points.png": Picture(1440, 1500, trial_on="ring8"),
    "pictures/trial-phone-dark.png": Picture(400, 860, "dark", trial_on="digits"),
}
"""By its place below this folder, each picture."""


def shoot(browser: Browser, address: str, wanted: Picture) -> bytes:
    """The picture as PNG."""
    page = browser.new_page(viewport={"width": wanted.width, "height": wanted.height}, color_scheme=wanted.scheme)
    page.goto(address)
    if wanted.trial_on:
        page.evaluate("key => ganbench.state.set({view: 'trial', id: key})", trial_of(page, wanted.trial_on))
        page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(DRAWN)
    if wanted.top:
        page.evaluate("place => document.querySelector(place).scrollIntoView()", wanted.top)
        page.wait_for_timeout(DRAWN)
    shot = page.screenshot()
    page.close()
    return packed(shot)


def trial_of(page: Page, dataset: str) -> str:
    """The key of the best variant's first trial on the data set."""
    details = json.loads(page.evaluate("document.getElementById('details').textContent"))
    section = next(place for place, facts in enumerate(details["sections"]) if facts["dataset"] == dataset)
    return str(details["variants"][f"{section}-0"]["trials"][0]["key"])


def packed(png: bytes) -> bytes:
    """The same picture in fewer bytes."""
    made = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(made, "PNG", optimize=True)
    return made.getvalue()


def main(page: Path) -> None:
    """Write all pictures of the page."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - what is pictured is known without it

    path = os.environ.get("GANBENCH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for place, wanted in PICTURES.items():
            (DOCS / place).write_bytes(shoot(browser, page.resolve().as_uri(), wanted))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
