"""The pages, the admin and the mails in German: the language is the one that the browser asks for."""

import re

import pytest
from django.test import Client

from tests.accounts.steps import NAMED, TWICE, ask, sign_in_by_form, text
from tests.browsers import FIREFOX, login
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tokens.models import RefreshToken

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.org"


@pytest.fixture
def german() -> Client:
    """A browser that asks for German. Without it a text that has no translation would go unnoticed."""
    return Client(headers={"User-Agent": FIREFOX, "Accept-Language": "de"})


PAGES = {
    "/": "Auf diesem Gerät angemeldet bleiben",
    "/sign-in": "Passwort vergessen?",
    "/register": "Registrieren",
    "/email/confirm": "Bestätigen Sie Ihre E-Mail-Adresse",
    "/password/reset": "Passwort zurücksetzen",
    "/password/reset/confirm": "Dieser Link ist nicht gültig.",
    "/mail-sent": "Sehen Sie in Ihr Postfach",
    "/alarm": "Das war ich nicht",
    "/account/deleted": "Sie können sich nicht mehr damit anmelden.",
}


class TestAPage:
    @pytest.mark.parametrize("path", PAGES)
    def test_a_page_is_german(self, german, api, path):
        response = german.get(path)
        html = text(response)
        assert PAGES[path] in html
        assert '<html lang="de">' in html
        assert response["Content-Language"] == "de"
        assert "Accept-Language" in response["Vary"]
        english = text(api.get(path))
        assert PAGES[path] not in english
        assert '<html lang="en">' in english

    def test_the_list_of_sessions_is_german(self, german, user, clock):
        login(german, user)
        html = text(german.get("/"))
        assert f"Sie sind angemeldet als {user.email}" in html
        assert re.search(r">Firefox auf Windows</h3>\s*<strong [^>]*>Dieses Gerät</strong>", html)
        assert "1. Januar 2030 12:00 UTC</time>" in html

    def test_the_errors_of_a_form_are_german(self, german, user):
        sign_in_by_form(german, user)
        html = text(german.post("/password/change", {"current_password": "wrong", **TWICE}))
        assert "Das ist nicht Ihr aktuelles Passwort." in html
        assert "Das ist bereits Ihre Adresse." in text(german.post("/email/change", {"email": user.email}))


class TestAMail:
    def test_a_mail_is_in_the_language_of_the_request_that_caused_it(self, german, api, mailoutbox):
        UserFactory(email=ADDRESS)
        german.post("/register", {"email": "new@example.org", **TWICE, **NAMED})
        german.post("/register", {"email": ADDRESS, **TWICE, **NAMED})
        ask(german, "password/reset", {"email": ADDRESS})
        api.post("/password/reset", {"email": ADDRESS})
        assert [mail.subject for mail in mailoutbox] == [
            "Bestätigen Sie Ihre E-Mail-Adresse",
            "Sie haben bereits ein Konto",
            "Wählen Sie ein neues Passwort",
            "Choose a new password",
        ]
        assert "innerhalb von 24 Stunden" in mailoutbox[0].body
        assert "innerhalb von 1 Stunde diese Seite" in mailoutbox[2].body
        assert "within 1 hour and" in mailoutbox[3].body

    @pytest.mark.django_db(transaction=True)
    def test_mails_about_changes_are_german(self, german, user, mailoutbox):
        sign_in_by_form(german, user)
        mailoutbox.clear()
        german.post("/email/change", {"email": ADDRESS})
        german.post("/password/change", {"current_password": PASSWORD, **TWICE})
        german.post("/account/delete", {"sure": "on"})
        assert [mail.subject for mail in mailoutbox] == [
            "Bestätigen Sie Ihre neue E-Mail-Adresse",
            "Eine Änderung Ihrer E-Mail-Adresse wurde angefordert",
            "Ihr Passwort wurde geändert",
            "Ihr Konto wurde gelöscht",
        ]
        assert "innerhalb von 24 Stunden" in mailoutbox[0].body


ADMIN = {
    1: ("hat 1 aktive Sitzung. Soll sie beendet werden?", "1 Sitzung widerrufen."),
    2: ("hat 2 aktive Sitzungen. Sollen alle beendet werden?", "2 Sitzungen widerrufen."),
}


@pytest.mark.parametrize("sessions", ADMIN, ids=["one session", "two sessions"])
def test_the_admin_is_german_in_singular_and_plural(german, another, user, sessions):
    for _ in range(sessions):
        login(another(), user)
    question, done = ADMIN[sessions]
    login(german, AdminFactory())
    listed = text(german.get("/admin/tokens/refreshtoken/"))
    assert "Ausgewählte Sitzungen widerrufen" in listed
    assert "Speichermodus" in listed
    path = f"/admin/tokens/refreshtoken/user/{user.pk}/revoke/"
    assert question in text(german.get(path))
    assert done in text(german.post(path, follow=True))
    assert not RefreshToken.objects.live().filter(user=user).exists()
