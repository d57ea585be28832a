"""The well-known URL for changing passwords, by which password managers find the page."""

import pytest

from tests.browsers import login

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

CHANGE_PASSWORD = "/.well-known/change-password"
NO_SUCH_RESOURCE = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
"""By its status password managers learn whether they can believe the status of the other URL."""


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("is_signed_in", [False, True], ids=["a visitor", "a user"])
def test_leads_to_the_page_to_change_the_password(api, user, is_signed_in, method):
    if is_signed_in:
        login(api, user)
    response = getattr(api, method)(CHANGE_PASSWORD)
    assert (response.status_code, response["Location"]) == (302, "/password/change")


def test_what_should_not_exist_does_not(api):
    assert api.get(NO_SUCH_RESOURCE).status_code == 404
