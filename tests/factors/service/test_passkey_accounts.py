"""What passkeys mean for an account: ways in, changes, recovery, and what stays when they are gone."""

import pytest
from django.http import HttpResponse
from django.urls import path

from factors.models import Passkey, RecoveryCode, Totp, UserHandle
from factors.service import passkeys, recovery_codes, removal
from tests.browsers import ACCESS, post
from tests.factories import PASSWORD, UserFactory
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import BY_PASSKEY, PASSKEYS, begin, create, sign_in
from tests.factors.steps import API, BY_TOTP, later, set_up
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken, SecurityEvent
from tokens.sessions import factors, requires

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]


def remove(browser, row=None, **body):
    row = row or Passkey.objects.order_by("pk")[0]
    return browser.delete(f"{PASSKEYS}/{row.pk}", body, content_type="application/json")


def remove_app(browser):
    return browser.delete(BY_TOTP)


NEEDS_A_NAME, SAYS_NOTHING = {"is_discoverable": False}, {"is_discoverable": None}
LAST_WAYS = {
    # the passkeys of a user without a password, whether there is an app with recovery codes, what is removed, if it may
    "a passkey": ([{}], False, remove, False),
    "a passkey beside an app, by which nobody signs in without something before": ([{}], True, remove, False),
    "a passkey beside one that needs a name": ([{}, NEEDS_A_NAME], False, remove, False),
    "a passkey beside another": ([{}, {}], False, remove, True),
    "a passkey beside one that says nothing about names": ([{}, SAYS_NOTHING], False, remove, True),
    "an app": ([], True, remove_app, False),
    "an app beside a passkey that needs a name": ([NEEDS_A_NAME], True, remove_app, False),
    "an app beside a passkey": ([{}], True, remove_app, True),
}


@pytest.mark.parametrize(("made", "has_app", "remove", "is_removed"), LAST_WAYS.values(), ids=LAST_WAYS)
def test_the_last_way_in_cannot_be_removed(client, clock, made, has_app, remove, is_removed):
    client.force_login(UserFactory(password=None))
    client.get("/devices")
    for given in made:
        create(client, Authenticator(**given))
    if has_app:
        set_up(client, clock.now)
    answer = remove(client)
    assert answer.status_code in {200, 204} if is_removed else answer.json()["code"] == "last_factor"
    assert (answer.status_code == 409, Passkey.objects.count() + Totp.objects.count()) == (
        not is_removed,
        len(made) + has_app - is_removed,
    )


class TestARemoval:
    def test_ends_the_passkey_and_is_recorded(self, device, signed_in, another, user):
        assert remove(signed_in).status_code == 200
        assert sign_in(another(), device).json()["code"] == "passkey_unknown"
        kinds = SecurityEvent.objects.filter(user=user, reason="passkey").values_list("kind", flat=True)
        assert [*kinds] == ["factor_added", "factor_removed"]
        assert remove(signed_in, Passkey(pk=passkeys.UUID(int=1))).status_code == 404

    def test_ends_the_recovery_codes_with_the_last_strong_factor(self, device, signed_in, user, clock):
        recovery_codes.issue(user)
        create(signed_in, Authenticator())
        assert remove(signed_in).status_code == 200
        assert RecoveryCode.objects.exists()
        assert remove(signed_in).status_code == 200
        assert not RecoveryCode.objects.exists()

    def test_leaves_the_recovery_codes_to_an_app(self, device, signed_in, clock):
        set_up(signed_in, clock.now)
        assert remove(signed_in).status_code == 200
        assert RecoveryCode.objects.exists()

    def test_ends_other_sessions_if_it_is_asked_for(self, device, signed_in, another):
        sign_in(another(), device)
        assert remove(signed_in, end_other_sessions=True).status_code == 200
        assert RefreshToken.objects.live().count() == 1

    def test_of_somebody_elses_is_like_one_that_does_not_exist(self, device):
        stranger = signed_in_as(UserFactory())
        answers = [remove(stranger), remove(stranger, Passkey(pk=passkeys.UUID(int=1)))]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content
        path = f"{PASSKEYS}/{Passkey.objects.get().pk}"
        assert stranger.patch(path, {"name": "x"}, content_type="application/json").status_code == 404


class TestAChange:
    """Each change of factors needs the strongest factor that the account has, used lately."""

    CHANGES = {
        "a passkey is begun": lambda browser, **body: post(browser, PASSKEYS, body),
        "a passkey is removed": remove,
        "an app is begun": lambda browser, **body: post(browser, BY_TOTP, body),
        "codes are made": lambda browser, **body: post(browser, f"{API}/recovery-codes", body),
    }

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_is_not_made_by_a_password(self, device, signed_in, change, clock):
        later(signed_in, clock)
        for body in ({}, {"current_password": PASSWORD}):
            answer = change(signed_in, **body)
            assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")
            assert answer.json()["offered"] == ["passkey"]
        options = post(signed_in, "/api/auth/reauthenticate", {"method": "passkey"}).json()["options"]
        answer = change(signed_in, method="passkey", answer=device.sign(options))
        assert answer.status_code == 200, answer.content

    def test_needs_more_than_an_access_token(self, device, signed_in, client):
        client.cookies[ACCESS] = signed_in.cookies[ACCESS].value
        for change in self.CHANGES.values():
            assert change(client).json()["code"] == "refresh_token_required"

    def test_is_made_right_after_a_passkey_was_created_here(self, device, signed_in, clock):
        clock.forward(600)
        post(signed_in, "/api/auth/reauthenticate", {"password": PASSWORD})
        assert post(signed_in, PASSKEYS).status_code == 200
        clock.forward(600)
        post(signed_in, "/api/auth/reauthenticate", {"password": PASSWORD})
        assert post(signed_in, PASSKEYS).json()["code"] == "reauthentication_required"

    def test_of_a_name_needs_no_recent_sign_in(self, device, signed_in, clock):
        later(signed_in, clock)
        path = f"{PASSKEYS}/{Passkey.objects.get().pk}"
        answer = signed_in.patch(path, {"name": " my phone "}, content_type="application/json")
        assert answer.json()["passkey"]["name"] == "my phone"
        for name in ("", " ", "a\x00b", "x" * 101, 7):
            answer = signed_in.patch(path, {"name": name}, content_type="application/json")
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), name


def test_the_policy_asks_people_with_a_passkey_and_no_app(device, another, user):
    recovery_codes.issue(user)
    answer = post(another(), "/api/auth/login", {"email": user.email, "password": PASSWORD}).json()
    assert (answer["code"], answer["offered"]) == ("factor_required", ["passkey", "recovery_code"])


def test_a_recovery_removes_them(device, signed_in, user, another):
    removal.remove_all(None, user, "recovery")
    assert not Passkey.objects.exists()
    assert SecurityEvent.objects.filter(kind="factor_removed", user=user, reason="passkey: recovery").count() == 1
    assert sign_in(another(), device).json()["code"] == "passkey_unknown"


def test_they_go_with_the_account(device, user):
    user.delete()
    assert (Passkey.objects.count(), UserHandle.objects.count()) == (0, 0)


def test_the_handle_stays_when_the_last_passkey_is_removed(device, signed_in, user):
    """A password manager then replaces the old passkey, and does not show two."""
    before = passkeys.handle_of(user)
    remove(signed_in)
    create(signed_in, Authenticator())
    assert passkeys.handle_of(user) == before


def test_a_new_one_gets_the_name_of_its_authenticator(signed_in):
    names = [
        create(signed_in, Authenticator())["name"],
        create(signed_in, Authenticator(aaguid=bytes(16)))["name"],
        create(signed_in, Authenticator(), name="my phone")["name"],
    ]
    assert names == ["iCloud Keychain", "Passkey", "my phone"]


def test_a_new_one_makes_no_recovery_codes(device, signed_in):
    assert signed_in.get(API).json() == {"offered": ["password", "passkey"], "totp": None, "recovery_codes_left": 0}
    assert not Totp.objects.exists()


def test_a_new_one_and_a_removal_are_mailed(signed_in, user, mailoutbox, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        create(signed_in, Authenticator())
        remove(signed_in)
    assert [("passkey" in mail.body, mail.to) for mail in mailoutbox] == [(True, [user.email])] * 2


@pytest.mark.parametrize("name", ["totp", "recovery_code", "passkey"])
def test_no_factor_is_answered_without_a_session(device, user, name):
    assert factors.verify(None, user, name, {"response": {}}) is None


@pytest.mark.parametrize(
    "url", [PASSKEYS, BY_PASSKEY, "/account/passkeys/options", "/sign-in/passkey", "/.well-known/webauthn"]
)
def test_a_site_that_does_not_name_them_has_none(device, signed_in, another, settings, url):
    """A passkey from before signs nobody in either."""
    browser = another()
    answer = device.sign(begin(browser))
    named = [name for name in settings.TOKENS["FACTORS"] if "passkeys" not in name]
    settings.TOKENS = {**settings.TOKENS, "FACTORS": named, "TRUSTED_ORIGINS": ["https://example.com"]}
    assert post(browser, BY_PASSKEY, {"answer": answer}).status_code == 404
    ask = signed_in.get if "webauthn" in url else signed_in.post
    assert ask(url, {}, content_type="application/json").status_code == 404
    assert len(signed_in.get(PASSKEYS).json()["passkeys"]) == 1
    assert remove(signed_in).status_code == 200


@pytest.mark.parametrize(
    ("trusts", "status"),
    [(False, "permission_denied"), (True, "insufficient_user_authentication")],
    ids=["not believed", "believed"],
)
def test_aal3_is_in_reach_only_where_the_site_believes_authenticators(device, signed_in, settings, trusts, status):
    settings.TOKENS = {**settings.TOKENS, "TRUST_DEVICE_BOUND_PASSKEYS": trusts}
    settings.ROOT_URLCONF = __name__
    answer = signed_in.get("/in-hardware", headers={"Accept": "application/json"})
    assert answer.json()["code"] == status


@requires(acr="aal3")
def in_hardware(request):
    return HttpResponse("in")


urlpatterns = [path("in-hardware", in_hardware)]
