"""Pages ask for a factor that a script answers: its template takes the place of the field."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from accounts.forms import FactorForm, PasswordForm
from tests.accounts.steps import sign_in_by_form
from tests.browsers import FIREFOX, REFRESH
from tests.factories import PASSWORD, UserFactory
from tokens import sessions
from tokens.models import RefreshToken
from tokens.sessions import Factor

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

PAGE = "/sign-in/factor"
RIGHT = '{"signed": "yes"}'
OFFER = "/password/change"


class Key(Factor):
    """A key that a script asks for an answer. The page to sign in has a button for it, too."""

    name, label = "key", "key"
    proves = frozenset({"pop", "user", "mfa"})
    needs_script = True
    template, sign_in_template, hint_template = "shop/key.html", "shop/sign_in.html", "shop/hint.html"

    def is_available(self, user: Any) -> bool:
        return True

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return [*self.proves] if answer == RIGHT else None

    def page_after_sign_in(self, request: Any, user: Any) -> str | None:
        return OFFER if request.POST.get("able") else None


class KeyWithoutPage(Key):
    template = sign_in_template = ""


def two_factors(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if "mfa" in methods else sessions.MoreNeeded()


TEMPLATES = {
    "shop/key.html": '<p class="key">{{ factor.label }}</p>',
    "shop/sign_in.html": '<form class="by-key"><p>{{ next }}</p></form>',
    "shop/hint.html": '<input name="able">',
}


@pytest.fixture(autouse=True)
def project(settings: Any) -> Any:
    """A project with the password and a key. Without the password first, the form's default could be the key."""
    [engine] = settings.TEMPLATES
    own = ("django.template.loaders.locmem.Loader", TEMPLATES)
    others = ["django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"]
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": {**engine["OPTIONS"], "loaders": [own, *others]}}]

    def use(key: type[Key] = Key, **more: Any) -> None:
        factors = ["tokens.web.factors.Password", f"{__name__}.{key.__name__}"]
        given = {name: value for name, value in settings.TOKENS.items() if name != "SIGN_IN_POLICY"}
        settings.TOKENS = {**given, "FACTORS": factors, **more}

    use()
    return use


@pytest.fixture
def browser() -> Client:
    """A browser in which nobody has signed in. A session of before would hide that a step is missing."""
    return Client(headers={"User-Agent": FIREFOX, "Accept": "text/html"})


@pytest.fixture
def owner() -> Any:
    """A user with a password. Without one nobody would come to the second step, and no template would be seen."""
    return UserFactory()


class TestTheSecondStep:
    @pytest.fixture(autouse=True)
    def policy(self, project: Any) -> None:
        """Asks for a second factor. Without it the password would open a session, and no template would be seen."""
        project(SIGN_IN_POLICY=f"{__name__}.two_factors")

    def test_shows_the_factor_s_template_and_no_field_to_type_in(self, browser, owner):
        assert sign_in_by_form(browser, owner, next="/devices")["Location"] == f"{PAGE}?next=%2Fdevices"
        shown = browser.get(f"{PAGE}?next=/devices").text
        assert '<p class="key">key</p>' in shown
        assert '<input type="hidden" name="method" value="key"' in shown
        assert re.search('<input type="hidden" name="answer"', shown)
        assert ">Continue</button>" not in shown

    def test_accepts_the_answer_and_shows_an_error_at_the_top_of_the_form(self, browser, owner):
        sign_in_by_form(browser, owner)
        wrong = browser.post(PAGE, {"method": "key", "answer": "{}"})
        assert re.search(r"errorlist nonfield[^>]*>\s*<li>That did not work\.", wrong.text)
        assert browser.post(PAGE, {"method": "key", "answer": RIGHT, "next": "/devices"})["Location"] == "/devices"
        assert {*RefreshToken.objects.get().amr} == {"pwd", *Key.proves}

    def test_leads_to_the_factor_s_page_and_from_there_to_where_the_user_was_going(self, browser, owner):
        sign_in_by_form(browser, owner)
        done = browser.post(PAGE, {"method": "key", "answer": RIGHT, "next": "/devices?a=b", "able": "on"})
        assert done["Location"] == f"{OFFER}?next=%2Fdevices%3Fa%3Db"

    def test_is_left_out_if_the_factor_has_no_template(self, browser, owner, project):
        project(KeyWithoutPage, SIGN_IN_POLICY=f"{__name__}.two_factors")
        response = sign_in_by_form(browser, owner)
        assert response.status_code == 401
        assert browser.get(PAGE).status_code == 302


class TestThePageToSignIn:
    def test_includes_the_template_and_lets_the_browser_suggest_keys(self, browser):
        shown = browser.get("/sign-in?next=/devices").text
        assert '<form class="by-key"><p>/devices</p></form>' in shown
        assert 'autocomplete="username webauthn"' in shown
        assert '<input name="able">' in shown

    def test_has_neither_if_no_factor_has_one(self, browser, project):
        project(KeyWithoutPage)
        shown = browser.get("/sign-in").text
        assert "by-key" not in shown
        assert 'autocomplete="username"' in shown

    @pytest.mark.parametrize(
        ("more", "target"),
        [
            ({}, "/"),
            ({"able": "on"}, f"{OFFER}?next=%2F"),
            ({"able": "on", "next": "/devices"}, f"{OFFER}?next=%2Fdevices"),
            ({"able": "on", "next": "https://elsewhere.example/"}, f"{OFFER}?next=%2F"),
        ],
        ids=["nothing", "a factor's page", "a factor's page and the next one", "no page of another site"],
    )
    def test_leads_on(self, browser, owner, more, target):
        assert sign_in_by_form(browser, owner, **more)["Location"] == target


class TestFormsThatAskForAFactor:
    @pytest.fixture
    def signed_in(self, browser: Client, person: Any, clock: Any) -> Client:
        """A browser whose sign-in is not recent any more. After a recent one no form would ask for a factor."""
        browser.force_login(person)
        browser.get("/devices")
        clock.forward(1000)
        browser.get("/devices")
        return browser

    def test_the_page_to_sign_in_again_does(self, signed_in):
        shown = signed_in.get("/sign-in/again?next=/email/change").text
        assert '<p class="key">key</p>' in shown
        assert 'type="password"' not in shown
        assert ">Continue</button>" not in shown
        wrong = signed_in.post("/sign-in/again", {"method": "key", "current_password": "{}"}).text
        assert re.search(r"errorlist nonfield[^>]*>\s*<li>This is not right\.", wrong)
        nothing = signed_in.post("/sign-in/again", {}).text
        assert re.search(r"errorlist nonfield[^>]*>\s*<li>Confirm that it is you\.", nothing)
        done = signed_in.post("/sign-in/again", {"current_password": RIGHT, "next": "/email/change"})
        assert done["Location"] == "/email/change"

    @pytest.mark.parametrize(
        ("path", "more"),
        [
            ("/email/change", {"email": "new@example.org"}),
            ("/password/change", {"password1": "a brand new one", "password2": "a brand new one"}),
            ("/account/delete", {"sure": "on"}),
            ("/sessions/end-others", {}),
            ("/account/security/app", {}),
        ],
        ids=["a new address", "a first password", "a deletion", "the end of other sessions", "an app"],
    )
    def test_a_change_without_a_refresh_token_does(self, signed_in, path, more):
        del signed_in.cookies[REFRESH]
        asked = signed_in.post(path, more).text
        assert '<p class="key">key</p>' in asked
        assert 'type="password" name="current_password"' not in asked
        done = signed_in.post(path, {**more, "method": "key", "current_password": RIGHT})
        assert "This is not right." not in done.text
        assert done.status_code == 302 or "/security/app/confirm" in done.text

    def test_a_password_can_be_typed_in_the_same_form(self, browser, owner, clock):
        sign_in_by_form(browser, owner)
        clock.forward(1000)
        browser.get("/devices")
        shown = browser.get("/sign-in/again").text
        assert '<p class="key">key</p>' in shown
        assert "Current password" in shown
        assert 'type="radio"' not in shown
        assert '<input type="hidden" name="method" value="password"' in shown
        assert browser.post("/sign-in/again", {"current_password": PASSWORD}).status_code == 302

    def test_an_app_of_the_user_s_and_the_password_are_the_only_choices_to_type(self):
        code = SimpleNamespace(name="totp", label="code", is_sent=False, needs_script=False, is_on_pages=True)
        password = sessions.factors.known()[0]
        form = PasswordForm(factors={"password": password, "totp": code, "key": Key()})
        assert [value for value, _label in form.fields["method"].widget.choices] == ["password", "totp"]
        assert [factor.name for factor in form.scripted] == ["key"]

    def test_a_factor_without_a_template_is_left_out(self):
        form = PasswordForm(factors={"key": KeyWithoutPage()})
        assert {*form.fields} == {"current_password"}
        assert not form.needs_script
        assert FactorForm(factor=Key()).needs_script
