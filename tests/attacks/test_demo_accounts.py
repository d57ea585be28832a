"""The demo's accounts have a published password. With DEBUG off nobody signs in to them, and a check names them."""

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import LoginView, PasswordResetConfirmView
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.urls import path
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts.demo_accounts import FLAGS, PASSWORD
from tests.browsers import ACCESS, REFRESH, post, refresh
from tests.tokens.web_steps import EXPIRED, who
from tests.urls import urlpatterns as project
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(__name__)]

DEMO, ADMIN = FLAGS
NEW = "quite another passphrase"
urlpatterns = [
    path("django/sign-in", LoginView.as_view(template_name="accounts/sign_in.html")),
    path(
        "django/reset/<uidb64>/<token>/",
        PasswordResetConfirmView.as_view(
            post_reset_login=True, post_reset_login_backend="tokens.backends.ModelBackend", success_url="/"
        ),
    ),
    *project,
]


@pytest.fixture
def accounts(db: None) -> dict[str, Any]:
    """The accounts, as the command makes them. With another password each sign-in would be refused anyway."""
    users: Any = get_user_model().objects
    return {email: users.create_user(email, PASSWORD, **flags) for email, flags in FLAGS.items()}


def form(browser: Client, address: str, email: str) -> Any:
    return browser.post(address, {"username": email, "password": PASSWORD})


def by_djangos_reset(browser: Client, email: str) -> Any:
    """Somebody has a link of Django's own reset, which signs in at once."""
    user = get_user_model().objects.get(email=email)
    page = f"/django/reset/{urlsafe_base64_encode(force_bytes(user.pk))}/"
    browser.get(f"{page}{default_token_generator.make_token(user)}/")
    browser.post(f"{page}set-password/", {"new_password1": NEW, "new_password2": NEW})
    return browser.post("/sign-in", {"username": email, "password": NEW})


ENTRY_POINTS: dict[str, Callable[[Client, str], Any]] = {
    "the API": lambda browser, email: post(browser, "/api/auth/login", {"email": email, "password": PASSWORD}),
    "our page": lambda browser, email: form(browser, "/sign-in", email),
    "another spelling": lambda browser, email: form(browser, "/sign-in", email.upper()),
    "the admin": lambda browser, email: form(browser, "/admin/login/", email),
    "Django's view": lambda browser, email: form(browser, "/django/sign-in", email),
    "a view that calls login": lambda browser, email: browser.get(f"/probe/sign-in/{email}"),
    "Django's session": lambda browser, email: browser.force_login(get_user_model().objects.get(email=email)),
    "Django's reset of the password": by_djangos_reset,
}


@pytest.mark.parametrize("entry_point", ENTRY_POINTS.values(), ids=ENTRY_POINTS)
@pytest.mark.parametrize("email", FLAGS)
def test_do_not_sign_in_by(accounts, api, email, entry_point):
    entry_point(api, email)
    assert (who(api), RefreshToken.objects.live().count()) == (None, 0)
    assert "/login/" in api.get("/admin/")["Location"]


@pytest.mark.parametrize("entry_point", ["the API", "our page", "another spelling", "the admin", "Django's view"])
def test_do_not_sign_in_with_the_published_password_after_a_change_of_the_address_by(accounts, api, entry_point):
    get_user_model().objects.filter(email=ADMIN).update(email="ops@example.org")
    ENTRY_POINTS[entry_point](api, "ops@example.org")
    assert (who(api), RefreshToken.objects.live().count()) == (None, 0)


def test_the_published_password_is_refused_for_a_new_account(api):
    response = post(api, "/api/auth/register", {"email": "new@example.org", "password": PASSWORD})
    assert (response.status_code, list(response.json()["errors"])) == (400, ["password"])


@pytest.mark.parametrize("entry_point", [name for name in ENTRY_POINTS if "reset" not in name])
def test_sign_in_with_debug_on(accounts, api, settings, entry_point):
    """Otherwise the tests of this file could pass because nobody could sign in at all."""
    settings.DEBUG = True
    ENTRY_POINTS[entry_point](api, ADMIN)
    assert who(api) == str(accounts[ADMIN].pk)


def test_get_no_link_that_resets_their_password(accounts, api):
    assert (post(api, "/api/auth/password/reset", {"email": DEMO}).status_code, mail.outbox) == (202, [])


def test_are_answered_like_a_wrong_password_by_the_api(accounts, api, hashed):
    found = []
    for password in (PASSWORD, "wrong"):
        hashed.clear()
        response = post(api, "/api/auth/login", {"email": DEMO, "password": password})
        found.append((response.content, len(hashed)))
    assert found[0] == found[1]


def test_lose_the_sessions_that_were_opened_with_debug_on(accounts, api, settings, clock):
    settings.DEBUG = True
    post(api, "/api/auth/login", {"email": DEMO, "password": PASSWORD})
    assert api.get("/api/auth/me").status_code == 200
    settings.DEBUG = False
    assert api.get("/api/auth/me").status_code == 401
    clock.forward(EXPIRED)
    assert refresh(api).status_code == 401
    assert not RefreshToken.objects.live().exists()
    assert not {name for name in (ACCESS, REFRESH) if api.cookies[name].value}


def test_are_saved_without_being_deactivated(accounts):
    user: Any = get_user_model().objects.get(email=DEMO)
    user.is_staff = True
    user.save()
    rows = get_user_model().objects.filter(email=DEMO)
    assert rows.values_list("is_staff", "is_active").get() == (True, True)


@pytest.mark.parametrize(("is_debug", "named"), [(False, [ADMIN, DEMO]), (True, [])], ids=["off", "on"])
def test_are_named_by_a_check_with_debug(accounts, settings, is_debug, named):
    settings.DEBUG = is_debug
    said = StringIO()
    call_command("check", databases=["default"], stdout=said, stderr=said)
    assert re.findall(r"\w+@latchkey\.test", said.getvalue()) == named


def test_are_not_named_by_a_check_if_they_are_not_there(user):
    said = StringIO()
    call_command("check", databases=["default"], stdout=said, stderr=said)
    assert "accounts.W001" not in said.getvalue()
