"""``createsuperuser`` and ``changepassword``: Django's own commands, with the e-mail address instead of a user name."""

from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.management.commands import changepassword, createsuperuser
from django.core.management import CommandError, call_command
from django.test import Client

from tests.browsers import refresh
from tests.factories import User, UserFactory

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "Root@Example.org", "one lock and one key"


@pytest.fixture(autouse=True)
def typed(monkeypatch):
    """Types lines at the prompts, and returns the prompts. Without it a command that asks would wait for ever."""

    def type_in(*lines):
        prompts, left = [], list(lines)

        def answer(prompt="Password: ") -> str:
            prompts.append(prompt)
            return left.pop(0)

        monkeypatch.setattr("builtins.input", answer)
        for module in (createsuperuser, changepassword):
            monkeypatch.setattr(module.getpass, "getpass", answer)
        return prompts

    type_in()
    return type_in


def create(*arguments):
    call_command("createsuperuser", "--no-input", *arguments, stdout=StringIO())


def create_at_a_terminal() -> str:
    """Create a superuser interactively, and return what the command has written."""
    terminal, out = StringIO(), StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    call_command("createsuperuser", stdin=terminal, stdout=out, stderr=out)
    return out.getvalue()


class TestCreatingASuperuser:
    def test_without_questions_the_superuser_can_sign_in_to_the_admin(self, monkeypatch):
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
        create("--email", EMAIL)
        user = User.objects.get()
        assert (user.email, user.is_staff, user.is_superuser, user.is_active) == ("root@example.org", True, True, True)
        assert authenticate(username=EMAIL, password=PASSWORD) == user
        browser = Client()
        response = browser.post("/admin/login/?next=/admin/", {"username": EMAIL, "password": PASSWORD})
        assert (response.status_code, response["Location"]) == (302, "/admin/")
        assert browser.get("/admin/tokens/refreshtoken/").status_code == 200

    def test_the_address_can_be_given_in_the_environment_and_without_a_password_none_signs_in(self, monkeypatch):
        monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", EMAIL)
        create()
        user = User.objects.get()
        assert (user.email, user.has_usable_password()) == ("root@example.org", False)

    def test_a_terminal_is_asked_only_for_the_address_and_the_password(self, typed):
        prompts = typed("root@example.org", PASSWORD, PASSWORD)
        create_at_a_terminal()
        asked = [prompt.strip().rstrip(":").lower() for prompt in prompts]
        assert asked == ["e-mail address", "password", "password (again)"]
        assert authenticate(username=EMAIL, password=PASSWORD) == User.objects.get()

    def test_a_taken_address_is_rejected_in_any_spelling(self, typed):
        UserFactory(email="root@example.org")
        with pytest.raises(CommandError, match="That e-mail address is already taken"):
            create("--email", "ROOT@example.org")
        typed("ROOT@example.org", "other@example.org", PASSWORD, PASSWORD)
        assert "That e-mail address is already taken" in create_at_a_terminal()
        users = set(User.objects.values_list("email", "is_superuser"))
        assert users == {("root@example.org", False), ("other@example.org", True)}


def test_changepassword_takes_the_address_and_the_sessions_end_at_their_next_refresh(user, signed_in, clock, typed):
    typed(PASSWORD, PASSWORD)
    call_command("changepassword", user.email.upper(), stdout=StringIO())
    assert authenticate(username=user.email, password=PASSWORD) == user
    clock.forward(601)
    assert refresh(signed_in).status_code == 401
