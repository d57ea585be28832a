"""Notices: the user gets a mail about a new device and a token used twice, and no response shows that it was sent."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from accounts import mail
from accounts.notices import tell_owner
from tests.accounts.steps import ask, seen, sign_in_by_form, who
from tests.browsers import DEVICE, REFRESH, login, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.web_steps import signed_in_as
from tokens import sessions
from tokens.models import Device, RefreshToken, SecurityEvent

urlpatterns = [path("api/", include("tokens.api.urls"))]
"""Of a project that uses the users of `accounts` and not its pages."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def known(signed_in, mailoutbox) -> Client:
    """The browser in which the user signed in first. Its mail is gone, or it would be taken for that of a later one."""
    assert Device.objects.count() == 1
    mailoutbox.clear()
    return signed_in


@pytest.fixture
def broken(monkeypatch):
    """A bug in the composing of mails. Without it a notice that breaks the sign-in would go unnoticed."""
    monkeypatch.setattr(mail, "compose_with_link", None)


@pytest.fixture
def stolen(known, clock) -> str:
    """The first refresh token of the session, replaced twice since. Replaced once, it might still be accepted."""
    token = known.cookies[REFRESH].value
    for _ in range(2):
        clock.forward(601)
        assert who(known) == 200
    return token


@pytest.fixture
def thief() -> Client:
    """Another kind of browser. With the same kind, a notice that names the wrong device would go unnoticed."""
    return Client(headers={"User-Agent": "curl/8.5"})


def statements(browser, user) -> int:
    """Sign in, and return the number of SQL statements."""
    with CaptureQueriesContext(connection) as captured:
        login(browser, user)
    return len(captured)


class TestANewDevice:
    def test_is_reported_with_its_name_the_time_and_the_address(self, clock, known, user, another, mailoutbox):
        clock.forward(3600)
        login(another(), user)
        login(another(), user, device_name='<b>Call</b> "us"')
        assert {(message.to[0], message.subject) for message in mailoutbox} == {(user.email, "A new device signed in")}
        text = mailoutbox[0].body
        assert "Device: “Firefox on Windows”\nTime: Jan. 1, 2030, 1 p.m. (UTC)\nAddress: 127.0.0.1\n" in text
        assert "https://testserver/alarm?token=" in text
        assert 'Device: “<b>Call<·b> "us"”\n' in mailoutbox[1].body
        assert "&lt;b&gt;Call&lt;·b&gt;" in mailoutbox[1].alternatives[0][0]

    def test_is_told_whatever_entry_point_it_came_in_by(self, known, user, another, mailoutbox):
        sign_in_by_form(another(), user)
        assert [message.to for message in mailoutbox] == [[user.email]]

    def test_is_reported_when_all_older_devices_were_purged(self, known, another, user, mailoutbox):
        Device.objects.all().delete()
        login(another(), user)
        assert len(mailoutbox) == 1

    def test_is_reported_at_the_first_sign_in_of_an_account(self, api, user, clock, mailoutbox):
        login(api, user)
        (message,) = mailoutbox
        assert (message.to, message.subject) == ([user.email], "A new device signed in")

    def test_is_reported_to_each_user_of_a_browser(self, known, user, mailoutbox):
        partner = UserFactory()
        login(known, partner)
        assert [message.to for message in mailoutbox] == [[partner.email]]
        mailoutbox.clear()
        elsewhere = signed_in_as(partner)
        login(elsewhere, user)
        assert [message.to for message in mailoutbox] == [[partner.email], [user.email]]

    def test_costs_the_sign_in_one_statement_and_a_known_device_costs_none(self, known, user, another):
        assert sessions.happened.disconnect(tell_owner)
        try:  # As in a project without `accounts`.
            new, again = statements(another(), user), statements(known, user)
        finally:
            sessions.happened.connect(tell_owner)
        assert statements(another(), user) == new + 1
        assert statements(known, user) == again

    @pytest.mark.urls("tests.accounts.test_notices")
    def test_is_only_logged_in_a_project_without_the_pages(self, known, user, another, mailoutbox, caplog):
        login(another(), user)
        (line,) = [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
        assert "its link needs accounts.urls" in line.getMessage()
        assert not mailoutbox

    def test_is_signed_in_even_if_the_mail_fails(self, known, user, broken, mailoutbox):
        browser = signed_in_as(user)
        assert who(browser) == 200
        assert DEVICE in browser.cookies
        assert not mailoutbox


class TestATokenUsedTwice:
    def test_is_told_to_the_owner_with_what_to_do(self, known, user, thief, stolen, mailoutbox):
        latest = known.cookies[REFRESH].value
        assert refresh(thief, stolen).status_code == 401
        assert who(known) == 401
        (message,) = mailoutbox
        assert (message.to, message.subject) == ([user.email], "A session was ended for your safety")
        assert "Device: “Firefox on Windows”\nTime: Jan. 1, 2030, 12:20 p.m. (UTC)\n" in message.body
        assert "sign in again" in message.body
        assert "https://testserver/alarm?token=" in message.body
        assert stolen not in message.message().as_string()
        assert latest not in message.message().as_string()

    def test_is_reported_once_and_the_response_is_the_same_each_time(self, thief, stolen, mailoutbox):
        first = seen(refresh(thief, stolen))
        assert len(mailoutbox) == 1
        for _ in range(2):
            assert seen(refresh(thief, stolen)) == first
        assert len(mailoutbox) == 1

    def test_does_not_change_the_headers_of_a_public_page(self, thief, stolen, mailoutbox):
        """The time in the mail is in UTC. In the time zone of the request it would add a Vary header."""
        thief.cookies[REFRESH], thief.cookies["__Host-timezone"] = stolen, "Europe/Berlin"
        first = seen(thief.get("/.well-known/jwks.json"))
        assert len(mailoutbox) == 1
        assert "12:20 p.m. (UTC)" in mailoutbox[0].body
        assert seen(thief.get("/.well-known/jwks.json")) == first
        assert len(mailoutbox) == 1

    def test_ends_the_session_even_if_the_mail_fails(self, thief, stolen, broken, mailoutbox):
        failed = refresh(thief, stolen)
        assert failed.status_code == 401
        assert seen(refresh(thief, stolen)) == seen(failed)
        assert not RefreshToken.objects.live().exists()
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.REUSE_DETECTED).count() == 1
        assert not mailoutbox


def test_a_rejected_sign_in_a_sign_in_on_a_known_device_and_a_sign_out_are_not_reported(
    known, user, another, mailoutbox
):
    assert ask(another(), "login", {"email": user.email, "password": "wrong"}).status_code == 401
    login(known, user)
    assert RefreshToken.objects.count() == 2
    ask(known, "logout")
    assert RefreshToken.objects.live().count() == 1
    assert not mailoutbox


def test_a_password_that_was_changed_on_a_page_of_the_admin_is_reported(api, user, mailoutbox):
    user.is_staff = True
    user.save()
    login(api, user)
    mailoutbox.clear()
    new = "another password that nobody guesses"
    fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert api.post("/admin/password_change/", fields).status_code == 302
    assert [message.subject for message in mailoutbox] == ["Your password was changed"]
