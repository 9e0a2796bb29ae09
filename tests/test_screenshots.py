import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture
def screenshots(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import screenshots

    return screenshots


def test_every_picture_of_the_page_can_be_made_anew(screenshots):
    """Those in the docs are those that the script writes, in its sizes; each is shown somewhere."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        str((page.parent / place).relative_to(ROOT / "docs"))
        for page in pages
        for place in re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", page.read_text(encoding="utf-8"))
    }
    assert shown == set(screenshots.PICTURES)
    for place, wanted in screenshots.PICTURES.items():
        with Image.open(ROOT / "docs" / place) as picture:
            assert picture.size == (wanted.width, wanted.height)
