"""Takes the pictures in ``screenshots``, each page in both colour schemes, when it is asked to::

SCREENSHOTS=1 uv run pytest -n0 -m browser tests/browser/test_screenshots.py
"""

import os
from pathlib import Path

import pytest

from tests.browser.pages import PAGES
from tests.browser.palette import with_palette

SCREENSHOTS = Path(__file__).parent / "screenshots"
SIZE = {"width": 720, "height": 560}


@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="pictures are taken when SCREENSHOTS is set")
@pytest.mark.parametrize("name", PAGES)
def test_a_picture_is_taken(visit, name):
    PAGES[name](visit)
    visit.page.set_viewport_size(SIZE)
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        picture = visit.page.screenshot(full_page=True)
        (SCREENSHOTS / f"{name}-{scheme}.png").write_bytes(with_palette(picture))


def test_every_page_has_its_pictures():
    there = {path.name for path in SCREENSHOTS.glob("*.png")}
    assert there >= {f"{name}-{scheme}.png" for name in PAGES for scheme in ("light", "dark")}
