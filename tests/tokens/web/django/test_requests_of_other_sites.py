"""Requests of other sites with a sign-in that only Django's session knows. See `tests.attacks.test_cross_site_page`."""

import pytest

from tests.tokens.web_steps import NAVIGATION, who
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tokens.web.django_session_urls")]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_fetch_and_a_form_open_no_session(user, signed_in_by_django, site):
    """The tokens could be lost, and the sign-in would count as used."""
    browser = signed_in_by_django(user)
    response = browser.get("/probe/who", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"})
    browser.post("/probe/public", headers={"Sec-Fetch-Site": site})
    assert (response.json()["pk"], RefreshToken.objects.count(), who(browser)) == (None, 0, str(user.pk))


def test_a_navigation_opens_one_because_the_sign_in_may_have_led_through_another_site(user, signed_in_by_django):
    response = signed_in_by_django(user).get("/probe/who", headers={**NAVIGATION, "Sec-Fetch-Site": "cross-site"})
    assert response.json()["pk"] == str(user.pk)
