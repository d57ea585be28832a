"""djangorestframework-simplejwt without its app ``token_blacklist``: nothing ends its tokens but our table.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

from typing import Any

import pytest
from django.test import Client
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken as Theirs

from tests.browsers import post
from tests.factories import PASSWORD
from tests.tokens.contrib.coming_over.steps import live
from tokens.models import RefreshToken
from tokens.service.revocation import revoke

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


@pytest.fixture(params=[False, True], ids=["one refresh token", "rotating"], autouse=True)
def rotates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """simplejwt as it is by default, and with ROTATE_REFRESH_TOKENS."""
    monkeypatch.setattr(api_settings, "ROTATE_REFRESH_TOKENS", request.param)
    return bool(request.param)


@pytest.fixture
def theirs(user: Any) -> str:
    """A refresh token that simplejwt has issued before the release. Without a token nothing could come over."""
    return str(Theirs.for_user(user))


def sent(name: str, token: str) -> Any:
    return post(Client(), f"/api/token/{name}/", {"refresh": token})


def test_a_token_comes_over_once(theirs):
    assert [sent("refresh", theirs).status_code for _ in range(3)] == [200] * 3
    assert RefreshToken.objects.count() == 1


def test_the_end_of_the_session_is_the_end_of_the_token(theirs):
    sent("refresh", theirs)
    revoke(RefreshToken.objects.all(), RefreshToken.Reason.SIGNED_OUT)
    assert sent("refresh", theirs).status_code == 401
    assert post(Client(), "/api/token/verify/", {"token": theirs}).status_code == 401


@pytest.mark.parametrize("is_used", [False, True], ids=["before it came over", "after it came over"])
def test_a_sign_out_counts(theirs, is_used):
    if is_used:
        sent("refresh", theirs)
    assert (sent("blacklist", theirs).status_code, sent("refresh", theirs).status_code, live()) == (200, 401, 0)


def test_signing_in_and_out(user):
    token = post(Client(), "/api/token/", {"email": user.email, "password": PASSWORD}).json()["refresh"]
    assert sent("refresh", token).status_code == 200
    assert (sent("blacklist", token).status_code, sent("refresh", token).status_code, live()) == (200, 401, 0)
