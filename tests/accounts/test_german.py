"""The pages, the admin and the mails in German: the language is the one that the browser asks for."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from tests.accounts.steps import NEW_PASSWORD
from tests.browsers import FIREFOX, login
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.test_demo import EXPIRED, ask, backstage
from tokens.models import RefreshToken

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.org"


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    """A request leaves its language to whatever comes next in this thread, as Django does."""
    with translation.override("en"):
        yield


@pytest.fixture
def german() -> Client:
    """A browser whose owner reads German."""
    return Client(headers={"User-Agent": FIREFOX, "Accept-Language": "de"})


def text(response: Any) -> str:
    assert response.status_code == 200
    return unescape(response.content.decode())


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "Auf diesem Gerät angemeldet bleiben"),
        ("/sign-in", "Passwort vergessen?"),
        ("/register", "Registrieren"),
        ("/email/confirm", "Bestätigen Sie Ihre E-Mail-Adresse"),
        ("/password/reset", "Passwort zurücksetzen"),
        ("/password/reset/confirm", "Sie werden überall abgemeldet."),
        ("/mail-sent", "Sehen Sie in Ihr Postfach"),
        ("/alarm", "Das war ich nicht"),
        ("/alarm/raised", "Sie sind überall abgemeldet"),
        ("/account/deleted", "Eine Anmeldung ist nicht mehr möglich."),
    ],
)
def test_a_page_is_german(german, api, path, said):
    response = german.get(path)
    html = text(response)
    assert said in html
    assert '<html lang="de">' in html
    assert response["Content-Language"] == "de"
    assert "Accept-Language" in response["Vary"]
    english = text(api.get(path))
    assert said not in english
    assert '<html lang="en">' in english


def test_the_page_of_ones_sessions_is_german(german, user, clock):
    login(german, user)
    html = text(german.get("/"))
    assert f"Sie sind angemeldet als {user.email}" in html
    assert re.search(r">Firefox auf Windows</h3>\s*<strong [^>]*>Dieses Gerät</strong>", html)
    assert "1. Januar 2030 12:00 UTC</time>" in html


def test_what_a_form_finds_wrong_is_german(german, user):
    german.post("/sign-in", {"username": user.email, "password": PASSWORD})
    twice = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    html = text(german.post("/password/change", {"current_password": "wrong", **twice}))
    assert "Das ist nicht Ihr aktuelles Passwort." in html
    assert "Das ist bereits Ihre Adresse." in text(german.post("/email/change", {"email": user.email}))


def test_mails_are_in_the_language_of_the_request_that_caused_them(german, api, mailoutbox):
    UserFactory(email=ADDRESS)
    german.post("/register", {"email": "new@example.org", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    german.post("/register", {"email": ADDRESS, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    german.post("/api/auth/password/reset", {"email": ADDRESS}, content_type="application/json")
    api.post("/password/reset", {"email": ADDRESS})
    assert [mail.subject for mail in mailoutbox] == [
        "Bestätigen Sie Ihre E-Mail-Adresse",
        "Sie haben bereits ein Konto",
        "Wählen Sie ein neues Passwort",
        "Choose a new password",
    ]
    assert "innerhalb von 72 Stunden" in mailoutbox[0].body
    assert "innerhalb von 1 Stunde diese Seite" in mailoutbox[2].body
    assert "within 1 hour," in mailoutbox[3].body


@pytest.mark.django_db(transaction=True)
def test_mails_about_changes_are_german(german, user, mailoutbox):
    german.post("/sign-in", {"username": user.email, "password": PASSWORD})
    german.post("/email/change", {"email": ADDRESS})
    german.post(
        "/password/change", {"current_password": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    )
    german.post("/account/delete", {"sure": "on"})
    assert [mail.subject for mail in mailoutbox] == [
        "Bestätigen Sie Ihre neue E-Mail-Adresse",
        "Ihre E-Mail-Adresse soll geändert werden",
        "Ihr Passwort wurde geändert",
        "Ihr Konto wurde gelöscht",
    ]
    assert "innerhalb von 24 Stunden" in mailoutbox[0].body


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("tests.tokens.test_demo")
def test_the_mail_about_the_demos_thief_is_german(german, user, settings, live_server, mailoutbox):
    settings.DEBUG, settings.ORIGIN = True, live_server.url
    login(german, user)
    backstage(german, "steal")
    for seconds in (EXPIRED, 120):
        backstage(german, "time", seconds=seconds)
        ask(german)
    assert backstage(german, "thief").json() == {"outcome": "refused"}
    (mail,) = mailoutbox
    assert mail.subject == "Zu Ihrer Sicherheit wurde eine Sitzung beendet"
    assert "Gerät: Firefox auf Windows\n" in mail.body


@pytest.mark.parametrize(
    ("sessions", "question", "done"),
    [
        (1, "hat 1 aktive Sitzung. Soll sie beendet werden?", "1 Sitzung widerrufen."),
        (2, "hat 2 aktive Sitzungen. Sollen alle beendet werden?", "2 Sitzungen widerrufen."),
    ],
)
def test_the_admin_is_german_in_singular_and_plural(german, user, sessions, question, done):
    for _ in range(sessions):
        login(Client(headers={"User-Agent": FIREFOX}), user)
    login(german, AdminFactory())
    listed = text(german.get("/admin/tokens/refreshtoken/"))
    assert "Ausgewählte Sitzungen widerrufen" in listed
    assert "Speichermodus" in listed
    path = f"/admin/tokens/refreshtoken/user/{user.pk}/revoke/"
    assert question in text(german.get(path))
    assert done in text(german.post(path, follow=True))
    assert not RefreshToken.objects.live().filter(user=user).exists()
