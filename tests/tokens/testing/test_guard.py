"""The testing kit signs people in without a password. It refuses to, unless tests run or DEBUG is on."""

import subprocess
import sys
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client, LiveServerTestCase
from django.test.utils import _TestState

import tokens.testing
from tests.clients.projects import ROOT, clean_environment
from tests.measures.structure import arrows, sources
from tokens.models import RefreshToken
from tokens.testing import NotTesting, OverHttp, open_session

IN_PRODUCTION = """
import sys, django
django.setup()
assert not [name for name in sys.modules if name.startswith("tokens.testing")], "something imports it"
from tokens import testing
try:
    testing.sign_in(None, None)
except testing.NotTesting as error:
    print(error)
"""


class Tests(OverHttp, LiveServerTestCase):
    def runTest(self):
        """Do nothing. The test case is only set up."""


def enter(context: AbstractContextManager[Any]) -> None:
    with context:
        pass


def calls(user: Any, signed_in: Any) -> dict[str, Any]:
    """Return a call of each public function, by its name."""
    kit, client = tokens.testing, Client()
    return {
        "age": lambda: kit.age(signed_in, 1),
        "clock": lambda: enter(kit.clock()),
        "create_user": lambda: kit.create_user(),
        "cypress_cookies": lambda: kit.cypress_cookies(user),
        "expire_access_token": lambda: kit.expire_access_token(signed_in),
        "make_idle": lambda: kit.make_idle(signed_in),
        "open_session": lambda: kit.open_session(user),
        "OverHttp": Tests.setUpClass,
        "over_http": lambda: enter(kit.over_http("http://localhost")),
        "revoke": lambda: kit.revoke(signed_in),
        "selenium_cookies": lambda: kit.selenium_cookies(user),
        "sign_in": lambda: kit.sign_in(client, user),
        "storage_state": lambda: kit.storage_state(user),
        "throttles_off": lambda: kit.throttles_off().enable(),
    }


@pytest.mark.django_db
class TestEachFunction:
    def test_is_refused_outside_of_tests(self, user, monkeypatch):
        signed_in = open_session(user)
        before = list(RefreshToken.objects.values())
        monkeypatch.delattr(_TestState, "saved_data")
        found = calls(user, signed_in)
        async_versions = {"aage", "aexpire_access_token", "amake_idle", "arevoke", "asign_in"}
        assert found.keys() | async_versions | {"Clock", "NotTesting", "SignedIn"} == set(tokens.testing.__all__)
        for call in found.values():
            with pytest.raises(NotTesting):
                call()
        assert list(RefreshToken.objects.values()) == before
        assert type(user).objects.count() == 1

    def test_works_with_debug(self, user, monkeypatch, settings):
        signed_in = open_session(user)
        monkeypatch.delattr(_TestState, "saved_data")
        settings.DEBUG = True
        for name, call in calls(user, signed_in).items():
            if name not in {"OverHttp", "throttles_off"}:  # They change settings until they are undone.
                call()


def test_nothing_imports_it():
    assert [importer for importer, other in arrows(sources()) if other == "tokens.testing"] == []


def test_it_is_refused_in_a_process_of_production_which_has_not_imported_it():
    environment = clean_environment(DJANGO_SETTINGS_MODULE="tests.settings")
    command = [sys.executable, "-c", IN_PRODUCTION]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("tokens.testing signs people in without a password"), done.stderr
