"""The code blocks on the pages of the reference do what the pages say."""

import ast

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from tests.docs.blocks import Block, block, blocks
from tests.docs.code import run
from tests.documents import ROOT
from tokens import sessions, testing
from tokens.models import RefreshToken

NEW = "a password that nobody has used before"
SIGNALS = block("docs/reference/signals.md", "from django.dispatch import receiver")
CHANGE = block("docs/reference/python-sessions.md", "from tokens import sessions")
OF_DOCSTRINGS = blocks("docs/reference", "")
"""The blocks that `docs.generate` takes from docstrings: lines of settings, and examples of JSON."""


def runs_blocks() -> list[Block]:
    return [SIGNALS, CHANGE, *OF_DOCSTRINGS]


def is_there(path: str) -> bool:
    """Return whether a dotted path names a module, or what a module defines. Packages of adapters may be missing."""
    place = ROOT.joinpath(*path.split("."))
    if place.with_suffix(".py").exists() or (place / "__init__.py").exists():
        return True
    module = next(
        (one for one in (place.parent.with_suffix(".py"), place.parent / "__init__.py") if one.exists()), None
    )
    return module is not None and any(
        getattr(node, "name", "") == place.name for node in ast.parse(module.read_text()).body
    )


@pytest.mark.parametrize("found", OF_DOCSTRINGS, ids=str)
def test_an_example_of_a_docstring_can_be_read_and_names_what_exists(found):
    # JSON that has no `true`, `false` and `null` is Python too.
    texts = [node.value for node in ast.walk(ast.parse(found.text)) if isinstance(node, ast.Constant)]
    paths = [text for text in texts if isinstance(text, str) and text.startswith("tokens.")]
    assert [path for path in paths if not is_there(path)] == []


@pytest.mark.django_db(transaction=True)
def test_the_receiver_is_told_of_a_theft(user, capsys):
    follow = run(SIGNALS)["follow"]
    try:
        for kind in (sessions.Kind.SIGNED_IN, sessions.Kind.REUSE_DETECTED):
            with transaction.atomic():
                sessions.record(None, kind, user)
                assert capsys.readouterr().out == ""
        assert capsys.readouterr().out == f"a refresh token was used twice {user.pk}\n"
    finally:
        assert sessions.happened.disconnect(follow)


@pytest.mark.django_db(transaction=True)
def test_a_change_of_the_account_ends_the_other_sessions(user, settings):
    change = run(CHANGE)["change"]

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
