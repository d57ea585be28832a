"""A project shows its own name on the pages and in the mails, with the templates in the documentation."""

import re
from typing import Any

import pytest
from django.template.loader import render_to_string

from tests.docs.blocks import Block, blocks

PAGE = "docs/explanation/pages-and-mails.md"


def runs_blocks() -> list[Block]:
    return blocks(PAGE, "html")


@pytest.fixture
def named(settings: Any, tmp_path: Any) -> None:
    """The templates of the page in a folder of the project."""
    for one in runs_blocks():
        path = tmp_path / one.first.strip("{}# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.text)
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path, *engine["DIRS"]]}]


@pytest.mark.django_db
def test_the_pages_have_the_name_of_the_site(named, api):
    page = api.get("/sign-in").content.decode()
    assert re.search(r"<title>.+ · Bookshop</title>", page)
    assert '<a class="mark" href="/">Bookshop</a>' in page
    assert "Latchkey" not in page


def test_the_mails_have_the_name_of_the_site(named):
    mail = render_to_string("accounts/mail/layout.html", {"subject": "Hello", "paragraphs": []})
    assert "<header>Bookshop</header>" in mail
    assert "Latchkey" not in mail
