"""Takes the screenshots, each page in both colour schemes::

SCREENSHOTS=1 uv run pytest -n0 -m browser tests/browser/test_screenshots.py
"""

import pytest

from tests.browser.pages import PAGES
from tests.browser.palette import SCREENSHOTS, WANTED, with_palette


@pytest.mark.skipif(not WANTED, reason="screenshots are taken when SCREENSHOTS is set")
@pytest.mark.parametrize("name", PAGES)
def test_a_screenshot_is_taken(visit, name):
    PAGES[name](visit)
    visit.page.set_viewport_size({"width": 720, "height": 560})
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        (SCREENSHOTS / f"{name}-{scheme}.png").write_bytes(with_palette(visit.page.screenshot(full_page=True)))


def test_every_page_has_its_screenshots():
    existing = {path.name for path in SCREENSHOTS.glob("*.png")}
    assert existing >= {f"{name}-{scheme}.png" for name in PAGES for scheme in ("light", "dark")}
