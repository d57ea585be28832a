"""An open web socket of a user whom a rule of the project bans. The rule writes nothing that could be heard of."""

from typing import Any

import pytest

from tests.factories import UserFactory
from tests.tokens import test_socket_users, test_user_models
from tests.tokens.test_socket_users import Echo
from tests.tokens.test_user_models import banned
from tokens.service.revocation_feed import feed
from tokens.sockets import SESSION_ENDED

_channels = test_socket_users._channels

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.tokens.web.django_session_urls"),
    pytest.mark.at_length_on("sqlite"),
]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """The sockets are looked at without a lag, and a backend with rules of its own decides who may act."""
    monkeypatch.setattr(type(feed), "seconds_until_due", lambda self: 0.0)
    monkeypatch.setattr(type(feed), "_may_ask", lambda self, now: True)
    settings.AUTHENTICATION_BACKENDS = [f"{test_user_models.HERE}.Bans"]
    banned.clear()


run = test_socket_users.TestAnOpenSocket().run


def test_is_closed_when_its_user_is_banned(signed_in, user):
    assert run(signed_in, lambda: banned.add(user.pk)) == {"type": "websocket.close", "code": SESSION_ENDED}
    assert Echo.left == [SESSION_ENDED]


def test_goes_on_when_another_user_is_banned(signed_in):
    run(signed_in, lambda: banned.add(UserFactory().pk), then="go on")


def test_goes_on_when_the_rule_fails(signed_in, monkeypatch):
    def fails(*arguments: Any) -> Any:
        raise RuntimeError("a bug")

    run(signed_in, lambda: monkeypatch.setattr(test_user_models.Bans, "get_user", fails), then="go on")
