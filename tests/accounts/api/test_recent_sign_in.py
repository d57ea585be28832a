"""Changes of the account by the API: who may make them, and how recent the sign-in has to be.

The pages are in `test_account_pages`, and what each change does is in a file of its own.
"""

import pytest

from tests.accounts.steps import API, CROSS_SITE, NEW_PASSWORD, ask, events, problem, who
from tests.factories import PASSWORD, User
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

CHANGES = {
    "changing the address": ("post", "email/change", {"email": "new@example.org"}),
    "changing the password": ("post", "password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}),
    "deleting the account": ("delete", "me", None),
}


@pytest.fixture(params=CHANGES.values(), ids=CHANGES)
def change(request):
    """Sends a request that changes the account. A change that forgets one of the conditions would go unnoticed."""
    method, path, data = request.param

    def send(client, **headers):
        return getattr(client, method)(f"{API}{path}", data, content_type="application/json", headers=headers)

    return send


def assert_rejected(response, expected, user, mailoutbox):
    """Check the problem, that the account and its sessions are as before, and that no mail was sent."""
    assert problem(response) == expected
    row = User.objects.get()
    assert (row.email, row.check_password(PASSWORD)) == (user.email, True)
    assert not RefreshToken.objects.exclude(revoked_at=None).exists()
    assert not events(SecurityEvent.Kind.PASSWORD_CHANGED)
    assert not mailoutbox


def test_a_client_that_is_not_signed_in_is_rejected(api, change, user, mailoutbox):
    assert_rejected(change(api), "401 not_authenticated", user, mailoutbox)


def test_a_sign_in_must_be_recent_and_giving_the_password_again_makes_it_so(signed_in, clock, change, user, mailoutbox):
    clock.forward(901)
    assert_rejected(change(signed_in), "403 reauthentication_required", user, mailoutbox)
    assert who(signed_in) == 200
    ask(signed_in, "reauthenticate", {"password": PASSWORD})
    assert change(signed_in).status_code in {202, 204}


def test_a_request_from_another_origin_is_rejected(signed_in, change, user, mailoutbox):
    assert_rejected(change(signed_in, **CROSS_SITE), "403 cross_origin", user, mailoutbox)
