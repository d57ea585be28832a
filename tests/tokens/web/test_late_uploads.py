"""A proxy forwards an upload when it has the whole body. Its cookies are those of the moment when it began."""

import pytest
from django.test import Client

from tests.browsers import refresh
from tests.tokens.edge import EXPIRED, who
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

STILL = 100
"""Seconds after which a refresh rotates again."""


@pytest.fixture
def upload(browser: Client, signed_in: Client) -> Client:
    """A request that begins right after a refresh. It keeps the cookies of this moment until it arrives."""
    assert refresh(signed_in).status_code == 200
    for name, morsel in signed_in.cookies.items():
        browser.cookies[name] = morsel.value
    return browser


def test_after_a_refresh_it_may_take_as_long_as_the_access_token_lives(clock, user, signed_in, upload):
    for generation in range(2, 1 + EXPIRED // STILL):
        clock.forward(STILL)
        assert refresh(signed_in).status_code == 200
        assert RefreshToken.objects.get().generation == generation
    assert who(upload) == who(signed_in) == str(user.pk)
    clock.forward(EXPIRED)
    assert who(signed_in) == str(user.pk)
