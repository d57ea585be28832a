"""Attacks on devices that are not asked for a second factor: what ends that, and who is asked nevertheless."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.links import Purpose
from tests.browsers import ACCESS, DEVICE, copy_of, new_browser, post
from tests.factories import PASSWORD, AdminFactory, UserFactory, link_token
from tests.factors.steps import code, set_up
from tokens import sessions
from tokens.models import Device, RefreshToken
from tokens.service import trust

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite")]

FACTOR, DAY = "/api/auth/factor", 86400
NEW_PASSWORD = "another password that nobody guesses"


class Owner:
    """A user with an app, and a browser that the user trusts. ``other`` is a second browser, signed in by the app."""

    def __init__(self, clock: Any) -> None:
        self.user, self.clock = UserFactory(), clock
        self.browser, self.other = new_browser(), new_browser()
        post(self.browser, "/api/auth/login", {"email": self.user.email, "password": PASSWORD})
        self.secret, self.codes = set_up(self.browser, clock.now)
        post(self.browser, "/api/auth/logout")
        self.answer(self.browser, trust_device=True)
        self.answer(self.other)

    @property
    def row(self) -> Any:
        """The user's row, as a set of rows."""
        return get_user_model().objects.filter(pk=self.user.pk)

    @property
    def session(self) -> Any:
        """The live session of the device that the user trusts, or None."""
        return RefreshToken.objects.live().filter(user=self.user, device__trusted_until__isnull=False).first()

    def end_session(self, browser: Client) -> None:
        """End that session in this browser."""
        assert browser.delete(f"/api/auth/sessions/{self.session.pk}").status_code == 204

    def sign_in(self, browser: Client | None = None, password: str = PASSWORD) -> Any:
        given = {"email": self.user.email, "password": password}
        return post(browser or self.browser, "/api/auth/login", given)

    def answer(self, browser: Client, password: str = PASSWORD, **more: Any) -> Any:
        """Sign in by the password and a code."""
        self.clock.forward(60)
        assert self.sign_in(browser, password).json()["code"] == "factor_required"
        right = {"method": "totp", "answer": code(self.secret, self.clock.now), **more}
        answer = post(browser, FACTOR, right)
        assert answer.status_code == 200, answer.content
        return answer

    def signs_in_without_factor(self, browser: Client | None = None, password: str = PASSWORD) -> bool:
        """Sign in by the password, and return whether that was enough."""
        answer = self.sign_in(browser, password)
        assert answer.status_code == 200 or answer.json()["code"] == "factor_required", answer.content
        return answer.status_code == 200


@pytest.fixture
def owner(db: None, clock: Any) -> Owner:
    """A user with an app and a trusted device. Without the app nobody is asked, and each device would seem trusted."""
    return Owner(clock)


def test_it_is_spared_for_thirty_days_and_the_session_has_one_factor(owner, clock):
    for _ in range(2):
        session = owner.sign_in().json()["session"]
        assert (session["amr"], session["acr"]) == (["pwd"], "aal1")
    clock.forward(30 * DAY - 120)
    assert owner.signs_in_without_factor()
    clock.forward(240)
    assert not owner.signs_in_without_factor()


def test_a_session_that_was_spared_is_asked_by_a_view_that_requires_more(owner):
    owner.sign_in()
    answer = post(owner.browser, "/api/auth/factors/recovery-codes")
    assert (answer.status_code, answer.json()["offered"]) == (403, ["totp", "recovery_code"])


OTHERS: dict[str, Callable[[Owner], Client]] = {
    "one whose user did not say so": lambda owner: owner.other,
    "a new one": lambda owner: new_browser(),
    "one with the cookie of another device of the user": lambda owner: copy_of(owner.other, DEVICE),
    "one in which a script has planted the cookie": lambda owner: new_browser(
        {"__Host-device": owner.browser.cookies[DEVICE].value}
    ),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_browser_is_asked(owner, other):
    assert not owner.signs_in_without_factor(other(owner))


def test_another_user_on_the_device_is_asked(owner, clock):
    assert not Owner(clock).signs_in_without_factor(copy_of(owner.browser, DEVICE))
    assert owner.signs_in_without_factor()


def test_a_wrong_answer_trusts_nothing(owner):
    owner.sign_in(owner.other)
    post(owner.other, FACTOR, {"method": "totp", "answer": "000000", "trust_device": True})
    assert Device.objects.filter(trusted_until__isnull=False).count() == 1


def test_a_sign_in_that_was_not_asked_cannot_trust_a_device(owner, clock):
    """The policy says who may: a text in which it has not is not good for it."""
    browser = new_browser()
    assert owner.sign_in(browser).json()["trust_device_for"] == 30 * DAY
    stranger = UserFactory()
    answer = post(browser, "/api/auth/login", {"email": stranger.email, "password": PASSWORD, "trust_device": True})
    assert answer.status_code == 200
    assert not Device.objects.filter(user=stranger, trusted_until__isnull=False).exists()


@pytest.mark.parametrize("trusts", ["yes", 1, None, []], ids=["a text", "a number", "null", "a list"])
def test_anything_but_true_is_no_consent(owner, trusts):
    owner.clock.forward(60)
    owner.sign_in(owner.other)
    right = {"method": "totp", "answer": code(owner.secret, owner.clock.now), "trust_device": trusts}
    assert post(owner.other, FACTOR, right).status_code == 400
    assert Device.objects.filter(trusted_until__isnull=False).count() == 1


class TestWithoutTheSetting:
    @pytest.fixture(autouse=True)
    def never(self, settings: Any, owner: Owner) -> None:
        """Is set after the device was trusted, as on a site that forbids it later."""
        settings.TOKENS = {**settings.TOKENS, "TRUST_DEVICES_FOR": 0}

    def test_it_is_not_offered_and_nobody_is_spared(self, owner):
        answer = owner.sign_in()
        assert (answer.json()["code"], "trust_device_for" in answer.json()) == ("factor_required", False)
        assert "trust_device" not in owner.browser.get("/sign-in/factor").content.decode()

    def test_saying_so_does_nothing(self, owner):
        owner.answer(owner.other, trust_device=True)
        assert Device.objects.filter(trusted_until__isnull=False).count() == 1


def alarm(owner: Owner) -> None:
    assert new_browser().post("/alarm", {"token": link_token(Purpose.ALARM, owner.user)}).status_code == 200


def change_password(owner: Owner) -> None:
    given = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    post(owner.browser, "/api/auth/password/change", given)


def reset_password(owner: Owner) -> None:
    given = {"token": link_token(Purpose.PASSWORD_RESET, owner.user), "password": NEW_PASSWORD}
    post(owner.browser, "/api/auth/password/reset/confirm", given)


def set_password(owner: Owner) -> None:
    """As ``manage.py changepassword`` and the admin do."""
    user = owner.row.get()
    user.set_password(NEW_PASSWORD)
    user.save()


def write_password(owner: Owner, password: str = NEW_PASSWORD) -> None:
    """As SQL does: nothing of ours is called."""
    owner.row.update(password=make_password(password))


def djangos_view(owner: Owner) -> None:
    owner.row.update(is_staff=True)
    fields = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    owner.browser.post("/admin/password_change/", fields)


def replace_app(owner: Owner) -> None:
    owner.secret, _ = set_up(owner.other, owner.clock.now)


def remove_and_add_app(owner: Owner) -> None:
    assert owner.other.delete("/api/auth/factors/totp").status_code == 204
    replace_app(owner)


def admin(path: str, **given: str) -> Callable[[Owner], None]:
    def post_as_boss(owner: Owner) -> None:
        boss, names = new_browser(), {"user": owner.user.pk, "session": getattr(owner.session, "pk", "")}
        boss.force_login(AdminFactory())
        fields = {name: value.format(**names) for name, value in given.items()}
        assert boss.post(f"/admin/tokens/refreshtoken/{path.format(**names)}", fields).status_code == 302

    return post_as_boss


def command(*options: str) -> Callable[[Owner], None]:
    def run(owner: Owner) -> None:
        device = Device.objects.get(user=owner.user, trusted_until__isnull=False)
        given = [option.format(user=owner.user.email, device=device.pk) for option in options]
        call_command("revoke_sessions", *given, "--no-input", verbosity=0)

    return run


def command_of_old_ones(owner: Owner) -> None:
    owner.clock.forward(3600)
    command("--older-than", "30m")(owner)


def without_a_session(ender: Callable[[Owner], Any]) -> Callable[[Owner], None]:
    def run(owner: Owner) -> None:
        RefreshToken.objects.filter(user=owner.user).exclude(device__trusted_until=None).update(
            revoked_at=owner.clock.now, revoked_reason="signed_out"
        )
        ender(owner)

    return run


def staff(owner: Owner) -> None:
    call_command("reset_factors", owner.user.email, "--reason", "lost", "--no-input", verbosity=0)
    browser = new_browser()
    assert owner.signs_in_without_factor(browser)  # There is no factor left.
    owner.secret, _ = set_up(browser, owner.clock.now)


def deactivate(owner: Owner) -> None:
    user = owner.row.get()
    for is_active in (False, True):
        user.is_active = is_active
        user.save()


def end_others(owner: Owner) -> None:
    assert owner.other.delete("/api/auth/sessions").status_code == 204


PASSWORDS: dict[str, Callable[[Owner], Any]] = {
    "a new password": change_password,
    "a reset of the password": reset_password,
    "a password that staff or a command has set": set_password,
    "a password that SQL has set": write_password,
    "a new password in a view of Django's": djangos_view,
}
"""What sets `NEW_PASSWORD`."""
ENDERS: dict[str, Callable[[Owner], Any]] = {
    **PASSWORDS,
    "the alarm": alarm,
    "the same password set anew, with another salt": lambda owner: write_password(owner, PASSWORD),
    "the end of other sessions by the API": end_others,
    "the end of other sessions on the device itself": lambda owner: owner.browser.delete("/api/auth/sessions"),
    "the end of other sessions on a page": lambda owner: owner.other.post("/sessions/end-others"),
    "the end of its session from another device": lambda owner: owner.end_session(owner.other),
    "new recovery codes": lambda owner: post(owner.other, "/api/auth/factors/recovery-codes"),
    "another app": replace_app,
    "an app that was removed and set up again": remove_and_add_app,
    "the admin, for the user": admin("user/{user}/revoke/"),
    "the admin, for the session": admin("", action="revoke_selected", _selected_action="{session}", confirmed="yes"),
    "the command, for the user": command("--user", "{user}"),
    "the command, for the device": command("--device", "{device}"),
    "the command, for all": command("--all"),
    "the command, for old sessions": command_of_old_ones,
    "the alarm, without a session": without_a_session(alarm),
    "the end of other sessions, without one": without_a_session(end_others),
    "the admin, without a session": without_a_session(admin("user/{user}/revoke/")),
    "the command, without a session": without_a_session(command("--all")),
    "a reset of the factors by staff": staff,
    "a deactivation": deactivate,
}


@pytest.mark.parametrize("name", ENDERS)
def test_it_is_ended_by(owner, name):
    password = NEW_PASSWORD if name in PASSWORDS else PASSWORD
    ENDERS[name](owner)
    assert not owner.signs_in_without_factor(password=password)
    owner.answer(owner.browser, password, trust_device=True)
    assert owner.signs_in_without_factor(password=password)


def others_sessions(owner: Owner) -> None:
    other = Owner(owner.clock)
    command("--user", other.user.email)(other)


def ends_another(owner: Owner) -> None:
    session = RefreshToken.objects.live().get(user=owner.user, device__trusted_until__isnull=True)
    assert owner.browser.delete(f"/api/auth/sessions/{session.pk}").status_code == 204


def uses_a_recovery_code(owner: Owner) -> None:
    browser = new_browser()
    owner.sign_in(browser)
    assert post(browser, FACTOR, {"method": "recovery_code", "answer": owner.codes[0]}).status_code == 200


def rehash(owner: Owner) -> None:
    """Django replaces the hash by a better one of the same password at a sign-in."""
    older = make_password(PASSWORD, hasher="pbkdf2_sha256")
    owner.row.update(password=older)
    user = owner.row.get()
    Device.objects.filter(trusted_until__isnull=False).update(trusted_digest=sessions.password_digest(user))
    assert owner.signs_in_without_factor()
    assert owner.row.get().password != older


CONTROLS: dict[str, Callable[[Owner], Any]] = {
    "a sign-out": lambda owner: post(owner.browser, "/api/auth/logout"),
    "the alarm of somebody else": lambda owner: alarm(Owner(owner.clock)),
    "the command for somebody else": others_sessions,
    "the end of its own session": lambda owner: owner.end_session(owner.browser),
    "the end of the session of another device": ends_another,
    "a recovery code": uses_a_recovery_code,
    "a better hash of the same password": rehash,
}


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_it_is_not_ended_by(owner, control):
    control(owner)
    assert owner.signs_in_without_factor()


def test_a_device_that_was_forgotten_is_not_spared_with_a_new_token_either(owner):
    alarm(owner)
    assert not Device.objects.filter(trusted_until__isnull=False).exists()
    owner.answer(owner.browser)
    assert not owner.signs_in_without_factor()


@pytest.mark.parametrize("change", [alarm, write_password], ids=["the alarm", "a new password"])
def test_what_ends_it_while_a_sign_in_is_under_way_counts(owner, change, monkeypatch):
    """The policy was told that the device is trusted, and the session is not opened yet."""
    asked = trust.is_trusted

    def late(user: Any, client: Any) -> bool:
        found = asked(user, client)
        change(owner)
        return found

    monkeypatch.setattr(trust, "is_trusted", late)
    before = RefreshToken.objects.count()
    answer = owner.sign_in()
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert RefreshToken.objects.count() == before


def test_a_pending_sign_in_that_began_before_the_alarm_trusts_nothing(owner):
    browser = new_browser()
    owner.clock.forward(60)
    owner.sign_in(browser)
    owner.clock.forward(5)
    alarm(owner)
    right = {"method": "totp", "answer": code(owner.secret, owner.clock.now), "trust_device": True}
    assert post(browser, FACTOR, right).status_code == 401
    assert not Device.objects.filter(trusted_until__isnull=False).exists()


@pytest.mark.parametrize("path", ["/sign-in", "/admin/login/"])
def test_pages_ask_with_a_checkbox(owner, path):
    owner.row.update(is_staff=True)
    browser = new_browser()
    given = {"username": owner.user.email, "password": PASSWORD, "next": "/devices"}
    owner.clock.forward(60)
    page = browser.post(path, given, follow=True)
    assert "Do not ask for a code or a passkey on this device for 30 days" in page.content.decode()
    german = browser.get("/sign-in/factor", headers={"Accept-Language": "de"}).content.decode()
    assert "Auf diesem Gerät 30 Tage lang" in german
    right = {"method": "totp", "answer": code(owner.secret, owner.clock.now), "trust_device": "on"}
    assert browser.post("/sign-in/factor", right).status_code == 302
    browser.post("/sign-out")
    assert browser.post(path, given).headers["Location"] == "/devices"
    assert browser.get("/api/auth/me").json()["session"]["amr"] == ["pwd"]


def test_a_sign_in_without_a_factor_takes_no_statement_more(owner):
    """Only users who have something to be asked for cost a query."""
    browser, user = new_browser(), UserFactory()
    post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})
    with CaptureQueriesContext(connection) as asked:
        post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})
    assert not [each["sql"] for each in asked if "trusted_until" in each["sql"] and 'trusted_until" >' in each["sql"]]
    assert not [each["sql"] for each in asked if each["sql"].startswith("UPDATE") and "trusted" in each["sql"]]
    assert ACCESS in browser.cookies
