"""An app signs in, answers and changes passkeys through the session client."""

import pytest

from tests.browser.authenticators import Authenticator

_CALL = """([name, given]) => session.passkeys[name](...given).then(
    (found) => ["done", found?.name ?? found?.email ?? null],
    (error) => [error.code || error.name, error.status ?? null],
)"""


def call(tab, name, *given):
    return tab.page.evaluate(_CALL, [name, given])


@pytest.fixture
def authenticator(signed_in) -> Authenticator:
    """A device with a passkey of the user. Without one no sign-in by a passkey could succeed."""
    found = Authenticator(signed_in.page)
    assert call(signed_in, "create", "Mine") == ["done", "Mine"]
    return found


def test_a_passkey_signs_in_and_is_renamed_and_removed(signed_in, authenticator, world, person):
    signed_in.sign_out()
    assert call(signed_in, "signIn", {"remember": True, "deviceName": "My desk"}) == ["done", person.email]
    assert (signed_in.user, signed_in.heard[-1][0]) == (person.email, "signin")
    row = world.auth.sessions(person)[-1]
    assert (row["device__name"], row["remember"]) == ("My desk", True)
    assert call(signed_in, "reauthenticate") == ["done", None]
    [[passkey_id]] = world.auth.do(
        "from factors.models import Passkey\n"
        "result = list(Passkey.objects.filter(user__email=email).values_list('id'))",
        email=person.email,
    )
    assert call(signed_in, "rename", passkey_id, "Kitchen") == ["done", "Kitchen"]
    assert call(signed_in, "remove", passkey_id) == ["done", None]
    assert authenticator.credentials() == []
    assert call(signed_in, "remove", passkey_id) == ["not_found", 404]


def test_a_passkey_is_the_second_step_after_a_password(signed_in, authenticator, person):
    signed_in.sign_out()
    code = "given => session.signIn(given).then(() => '', ({ code, offered }) => [code, ...offered])"
    given = {"email": person.email, "password": person.password}
    assert signed_in.page.evaluate(code, given) == ["factor_required", "passkey"]
    assert (call(signed_in, "answerFactor"), signed_in.fetch()) == (["done", person.email], [200])


@pytest.mark.parametrize("mode", ["body"], indirect=True)
def test_the_browser_suggests_a_passkey(signed_in, authenticator, person):
    signed_in.sign_out()
    assert call(signed_in, "signIn", {"mediation": "conditional"}) == ["done", person.email]


def test_the_browser_forgets_a_passkey_that_nobody_has_any_more(signed_in, authenticator, world, person):
    signed_in.sign_out()
    world.auth.do(
        "from factors.models import Passkey\nPasskey.objects.filter(user__email=email).delete()", email=person.email
    )
    assert call(signed_in, "signIn") == ["passkey_unknown", 401]
    assert authenticator.credentials() == []


@pytest.mark.parametrize("mode", ["body"], indirect=True)
def test_a_browser_without_passkeys_is_told_so(tab):
    tab.page.evaluate("delete globalThis.PublicKeyCredential")
    assert (tab.page.evaluate("session.passkeys.supported"), call(tab, "signIn")) == (False, ["unsupported", 0])
