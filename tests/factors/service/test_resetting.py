"""Staff resets the factors of a user, and another superuser confirms the reset of a superuser."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client

from factors.models import FactorReset, RecoveryCode, Totp
from tests.browsers import login, new_browser, post
from tests.factories import PASSWORD, AdminFactory, User, UserFactory
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import create, sign_in
from tests.factors.steps import code, later, set_up
from tests.parallel import at_once
from tests.tokens.service.threads import in_thread, until_one_waits
from tests.tokens.web_steps import signed_in_as
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]

LIST, USERS = "/admin/factors/factorreset/", f"/admin/{User._meta.app_label}/{User._meta.model_name}/"
REASON = "Lost the phone, see ticket 7"
HOW_STAFF_ENDS = ["the permission is gone", "the group is gone", "no staff any more", "deactivated", "deleted"]


def page(user: Any) -> str:
    return f"{LIST}user/{user.pk}/reset/"


def ask(browser: Client, user: Any, reason: str = REASON, **more: Any) -> Any:
    return browser.post(page(user), {"reason": reason, **more})


def confirm(browser: Client, row: Any = None, **more: Any) -> Any:
    row = row or FactorReset.objects.get()
    return browser.post(f"{LIST}{row.pk}/confirm/", more)


@pytest.fixture
def owner(clock: Any) -> Any:
    """A user with an app, recovery codes, and a session. Without one of them, a reset that leaves it would pass."""
    user = UserFactory()
    set_up(signed_in_as(user), clock.now)
    return user


@pytest.fixture
def boss(clock: Any) -> Any:
    """A superuser with an app. With `owner` only, a reset that does not wait for a second person would go unnoticed."""
    user = AdminFactory()
    set_up(signed_in_as(user), clock.now)
    return user


@pytest.fixture
def committed(django_capture_on_commit_callbacks: Any, mailoutbox: list[Any]) -> Any:
    """Does what follows the commits of the block, such as mails. A test's transaction is never committed."""
    mailoutbox.clear()
    return lambda: django_capture_on_commit_callbacks(execute=True)


def is_reset(user: Any) -> bool:
    has_some = Totp.objects.filter(user=user).exists() or RecoveryCode.objects.filter(user=user).exists()
    live = RefreshToken.objects.live().filter(user=user).exists()
    assert has_some == live, "Half of the reset was carried out."
    return not has_some


def test_all_factors_and_sessions_end_and_the_owner_gets_one_mail(owner, helper, mailoutbox, committed):
    browser = signed_in_as(helper)
    with committed():
        assert ask(browser, owner).status_code == 302
    assert is_reset(owner)
    assert not Device.objects.filter(user=owner, forgotten=False).exists()
    (message,) = mailoutbox
    assert message.to == [owner.email]
    assert "“Lost the phone, see ticket 7”" in message.body
    assert "/alarm?token=" in message.body
    event = SecurityEvent.objects.get(kind="factors_reset")
    assert (event.user, event.actor, event.reason) == (owner, helper, REASON)
    ended = SecurityEvent.objects.get(kind="revoked")
    assert (ended.user, ended.actor, ended.reason) == (owner, helper, "ended_by_staff: factors reset")
    assert LogEntry.objects.get().object_id == str(owner.pk)
    assert login(new_browser(), owner)["session"]["amr"] == ["pwd"]


def test_the_reason_is_no_link_and_must_be_there(owner, helper, mailoutbox, committed):
    browser = signed_in_as(helper)
    for reason in ("", "   ", "x" * 151):
        assert ask(browser, owner, reason).status_code == 200
    assert not is_reset(owner)
    with committed():
        ask(browser, owner, "write to https://evil.example/now")
    assert "evil.example" not in mailoutbox[0].body
    assert "https://evil" not in mailoutbox[0].alternatives[0][0]


class TestNobodyElse:
    @pytest.mark.parametrize(
        "permissions",
        [[], ["change_user"], ["revoke_refreshtoken"]],
        ids=["without any", "to change users", "to revoke sessions"],
    )
    def test_without_the_permission(self, owner, permissions):
        member = UserFactory(is_staff=True)
        member.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        browser = signed_in_as(member)
        assert (browser.get(page(owner)).status_code, ask(browser, owner).status_code) == (403, 403)
        assert not is_reset(owner)

    def test_with_the_permission_but_not_of_the_staff(self, owner, helper):
        User.objects.filter(pk=helper.pk).update(is_staff=False)
        assert ask(signed_in_as(helper), owner).status_code == 302
        assert not is_reset(owner)

    def test_their_own(self, helper, boss, clock):
        browser = signed_in_as(helper)
        set_up(browser, clock.now)
        assert (browser.get(page(helper)).status_code, ask(browser, helper).status_code) == (403, 403)
        assert not is_reset(helper)
        assert not is_reset(boss)

    def test_in_an_impersonation(self, owner, boss, helper, settings, clock):
        settings.ROOT_URLCONF = "tests.tokens.web.impersonation_urls"
        actor = AdminFactory()
        browser = signed_in_as(actor)
        browser.post(f"/probe/impersonate/{helper.email}")
        assert browser.get("/api/auth/me").json()["session"]["actor"]["id"] == str(actor.pk)
        assert (browser.get(page(owner)).status_code, ask(browser, owner).status_code) == (403, 403)
        assert not is_reset(owner)

    def test_a_stranger(self, owner):
        assert ask(Client(), owner).status_code == 302
        assert not is_reset(owner)

    @pytest.mark.parametrize(
        "key", ["nobody", "0190b6f2-7e4c-7000-8000-000000000000"], ids=["not a key", "a key that no user has"]
    )
    def test_of_nobody(self, helper, key):
        assert signed_in_as(helper).post(f"{LIST}user/{key}/reset/", {"reason": REASON}).status_code == 404


class TestARecentSignIn:
    def test_of_an_hour_ago_is_not_enough(self, owner, helper, clock):
        browser = signed_in_as(helper)
        later(browser, clock)
        assert ask(browser, owner).headers["Location"].startswith("/sign-in/again?next=")
        assert not is_reset(owner)

    def test_by_the_password_is_not_enough_if_there_is_an_app(self, owner, helper, clock):
        browser = signed_in_as(helper)
        secret, _ = set_up(browser, clock.now)
        later(browser, clock)
        post(browser, "/api/auth/reauthenticate", {"password": PASSWORD})
        shown = browser.get(page(owner)).content.decode()
        assert 'value="totp"' in shown
        assert 'value="password"' not in shown
        for given in ({}, {"current_password": PASSWORD}, {"method": "totp", "current_password": "000000"}):
            assert ask(browser, owner, **given).status_code == 200
        assert not is_reset(owner)
        assert ask(browser, owner, method="totp", current_password=code(secret, clock.now)).status_code == 302
        assert is_reset(owner)


class TestASuperuser:
    @pytest.fixture
    def asked(self, boss: Any, helper: Any) -> Client:
        """The browser of the member of the staff who asked for it. Without that there would be nothing to confirm."""
        browser = signed_in_as(helper)
        assert ask(browser, boss).status_code == 302
        assert not is_reset(boss)
        return browser

    def test_waits_for_another_superuser(self, asked, boss, helper, mailoutbox, committed):
        other = AdminFactory()
        browser = signed_in_as(other)
        shown = browser.get(LIST).content.decode()
        assert REASON in shown
        row = FactorReset.objects.get()
        assert browser.get(f"{LIST}{row.pk}/change/").headers["Location"] == f"{LIST}{row.pk}/confirm/"
        assert REASON in browser.get(f"{LIST}{row.pk}/confirm/").content.decode()
        with committed():
            assert confirm(browser).status_code == 302
        assert is_reset(boss)
        event = SecurityEvent.objects.get(kind="factors_reset")
        assert (event.user, event.actor, event.reason) == (boss, other, f"{REASON} (asked for by {helper.pk})")
        assert [message.to for message in mailoutbox] == [[boss.email]]
        assert confirm(browser, row).status_code == 404

    def test_waits_once_for_each_member_of_the_staff(self, asked, boss):
        row = FactorReset.objects.get()
        assert ask(asked, boss, "Another reason").status_code == 302
        assert FactorReset.objects.get().reason == "Another reason"
        assert confirm(signed_in_as(AdminFactory()), row).status_code == 404
        assert not is_reset(boss)

    def test_is_not_confirmed_by_its_owner(self, asked, boss, clock):
        browser = new_browser()
        clock.forward(60)
        post(browser, "/api/auth/login", {"email": boss.email, "password": PASSWORD})
        given = {"method": "totp", "answer": code(Totp.objects.get(user=boss).decrypt(), clock.now)}
        assert post(browser, "/api/auth/factor", given).status_code == 200
        assert confirm(browser).status_code == 403
        assert not is_reset(boss)

    def test_is_not_confirmed_by_whoever_has_asked_for_it(self, boss):
        other = AdminFactory()
        browser = signed_in_as(other)
        ask(browser, boss)
        assert confirm(browser).status_code == 403
        assert not is_reset(boss)

    def test_is_not_confirmed_by_staff(self, asked, boss, helper):
        member = UserFactory(is_staff=True)
        member.user_permissions.set(helper.user_permissions.all())
        browser = signed_in_as(member)
        assert (confirm(browser).status_code, browser.get(LIST).status_code) == (403, 403)
        assert not is_reset(boss)

    def test_waits_for_a_day(self, asked, boss, clock):
        clock.forward(86400)
        browser = signed_in_as(AdminFactory())
        row = FactorReset.objects.get()
        assert REASON not in browser.get(LIST).content.decode()
        assert confirm(browser, row).status_code == 404
        assert Totp.objects.filter(user=boss).exists()
        ask(browser, boss)
        assert not FactorReset.objects.filter(pk=row.pk).exists()

    @pytest.mark.parametrize("how", HOW_STAFF_ENDS)
    def test_is_not_confirmed_if_the_one_who_has_asked_may_not_any_more(self, boss, helper, how):
        if how == "the group is gone":
            group = Group.objects.create(name="helpers")
            group.permissions.set(helper.user_permissions.all())
            helper.user_permissions.clear()
            helper.groups.add(group)
        ask(signed_in_as(helper), boss)
        row = FactorReset.objects.get()
        {
            "the permission is gone": helper.user_permissions.clear,
            "the group is gone": Group.objects.all().delete,
            "no staff any more": lambda: User.objects.filter(pk=helper.pk).update(is_staff=False),
            "deactivated": lambda: User.objects.filter(pk=helper.pk).update(is_active=False),
            "deleted": helper.delete,
        }[how]()
        assert confirm(signed_in_as(AdminFactory()), row).status_code in {403, 404}
        assert not is_reset(boss)

    def test_needs_a_recent_sign_in_of_who_confirms(self, asked, boss, clock):
        browser = signed_in_as(AdminFactory())
        later(browser, clock)
        assert confirm(browser).status_code == 302
        assert not is_reset(boss)

    def test_is_declined_by_a_superuser_only(self, asked, boss, helper):
        row = FactorReset.objects.get()
        assert confirm(asked, decline="yes").status_code == 403
        assert confirm(signed_in_as(AdminFactory()), decline="yes").status_code == 302
        assert not FactorReset.objects.exists()
        assert confirm(signed_in_as(AdminFactory()), row).status_code == 404
        assert not is_reset(boss)

    def test_all_that_wait_end_with_the_first(self, asked, boss):
        ask(signed_in_as(AdminFactory()), boss)
        row, _ = FactorReset.objects.order_by("pk")
        assert confirm(signed_in_as(AdminFactory()), row).status_code == 302
        assert not FactorReset.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.only_on("postgresql")
class TestAtTheSameTime:
    """Another transaction has locked a person, and changes them before it commits."""

    def meanwhile(self, change: Callable[[], Any], work: Callable[[], Any]) -> Any:
        """Return the answer to a request that waits for this change."""
        answers: list[Any] = []
        with ExitStack() as stack, transaction.atomic():
            change()
            stack.enter_context(in_thread(lambda: answers.append(work())))
            until_one_waits()
        return answers[0]

    def test_who_becomes_a_superuser_has_to_be_confirmed(self, owner, helper):
        browser, rows = signed_in_as(helper), User.objects.filter(pk=owner.pk)
        answer = self.meanwhile(lambda: rows.update(is_superuser=True), lambda: ask(browser, owner))
        assert answer.status_code == 302
        assert FactorReset.objects.get().user == owner
        assert not is_reset(owner)

    @pytest.mark.parametrize("way", ["the permission", "the staff", "the account"])
    def test_who_loses(self, owner, helper, way):
        browser, rows = signed_in_as(helper), User.objects.filter(pk=helper.pk)

        def lose() -> None:
            rows.select_for_update().get()
            if way == "the permission":
                helper.user_permissions.clear()
            else:
                rows.update(**{"is_staff" if way == "the staff" else "is_active": False})

        assert self.meanwhile(lose, lambda: ask(browser, owner)).status_code in {302, 403}
        assert not is_reset(owner)

    def test_who_has_asked_for_it_and_loses_the_permission(self, boss, helper):
        ask(signed_in_as(helper), boss)
        browser, rows = signed_in_as(AdminFactory()), User.objects.filter(pk=helper.pk)

        def lose() -> None:
            rows.select_for_update().get()
            helper.user_permissions.clear()

        assert self.meanwhile(lose, lambda: confirm(browser)).status_code == 403
        assert not is_reset(boss)

    def test_of_two_confirmations_one_is_carried_out(self, boss, helper):
        ask(signed_in_as(helper), boss)
        row, browsers = FactorReset.objects.get(), [signed_in_as(AdminFactory()) for _ in range(2)]
        answers = at_once(*(partial(confirm, browser, row) for browser in browsers))
        assert sorted(answer.status_code for answer in answers) == [302, 404]
        assert SecurityEvent.objects.filter(kind="factors_reset").count() == 1

    def test_two_who_reset_each_other_both_do(self, helper, clock):
        other = UserFactory(is_staff=True)
        other.user_permissions.set(helper.user_permissions.all())
        answers = at_once(partial(ask, signed_in_as(helper), other), partial(ask, signed_in_as(other), helper))
        assert {answer.status_code for answer in answers} <= {302, 403}  # The session of the second may have ended.
        assert SecurityEvent.objects.filter(kind="factors_reset").exists()


def test_the_page_of_a_user_leads_to_it(owner, helper):
    browser = signed_in_as(AdminFactory())
    shown = browser.get(f"{USERS}{owner.pk}/change/").content.decode()
    assert page(owner) in shown
    assert "/revoke/" in shown
    helper.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert page(owner) in signed_in_as(helper).get(f"{USERS}{owner.pk}/change/").content.decode()
    assert page(helper) not in signed_in_as(helper).get(f"{USERS}{helper.pk}/change/").content.decode()
    member = UserFactory(is_staff=True)
    member.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert "/reset/" not in signed_in_as(member).get(f"{USERS}{owner.pk}/change/").content.decode()


def test_who_may_not_look_at_users_learns_no_name(owner, helper):
    shown = signed_in_as(helper).get(page(owner)).content.decode()
    assert (owner.email in shown, str(owner.pk) in shown) == (False, True)


def test_it_is_in_german(owner, helper):
    shown = signed_in_as(helper).get(page(owner), headers={"Accept-Language": "de"}).content.decode()
    assert "Faktoren zurücksetzen" in shown
    assert re.search(r"Begr(ü|&uuml;)ndung", shown)


class TestTheCommand:
    def test_resets_the_last_superuser(self, boss, mailoutbox, committed):
        with committed():
            call_command("reset_factors", boss.email, "--reason", REASON, "--no-input", verbosity=0)
        assert is_reset(boss)
        event = SecurityEvent.objects.get(kind="factors_reset")
        assert (event.user, event.actor, event.reason) == (boss, None, REASON)
        assert [message.to for message in mailoutbox] == [[boss.email]]

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("nobody@example.org", ["--reason", "x"]),
            (None, []),
            (None, ["--reason", " "]),
            (None, ["--reason", "x" * 151]),
        ],
        ids=["nobody", "no reason", "an empty reason", "a long reason"],
    )
    def test_needs_a_user_and_a_reason(self, boss, name, options):
        with pytest.raises(CommandError):
            call_command("reset_factors", name or boss.email, *options, "--no-input", verbosity=0)
        assert not is_reset(boss)

    def test_says_before_what_would_be_removed(self, boss, capsys):
        call_command("reset_factors", boss.email, "--reason", REASON, "--dry-run")
        assert "1 authenticator app, 0 passkeys, 10 recovery codes" in capsys.readouterr().out
        assert not is_reset(boss)

    @pytest.mark.parametrize(
        ("said", "expected"), [("y", True), ("", False), ("no", False)], ids=["yes", "Enter", "no"]
    )
    def test_asks_before(self, boss, monkeypatch, said, expected):
        monkeypatch.setattr("builtins.input", lambda: said)
        if expected:
            call_command("reset_factors", boss.email, "--reason", REASON)
        else:
            with pytest.raises(CommandError):
                call_command("reset_factors", boss.email, "--reason", REASON)
        assert is_reset(boss) == expected


def test_staff_who_have_nothing_but_a_passkey_answer_by_it(helper, owner, clock):
    browser, device = signed_in_as(helper), Authenticator()
    create(browser, device)
    User.objects.filter(pk=helper.pk).update(password="!")
    clock.forward(3600)
    browser = new_browser()
    assert sign_in(browser, device).status_code == 200
    clock.forward(3600)
    assert 'data-passkey="answer"' in browser.get(page(owner)).content.decode()
    options = browser.post("/account/passkeys/options", {"for": "prove"}).json()["options"]
    given = {"method": "passkey", "current_password": json.dumps(device.sign(options))}
    assert ask(browser, owner, **given).status_code == 302
    assert is_reset(owner)
