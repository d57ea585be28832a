"""The code blocks on the pages of the reference do what the pages say."""

import re
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from tests.documents import PAGES
from tokens import sessions, testing
from tokens.models import RefreshToken

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "a password that nobody has used before"


def run(page: str) -> dict[str, Any]:
    """Run the only Python block of a page of the reference, and return its names."""
    [block] = re.findall(r"^```python\n(.*?)^```$", PAGES[f"reference/{page}.md"], re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102
    return names


def test_no_other_page_of_the_reference_has_a_block():
    found = {name for name, text in PAGES.items() if name.startswith("reference/") and "```python" in text}
    assert found == {"reference/signals.md", "reference/python-sessions.md"}


def test_the_receiver_is_told_of_a_theft(user, capsys):
    follow = run("signals")["follow"]
    try:
        for kind in (sessions.Kind.SIGNED_IN, sessions.Kind.REUSE_DETECTED):
            with transaction.atomic():
                sessions.record(None, kind, user)
                assert capsys.readouterr().out == ""
        assert capsys.readouterr().out == f"a refresh token was used twice {user.pk}\n"
    finally:
        assert sessions.happened.disconnect(follow)


def test_a_change_of_the_account_ends_the_other_sessions(user, settings):
    change = run("python-sessions")["change"]

    def view(request: HttpRequest) -> HttpResponse:
        change(request, NEW)
        return HttpResponse()

    settings.ROOT_URLCONF = (path("change", view),)
    client, other = Client(), Client()
    mine, _ = testing.sign_in(client, user), testing.sign_in(other, user)
    assert client.post("/change", headers={"Origin": settings.ORIGIN}).status_code == 200
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert RefreshToken.objects.get(revoked_at=None) == mine.session
    assert other.post("/change", headers={"Origin": settings.ORIGIN}).status_code in {302, 401}
