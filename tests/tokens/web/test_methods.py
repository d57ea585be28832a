"""How a session was opened: the token, the row, introspection, the list and the events say the same for each way."""

import copy
import pickle
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.contrib.auth.backends import ModelBackend
from django.test import Client
from django.utils import timezone
from django.views.debug import SafeExceptionReporterFilter

from tests.attacks.entry_points import INTROSPECTION
from tests.browsers import ACCESS, FIREFOX, AsyncBrowser, post, refresh
from tests.factories import PASSWORD, AdminFactory
from tests.tokens.web import methods_urls
from tests.tokens.web.steps import said
from tests.tokens.web_steps import claims_of, signed_in_as, who
from tokens import sessions
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol.methods import loads
from tokens.web.methods import proved

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("postgresql")]

OURS, DJANGOS = "tokens.backends.ModelBackend", "django.contrib.auth.backends.ModelBackend"
_HERE = methods_urls.__name__
OTHER, CODES, DIRECTORY, PASSKEYS = (f"{_HERE}.{name}" for name in ("OtherPasswords", "Codes", "Directory", "Passkeys"))
PWD, NONE = (["pwd"], "aal1"), ([], None)
PASSKEY, SYNCED = (["pop", "user", "mfa"], "aal2"), (["pop", "user", "mfa", "swk"], "aal2")


@pytest.fixture(autouse=True)
def _project(settings: Any) -> None:
    """Serve the views of `methods_urls`, and let a service introspect. Without it, an entry point would answer 404."""
    settings.ROOT_URLCONF = _HERE
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "hijack"]
    settings.TOKENS = INTROSPECTION
    settings.AUTHENTICATION_BACKENDS = [OURS, PASSKEYS, CODES, DIRECTORY]


@pytest.fixture
def browser() -> Client:
    """A browser with a name, so that its device has one."""
    return Client(headers={"User-Agent": FIREFOX})


def event(kind: SecurityEvent.Kind) -> str:
    return SecurityEvent.objects.filter(kind=kind).latest("id").methods


def by(path: str, client: type[Client] = Client, **more: str) -> Callable[[Any], Client]:
    """Return an entry point: a form with the user's name is posted to this path."""

    def enter(user: Any) -> Client:
        browser = client(headers={"User-Agent": FIREFOX})
        assert browser.post(path, {"username": user.email, **more}).status_code in {200, 302}
        return browser

    return enter


def by_client(user: Any) -> Client:
    browser = Client()
    assert browser.login(username=user.email, password=PASSWORD)
    return browser


def by_force(user: Any) -> Client:
    browser = Client()
    browser.force_login(user, backend=OURS)
    return browser


def by_opening(methods: str) -> Callable[[Any], Client]:
    return lambda user: by(f"/probe/open/{user.email}/{methods}")(user)


ENTRY_POINTS: dict[str, tuple[Callable[[Any], Client], tuple[list[str], str | None]]] = {
    "the API": (signed_in_as, PWD),
    "the page": (by("/sign-in", password=PASSWORD), PWD),
    "the page under ASGI": (by("/sign-in", AsyncBrowser, password=PASSWORD), PWD),
    "the admin": (by("/admin/login/", password=PASSWORD), PWD),
    "a view of the project": (by("/probe/sign-in", password=PASSWORD), PWD),
    "an async view": (by("/probe/sign-in-async", AsyncBrowser, password=PASSWORD), PWD),
    "authenticate() without the request": (by("/probe/sign-in-without-request", password=PASSWORD), PWD),
    "a sign-in outside of the middleware": (by_client, PWD),
    "a passkey": (by("/probe/sign-in", passkey="of the device"), PASSKEY),
    "a passkey that is eligible for backup": (by("/probe/sign-in", passkey="synced"), SYNCED),
    "a passkey in an async view": (by("/probe/sign-in-async", AsyncBrowser, passkey="synced"), SYNCED),
    "a code by e-mail": (by("/probe/sign-in", code="123456"), NONE),
    "a backend that says nothing": (by("/probe/sign-in", password="of the directory"), NONE),
    "force_login": (by_force, NONE),
    "the project, which says a password and a code": (by_opening("pwd+otp"), (["pwd", "otp", "mfa"], "aal2")),
    "the project, which says a passkey": (by_opening("pop+user+mfa"), PASSKEY),
    "the project, which says a security key": (by_opening("hwk+user+mfa"), (["hwk", "user", "mfa"], "aal3")),
    "the project, which says a code only": (by_opening("otp"), (["otp"], "aal1")),
    "the project, which says a risk only": (by_opening("rba"), (["rba"], None)),
}


@pytest.fixture
def account() -> Any:
    """A user whom the admin lets in. The form of the admin would refuse any other user."""
    return AdminFactory()


@pytest.mark.parametrize(("enter", "expected"), ENTRY_POINTS.values(), ids=ENTRY_POINTS)
def test_a_session_says_how_it_was_opened(account, enter, expected):
    assert said(enter(account)) == expected
    assert event(SecurityEvent.Kind.SIGNED_IN) == " ".join(expected[0])


def test_a_sign_in_outside_of_the_middleware_has_them_wherever_django_keeps_its_session(account, engine):
    for _ in range(2):
        browser = by_client(account)
        assert said(browser) == PWD
        assert browser.login(username=account.email, password=PASSWORD)
        browser.force_login(account, backend=OURS)  # Without a request in between.
        browser.cookies.pop(ACCESS)
        assert said(browser) == NONE


@pytest.mark.parametrize("entry_point", ["a passkey", "force_login"])
def test_a_refresh_changes_nothing_of_it(account, clock, entry_point):
    enter, expected = ENTRY_POINTS[entry_point]
    browser = enter(account)
    assert who(browser)
    for _ in range(3):
        clock.forward(700)
        assert (refresh(browser).status_code, said(browser)) == (200, expected)


class TestWhatABackendHasChecked:
    @pytest.mark.parametrize("backend", [DJANGOS, OTHER])
    def test_is_a_password_for_djangos_backend_and_its_subclasses(self, account, settings, backend):
        settings.AUTHENTICATION_BACKENDS = [backend]
        for entry_point in ("the API", "the page", "an async view", "a sign-in outside of the middleware"):
            assert said(ENTRY_POINTS[entry_point][0](account)) == PWD

    def test_is_what_the_setting_says(self, account, settings):
        settings.TOKENS = {**INTROSPECTION, "BACKEND_METHODS": {DIRECTORY: ["pwd", "otp"], OURS: [], CODES: ["sms"]}}
        enter = ENTRY_POINTS["a backend that says nothing"][0]
        assert said(enter(account)) == (["pwd", "otp", "mfa"], "aal2")
        assert said(signed_in_as(account)) == NONE
        assert said(ENTRY_POINTS["a code by e-mail"][0](account)) == (["sms"], "aal1")
        assert said(by_force(account)) == NONE

    def test_is_less_than_what_the_backend_says_of_the_user(self, account, settings):
        settings.TOKENS = {**INTROSPECTION, "BACKEND_METHODS": {PASSKEYS: ["otp"]}}
        assert said(ENTRY_POINTS["a passkey"][0](account)) == PASSKEY

    def test_is_not_a_password_for_a_user_who_has_none(self, account, settings, monkeypatch):
        """A subclass of the project lets everybody in."""
        settings.AUTHENTICATION_BACKENDS = [OTHER]
        account.set_unusable_password()
        account.save()
        monkeypatch.setattr(type(account), "check_password", lambda user, given: True)
        assert said(signed_in_as(account)) == NONE

    def test_counts_for_the_user_only_whom_it_has_authenticated(self, account, user, browser):
        fields = {"username": user.email, "password": PASSWORD, "other": account.email}
        assert (browser.post("/probe/sign-in", fields).status_code, who(browser)) == (200, str(account.pk))
        assert said(browser) == NONE

    def test_counts_in_its_request_only(self, account, browser):
        browser.post("/probe/keep", {"username": account.email, "password": PASSWORD})
        assert (browser.post("/probe/sign-in-kept").status_code, said(browser)) == (200, NONE)

    def test_is_not_kept_by_a_copy_in_a_cache(self, account, browser):
        checked = authenticate(username=account.email, password=PASSWORD)
        browser.force_login(pickle.loads(pickle.dumps(checked)))  # noqa: S301
        assert said(browser) == NONE
        again = Client()
        again.force_login(copy.deepcopy(checked))
        assert said(again) == NONE

    def test_is_found_although_the_backend_is_wrapped_once_only(self, settings):
        before = ModelBackend.authenticate
        settings.AUTHENTICATION_BACKENDS = [DJANGOS]
        first = ModelBackend.authenticate
        settings.AUTHENTICATION_BACKENDS = [OURS, DJANGOS]
        assert ModelBackend.authenticate is first
        assert first.__wrapped__ is getattr(before, "__wrapped__", before)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_error_report_shows_no_password_where_a_backend_is_wrapped(settings, monkeypatch, rf, is_async):
    def fail(**names: Any) -> Any:
        raise RuntimeError

    settings.AUTHENTICATION_BACKENDS = [DIRECTORY]
    monkeypatch.setattr(methods_urls.User.objects, "filter", fail)
    account = {"username": "a name", "password": "of the directory"}
    with pytest.raises(RuntimeError) as caught:
        async_to_sync(aauthenticate)(**account) if is_async else authenticate(**account)
    shown = [
        SafeExceptionReporterFilter().get_traceback_frame_variables(rf.get("/"), frame)
        for frame, _ in traceback.walk_tb(caught.tb)
        if "tokens/web/methods.py" in frame.f_code.co_filename
    ]
    assert shown
    assert "of the directory" not in str(shown)


class TestReauthentication:
    def test_adds_the_password_and_moves_the_time(self, account, clock):
        browser = by_force(account)
        assert who(browser)
        signed_in_at = claims_of(browser)["auth_time"]
        clock.forward(100)
        assert post(browser, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 200
        assert said(browser) == PWD
        assert claims_of(browser)["auth_time"] == signed_in_at + 100
        assert event(SecurityEvent.Kind.REAUTHENTICATED) == "pwd"

    def test_keeps_the_methods_of_before_and_the_highest_level(self, account, clock):
        browser = ENTRY_POINTS["a passkey"][0](account)
        opened_at = claims_of(browser)["auth_time"]
        clock.forward(100)
        assert browser.post("/sign-in/again", {"current_password": PASSWORD}).status_code == 302
        assert said(browser) == (["pop", "user", "mfa", "pwd"], "aal2")
        times = {"pop": opened_at, "user": opened_at, "mfa": opened_at, "pwd": opened_at + 100}
        assert loads(RefreshToken.objects.get().methods) == times

    def test_by_a_backend_of_the_project_adds_what_that_one_has_checked(self, account, clock):
        browser = signed_in_as(account)
        clock.forward(100)
        fields = {"username": account.email, "passkey": "of the device"}
        assert browser.post("/probe/reauthenticate", fields).content == b"True"
        assert said(browser) == (["pwd", "pop", "user", "mfa"], "aal2")


class TestAddMethod:
    def test_adds_to_the_session_and_moves_the_time(self, account, clock):
        browser = signed_in_as(account)
        signed_in_at = claims_of(browser)["auth_time"]
        clock.forward(100)
        assert (browser.post("/probe/add/otp").content, said(browser)) == (b"True", (["pwd", "otp", "mfa"], "aal2"))
        assert claims_of(browser)["auth_time"] == signed_in_at + 100
        row = RefreshToken.objects.get()
        assert loads(row.methods) == {"pwd": signed_in_at, "otp": signed_in_at + 100, "mfa": signed_in_at + 100}
        assert row.generation == 1  # As after a refresh.
        assert event(SecurityEvent.Kind.REAUTHENTICATED) == "otp"
        clock.forward(100)
        assert (refresh(browser).status_code, said(browser)) == (200, (["pwd", "otp", "mfa"], "aal2"))

    def test_adds_to_the_session_that_the_same_response_opens(self, account, browser):
        assert browser.post(f"/probe/open-in-steps/{account.email}/pwd+otp").status_code == 200
        assert said(browser) == (["pwd", "otp", "mfa"], "aal2")
        assert [event.kind for event in SecurityEvent.objects.order_by("id")] == ["signed_in", "new_device"]

    def test_does_nothing_for_a_visitor_and_for_a_session_that_has_ended(self, account, browser, monkeypatch):
        assert browser.post("/probe/add/otp").content == b"False"
        signed_in = signed_in_as(account)
        RefreshToken.objects.update(revoked_at=timezone.now())
        assert signed_in.post("/probe/add/otp").content == b"False"


def test_an_impersonation_has_no_methods_and_takes_none_and_the_actor_has_them_again_afterwards(account, user):
    browser = signed_in_as(account)
    assert browser.post(f"/probe/impersonate/{user.email}").status_code == 200
    assert (browser.post("/probe/add/otp").status_code, said(browser)) == (403, NONE)
    assert (browser.post("/probe/release").status_code, said(browser)) == (200, PWD)


class TestAnUnknownValue:
    @pytest.mark.parametrize("methods", ["passkey", "pwd+PWD", "pwd+magic"])
    def test_is_refused_by_its_name_and_opens_nothing(self, account, browser, methods):
        wrong = methods.rpartition("+")[2]
        with pytest.raises(sessions.UnknownMethod, match=f"'{wrong}' is neither a value of the registry"):
            browser.post(f"/probe/open/{account.email}/{methods}")
        with pytest.raises(sessions.UnknownMethod, match=wrong):
            signed_in_as(account).post(f"/probe/add/{methods}")
        assert [row.amr for row in RefreshToken.objects.all()] == [["pwd"]]

    def test_is_refused_in_the_attribute_of_a_backend(self, account, monkeypatch):
        monkeypatch.setattr(type(account), "authenticated_by", None, raising=False)
        assert said(by_force(account)) == NONE  # A field of the project's user model says nothing.
        monkeypatch.undo()
        account.authenticated_by = ["magic"]
        with pytest.raises(sessions.UnknownMethod, match="'magic'"):
            by_force(account)

    def test_is_refused_if_it_is_a_text_in_place_of_a_list(self):
        with pytest.raises(sessions.UnknownMethod, match="'pwd' is a text"):
            proved("pwd")

    def test_is_known_if_the_project_adds_it(self, account, browser, settings):
        settings.TOKENS = {**INTROSPECTION, "OWN_METHODS": ["badge"], "ACR_VALUES": {"building": ["badge"]}}
        assert browser.post(f"/probe/open/{account.email}/badge").status_code == 200
        assert said(browser) == (["badge"], "building")
        assert "<dt>Signed in by</dt><dd>badge</dd>" in browser.get("/").content.decode()


def test_the_time_of_each_method_can_be_given(account, clock):
    now = timezone.now()
    account.authenticated_by = {"pwd": now - timedelta(seconds=90), "otp": now + timedelta(seconds=5)}
    assert said(by_force(account)) == (["pwd", "otp", "mfa"], "aal2")
    at = int(clock.now.timestamp())
    assert loads(RefreshToken.objects.get().methods) == {"pwd": at - 90, "otp": at, "mfa": at}


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "<dt>Signed in by</dt><dd>passkey, password</dd>"),
        ("de", "<dt>Angemeldet mit</dt><dd>Passkey, Passwort</dd>"),
    ],
    ids=["English", "German"],
)
def test_pages_say_it_in_words(account, language, line):
    browser = ENTRY_POINTS["a passkey that is eligible for backup"][0](account)
    assert browser.post("/probe/add/pwd").content == b"True"
    headers = {"Accept-Language": language}
    assert line in browser.get("/", headers=headers).content.decode()
    session, event = RefreshToken.objects.get(), SecurityEvent.objects.filter(kind="reauthenticated").get()
    shown = browser.get(f"/admin/tokens/refreshtoken/{session.pk}/change/", headers=headers).content.decode()
    assert "passkey (" in shown.lower()
    assert "swk" not in shown
    of_event = browser.get(f"/admin/tokens/securityevent/{event.pk}/change/", headers=headers).content.decode()
    assert ("password" if language == "en" else "Passwort") in of_event


def test_nothing_is_said_where_nothing_is_known(account):
    assert "Signed in by" not in by_force(account).get("/").content.decode()
