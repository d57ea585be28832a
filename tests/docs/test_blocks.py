"""Each code block of the documentation is run by a test, or is listed with the reason why it is not."""

from collections import Counter

import pytest

from tests.docs.blocks import all_blocks, block, not_run, parse, runners
from tests.documents import PAGES

MOST = 10
"""How many blocks may be listed as not run."""


@pytest.mark.long
def test_each_block_is_run_by_exactly_one_test_or_is_listed_with_a_reason():
    claims = Counter(block for claimed in runners().values() for block in claimed)
    listed = not_run()
    wrong = {str(one): claims[one] for one in all_blocks() if claims[one] + ((one.page, one.first) in listed) != 1}
    assert wrong == {}


@pytest.mark.long
def test_a_runner_claims_only_blocks_that_exist():
    known = {one: one.text for one in all_blocks()}
    claims = [one for claimed in runners().values() for one in claimed]
    assert [str(one) for one in claims if known.get(one) != one.text] == []


def test_few_blocks_are_not_run_and_each_of_them_exists_and_has_a_reason():
    listed = not_run()
    assert len(listed) <= MOST
    assert [name for name, reason in listed.items() if len(reason.split()) < 5] == []
    for page, first in listed:
        block(page, first)


def test_within_a_page_the_first_line_names_the_block():
    names = Counter((one.page, one.first) for one in all_blocks())
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_fence_of_a_page_is_a_block_or_a_directive(page):
    fences = [line.strip() for line in PAGES[page].splitlines() if line.strip().startswith("```")]
    directives = [line for line in fences if line.startswith(("```{toctree}", "```{include}"))]
    fenced = [one for one in parse(page, PAGES[page]) if one.language or "```" not in one.text]
    indented = [one for one in fenced if not PAGES[page].splitlines()[one.line - 1].strip().startswith("```")]
    assert len(fences) == 2 * (len(fenced) - len(indented) + len(directives))
