"""``createsuperuser`` and ``changepassword``: Django's own commands, with the e-mail address as login."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.management.commands import changepassword, createsuperuser
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from tests.browsers import login, refresh
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "Root@Example.org", "one lock and one key"


class Terminal(StringIO):
    """A standard input that a person sits at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Types these lines at the prompts, and never waits for a person; what was asked is returned."""

    def type_in(*lines: str, password: str = PASSWORD) -> list[str]:
        asked, left = [], list(lines)

        def read(prompt: str = "") -> str:
            asked.append(prompt)
            return left.pop(0)

        monkeypatch.setattr("builtins.input", read)
        for module in (createsuperuser, changepassword):
            monkeypatch.setattr(module.getpass, "getpass", lambda prompt="Password: ": asked.append(prompt) or password)
        return asked

    type_in()
    return type_in


def run(command: str = "createsuperuser", *arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out, stderr=out, **options)
    return out.getvalue()


def ask(*arguments: str) -> str:
    return run("createsuperuser", *arguments, interactive=True, stdin=Terminal())


def test_a_superuser_is_made_without_a_question(monkeypatch, typed):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    run("createsuperuser", "--no-input", "--email", EMAIL)
    user = User.objects.get()
    assert (user.email, user.is_staff, user.is_superuser, user.is_active) == ("root@example.org", True, True, True)
    assert authenticate(username=EMAIL, password=PASSWORD) == user


def test_a_superuser_is_made_from_the_environment_alone(monkeypatch, typed):
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", EMAIL)
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    run("createsuperuser", "--no-input")
    assert User.objects.get().email == "root@example.org"


def test_without_a_password_nobody_can_sign_in_with_one(typed):
    run("createsuperuser", "--no-input", "--email", EMAIL)
    assert not User.objects.get().has_usable_password()


def test_a_person_is_asked_for_the_address_and_the_password_and_nothing_else(typed):
    asked = typed("root@example.org")
    ask()
    assert [prompt.strip().rstrip(":").lower() for prompt in asked] == [
        "e-mail address",
        "password",
        "password (again)",
    ]
    assert authenticate(username=EMAIL, password=PASSWORD) == User.objects.get()


def test_a_person_who_mistypes_the_address_is_asked_again(typed):
    typed("root", "", "root@example.org")
    said = ask()
    assert "Enter a valid email address" in said
    assert User.objects.get().email == "root@example.org"


def test_an_address_that_is_taken_is_refused_in_any_spelling(typed):
    UserFactory(email="root@example.org")
    with pytest.raises(CommandError, match="That e-mail address is already taken"):
        run("createsuperuser", "--no-input", "--email", "ROOT@example.org")
    typed("ROOT@example.org", "other@example.org")
    assert "That e-mail address is already taken" in ask()
    assert set(User.objects.values_list("email", "is_superuser")) == {
        ("root@example.org", False),
        ("other@example.org", True),
    }


@pytest.mark.parametrize("email", ["root", "root@", "@example.org", "a b@example.org", ""])
def test_what_is_no_address_is_refused(email, typed):
    with pytest.raises(CommandError):
        run("createsuperuser", "--no-input", "--email", email)
    assert not User.objects.exists()


def test_without_an_address_there_is_no_superuser(typed):
    with pytest.raises(CommandError, match="You must use --email with --noinput"):
        run("createsuperuser", "--no-input")


def test_there_is_no_user_name_to_be_given(typed):
    with pytest.raises(CommandError, match="unrecognized arguments"):
        run("createsuperuser", "--no-input", "--username", "root", "--email", EMAIL)


def test_the_superuser_can_sign_in_to_the_admin(monkeypatch, typed):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    run("createsuperuser", "--no-input", "--email", EMAIL)
    browser = Client()
    response = browser.post("/admin/login/?next=/admin/", {"username": EMAIL, "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    assert browser.get("/admin/tokens/refreshtoken/").status_code == 200


def test_changepassword_takes_the_address_and_ends_the_sessions_at_their_refresh(user, api, clock, typed):
    login(api, user)
    run("changepassword", user.email.upper())
    assert authenticate(username=user.email, password=PASSWORD) == user
    clock.forward(601)
    assert refresh(api).status_code == 401


def test_changepassword_refuses_an_address_that_nobody_has(typed):
    with pytest.raises(CommandError, match=r"user 'nobody@example\.org' does not exist"):
        run("changepassword", "nobody@example.org")
