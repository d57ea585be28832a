"""Notices: a new device and a token used twice are told by mail, and no answer shows whether a mail went out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import translation

from accounts import mail
from accounts.notices import tell_owner
from accounts.time_zones import COOKIES
from tests.accounts.steps import seen, who
from tests.browsers import DEVICE, FIREFOX, REFRESH, login, refresh
from tests.factories import PASSWORD, UserFactory
from tokens import sessions
from tokens.models import Device, RefreshToken, SecurityEvent

urlpatterns = [path("api/", include("tokens.api.urls"))]
"""Of a project that has the users of `accounts`, and not its pages."""

pytestmark = pytest.mark.django_db(transaction=True)

THIEF = {"User-Agent": "curl/8.5"}


@pytest.fixture
def known(api: Client, user: Any, mailoutbox: list[Any]) -> Client:
    """The browser that its owner signed in with first."""
    login(api, user)
    assert not mailoutbox
    return api


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that fails, in whatever it does."""

    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(mail, "compose_with_link", fail)


def steal(owner: Client, clock: Any) -> tuple[Client, str]:
    """Let the owner go on for two generations while a thief keeps the first token; return the thief and the token."""
    stolen = owner.cookies[REFRESH].value
    for _ in range(2):
        clock.forward(601)
        assert who(owner) == 200
    return Client(headers=THIEF), stolen


def statements(browser: Client, user: Any) -> int:
    """How many statements a sign-in takes."""
    with CaptureQueriesContext(connection) as captured:
        login(browser, user)
    return len(captured)


@contextmanager
def nobody_listening() -> Iterator[None]:
    """As in a project without `accounts`."""
    assert sessions.happened.disconnect(tell_owner)
    try:
        yield
    finally:
        sessions.happened.connect(tell_owner)


class TestANewDevice:
    def test_is_told_with_its_name_the_time_and_the_address(self, clock, known, user, another, mailoutbox):
        clock.forward(3600)
        login(another(), user)
        (message,) = mailoutbox
        assert (message.to, message.subject) == ([user.email], "A new device signed in")
        assert "Device: Firefox on Windows\nTime: Jan. 1, 2030, 1 p.m. (UTC)\nAddress: 127.0.0.1\n" in message.body
        assert "https://testserver/alarm?token=" in message.body

    def test_is_told_whatever_door_it_came_in_by(self, known, user, another, mailoutbox):
        another().post("/sign-in", {"username": user.email, "password": PASSWORD})
        assert [message.to for message in mailoutbox] == [[user.email]]

    def test_is_not_told_of_the_first_sign_in_of_an_account(self, api, user, mailoutbox):
        login(api, user)
        assert Device.objects.count() == 1
        assert not mailoutbox

    def test_is_told_when_the_account_has_slept_so_long_that_its_devices_were_purged(
        self, known, another, user, mailoutbox
    ):
        Device.objects.all().delete()
        login(another(), user)
        assert len(mailoutbox) == 1

    def test_is_not_one_that_was_there_before(self, known, user, mailoutbox):
        login(known, user)
        assert RefreshToken.objects.count() == 2
        assert not mailoutbox

    def test_is_one_for_each_user_of_a_browser_but_not_at_their_first_sign_in(self, known, user, another, mailoutbox):
        partner = UserFactory()
        login(known, partner)
        assert not mailoutbox
        elsewhere = another()
        login(elsewhere, partner)
        login(elsewhere, user)
        assert [message.to for message in mailoutbox] == [[partner.email], [user.email]]

    def test_is_not_told_when_the_sign_in_is_refused(self, known, user, another, mailoutbox):
        wrong = {"email": user.email, "password": "wrong"}
        assert another().post("/api/auth/login", wrong, content_type="application/json").status_code == 401
        assert not mailoutbox

    def test_cannot_write_the_mail_by_its_name(self, known, user, another, mailoutbox):
        login(another(), user, device_name='<b>Call</b> "us"')
        assert 'Device: <b>Call</b> "us"\n' in mailoutbox[0].body
        assert "&lt;b&gt;Call&lt;/b&gt;" in mailoutbox[0].alternatives[0][0]

    def test_costs_a_sign_in_one_statement_and_one_on_a_known_device_none(self, clock, known, user, another):
        assert who(known) == 200  # The feed is read, and time stands still from here.
        with nobody_listening():
            new, again = statements(another(), user), statements(known, user)
        assert statements(another(), user) == new + 1
        assert statements(known, user) == again

    def test_is_told_in_the_language_of_the_sign_in(self, known, user, mailoutbox):
        with translation.override("en"):  # A request leaves its language behind, as Django does.
            login(Client(headers={"User-Agent": FIREFOX, "Accept-Language": "de"}), user)
        assert '<html lang="de">' in mailoutbox[0].alternatives[0][0]
        assert "Firefox auf Windows" in mailoutbox[0].body

    @pytest.mark.urls("tests.accounts.test_notices")
    def test_is_a_line_in_the_log_where_the_mails_link_would_lead_nowhere(
        self, known, user, another, mailoutbox, caplog
    ):
        login(another(), user)
        (line,) = [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
        assert "accounts.urls is not included" in line.getMessage()
        assert not mailoutbox

    def test_signs_in_though_the_mail_fails(self, known, user, another, broken, mailoutbox):
        browser = another()
        login(browser, user)
        assert who(browser) == 200
        assert DEVICE in browser.cookies
        assert not mailoutbox


class TestATokenUsedTwice:
    def test_is_told_to_the_owner_with_what_to_do(self, clock, known, user, mailoutbox):
        thief, stolen = steal(known, clock)
        assert refresh(thief, stolen).status_code == 401
        assert who(known) == 401
        (message,) = mailoutbox
        assert (message.to, message.subject) == ([user.email], "A session was ended for your safety")
        assert "Device: Firefox on Windows\nTime: Jan. 1, 2030, 12:20 p.m. (UTC)\n" in message.body
        assert "sign in again" in message.body
        assert "https://testserver/alarm?token=" in message.body

    def test_is_told_once_however_often_it_is_presented(self, clock, known, user, mailoutbox):
        thief, stolen = steal(known, clock)
        for _ in range(3):
            refresh(thief, stolen)
        assert len(mailoutbox) == 1

    def test_says_nothing_of_the_token(self, clock, known, mailoutbox):
        thief, stolen = steal(known, clock)
        refresh(thief, stolen)
        assert stolen not in mailoutbox[0].message().as_string()
        assert known.cookies[REFRESH].value not in mailoutbox[0].message().as_string()

    def test_is_refused_to_the_byte_as_a_session_of_which_no_mail_tells(self, clock, known, mailoutbox):
        thief, stolen = steal(known, clock)
        told = seen(refresh(thief, stolen))
        assert len(mailoutbox) == 1
        assert seen(refresh(thief, stolen)) == told
        assert len(mailoutbox) == 1

    def test_is_not_shown_by_the_headers_of_a_page_that_is_for_everybody(self, clock, known, mailoutbox):
        thief, stolen = steal(known, clock)
        thief.cookies[REFRESH], thief.cookies[COOKIES[0]] = stolen, "Europe/Berlin"
        told = seen(thief.get("/.well-known/jwks.json"))
        assert len(mailoutbox) == 1
        assert "12:20 p.m. (UTC)" in mailoutbox[0].body
        assert seen(thief.get("/.well-known/jwks.json")) == told
        assert len(mailoutbox) == 1

    def test_is_refused_and_ended_though_the_mail_fails(self, clock, known, broken, mailoutbox):
        thief, stolen = steal(known, clock)
        failed = refresh(thief, stolen)
        assert failed.status_code == 401
        assert seen(refresh(thief, stolen)) == seen(failed)
        assert not RefreshToken.objects.live().exists()
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.REUSE_DETECTED).count() == 1
        assert not mailoutbox

    def test_is_not_a_session_that_ended_otherwise(self, clock, known, user, mailoutbox):
        known.post("/api/auth/logout", content_type="application/json")
        assert not mailoutbox


def test_a_password_changed_in_the_admin_is_told_though_django_changed_it(api, user, mailoutbox):
    user.is_staff = True
    user.save()
    login(api, user)
    new = "another password that nobody guesses"
    fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert api.post("/admin/password_change/", fields).status_code == 302
    assert [message.subject for message in mailoutbox] == ["Your password was changed"]
