"""The page to sign in says that the session has ended, in one sentence that is the same for every cause."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.browsers import login, new_browser
from tests.tokens.service.holders import change_password
from tokens.models import RefreshToken
from tokens.service.revocation import revoke_all

pytestmark = pytest.mark.django_db

SENTENCE = "Your session has ended. Sign in again."
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}

End = Callable[[Client, Any], None]


def revoked(reason: str) -> End:
    def end(browser: Client, user: Any) -> None:
        revoke_all(RefreshToken.objects.filter(user=user), RefreshToken.Reason[reason])

    return end


def deactivated(browser: Client, user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)


def without_cookies(browser: Client, user: Any) -> None:
    for name in [name for name in browser.cookies if "device" not in name]:
        del browser.cookies[name]


CAUSES = {
    "by the staff": revoked("ENDED_BY_STAFF"),
    "because its token was used twice": revoked("REUSE"),
    "because the user is not active": deactivated,
    "by a new password": lambda browser, user: change_password(user),
    "because its cookies expired": without_cookies,
}


@pytest.fixture(params=CAUSES.values(), ids=CAUSES)
def ended(request, clock, signed_in, user) -> Client:
    """A browser whose session has ended, and whose access token has expired. One of the causes could lack the text."""
    request.param(signed_in, user)
    clock.forward(700)
    return signed_in


def led(browser: Client, path: str, **headers: str) -> str:
    """Open a page, follow its redirects, and return the text of the page to sign in."""
    response = browser.get(path, follow=True, headers={**NAVIGATION, **headers})
    html: str = response.content.decode()
    assert 'type="password"' in html
    return html


@pytest.mark.parametrize("path", ["/", "/devices", "/password/change"])
def test_is_there_after_a_session_has_ended(ended, path):
    html = led(ended, path)
    assert html.count(SENTENCE) == 1


def test_is_there_in_german(ended):
    assert "Ihre Sitzung ist beendet. Melden Sie sich wieder an." in led(ended, "/devices", **{"Accept-Language": "de"})


def test_is_not_there_in_a_browser_in_which_nobody_has_signed_in(api):
    for path in ("/", "/devices", "/sign-in"):
        assert SENTENCE not in led(api, path)


def test_is_not_there_for_a_user_who_chooses_to_sign_in(signed_in):
    signed_in.post("/sign-out", headers=NAVIGATION)
    assert SENTENCE not in led(signed_in, "/sign-in")


def test_costs_no_query(api, user, django_assert_num_queries):
    login(api, user)
    other = new_browser()
    for name in [name for name in api.cookies if "device" in name]:
        other.cookies[name] = api.cookies[name].value
    with django_assert_num_queries(0):
        assert SENTENCE in led(other, "/sign-in?next=/devices")
