"""A proxy forwards an upload when it has the whole body. Its cookies are those of the moment when it was sent.

If its refresh token was replaced meanwhile, the upload is refused and the session continues. Only a trusted proxy can
say that a request was under way for long.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, copy_of, refresh
from tests.factories import UserFactory
from tests.tokens.web_steps import EXPIRED, signed_in_as, who
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

STILL = 100
"""Seconds after which a refresh rotates again, and the use of an access token acknowledges."""
UNDER_WAY = 350
"""Seconds that the upload takes. Its access token is valid when it is sent, and has expired when it arrives."""
SENT = EXPIRED - UNDER_WAY // 2
"""Seconds after the refresh, when the upload is sent."""
PROXY, CLIENT = "127.0.0.1", "203.0.113.9"
Reason = RefreshToken.Reason


@pytest.fixture
def upload(settings: Any, clock: Any, signed_in: Client) -> Client:
    """The cookies of a request that is sent now, `SENT` seconds after a refresh, by way of a trusted proxy."""
    settings.TRUSTED_PROXIES, settings.TOKENS = [PROXY], {"TRUST_REQUEST_TIME": True}
    assert refresh(signed_in).status_code == 200
    clock.forward(SENT)
    return copy_of(signed_in)


@pytest.fixture
def twice_replaced(clock: Any, signed_in: Client, upload: Client) -> Client:
    """The same, when it arrives. Another tab has refreshed twice meanwhile, and has used its new tokens."""
    for _ in "12":
        clock.forward(STILL)
        assert refresh(signed_in).status_code == 200
    clock.forward(UNDER_WAY - 2 * STILL)
    assert who(signed_in)
    return upload


@pytest.fixture
def after_a_pause(clock: Any, signed_in: Client, upload: Client) -> Client:
    """The same, if its access token had expired when it was sent, and nobody had refreshed.

    Another tab refreshes `STILL` seconds after that, and uses its new tokens until the upload arrives.
    """
    clock.forward(EXPIRED)
    clock.forward(STILL)
    assert refresh(signed_in).status_code == 200
    clock.forward(UNDER_WAY - STILL)
    assert who(signed_in)
    return upload


def arrive(upload: Client, seconds: float | None = UNDER_WAY, address: str = PROXY) -> Any:
    """Let the request arrive after so many seconds under way, and return the response."""
    header = {} if seconds is None else {"X-Request-Time": f"{seconds:.3f}"}
    return upload.get("/api/auth/me", headers=header, REMOTE_ADDR=address)


@pytest.mark.parametrize("when", ["twice_replaced", "after_a_pause"])
def test_a_late_upload_is_refused_and_the_session_continues(request, clock, user, signed_in, when):
    response = arrive(request.getfixturevalue(when))
    assert (response.status_code, response.json()["code"], len(response.cookies)) == (401, "token_expired", 0)
    assert (who(signed_in), RefreshToken.objects.get().revoked_at) == (str(user.pk), None)


def test_a_proxy_at_a_unix_socket_can_say_how_long_it_took(twice_replaced):
    assert arrive(twice_replaced, address="").json()["code"] == "token_expired"
    assert RefreshToken.objects.get().revoked_at is None


def test_a_late_upload_gets_no_tokens_even_where_another_request_would_recover(clock, signed_in, upload):
    clock.forward(STILL)
    assert refresh(signed_in).status_code == 200  # Nobody uses the new tokens, as if the response was lost.
    clock.forward(UNDER_WAY - STILL)
    assert arrive(upload).status_code == 401
    assert not RefreshToken.objects.get().recoveries
    assert (refresh(upload).status_code, RefreshToken.objects.get().recoveries) == (200, 1)


def test_a_late_upload_with_the_current_token_is_served(clock, user, upload):
    clock.forward(UNDER_WAY)
    assert arrive(upload).json()["user"]["id"] == str(user.pk)


def test_a_token_that_was_replaced_before_the_upload_was_sent_ends_the_session(after_a_pause):
    response = arrive(after_a_pause, UNDER_WAY - STILL - 30)
    assert (response.status_code, RefreshToken.objects.get().revoked_reason) == (401, Reason.REUSE)


CAUGHT: dict[str, Callable[[Client], Any]] = {
    "if nobody says how long it took": lambda upload: arrive(upload, None),
    "if a client says so itself": lambda upload: arrive(upload, address=CLIENT),
    "if the number is none": lambda upload: arrive(upload, float("nan")),
    "if it took no longer than half the grace": lambda upload: arrive(upload, 15),
    "if its access token had expired when it was sent": lambda upload: arrive(upload, UNDER_WAY // 2 - 1),
    "if it took longer than an access token lives": lambda upload: arrive(upload, 601),
    "if it is a refresh": refresh,
}


@pytest.mark.parametrize("sent", CAUGHT.values(), ids=CAUGHT)
def test_a_replaced_token_ends_the_session(twice_replaced, sent):
    assert (sent(twice_replaced).status_code, RefreshToken.objects.get().revoked_reason) == (401, Reason.REUSE)


def test_the_access_token_of_another_session_does_not_count(request, clock, signed_in):
    others = signed_in_as(UserFactory())  # At the same time, so that its token expires when the right one does.
    upload = request.getfixturevalue("twice_replaced")
    upload.cookies[ACCESS] = others.cookies[ACCESS].value
    assert arrive(upload).status_code == 401
    assert RefreshToken.objects.order_by("id")[0].revoked_reason == Reason.REUSE


def test_a_thief_who_waits_with_the_end_of_a_body_gets_nothing_and_is_found_at_the_next_request(twice_replaced):
    assert arrive(twice_replaced).status_code == 401
    assert (refresh(twice_replaced).status_code, RefreshToken.objects.get().revoked_reason) == (401, Reason.REUSE)


def test_after_a_refresh_an_upload_may_take_as_long_as_the_access_token_lives(clock, user, signed_in):
    assert refresh(signed_in).status_code == 200
    upload = copy_of(signed_in)
    for generation in range(2, 1 + EXPIRED // STILL):
        clock.forward(STILL)
        assert (refresh(signed_in).status_code, RefreshToken.objects.get().generation) == (200, generation)
    assert who(upload) == who(signed_in) == str(user.pk)


def test_without_the_setting_the_header_does_not_count(settings, twice_replaced):
    settings.TOKENS = {}
    assert arrive(twice_replaced).json()["code"] == "session_ended"
    assert RefreshToken.objects.get().revoked_reason == Reason.REUSE
