"""A refresh token is made once, with the tag that fits where it is stored."""

import pytest

from tests.browsers import refresh
from tests.tokens.service.holders import Holder
from tokens.conf import BODY, COOKIE, SCOPED, keyring
from tokens.protocol import refresh_tokens

pytestmark = pytest.mark.django_db

CASES = {
    "in a cookie that scripts cannot set": (COOKIE, True, True),
    "in such a cookie of the auth API": (SCOPED, True, True),
    "in a cookie of the older name": (COOKIE, False, False),
    "in the response body": (BODY, True, False),
}


def is_for_http_cookie(text: str) -> bool:
    """Return whether a cookie of the older name must not contain this token."""
    try:
        refresh_tokens.loads(text, keyring().mac_keys, old_name=True)
    except refresh_tokens.InvalidRefreshToken:
        return True
    return False


@pytest.mark.parametrize(("mode", "new_names", "is_http"), CASES.values(), ids=CASES)
def test_a_token_that_is_stored(mode, new_names, is_http, user, settings):
    settings.TOKENS = {**settings.TOKENS, "HTTP_COOKIE_NAMES": new_names}
    holder = Holder(user, mode=mode)
    assert is_for_http_cookie(holder.first) is is_http
    assert is_for_http_cookie(holder.refresh().refresh_token) is is_http


def test_a_refresh_by_cookie_makes_the_tag_of_the_new_token_once(signed_in, monkeypatch):
    made, original = [], refresh_tokens._tag

    def tag(key: bytes, body: bytes, *, http: bool) -> bytes:
        made.append(body[4:40])
        return original(key, body, http=http)

    monkeypatch.setattr(refresh_tokens, "_tag", tag)
    assert refresh(signed_in).status_code == 200
    presented, new = made[0], made[-1]
    assert presented != new
    assert made.count(new) == 1
