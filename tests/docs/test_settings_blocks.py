"""Blocks of settings in the guides do what their page says."""

import json
import re
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import path

from tests.browsers import ACCESS, new_browser, post
from tests.docs.blocks import Block, block, blocks
from tests.docs.code import modules, run, settings_of
from tests.factories import PASSWORD, AdminFactory, User
from tests.factors.steps import code
from tests.tokens.api.steps import assert_problem
from tests.tokens.protocol.jws import claims_of
from tests.tokens.web_steps import signed_in_as
from tests.urls import urlpatterns as project
from tokens import sessions
from tokens.conf import token_settings
from tokens.web.reports import ErrorLine

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("sqlite")]

HOW_TO = "docs/how-to"
POLICY = f"{HOW_TO}/sign-in-policy.md"
SUFFIX = block(f"{HOW_TO}/cookie-names.md", "# settings.py, with a second site on the host")
AXES = block(f"{HOW_TO}/other-packages.md", "# settings.py, with django-axes")
STAFF = block(f"{HOW_TO}/factors.md", "# settings.py, with factors and staff who need them")
BADGES, OWN = block(POLICY, "# badges.py"), block(POLICY, "# settings.py, with a factor of your own")
[NEXT_STEP] = blocks(POLICY, "json")
[HOOK, TENANTS] = blocks(f"{HOW_TO}/tenants.md")
[WOULD_PURGE] = blocks(f"{HOW_TO}/purge.md", "text")
PURGES = blocks(f"{HOW_TO}/purge.md", "sh")
[LINE] = blocks(f"{HOW_TO}/errors.md", "text")


def runs_blocks() -> list[Block]:
    return [SUFFIX, AXES, STAFF, BADGES, OWN, NEXT_STEP, HOOK, TENANTS, WOULD_PURGE, *PURGES, LINE]


def sign_in(client: Client, user: Any) -> Any:
    return post(client, "/api/auth/login", {"email": user.email, "password": PASSWORD})


def test_a_suffix_ends_the_names_of_all_cookies_that_a_sign_in_sets(settings, user):
    for name, value in settings_of(SUFFIX).items():
        setattr(settings, name, value)
    client = signed_in_as(user)
    assert {"__Host-access-shop", "__Host-Http-refresh-shop", "__Host-Http-device-shop"} <= set(client.cookies)
    assert [name for name in client.cookies if not name.endswith("-shop")] == []
    named = re.findall(r"__Host-[\w-]+", SUFFIX.text)
    assert set(named) <= set(client.cookies)


def test_beside_django_axes_only_our_counts_of_passwords_are_off(settings, monkeypatch):
    monkeypatch.delenv("TOKENS_THROTTLES")
    settings.TOKENS = settings_of(AXES)["TOKENS"]
    rates = token_settings().throttles
    counted = ("sign_in_account", "sign_in_device", "sign_in_network", "refresh_session")
    assert [rates.of(name) is None for name in counted] == [True, True, True, False]


def test_staff_without_a_factor_sets_up_an_app_at_the_sign_in(settings, clock):
    documented = run(block(f"{HOW_TO}/factors.md", "# settings.py, with factors"), INSTALLED_APPS=[])
    settings.TOKENS = settings_of(STAFF, TOKENS=documented["TOKENS"])["TOKENS"]
    client, staff = new_browser(), AdminFactory()
    assert sign_in(client, staff).json()["offered"] == ["enrol_totp"]
    secret = post(client, "/api/auth/factor", {"method": "enrol_totp"}).json()["options"]["secret"]
    answer = {"method": "enrol_totp", "answer": code(secret, clock.now)}
    assert post(client, "/api/auth/factor", answer).status_code == 200
    assert client.get("/api/auth/me").json()["user"]["id"] == str(staff.pk)


def test_a_factor_of_a_project_opens_a_session_after_the_problem_that_names_it(settings, monkeypatch, user):
    badge = SimpleNamespace(takes=lambda answer: answer == "the right badge")
    monkeypatch.setattr(User, "badge", badge, raising=False)
    with modules(badges=BADGES):
        more = {"SIGN_IN_POLICY": f"{__name__}.ask_for_a_badge"}
        settings.TOKENS = settings_of(OWN, TOKENS=more)["TOKENS"]
        client = new_browser()
        problem, shown = sign_in(client, user).json(), json.loads(NEXT_STEP.text)
        assert {**shown, "offered": ["badge"]} == {name: problem[name] for name in shown}
        wrong = post(client, problem["verify"], {"method": "badge", "answer": "another badge"})
        assert_problem(wrong, 401, "factor_refused")
        assert post(client, problem["verify"], {"method": "badge", "answer": "the right badge"}).status_code == 200
        assert claims_of(client.cookies[ACCESS].value)["amr"] == ["pwd", "badge"]


def ask_for_a_badge(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if "badge" in methods else sessions.MoreNeeded()


def test_a_token_is_good_at_the_tenant_that_the_function_names_and_at_no_other(settings, user):
    settings.MIDDLEWARE = [f"{__name__}.of_host", *settings.MIDDLEWARE]
    settings.ALLOWED_HOSTS = ["*"]
    with modules(**{"shop": HOOK, "shop.tenants": HOOK}):
        settings.TOKENS = settings_of(TENANTS)["TOKENS"]
        client = signed_in_as(user)
        assert claims_of(client.cookies[ACCESS].value)["latchkey_tenant"] == "testserver"
        assert client.get("/api/auth/me").status_code == 200
        assert client.get("/api/auth/me", headers={"Host": "second.example.org"}).status_code == 401


def of_host(get_response: Any) -> Any:
    """Set the tenant as the middleware of django-tenants does. ``python -m tests.foreign.tenants`` runs that."""

    def middleware(request: Any) -> Any:
        request.tenant = SimpleNamespace(schema_name=request.get_host())
        return get_response(request)

    return middleware


def test_a_purge_says_what_it_would_delete_and_then_deletes_it():
    said = StringIO()
    commands = [line.split()[2:] for one in PURGES for line in one.text.splitlines()]
    assert [name for name, *_ in commands] == ["purge_tokens", "purge_tokens", "purge_links"]
    for name, *options in commands:
        call_command(name, *options, stdout=said)
    texts = WOULD_PURGE.text, said.getvalue()
    shown, seen = (re.sub(r"[\d-]+ [\d:]+ UTC|[\d.]+ s$", "…", text, flags=re.MULTILINE) for text in texts)
    assert seen.startswith(shown)
    assert "sessions: 0 deleted" in said.getvalue()


def test_an_error_leaves_the_line_that_the_page_shows(settings, caplog):
    settings.ROOT_URLCONF = __name__
    browser_without_errors = Client(raise_request_exception=False)
    assert browser_without_errors.get("/books?title=secret").status_code == 500
    [record] = [found for found in caplog.records if found.name == "django.request"]
    said = re.sub(r"^time=\S+", "time=…", ErrorLine().format(record))
    assert re.sub(r'at="\S+:\d+ ', 'at="/srv/books/views.py:7 ', said) == LINE.text.strip()


def book(request: Any) -> Any:
    return {}["secret"]


urlpatterns = [path("books", book), *project]
