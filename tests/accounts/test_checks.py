"""The system checks name each step that a project forgets when it takes in the pages about accounts."""

import sys
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import Tags, run_checks
from django.http import HttpResponse
from django.urls import include, path
from django.urls.base import set_script_prefix

from accounts import checks

PAGES = path("", include("accounts.urls"))
API = path("api/", include("accounts.api.urls"))
TOKENS = path("api/", include("tokens.api.urls"))
LOGIN = path("accounts/login/", HttpResponse)


@pytest.fixture
def found(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns the ids of the messages about accounts in a project with these URLs. Our own would lead to none."""

    def ids(*urls: Any) -> list[str | None]:
        project = ModuleType("urls_of_a_project")
        project.urlpatterns = list(urls)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, project.__name__, project)
        settings.ROOT_URLCONF = project.__name__
        messages = run_checks(tags=[Tags.security])
        return [message.id for message in messages if str(message.id).startswith("accounts.") and message.hint]

    return ids


def test_a_project_below_a_prefix_has_no_mistake(found):
    set_script_prefix("/shop/")
    try:
        assert found(API, PAGES, TOKENS) == []
    finally:
        set_script_prefix("/")


STEPS: dict[str, tuple[Any, list[str]]] = {
    "all are there": ((API, PAGES, TOKENS), []),
    "the pages are missing": ((API, TOKENS), ["accounts.W051"]),
    "the API is missing": ((PAGES, TOKENS), ["accounts.W052"]),
    "the API stands after that of tokens": ((TOKENS, API, PAGES), ["accounts.W052"]),
    "there is no API": ((PAGES,), []),
}


@pytest.mark.parametrize(("urls", "ids"), STEPS.values(), ids=STEPS)
def test_each_forgotten_url_is_named(urls, ids, found):
    assert found(*urls) == ids


LOGIN_URLS = {
    "a path without a view": ("/accounts/login/", ["accounts.W053"]),
    "a name without a view": ("no-such-name", ["accounts.W053"]),
    "the name of a view": ("sign-in", []),
    "the path of a view, with a query": ("/sign-in?from=here", []),
    "another site": ("https://login.example.org/", []),
    "another site, without a scheme": ("//login.example.org/", []),
}


@pytest.mark.parametrize(("value", "ids"), LOGIN_URLS.values(), ids=LOGIN_URLS)
def test_a_login_url_that_leads_nowhere_is_named(value, ids, found, settings):
    settings.LOGIN_URL = value
    assert found(API, PAGES, TOKENS) == ids


def test_the_projects_own_page_at_djangos_default_is_no_mistake(found, settings):
    settings.LOGIN_URL = "/accounts/login/"
    assert found(API, PAGES, TOKENS, LOGIN) == []


def test_tokens_that_is_missing_is_named(found, monkeypatch):
    monkeypatch.setattr(checks.apps, "is_installed", lambda name: name != "tokens")
    assert found(API, PAGES, TOKENS) == ["accounts.W050"]
