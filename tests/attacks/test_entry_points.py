"""The entry points to an account, which SECURITY.md lists: what each does if the account changes meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import update_last_login
from django.core.management import get_commands
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver

from accounts.models import User
from tests.attacks.changes import CHANGES, PAGES, everything, other_session, submit
from tests.attacks.entry_points import by_api, by_form
from tests.browsers import ACCESS, FIREFOX, REFRESH, AsyncBrowser, login, new_browser, post
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.parallel import at_once
from tests.tokens.service.holders import AnotherProcess, Holder
from tests.tokens.service.threads import in_thread, paused, until_one_waits
from tokens.models import RefreshToken
from tokens.service import devices, opening, reauthentication


def below(prefix: str, names: str) -> set[str]:
    """Return the URLs or commands that begin with this prefix. ``names``: how they go on, with spaces in between."""
    return {f"{prefix}{name}" for name in names.split()}


ENTRY_POINTS = {
    *("", "admin/accounts/user/", "admin/auth/group/", "admin/tokens/refreshtoken/"),
    *below("", "devices register alarm sign-in sign-in/again sign-in/factor sign-in/passkey sign-out account/delete"),
    *below("", "email/confirm email/change password/change password/reset password/reset/confirm"),
    *below("sessions/", "end-others <uuid:session_id>/end <uuid:session_id>/rename"),
    *below("account/security/", "app app/confirm app/remove recovery-codes passkeys/add passkeys/offer"),
    *below("account/security/passkeys/<uuid:passkey_id>/", "rename remove"),
    *below("api/auth/", "login factor passkey refresh reauthenticate logout register me"),
    *below("api/auth/", "sessions sessions/(?P<session_id>[^/]+) device/register device/refresh"),
    *below("api/auth/", "email/confirm email/change password/change password/reset password/reset/confirm"),
    *below("api/auth/", "factors factors/totp factors/totp/confirm factors/recovery-codes"),
    *below("api/auth/", "factors/passkeys factors/passkeys/(?P<passkey_id>[^/]+)"),
    *below("admin/", "login/ logout/ password_change/"),
    *below("admin/auth/group/", "add/ <path:object_id>/change/ <path:object_id>/delete/"),
    *below("admin/accounts/user/", "add/ <id>/password/ <path:object_id>/change/ <path:object_id>/delete/"),
    *below("admin/tokens/refreshtoken/", "user/<path:user_id>/revoke/"),
    *below("admin/factors/factorreset/", "user/<path:user_id>/reset/ <uuid:row_id>/confirm/"),
    *below("manage.py ", "canonical_addresses changepassword createsuperuser revoke_sessions reset_factors"),
    *below("manage.py ", "loaddata flush"),
}
"""Every URL and command that can open, keep or change an account, or end its sessions."""

HARMLESS = {
    *below("api/", "docs schema auth/introspect auth/service-token"),
    *below(".well-known/", "jwks.json change-password webauthn oauth-authorization-server"),
    ".well-known/oauth-authorization-server/<path:component>",
    *below("", "api/ signed-out mail-sent email/confirmed password/changed password/reset/done account/deleted"),
    *below("", "account/security account/passkeys/options"),
    *below("admin/", "password_change/done/ autocomplete/ jsi18n/ tokens/refreshtoken/dashboard/"),
    *("admin/", "admin/(?P<app_label>auth|accounts|factors|tokens)/", "admin/(?P<url>.*)"),
    *below("manage.py ", "list_sessions make_signing_key purge_tokens purge_links encrypt_factors"),
}
"""Every other URL and command of the project."""

READ_ONLY = (
    *("admin/tokens/refreshtoken", "admin/tokens/device", "admin/tokens/securityevent"),
    "admin/factors/factorreset",
)
"""Models that the admin shows, but does not add, change or delete."""

DJANGOS = {"manage.py changepassword", "manage.py createsuperuser", "manage.py loaddata", "manage.py flush"}
"""Commands of Django's that change accounts. Its other commands change none."""


def routes(resolver: Any, prefix: str = "") -> Iterator[str]:
    """Yield every URL of the project, without the anchors of regular expressions."""
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("(?:/)?")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        else:
            yield route


def is_shown_only(route: str) -> bool:
    """Return whether this is a page of the admin that cannot change anything."""
    pages = ("add/", "<path:object_id>/change/", "<path:object_id>/delete/")
    if route.endswith(("<path:object_id>/history/", "<path:object_id>/")):
        return True
    return route.startswith(READ_ONLY) and (route.endswith(pages) or route in {f"{start}/" for start in READ_ONLY[1:]})


def test_every_url_and_command_is_either_an_entry_point_or_harmless():
    commands = {
        f"manage.py {name}"
        for name, app in get_commands().items()
        if app in {"tokens", "accounts", "factors", "config"}
    }
    found = {route for route in routes(get_resolver("config.urls")) if not is_shown_only(route)} | commands | DJANGOS
    assert found == ENTRY_POINTS | HARMLESS
    assert not ENTRY_POINTS & HARMLESS


OPENERS: dict[str, tuple[Callable[..., Any], Callable[[Client, Any], Any]]] = {
    "login by the API": (Client, by_api("cookie")),
    "the page to sign in": (Client, by_form("/sign-in")),
    "the admin": (Client, by_form("/admin/login/")),
    "Django's LoginView": (Client, by_form("/accounts/login/")),
    "auth.login() in a view": (Client, lambda browser, user: browser.get(f"/probe/sign-in/{user.email}")),
    "auth.login() under ASGI": (AsyncBrowser, lambda browser, user: browser.get(f"/probe/sign-in/{user.email}")),
    "auth.alogin() in an async view": (
        AsyncBrowser,
        lambda browser, user: browser.get(f"/probe/sign-in-async/{user.email}"),
    ),
}
"""The ways to sign in: a class of browsers, and the request."""


@pytest.fixture(params=OPENERS.values(), ids=OPENERS)
def opener(request: pytest.FixtureRequest, settings: Any) -> Callable[[Any], tuple[Client, Any]]:
    """Each way to sign in. The value is a function that signs a user in, and returns the browser and the response.

    A test with one way would not notice that another one does not check the account.
    """
    settings.ROOT_URLCONF = "tests.urls"
    kind, sign_in = request.param
    browser = kind(headers={"User-Agent": FIREFOX}, raise_request_exception=False)
    return lambda user: (browser, sign_in(browser, user))


def change_password(user: Any) -> None:
    row = get_user_model().objects.get(pk=user.pk)
    row.set_password("what the owner has chosen meanwhile")
    row.save()


CHANGED = {
    "the password is changed": change_password,
    "the user is deactivated": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "the user is deleted": lambda user: User.objects.get(pk=user.pk).delete(),
}


@pytest.fixture
def staff(transactional_db: None) -> Any:
    """A user who may sign in by every entry point. The admin would refuse others, whatever has changed."""
    return UserFactory(is_staff=True)


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_sign_in_that_has_checked_the_password_opens_nothing_if_meanwhile(opener, staff, monkeypatch, change):
    original = opening.open_session

    def after_the_change(*args: Any, **options: Any) -> Any:
        with in_thread(lambda: change(staff)):
            pass
        return original(*args, **options)

    monkeypatch.setattr(opening, "open_session", after_the_change)
    browser, response = opener(staff)
    assert not RefreshToken.objects.exists()
    assert response.status_code in {200, 302, 401}
    assert not [name for name in (ACCESS, REFRESH) if name in response.cookies]
    monkeypatch.setattr(opening, "open_session", original)
    assert browser.get("/api/auth/me").status_code == 401
    assert not RefreshToken.objects.exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_change_that_begins_while_a_session_is_opened_waits_for_it_and_ends_it(staff, monkeypatch, change):
    recognise, process, opened = devices.recognise, AnotherProcess(), []
    process.is_revoked(uuid4())

    def open_slowly(pause: Callable[[], None]) -> None:
        def pause_first(*args: Any) -> Any:
            pause()
            return recognise(*args)

        monkeypatch.setattr(devices, "recognise", pause_first)
        opened.append(Holder(staff))

    with ExitStack() as changing, paused(open_slowly):
        changing.enter_context(in_thread(lambda: change(staff)))
        until_one_waits()
    process.forward(1)
    assert process.is_revoked(opened[0].id, str(staff.pk))
    assert not RefreshToken.objects.live().exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("is_within", [False, True], ids=["by itself", "within the caller's transaction"])
def test_one_user_signs_in_on_eight_connections_at_once(staff, is_within):
    def sign_in() -> None:
        with transaction.atomic() if is_within else nullcontext():
            Holder(staff)
            update_last_login(None, staff)

    at_once(*[sign_in] * 8)
    assert RefreshToken.objects.live().count() == 8


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_reauthentication_that_has_checked_the_password_changes_nothing_if_meanwhile(staff, monkeypatch, change):
    browser = new_browser()
    login(browser, staff)
    before = list(RefreshToken.objects.values_list("authenticated_at"))
    original = reauthentication.reauthenticate

    def after_the_change(*args: Any, **options: Any) -> Any:
        with in_thread(lambda: change(staff)):
            pass
        return original(*args, **options)

    monkeypatch.setattr(reauthentication, "reauthenticate", after_the_change)
    assert post(browser, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 401
    assert list(RefreshToken.objects.values_list("authenticated_at")) in ([], before)


NEW = {"current_password": PASSWORD, "new_password": "what the thief has chosen"}
CHANGERS: dict[str, Callable[[Client], Any]] = {
    **{name: change for name, change in CHANGES.items() if name != "this device is named"},
    **{name: partial(submit, page=page) for name, page in PAGES.items()},
    "the password is changed": lambda browser: post(browser, "/api/auth/password/change", NEW),
    "the password is changed on the page": lambda browser: browser.post(
        "/password/change", {**NEW, "password1": NEW["new_password"], "password2": NEW["new_password"]}
    ),
    "the admin revokes": lambda browser: browser.post(
        "/admin/tokens/refreshtoken/",
        {"action": "revoke_selected", "_selected_action": [str(other_session().pk)], "confirmed": "yes"},
    ),
    "the admin deletes a user": lambda browser: browser.post(
        f"/admin/accounts/user/{other_session().user_id}/delete/", {"post": "yes"}
    ),
}
"""What a session can do to an account, to its devices and to other sessions."""


@pytest.mark.django_db
@pytest.mark.parametrize("is_live", [False, True], ids=["has ended", "is live"])
@pytest.mark.parametrize("change", CHANGERS.values(), ids=CHANGERS)
def test_a_session_changes_something_only_if_it_is_live_in_the_database(change, is_live, clock, mailoutbox):
    boss, browser = AdminFactory(), new_browser()
    Holder(boss)
    login(browser, boss)
    own = RefreshToken.objects.order_by("id")[1]
    assert browser.get("/api/auth/me").status_code == 200
    if not is_live:
        # Another process has ended the session. This one has read the feed just before.
        RefreshToken.objects.filter(pk=own.pk).update(revoked_at=clock.now, revoked_reason="ended_by_user")
    before = [*everything(), len(mailoutbox)]
    response = change(browser)
    assert ([*everything(), len(mailoutbox)] != before) is is_live, response.content
    assert is_live or response.status_code in {302, 401}
