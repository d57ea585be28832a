"""What holds with the user model of the settings. It runs in a process of its own, which has this one user model."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.checks import run_checks  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from tokens.conf import codec  # noqa: E402
from tokens.models import Device, RefreshToken, Revocation  # noqa: E402
from tokens.service import triggers  # noqa: E402
from tokens.service.revocation_feed import feed  # noqa: E402

from .models import Person  # noqa: E402

PASSWORD, ACCESS = "correct horse battery staple", "__Host-access"
User: Any = get_user_model()


class Browser(Client):
    def login(self, name: str) -> int:  # type: ignore[override]
        answer = self.post("/api/auth/login", {"email": name, "password": PASSWORD}, content_type="application/json")
        return answer.status_code

    def refresh(self) -> int:
        RefreshToken.objects.update(since=datetime(2026, 1, 1, tzinfo=UTC))
        return self.post("/api/auth/refresh", content_type="application/json").status_code

    def me(self, **headers: str) -> int:
        return self.get("/api/auth/me", headers=headers).status_code

    def by_bearer(self) -> int:
        return (
            Client().get("/api/auth/me", headers={"Authorization": f"Bearer {self.cookies[ACCESS].value}"}).status_code
        )


def signed_in(name: str, **fields: Any) -> tuple[Any, Browser]:
    user = User.objects.create_user(name, password=PASSWORD, email=f"{name}@example.org", **fields)
    browser = Browser()
    assert browser.login(name) == 200
    return user, browser


def later() -> None:
    """Let this process read the revocation feed, as after REVOCATION_LAG."""
    feed.__init__()  # type: ignore[misc]


def signs_in_and_refreshes() -> None:
    user, browser = signed_in("first@example.org")
    for generation in (1, 2, 3):
        assert browser.refresh() == 200
        assert browser.me() == browser.by_bearer() == 200
        row = RefreshToken.objects.select_related("user").get()
        assert (row.generation, row.user, type(row.user)) == (generation, user, User)
    answer = browser.get("/api/auth/me").json()
    assert answer["user"]["id"] == str(user.pk)
    assert codec().loads_expired(browser.cookies[ACCESS].value).subject == str(user.pk)
    assert Device.objects.filter(user=user).count() == 1
    assert browser.login("first@example.org") == 200


def ends_the_sessions_of_a_user_who_is_changed_as_one_of(*models: Any) -> None:
    """The project may change a user as the user model, or as the model that it extends."""
    for model in models:
        label = model.__name__.lower()
        user, browser = signed_in(f"{label}1@example.org")
        found = model._base_manager.get(pk=user.pk)
        found.is_active = False
        found.save()
        assert browser.me() == browser.by_bearer() == browser.refresh() == 401
        user, browser = signed_in(f"{label}2@example.org")
        model._base_manager.filter(pk=user.pk).update(password="!")
        later()
        assert browser.me() == browser.refresh() == 401
        user, browser = signed_in(f"{label}3@example.org")
        model._base_manager.get(pk=user.pk).delete()
        later()
        assert browser.me() == browser.refresh() == 401
        assert not Device.objects.filter(user=user.pk).exists()


def has_triggers_and_no_mistakes() -> None:
    assert triggers.missing("default") == []
    ids = [str(message.id) for message in run_checks(databases=["default"])]
    assert not [id for id in ids if id.startswith("tokens.E") or id == "tokens.W006"], ids


def knows_nobody_who_is_hidden() -> None:
    user, browser = signed_in("hidden")
    other = Browser()
    assert other.login("hidden") == 200
    User._base_manager.filter(pk=user.pk).update(deleted_at=datetime.now(UTC))
    assert browser.me() == browser.by_bearer() == 401
    assert browser.refresh() == other.refresh() == 401
    assert RefreshToken.objects.live().filter(user=user.pk).count() == 0
    assert Revocation.objects.exclude(session_id=None).count() >= 2
    assert Browser().login("hidden") == 401
    User._base_manager.filter(pk=user.pk).update(deleted_at=None)
    assert browser.refresh() == 401
    assert Browser().login("hidden") == 200


def tells_names_apart_that_differ_in_case() -> None:
    bob, browser = signed_in("bob")
    capital = User(username="BOB", email="other@example.org")
    capital.set_password(PASSWORD)
    capital.save()
    for name, status in {"bob": 200, "BOB": 200, "Bob": 401, "nobody": 401}.items():
        browser = Browser()
        assert browser.login(name) == status, name
        if status == 200:
            assert browser.get("/api/auth/me").json()["user"]["id"] == str({"bob": bob, "BOB": capital}[name].pk)


EXTENDS_PERSON = [
    signs_in_and_refreshes,
    lambda: ends_the_sessions_of_a_user_who_is_changed_as_one_of(User, Person),
    has_triggers_and_no_mistakes,
]
SCENARIOS: dict[str, list[Callable[[], None]]] = {
    "Member": EXTENDS_PERSON,
    "Employee": EXTENDS_PERSON,
    "Customer": [
        signs_in_and_refreshes,
        knows_nobody_who_is_hidden,
        tells_names_apart_that_differ_in_case,
        has_triggers_and_no_mistakes,
    ],
}


if __name__ == "__main__":
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        for act in SCENARIOS[sys.argv[1]]:
            later()
            act()
            RefreshToken.objects.all().delete()
    finally:
        connection.creation.destroy_test_db("unused", verbosity=0)
