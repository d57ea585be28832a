"""Passwords: any characters are allowed, all of them count, no password expires; and the fields for passwords."""

import re
from pathlib import Path
from unicodedata import normalize

import pytest
from django.contrib.auth.hashers import check_password
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.test import Client

from accounts.links import Purpose
from accounts.models import MAX_PASSWORD, Registration
from tests.accounts.steps import DAY, ask, confirm, outcome, reset_password, who
from tests.browsers import ACCESS, login
from tests.factories import User, UserFactory, link_token

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[2]
CHOSEN = {
    "lower case only": "onlylowercaseletters",
    "digits only": "8361027465904",
    "punctuation only": "!!??%%&&((--",
    "blanks at both ends": " a blank before, and one behind ",
    "letters of other scripts": "пароль 密码 \N{LOCK WITH INK PEN}",
    "two forms of é": "re\N{LATIN SMALL LETTER E WITH ACUTE}sume\N{COMBINING ACUTE ACCENT} of mine",
    "tabs, quotes and escapes": "a\ttab, 'quotes', <b> and \\ %s {0}",
    "more than 64 characters": "of sixty-four characters and more, which is what a good sentence has",
    "the maximal length": "the longest that there may be: ".ljust(MAX_PASSWORD, "x"),
}
EASILY_CHANGED = dict(list(CHOSEN.items())[2:6])


def near_misses(password) -> set[str]:
    """Return what a server that changes a password before it checks it could take for the same password."""
    cut = {password[:size] for size in (8, 16, 32, 64, 72, 128, MAX_PASSWORD - 1)}
    without_accents = normalize("NFKD", password).encode("ascii", "ignore").decode()
    changed = {password.strip(), password.swapcase(), password.casefold(), f"{password} ", without_accents}
    return {*cut, *changed} - {password}


@pytest.mark.parametrize("password", CHOSEN.values(), ids=CHOSEN)
def test_any_characters_will_do_and_all_of_them_count(user, set_password, password):
    assert outcome(set_password(password)) == "done"
    found = User.objects.exclude(pk=user.pk).first() or Registration.objects.first() or User.objects.get(pk=user.pk)
    assert check_password(password, found.password)
    assert not any(check_password(other, found.password) for other in near_misses(password))


@pytest.mark.parametrize("password", EASILY_CHANGED.values(), ids=EASILY_CHANGED)
def test_whoever_signs_in_types_it_to_the_letter(password):
    user = UserFactory(password=password)
    for typed in [password, *near_misses(password)]:
        expected = typed == password
        assert (ask(Client(), "login", {"email": user.email, "password": typed}).status_code == 200) is expected
        page = Client().post("/sign-in", {"username": user.email, "password": typed})
        assert (ACCESS in page.cookies) is expected


def test_a_password_does_not_age(api, user, clock):
    clock.forward(10 * 365 * DAY)
    login(api, user)
    assert who(api) == 200


def test_more_common_ones_are_known_than_the_three_thousand_that_are_long_enough():
    assert sum(len(password) >= 8 for password in CommonPasswordValidator().passwords) >= 3000


def test_no_link_of_a_mail_signs_anybody_in(api, user):
    """Access to the mailbox is not an authentication factor: it only allows a new password."""
    reset = reset_password(api, link_token(Purpose.PASSWORD_RESET, user))
    user.refresh_from_db()
    change = confirm(api, link_token(Purpose.EMAIL_CHANGE, user, "new@example.org"))
    alarm = api.post("/alarm", {"token": link_token(Purpose.ALARM, user)})
    assert (reset.status_code, change.status_code, alarm.status_code) == (204, 204, 200)
    cookies = [cookie for answer in (reset, change, alarm) for cookie in answer.cookies.values()]
    assert {cookie.key for cookie in cookies if cookie.value} <= {"__Host-session", "__Host-csrf"}
    assert who(api) == 401


class TestAPasswordField:
    @pytest.fixture(params=["/sign-in", "/admin/login/", "/register", "/password/reset/confirm", "/password/change"])
    def fields(self, request, api, user) -> list[dict[str, str]]:
        """The attributes of the password fields of a page. A field of a page that is not listed goes unnoticed."""
        if request.param == "/password/change":
            login(api, user)
        html = api.get(request.param, {"token": link_token(Purpose.PASSWORD_RESET, user)}, follow=True).content.decode()
        inputs = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]*>", html)]
        return [found for found in inputs if "password" in found.get("name", "") + found.get("type", "")]

    def test_hides_what_is_typed(self, fields):
        assert fields
        assert {field["type"] for field in fields} == {"password"}

    def test_is_open_to_password_managers(self, fields):
        assert {field["autocomplete"] for field in fields} <= {"current-password", "new-password"}

    def test_accepts_long_passwords_and_pasting(self, fields):
        for field in fields:
            assert int(field.get("maxlength", MAX_PASSWORD)) >= 64
            assert not [name for name in field if name.startswith("on")]


def test_no_script_or_page_of_ours_stands_in_the_way_of_pasting():
    folders = [ROOT / "templates", ROOT / "config/demo", *ROOT.glob("*/static"), *ROOT.glob("*/templates")]
    texts = [path.read_text() for folder in folders for path in folder.rglob("*") if path.suffix in {".html", ".js"}]
    assert len(texts) >= 20
    prevents = re.compile(r"\bon(paste|drop|beforeinput)\b|[\"'](paste|beforeinput)[\"']")
    assert not [text for text in texts if prevents.search(text)]
