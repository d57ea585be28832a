"""Passwords are normalised by NFKC, and older hashes of passwords as they were typed stay valid."""

from typing import Any
from unicodedata import normalize

import argon2
import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password
from django.test import Client, RequestFactory

from accounts.models import User
from tests.accounts.steps import ask, can_sign_in, problem
from tests.factories import UserFactory
from tests.hashers import CheapArgon2, CheapPBKDF2, CheapScrypt
from tokens.hashers import password_spellings

COMPOSED = normalize("NFC", "ein Café in Zürich")
SPELLINGS = {
    "decomposed": normalize("NFD", COMPOSED),
    "full-width": COMPOSED.replace("e", "ｅ"),
    "a no-break space": COMPOSED.replace(" ", "\N{NO-BREAK SPACE}"),
}
OTHER = "ein Cafe in Zurich"
of_each_spelling = pytest.mark.parametrize("typed", SPELLINGS.values(), ids=SPELLINGS)


class AsTyped(Argon2PasswordHasher):
    """Django's own hasher, with the parameters of the tests. With others the hash would be upgraded at a sign-in."""

    time_cost, memory_cost, parallelism = CheapArgon2.time_cost, CheapArgon2.memory_cost, CheapArgon2.parallelism


def hash_of(password: str, **fields: Any) -> User:
    """Return a user whose password was hashed before passwords were normalised."""
    user = UserFactory(**fields)
    User.objects.filter(pk=user.pk).update(password=AsTyped().encode(password, AsTyped().salt()))
    user.refresh_from_db()
    return user


@of_each_spelling
@pytest.mark.parametrize("hasher", [CheapPBKDF2(), CheapScrypt()], ids=lambda hasher: str(hasher.algorithm))
def test_every_algorithm_normalises_a_password_and_knows_a_hash_of_one_as_it_was_typed(typed: str, hasher: Any) -> None:
    new = hasher.encode(typed, "a salt for tests")
    assert new == hasher.encode(COMPOSED, "a salt for tests")
    as_typed = type(hasher)._as_typed.encode(typed, "a salt for tests")
    known = [(spelling, encoded) for encoded in (new, as_typed) for spelling in (typed, COMPOSED, OTHER)]
    assert [hasher.verify(*one) for one in known] == [True, True, False, True, False, False]


@pytest.mark.django_db
@of_each_spelling
def test_a_new_password_is_known_in_every_spelling(typed: str) -> None:
    user = UserFactory(password=typed)
    for spelling in (COMPOSED, *SPELLINGS.values()):
        assert can_sign_in(Client(), user.email, spelling)
    assert not can_sign_in(Client(), user.email, OTHER)


@pytest.mark.django_db
class TestAHashOfAPasswordAsItWasTyped:
    @of_each_spelling
    def test_is_good_for_this_spelling_and_stays_as_it_is(self, typed: str) -> None:
        user = hash_of(typed)
        before = user.password
        assert can_sign_in(Client(), user.email, typed)
        assert not can_sign_in(Client(), user.email, COMPOSED)
        user.refresh_from_db()
        assert user.password == before

    def test_is_good_for_reauthentication_and_a_change_of_the_password(self, api: Client) -> None:
        typed = SPELLINGS["decomposed"]
        user = hash_of(typed)
        assert ask(api, "login", {"email": user.email, "password": typed}).status_code == 200
        assert problem(ask(api, "reauthenticate", {"password": COMPOSED})) == "401 invalid_credentials"
        assert ask(api, "reauthenticate", {"password": typed}).status_code == 200
        change = {"current_password": typed, "new_password": typed}
        assert ask(api, "password/change", change).status_code == 204
        assert can_sign_in(Client(), user.email, COMPOSED)

    def test_is_good_for_django_s_own_forms(self, api: Client) -> None:
        typed = SPELLINGS["decomposed"]
        user = hash_of(typed, is_staff=True)
        assert authenticate(RequestFactory().get("/"), username=user.email, password=typed) == user
        ask(api, "login", {"email": user.email, "password": typed})
        fields = {"old_password": typed, "new_password1": f"new {typed}", "new_password2": f"new {typed}"}
        assert api.post("/admin/password_change/", fields).status_code == 302
        assert can_sign_in(Client(), user.email, f"new {COMPOSED}")


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Argon2 does, in order. An attacker could measure for which names it does more."""
    done: list[str] = []

    def count(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            done.append(name)
            return original(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    count(argon2.low_level, "hash_secret")
    count(argon2.PasswordHasher, "verify")
    return done


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("typed", "expected"),
    [(OTHER, 1), (COMPOSED, 1), (SPELLINGS["decomposed"], 2)],
    ids=["ASCII", "composed", "decomposed"],
)
def test_every_name_costs_the_same_number_of_hashes(typed: str, expected: int, hashes: list[str]) -> None:
    users = {
        "with another password": UserFactory(password="something else entirely"),
        "with this password, switched off": UserFactory(password=typed, is_active=False),
        "with a hash of what was typed, switched off": hash_of(typed, is_active=False),
        "without a password": UserFactory(password=None),
    }
    names = {name: user.email for name, user in users.items()} | {"nobody": "nobody@example.org"}
    found = {}
    for name, email in names.items():
        hashes.clear()
        assert not can_sign_in(Client(), email, typed)
        found[name] = len(hashes)
    assert found == dict.fromkeys(names, expected)


def test_a_new_password_must_be_good_enough_when_it_is_normalised(signed_in: Client, user: User) -> None:
    change = {"current_password": "correct horse battery staple"}
    for common in ("ｐａｓｓｗｏｒｄ１", "\N{LATIN SMALL LIGATURE FF}\N{LATIN SMALL LIGATURE FF}1234"):
        answer = ask(signed_in, "password/change", change | {"new_password": common})
        assert problem(answer) == "400 invalid new_password"


def test_the_spellings_of_a_password_begin_with_the_normalised_one() -> None:
    assert password_spellings("plain") == ("plain",)
    assert password_spellings(SPELLINGS["decomposed"]) == (COMPOSED, SPELLINGS["decomposed"])
    assert password_spellings(b"bytes") == (b"bytes",)
    assert check_password(SPELLINGS["full-width"], make_password(COMPOSED))
