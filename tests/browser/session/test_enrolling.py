"""An app lets its user set up a required factor at the sign-in, and then trust the device (REQUIRED_FACTORS)."""

import pyotp
import pytest

from tests.browser.authenticators import Authenticator
from tests.browser.conftest import at_length
from tests.browser.session.test_changes import send
from tests.browser.session.worlds import World
from tests.browser.sites import THREE_MODES

pytestmark = pytest.mark.parametrize("mode", [*at_length("cookie", "scoped"), "body"], indirect=True)
_PASSWORD_ONLY = "(given) => session.signIn(given).catch((it) => [it.code, it.offered, Object.keys(it)])"
_DO = """([what, given]) => session[what](...given).then(
    (found) => ["done", found?.email ?? found],
    (error) => [error.code ?? error.name, error.offered ?? error.status, error.trustDeviceFor ?? null],
)"""


@pytest.fixture
def world(mode, sites) -> World:
    """Sites that require a factor of the staff. Otherwise the password would be enough."""
    site = sites(**THREE_MODES, TOKENS_REQUIRED_FACTORS="staff")
    return World(mode, site, site)


@pytest.fixture
def person(world):
    """A member of the staff. Of any other user no factor is required."""
    return world.auth.new_person(is_staff=True)


@pytest.fixture
def do(tab):
    """Calls a method of the session client, and returns its result or its error. An exception would hide its fields."""
    return lambda what, *given: tab.page.evaluate(_DO, [what, given])


@pytest.fixture
def by_password(do, person):
    """Gives the password, and returns the error."""
    return lambda: do("signIn", {"email": person.email, "password": person.password})


def now(world) -> int:
    return world.auth.do("import time\nresult = int(time.time())")


def test_an_app_is_set_up_and_then_the_device_is_spared(tab, do, by_password, world, person):
    """In mode ``body`` the pending sign-in stays in the worker, as the refresh token does."""
    given = {"email": person.email, "password": person.password}
    code, offered, names = tab.page.evaluate(_PASSWORD_ONLY, given)
    assert (code, offered) == ("factor_required", ["enrol_totp", "enrol_passkey"])
    assert "pending" not in names
    assert tab.fetch() == [401]
    what, options = do("factorOptions", "enrol_totp")
    assert (what, {*options}) == ("done", {"secret", "otpauth_uri"})
    app, at = pyotp.TOTP(options["secret"]), now(world)
    assert do("answerFactor", "enrol_totp") == ["invalid_answer", 0, None]
    assert do("answerFactor", "enrol_totp", "000000")[0] == "factor_refused"
    assert tab.user is None
    assert do("answerFactor", "enrol_totp", app.at(at)) == ["done", person.email]
    assert (tab.fetch(), tab.heard) == ([200], [["signin", person.email]])
    tab.sign_out()
    assert by_password() == ["factor_required", ["totp"], 30 * 86400]
    assert do("answerFactor", "totp", app.at(at + 30), {"trustDevice": True}) == ["done", person.email]
    tab.sign_out()
    assert by_password() == ["done", person.email]


def test_a_passkey_is_created(tab, do, by_password, person):
    Authenticator(tab.page)
    by_password()
    assert send(tab, "POST", "factor", {"method": "enrol_totp"})[0] == "done"
    user = "session.passkeys.enrol().then(({ email }) => email)"
    assert (tab.page.evaluate(user), tab.fetch()) == (person.email, [200])


def test_what_cannot_be_sent_is_said(tab, do):
    assert do("send", "GET", "factors") == ["invalid_method", 0, None]
    assert do("answerFactor", "totp") == ["invalid_answer", 0, None]
