"""Forgetting devices beside sign-ins on them, on real connections, and the migration that orders existing devices."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.factories import UserFactory
from tests.tokens.service.holders import ELSEWHERE, Holder
from tests.tokens.service.statements import explained, query, rows_read, statements
from tests.tokens.service.threads import in_thread, paused, until_one_waits
from tests.tokens.test_migrations import all_applied, migrate
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.service import devices, opening, queries, revocation
from tokens.service.devices import OWN_BUDGETS, forget_others, here, with_own_budget

__all__ = ["all_applied"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def end_all(user: Any) -> None:
    """Do what the alarm does, from a browser that is no device of the user."""
    forget_others(user, ELSEWHERE)
    revocation.revoke_all(queries.live_sessions(user), RefreshToken.Reason.ENDED_BY_USER)


@pytest.mark.only_on("postgresql")
class TestASignInThatHasBegun:
    def test_on_a_device_that_is_forgotten_meanwhile_is_ended_too(self, user, monkeypatch):
        holder = Holder(user)

        def sign_in(pause: Callable[[], None]) -> None:
            record = devices.recognise

            def recognise(*arguments: Any) -> Any:
                found = record(*arguments)
                pause()
                return found

            with monkeypatch.context() as patch:
                patch.setattr(opening.devices, "recognise", recognise)
                holder.sign_in_again()

        ending = in_thread(lambda: end_all(user))
        with paused(sign_in):
            ending.__enter__()
            until_one_waits()
        ending.__exit__(None, None, None)
        assert RefreshToken.objects.count() == 2
        assert not queries.live_sessions(user)
        assert Device.objects.get().forgotten

    def test_waits_for_the_forgetting_and_is_one_on_a_new_device(self, user, monkeypatch):
        holder = Holder(user)

        def end(pause: Callable[[], None]) -> None:
            def forget(rows: Any) -> None:
                rows.update(forgotten=True)
                pause()

            with monkeypatch.context() as patch:
                patch.setattr(devices, "forget", forget)
                forget_others(user, ELSEWHERE)

        signing_in = in_thread(lambda: holder.sign_in_again())
        with paused(end):
            signing_in.__enter__()
            until_one_waits()
        signing_in.__exit__(None, None, None)
        old, new = Device.objects.order_by("created_at")
        assert (old.forgotten, old.replaced_by, new.forgotten) == (True, new.pk, False)
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.NEW_DEVICE).count() == 2


class TestAForgottenDevice:
    def test_is_followed_to_all_that_replace_it(self, user):
        """After a double click on "sign in", both requests bring the old token."""
        first = Holder(user)
        end_all(user)
        second, third = first.sign_in_again(), first.sign_in_again()
        end_all(user)
        fourth = second.sign_in_again()
        newest = [one.issued.session.device_id for one in (first, second, third, fourth)]
        assert here(first.browser) == newest
        assert here(second.browser) == newest[1:]
        assert queries.has_live_session(first.browser)

    def test_another_user_of_the_browser_keeps_the_token(self, user):
        holder, other = Holder(user), UserFactory()
        theirs = Holder(other, holder.browser)
        end_all(user)
        assert theirs.sign_in_again().issued.device_token is None
        assert holder.sign_in_again().issued.device_token not in {None, holder.browser.device_token}

    def test_a_refresh_does_not_ask_for_it(self, user):
        holder = Holder(user)
        Device.objects.update(forgotten=True)
        holder.refresh()
        assert queries.live_sessions(user).count() == 1


class TestTheStatementThatAsksForABudget:
    def test_is_the_same_for_a_user_and_for_nobody(self, user, django_assert_num_queries):
        holder = Holder(user)
        for somebody in (user, UserFactory(), None):
            with django_assert_num_queries(1):
                found = with_own_budget(somebody, holder.browser, None)
            assert (found is not None) == (somebody is user)

    def test_knows_a_device_by_its_session(self, user):
        holder = Holder(user)
        without_cookie = replace(holder.browser, device_token=None)
        assert with_own_budget(user, without_cookie, holder.id) == holder.issued.session.device_id
        assert with_own_budget(user, without_cookie, None) is None

    @pytest.mark.only_on("postgresql")
    def test_reads_few_of_very_many_devices_of_an_account(self, user):
        """A loop of sign-ins leaves many. If all were read, each request with one of their cookies would cost much."""
        holder = Holder(user)
        now = holder.row.created_at
        Device.objects.bulk_create(
            Device(user=user, token_digest=number.to_bytes(32), name="x", created_at=now) for number in range(5_000)
        )
        query(f"ANALYZE {Device._meta.db_table}")
        budgets: list[Any] = []
        [sql] = statements(lambda: budgets.append(with_own_budget(user, holder.browser, None)))
        assert budgets == [None]
        assert sum(rows_read(node) for node in explained(sql)) < 20


def test_the_migration_orders_devices_by_their_last_session(user, all_applied):
    holders = [Holder(user) for _ in range(OWN_BUDGETS + 1)]
    holders[0].sign_in_again()
    apps = migrate("0010_seldom_analyzed")
    assert not hasattr(apps.get_model("tokens", "Device"), "forgotten")
    migrate(all_applied)
    with_budget = [with_own_budget(user, holder.browser, None) is not None for holder in holders]
    assert with_budget == [True, False, True, True, True, True]
