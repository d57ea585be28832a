"""The delivery of mails: no response waits for it, no account delays another's mail, and what is dropped is counted."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from threading import Event
from types import SimpleNamespace

import pytest
from django.core.mail import EmailMessage
from prometheus_client import REGISTRY

from accounts import delivery
from accounts.delivery import OF_ONE_ADDRESS, deliver_next, send
from tests.accounts.steps import ask
from tests.browsers import login
from tests.factories import PASSWORD
from tokens.models import SecurityEvent


@pytest.fixture
def server(_mail_at_once):
    """The mails that a slow server has accepted. A request that waits for a fast one would go unnoticed."""
    answers, pool, sent = Event(), ThreadPoolExecutor(2), []
    # `monkeypatch` can be undone after `_mail_at_once`, and would then leave its pool behind.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "_pool", pool)
        patch.setattr(EmailMessage, "send", lambda self, *args, **options: sent.append(answers.wait(10)))
        yield sent
        answers.set()
        pool.shutdown()


@pytest.mark.django_db
def test_a_response_does_not_wait_for_the_mail_server(api, server):
    data = {"email": "ada@example.org", "password": PASSWORD}
    assert ask(api, "register", data).status_code == 202
    assert server == []


def test_a_mail_is_delivered_in_no_context_of_a_request(monkeypatch):
    """In some Pythons, a new thread begins in the context of the request that started it."""
    of_request: ContextVar[str] = ContextVar("of_request", default="none")
    seen: list[str] = []
    monkeypatch.setattr(EmailMessage, "send", lambda message: seen.append(of_request.get()))
    of_request.set("acme")
    send(EmailMessage("link", "x", to=["ada@example.org"]))
    assert seen == ["none"]


class TestAQueue:
    @pytest.fixture(autouse=True)
    def _waiting(self, _mail_at_once):
        """Let mails wait until the test delivers them. On a fast server none would have to wait."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delivery, "_pool", SimpleNamespace(submit=lambda *job: None))
            patch.setattr(delivery, "_links", delivery.Queue())
            patch.setattr(delivery, "_notices", delivery.Queue())
            yield

    def test_a_link_is_delivered_before_any_notice(self, mailoutbox):
        for _ in range(1000):
            send(EmailMessage("notice", "x", to=["loud@example.org"]), is_notice=True)
        assert send(EmailMessage("link", "x", to=["owner@example.org"]))
        deliver_next()
        assert [message.subject for message in mailoutbox] == ["link"]

    @pytest.mark.parametrize("is_notice", [True, False], ids=["notices", "links"])
    def test_the_addresses_take_turns(self, mailoutbox, is_notice):
        for number in range(3):
            for name in ("a", "b"):
                send(EmailMessage(str(number), "x", to=[f"{name}@example.org"]), is_notice=is_notice)
        send(EmailMessage("late", "x", to=["c@example.org"]), is_notice=is_notice)
        for _ in range(7):
            deliver_next()
        order = "".join(message.to[0][0] for message in mailoutbox)
        assert order == "abcabab"
        assert [message.subject for message in mailoutbox if message.to[0][0] == "a"] == ["0", "1", "2"]

    def test_of_one_address_only_so_many_wait_and_further_ones_are_dropped_counted_and_logged(self, mailoutbox, caplog):
        labels = {"kind": "notice"}
        before = REGISTRY.get_sample_value("latchkey_mails_dropped_total", labels)
        kept = [
            send(EmailMessage("x", "x", to=["loud@example.org"]), is_notice=True) for _ in range(OF_ONE_ADDRESS + 2)
        ]
        assert kept == [True] * OF_ONE_ADDRESS + [False] * 2
        assert send(EmailMessage("x", "x", to=["other@example.org"]), is_notice=True)
        assert REGISTRY.get_sample_value("latchkey_mails_dropped_total", labels) == before + 2
        assert [record.getMessage().partition(",")[0] for record in caplog.records] == ["mail dropped"] * 2

    def test_of_all_addresses_only_so_many_wait(self, monkeypatch):
        monkeypatch.setattr(delivery, "WAITING", 3)
        kept = [send(EmailMessage("x", "x", to=[f"{number}@example.org"]), is_notice=True) for number in range(5)]
        assert kept == [True] * 3 + [False] * 2
        assert send(EmailMessage("x", "x", to=["owner@example.org"]))

    def test_a_mail_that_was_sent_or_lost_makes_room_for_another(self, monkeypatch):
        def fail(*args, **options):
            raise OSError

        monkeypatch.setattr(EmailMessage, "send", fail)
        for _ in range(OF_ONE_ADDRESS + 2):
            assert send(EmailMessage("x", "x", to=["loud@example.org"]))
            deliver_next()

    @pytest.mark.django_db(transaction=True)
    def test_a_notice_that_is_dropped_is_an_event_of_its_owner(self, api, another, user, monkeypatch):
        login(api, user)
        monkeypatch.setattr(delivery, "OF_ONE_ADDRESS", 1)
        for _ in range(3):
            login(another(), user)
        events = SecurityEvent.objects.filter(kind="mail_dropped").values_list("user", "reason")
        assert list(events) == [(user.pk, "new_device")] * 3
