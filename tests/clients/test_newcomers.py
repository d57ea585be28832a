"""The README leads to the page of each way of a newcomer. `newcomers` follows them."""

import pytest

from tests.clients.newcomers import WAYS, clicks, links
from tests.documents import ROOT


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_the_readme_leads_to_the_page_in_two_clicks(way):
    assert clicks(way.page) is not None


def test_a_page_that_no_other_page_links_to_is_not_reached():
    assert clicks("tests/benchmarks/results/nothing.md") is None
    assert "docs/how-to/ninja.md" in links("docs/how-to/index.md")


def test_ci_follows_the_ways():
    assert "python -m tests.clients.newcomers" in (ROOT / ".ci" / "run").read_text()
