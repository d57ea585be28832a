"""Wrong answers: each is refused, with the same bytes, and leaves no row behind."""

from datetime import timedelta
from typing import Any

import pytest
from fido2.cose import ES256, RS256, EdDSA
from fido2.utils import websafe_encode

from factors import ceremonies, challenges
from factors.models import Passkey, UsedChallenge
from factors.service import passkeys
from tests.browsers import ACCESS, REFRESH, login, new_browser, post
from tests.factories import PASSWORD, UserFactory
from tests.factors import passkey_steps
from tests.factors.authenticator import FLAG, Authenticator, Credential
from tests.factors.passkey_steps import BY_PASSKEY, FACTOR, PASSKEYS, begin, create, sign_in
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]

UP, UV, BE, BS = FLAG.UP, FLAG.UV, FLAG.BE, FLAG.BS


@pytest.fixture
def device(device):
    """`device`, without a session and a used challenge. With them a refusal that leaves one behind would not show."""
    RefreshToken.objects.all().delete()
    UsedChallenge.objects.all().delete()
    return device


def another_key(device: Authenticator) -> Any:
    other = Authenticator(device.kind)
    other.create({"rp": {"id": "x"}, "user": {"id": ""}, "challenge": "", "excludeCredentials": []})
    return other.credentials[0].key


WRONG = {
    "another origin": {"origin": "https://evil.example"},
    "another port": {"origin": "https://testserver:8443"},
    "a page over http": {"origin": "http://testserver"},
    "a subdomain": {"origin": "https://a.testserver"},
    "another rpId": {"rp_id": "evil.example"},
    "the type of a creation": {"type": "webauthn.create"},
    "a frame of another site": {"crossOrigin": True},
    "a frame that says it in another way": {"crossOrigin": "false"},
    "a frame whose top is named": {"topOrigin": "https://evil.example"},
    "no user present": {"flags": UV | BE | BS},
    "no user verified": {"flags": UP | BE | BS},
    "synced, and cannot be": {"flags": UP | UV | BS},
    "cannot be synced any more": {"flags": UP | UV},
    "the handle of nobody": {"user_handle": b"nobody"},
    "no handle": {"user_handle": None},
    "a challenge of nobody": {"challenge": websafe_encode(b"x" * 56)},
    "an empty challenge": {"challenge": ""},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_signs_nobody_in(device, another, changed):
    answer = sign_in(another(), device, **changed)
    assert (answer.status_code, answer.json()["code"]) == (401, "factor_refused")
    assert not {ACCESS, REFRESH} & {*answer.cookies}
    assert not RefreshToken.objects.exists()
    assert not UsedChallenge.objects.exists()


def test_all_refusals_are_the_same_bytes(device, another, user, clock):
    def refused(**changed: Any) -> bytes:
        return sign_in(another(), device, **changed).content

    answers = [refused(**changed) for changed in WRONG.values()]
    answers.append(refused(key=another_key(device)))
    browser = another()
    used = {"answer": device.sign(begin(browser))}
    assert post(browser, BY_PASSKEY, used).status_code == 200
    answers.append(post(browser, BY_PASSKEY, used).content)
    late = {"answer": device.sign(begin(browser))}
    clock.forward(301)
    answers.append(post(browser, BY_PASSKEY, late).content)
    type(user).objects.update(is_active=False)
    answers.append(refused())
    answers += [post(another(), BY_PASSKEY, {"answer": text}).content for text in ({}, {"response": 1})]
    assert len({*answers}) == 1


def test_a_signature_by_another_key_is_refused_and_recorded(device, another, user):
    assert sign_in(another(), device, key=another_key(device)).json()["code"] == "factor_refused"
    assert SecurityEvent.objects.filter(kind="sign_in_failed", user=user, reason="factor").count() == 1


@pytest.mark.parametrize("kind", [EdDSA, ES256, RS256], ids=["EdDSA", "ES256", "RS256"])
def test_each_recommended_algorithm_signs_in(signed_in, another, kind):
    device = Authenticator(kind)
    create(signed_in, device)
    assert sign_in(another(), device).status_code == 200
    assert sign_in(another(), device, key=another_key(device)).status_code == 401


class TestAChallenge:
    def test_is_good_once(self, device, another):
        browser = another()
        answer = {"answer": device.sign(begin(browser))}
        statuses = [post(browser, BY_PASSKEY, answer).status_code for _ in range(3)]
        assert statuses == [200, 401, 401]
        assert RefreshToken.objects.count() == UsedChallenge.objects.count() == 1

    @pytest.mark.parametrize(
        ("seconds", "status"),
        [(299, 200), (301, 401), (3600, 401), (-301, 401)],
        ids=["a second before", "a second after", "an hour later", "of the future"],
    )
    def test_is_good_for_five_minutes(self, device, another, clock, seconds, status):
        browser = another()
        clock.forward(1000)
        answer = {"answer": device.sign(begin(browser))}
        clock.forward(seconds)
        assert post(browser, BY_PASSKEY, answer).status_code == status

    def test_of_an_old_page_is_renewed_in_the_same_browser(self, device, another, clock):
        browser = another()
        begin(browser)
        clock.forward(3600)
        assert sign_in(browser, device).status_code == 200

    def test_is_good_in_its_browser_only(self, device, another):
        answer = {"answer": device.sign(begin(another()))}
        thief = another()
        assert post(thief, BY_PASSKEY, answer).status_code == 401
        begin(thief)
        assert post(thief, BY_PASSKEY, answer).status_code == 401

    def test_two_tabs_of_a_browser_have_one_each(self, device, another):
        browser = another()
        first, second = begin(browser), begin(browser)
        assert first["challenge"] != second["challenge"]
        assert post(browser, BY_PASSKEY, {"answer": device.sign(first)}).status_code == 200
        assert post(browser, BY_PASSKEY, {"answer": device.sign(second)}).status_code == 200

    def test_of_a_client_without_cookies_is_bound_to_a_text(self, device, another, settings):
        settings.TOKENS = {**settings.TOKENS, "MODES": ["cookie", "body"]}
        begun = post(another(), BY_PASSKEY, {"mode": "body"})
        assert not begun.cookies
        given = {"answer": device.sign(begun.json()["options"]), "mode": "body"}
        assert post(another(), BY_PASSKEY, {**given, "ceremony": "another"}).status_code == 401
        assert post(another(), BY_PASSKEY, given).status_code == 401
        in_a_browser = {**given, "mode": "cookie", "ceremony": begun.json()["ceremony"]}
        assert post(another(), BY_PASSKEY, in_a_browser).status_code == 401
        opened = post(another(), BY_PASSKEY, {**given, "ceremony": begun.json()["ceremony"]})
        assert opened.status_code == 200, opened.content
        assert {"access_token", "refresh_token", "device_token"} <= {*opened.json()}

    def test_goes_on_under_an_older_key(self, device, another, settings):
        browser = another()
        answer = {"answer": device.sign(begin(browser))}
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another secret of good length" * 2
        assert post(browser, BY_PASSKEY, answer).status_code == 200

    def test_of_one_purpose_is_not_good_for_another(self, device, user, signed_in, clock):
        sign_in(signed_in, device)
        UsedChallenge.objects.all().delete()
        prove = post(signed_in, "/api/auth/reauthenticate", {"method": "passkey"}).json()["options"]
        signed = device.sign(prove)
        assert post(signed_in, BY_PASSKEY, {"answer": signed}).status_code == 401
        signing_in = begin(signed_in)
        again = {"method": "passkey", "answer": device.sign(signing_in)}
        assert post(signed_in, "/api/auth/reauthenticate", again).status_code == 401
        creating = post(signed_in, PASSKEYS).json()["options"]["challenge"]
        assert post(signed_in, BY_PASSKEY, {"answer": device.sign({**prove, "challenge": creating})}).status_code == 401
        assert not UsedChallenge.objects.exists()

    def test_of_one_session_is_not_good_in_another(self, device, another, user):
        first, second = another(), another()
        for browser in (first, second):
            post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})
        options = post(first, FACTOR, {"method": "passkey"}).json()["options"]
        given = {"method": "passkey", "answer": device.sign(options)}
        assert post(second, FACTOR, given).json()["code"] == "factor_refused"
        assert post(first, FACTOR, given).status_code == 200

    def test_of_one_user_is_not_answered_by_another(self, device, another):
        other = UserFactory()
        stranger, theirs = another(), Authenticator()
        login(stranger, other)
        create(stranger, theirs)
        options = post(stranger, "/api/auth/reauthenticate", {"method": "passkey"}).json()["options"]
        given = {"method": "passkey", "answer": device.sign({**options, "allowCredentials": []})}
        assert post(stranger, "/api/auth/reauthenticate", given).json()["code"] == "invalid_credentials"

    def test_says_what_it_is_only_under_its_key(self, clock):
        keys = [b"k" * 32]
        text = challenges.make(keys, challenges.PROVE, "a", "b")
        assert challenges.read(keys, text, challenges.PROVE, "a", "b")
        assert not challenges.read([b"l" * 32], text, challenges.PROVE, "a", "b")
        assert not challenges.read(keys, text, challenges.PROVE, "a", "c")
        assert not challenges.read(keys, text, challenges.PROVE, "a")
        assert not challenges.read(keys, text, challenges.PROVE, "ab", "")
        changed = [bytes([*text[:place], text[place] ^ 1, *text[place + 1 :]]) for place in range(len(text))]
        assert not any(challenges.read(keys, one, challenges.PROVE, "a", "b") for one in changed)
        assert not any(challenges.read(keys, text[:end], challenges.PROVE, "a", "b") for end in range(len(text)))


class TestUsedChallenges:
    def test_are_forgotten_a_few_at_a_time(self, device, another, clock):
        for _ in range(30):
            UsedChallenge.objects.create(nonce=passkeys.UUID(int=_), expires_at=clock.now)
        clock.forward(1)
        assert sign_in(another(), device).status_code == 200
        assert UsedChallenge.objects.count() == 11
        assert sign_in(another(), device).status_code == 200
        assert UsedChallenge.objects.count() == 2

    def test_are_kept_longer_than_they_are_good(self, device, another, clock):
        assert sign_in(another(), device).status_code == 200
        row = UsedChallenge.objects.get()
        assert row.expires_at - clock.now == timedelta(seconds=2 * challenges.LIFETIME)


CREATIONS = {
    **{
        name: WRONG[name]
        for name in ("another origin", "another rpId", "a frame of another site", "an empty challenge")
    },
    "the type of a signature": {"type": "webauthn.get"},
    "no user present": {"flags": UV | BE | BS | FLAG.AT},
    "synced, and cannot be": {"flags": UP | UV | BS | FLAG.AT},
    "no credential": {"flags": UP | UV | BE | BS},
    "an algorithm that was not asked for": {"public_key": ES256({1: 2, 3: -65535, -1: 1, -2: b"x", -3: b"y"})},
    "a point that is not on the curve": {"public_key": ES256({1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32})},
    "another curve": {"public_key": ES256({1: 2, 3: -7, -1: 2, -2: b"x" * 32, -3: b"y" * 32})},
    "a key without numbers": {"public_key": ES256({1: 2, 3: -7})},
    "a credential's id that is too long": {"credential_id": b"x" * 1024},
}


def make(browser: Any, **changed: Any) -> Any:
    """Ask for options, and send what an authenticator makes of them. ``changed`` is what it does otherwise."""
    options = post(browser, PASSKEYS).json()["options"]
    return post(browser, PASSKEYS, {"credential": Authenticator().create(options, **changed)})


@pytest.mark.parametrize("changed", CREATIONS.values(), ids=CREATIONS)
def test_a_wrong_creation_makes_no_passkey(signed_in, changed):
    answer = make(signed_in, **changed)
    assert (answer.status_code, answer.json()["code"]) == (400, "passkey_refused"), answer.content
    assert not Passkey.objects.exists()


class TestACreation:
    def test_is_good_once(self, signed_in):
        options = post(signed_in, PASSKEYS).json()["options"]
        answers = [Authenticator().create(options) for _ in range(2)]
        statuses = [post(signed_in, PASSKEYS, {"credential": one}).status_code for one in answers]
        assert statuses == [200, 400]

    def test_is_late_after_five_minutes(self, signed_in, clock):
        options = post(signed_in, PASSKEYS).json()["options"]
        clock.forward(301)
        assert post(signed_in, PASSKEYS, {"credential": Authenticator().create(options)}).status_code == 400

    def test_belongs_to_its_session(self, signed_in, user):
        options = post(signed_in, PASSKEYS).json()["options"]
        other = signed_in_as(user)
        assert post(other, PASSKEYS, {"credential": Authenticator().create(options)}).status_code == 400

    def test_of_a_passkey_that_somebody_has_is_refused(self, signed_in):
        create(signed_in, Authenticator())
        taken = bytes(Passkey.objects.get().credential_id)
        other = signed_in_as(UserFactory())
        answer = make(other, credential_id=taken)
        assert (answer.status_code, answer.json()["code"]) == (400, "passkey_refused")
        assert Passkey.objects.count() == 1

    def test_without_a_user_present_is_good_only_if_it_was_asked_for(self, signed_in):
        quiet = post(signed_in, PASSKEYS, {"quiet": True}).json()["options"]
        answer = Authenticator(verifies=False).create(quiet, present=False)
        assert post(signed_in, PASSKEYS, {"credential": answer}).status_code == 200

    def test_asks_for_what_the_specification_recommends(self, signed_in, user):
        create(signed_in, Authenticator())
        options = post(signed_in, PASSKEYS).json()["options"]
        row = Passkey.objects.get()
        assert options["excludeCredentials"] == [
            {
                "type": "public-key",
                "id": ceremonies.encoded(bytes(row.credential_id)),
                "transports": ["hybrid", "internal"],
            }
        ]
        assert [one["alg"] for one in options["pubKeyCredParams"]][:3] == [-8, -7, -257]
        assert (options["attestation"], options["timeout"]) == ("none", 300_000)
        assert options["authenticatorSelection"]["residentKey"] == "preferred"
        assert options["rp"] == {"id": "testserver", "name": "testserver"}
        handle = ceremonies.websafe_decode(options["user"]["id"])
        assert len(handle) == 64
        assert str(user.pk).encode() not in handle
        assert handle == passkeys.handle_of(user)

    def test_is_limited_in_number(self, signed_in, monkeypatch):
        monkeypatch.setattr(passkeys, "MOST", 1)
        create(signed_in, Authenticator())
        answer = make(signed_in)
        assert (answer.status_code, answer.json()["code"]) == (400, "passkey_refused")
        assert "as many passkeys" in answer.json()["detail"]


class TestTheCounter:
    @pytest.fixture
    def key(self, signed_in):
        """A security key that counts its uses, and was used once. From zero a counter could not go back."""
        found = Authenticator(counts=True, can_sync=False, is_synced=False)
        create(signed_in, found)
        assert sign_in(new_browser(), found).status_code == 200
        return found

    @pytest.mark.parametrize("count", [0, 1, 2], ids=["zero", "one of before", "that of the last use"])
    def test_that_goes_back_is_refused_and_reported(
        self, key, another, user, mailoutbox, django_capture_on_commit_callbacks, count
    ):
        assert Passkey.objects.get().sign_count == 2
        with django_capture_on_commit_callbacks(execute=True):
            answer = sign_in(another(), key, sign_count=count)
        assert (answer.status_code, answer.json()["code"]) == (401, "factor_refused")
        event = SecurityEvent.objects.get(kind="passkey_copied")
        assert (event.user, event.reason) == (user, "passkey: iCloud Keychain")
        [mail] = [one for one in mailoutbox if "copied" in one.subject]
        assert mail.to == [user.email]
        assert "/alarm?" in mail.body
        assert "Passkey: “iCloud Keychain”" in mail.body
        assert Passkey.objects.get().sign_count == 2
        assert sign_in(another(), key, sign_count=3).status_code == 200

    def test_that_goes_back_is_reported_once_for_each_challenge(self, key, another, user):
        browser = another()
        answer = {"answer": key.sign(begin(browser), sign_count=1)}
        for _ in range(3):
            assert post(browser, BY_PASSKEY, answer).status_code == 401
        assert SecurityEvent.objects.filter(kind="passkey_copied").count() == 1

    def test_that_goes_back_is_reported_at_a_second_step_too(self, key, another, user):
        browser = another()
        post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})
        assert passkey_steps.answer(browser, key, sign_count=1).json()["code"] == "factor_refused"
        assert SecurityEvent.objects.filter(kind="passkey_copied", user=user).count() == 1

    def test_that_is_always_zero_is_good(self, device, another):
        assert [sign_in(another(), device).status_code for _ in range(2)] == [200, 200]


def test_the_backup_state_is_stored_and_may_change(device, another):
    device.is_synced = False
    assert sign_in(another(), device).status_code == 200
    assert not Passkey.objects.get().is_synced
    device.is_synced = True
    assert sign_in(another(), device).status_code == 200
    assert Passkey.objects.get().is_synced


def test_an_unknown_passkey_is_told_only_where_it_is_certain(device, another):
    unknown = Credential("testserver", b"unknown", device.credentials[0].key, b"x" * 64)
    browser = another()
    options = begin(browser)
    assert post(browser, BY_PASSKEY, {"answer": device.sign(options, unknown)}).json()["code"] == "passkey_unknown"
    other = {**options, "challenge": websafe_encode(b"x" * 56)}
    assert post(browser, BY_PASSKEY, {"answer": device.sign(other, unknown)}).json()["code"] == "factor_refused"
    assert not UsedChallenge.objects.exists()


@pytest.mark.parametrize(
    ("trusts", "can_sync", "amr", "acr"),
    [
        (False, False, ["pop", "user", "mfa"], "aal2"),
        (True, True, ["pop", "user", "mfa"], "aal2"),
        (True, False, ["hwk", "user", "mfa"], "aal3"),
    ],
    ids=["nothing is believed", "a synced one", "a device-bound one that is believed"],
)
def test_what_is_claimed(signed_in, another, settings, trusts, can_sync, amr, acr):
    settings.TOKENS = {**settings.TOKENS, "TRUST_DEVICE_BOUND_PASSKEYS": trusts}
    device = Authenticator(can_sync=can_sync, is_synced=can_sync)
    create(signed_in, device)
    session = sign_in(another(), device).json()["session"]
    assert (session["amr"], session["acr"]) == (amr, acr)


def test_without_verification_it_is_a_second_step_and_no_sign_in(signed_in, another, user):
    device = Authenticator(verifies=False, is_discoverable=False, can_sync=False, is_synced=False)
    create(signed_in, device)
    browser = another()
    assert sign_in(browser, device).json()["code"] == "factor_refused"
    post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})
    answer = passkey_steps.answer(browser, device, user_handle=None)
    assert answer.json()["session"]["amr"] == ["pwd", "pop", "user", "mfa"]
