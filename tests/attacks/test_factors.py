"""What somebody can do to the factors of their own account, or of another, that must not stop anybody else."""

from uuid import UUID

import pytest
from django.urls import resolve, reverse

from factors import codes
from factors import urls as pages
from factors.models import UserHandle
from tests.browsers import post
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.web_steps import signed_in_as

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

ONLY_SHOWN = {"your-security", "well-known-webauthn"}
OF_STAFF = ["admin:factors_factorreset_user", "admin:factors_factorreset_confirm"]
OFFER, OPTIONS = "/account/security/passkeys/offer", "/account/passkeys/options"


def test_the_offer_can_be_dismissed_by_everybody_and_a_passkey_be_created_later():
    """The second user got an error of the server, and the first an empty user handle, which browsers refuse."""
    for _ in range(2):
        browser = signed_in_as(UserFactory())
        assert browser.post(OFFER, {"answer": "never"}).status_code == 302
        options = browser.post(OPTIONS, {"for": "create"}).json()["options"]
        assert len(options["user"]["id"]) == 86
    assert UserHandle.objects.filter(is_offer_dismissed=True).count() == 2


def test_the_offer_is_not_dismissed_for_somebody_else(settings):
    settings.ROOT_URLCONF = "tests.tokens.web.impersonation_urls"
    browser, owner = signed_in_as(AdminFactory()), UserFactory()
    assert browser.post(f"/probe/impersonate/{owner.email}").status_code == 200
    assert browser.post(OFFER, {"answer": "later"}).status_code == 302
    assert browser.post(OFFER, {"answer": "never"}).status_code == 403
    assert not UserHandle.objects.exists()


@pytest.mark.parametrize("name", ["x" * 5000, "漢" * 254, "🙂" * 254], ids=["letters", "ideographs", "emoji"])
def test_a_long_name_does_not_keep_its_user_from_an_authenticator_app(name):
    uri = codes.uri(codes.new_secret(), name, "testserver")
    assert codes.qr_code(uri).startswith("<svg")
    assert "%E2%80%A6" in uri


def test_nobody_sets_up_a_passkey_that_the_site_would_not_ask_for_later(another, settings):
    """It would be the only factor of the account, and its user could never sign in again."""
    names = [*settings.TOKENS["FACTORS"]]
    names.remove("factors.passkeys.PasskeyFactor")
    settings.TOKENS = {**settings.TOKENS, "FACTORS": names, "REQUIRED_FACTORS": "everybody"}
    answer = post(another(), "/api/auth/login", {"email": UserFactory().email, "password": PASSWORD})
    assert answer.json()["offered"] == ["enrol_totp"]


@pytest.mark.parametrize("name", [*(page.name for page in pages.urlpatterns if page.name not in ONLY_SHOWN), *OF_STAFF])
def test_no_page_that_changes_factors_is_in_a_transaction_of_the_request(name):
    """With ATOMIC_REQUESTS, what a page refuses would be rolled back, such as the event of a copied passkey."""
    key = UUID(int=1)
    given = {"passkey_id": key} if "-passkey" in name and name.split("-")[0] in {"rename", "remove"} else {}
    given |= {"user_id": str(key)} if name.endswith("_user") else {"row_id": key} if name.endswith("_confirm") else {}
    assert resolve(reverse(name, kwargs=given)).func._non_atomic_requests
