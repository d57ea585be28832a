"""The header that offers to bind a session may be in a log. With it, and without the refresh token, nobody gets in."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, login, refresh
from tests.factories import UserFactory
from tests.tokens.devices import OFFERED, PROOF, REGISTER, REGISTRATION, Device, a_key, parameters
from tests.tokens.service.statements import statements
from tests.tokens.web_steps import EXPIRED, NAVIGATION, set_by, signed_in_as, values_of, who
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

CLAIM = "__Host-claim"
FROM_HERE = {**NAVIGATION, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
FROM_ELSEWHERE = {**FROM_HERE, "Sec-Fetch-Site": "cross-site"}


@pytest.fixture(autouse=True)
def _offered(settings: Any) -> None:
    """Offers to bind sessions. Without it no header would be sent, and a thief would have nothing to read."""
    settings.TOKENS = OFFERED


@pytest.fixture
def owner(api: Client, user: Any, clock: Any) -> Device:
    """A browser that has just signed in. After its registration no other key could be registered anyway."""
    return Device(api).sign_in(user)


@pytest.fixture
def thief(owner: Device, another: Callable[[], Client]) -> Device:
    """Another client, which has read the header of the sign-in. Without the header its requests would fail anyway."""
    return Device(another(), key=a_key(), sid=owner.sid, offer=owner.offer)


def row_of(device: Device) -> RefreshToken:
    return RefreshToken.objects.get(id=device.sid)


def a_token_that_was_replaced(owner: Device, thief: Client) -> None:
    thief.cookies.load(values_of(owner.browser, REFRESH))
    RefreshToken.objects.filter(id=owner.sid).update(generation=2)


COPIES: dict[str, Callable[[Device, Client], Any]] = {
    "nothing": lambda owner, thief: None,
    "the access token": lambda owner, thief: thief.cookies.load(values_of(owner.browser, ACCESS, DEVICE)),
    "the refresh token of another session": lambda owner, thief: login(thief, UserFactory()),
    "the refresh token in another cookie": lambda owner, thief: thief.cookies.load(
        {"__Http-refresh": owner.browser.cookies[REFRESH].value}
    ),
    "a refresh token that was replaced": a_token_that_was_replaced,
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_with_the_header_and_this_nobody_registers_a_key_or_gets_an_access_token(owner, thief, settings, copy):
    settings.TOKENS = {**OFFERED, "MODES": ["cookie", "scoped"]}
    copy(owner, thief.browser)
    answer = thief.register()
    assert (answer.status_code, set_by(answer) <= {CLAIM}) == (401, True)
    assert answer.content == Device(Client()).send(REGISTER, **{PROOF: "x"}).content
    assert row_of(owner).bound_key is None
    assert thief.ask().status_code == 401


@pytest.mark.parametrize("mode", ["cookie", "scoped"])
def test_with_the_refresh_token_of_any_cookie_mode_the_owner_registers(api, user, settings, mode):
    settings.TOKENS = {**OFFERED, "MODES": ["cookie", "scoped"]}
    device = Device(api).sign_in(user, mode=mode)
    for name in (ACCESS, DEVICE):
        del api.cookies[name]
    assert device.register().status_code == 200


def test_a_refusal_for_want_of_a_cookie_takes_no_statement(thief):
    assert statements(thief.register) == []


class TestABrowserWhoseRegistrationHadNoCookies:
    """Chromium sends none after a sign-in that was reached from another site."""

    @pytest.fixture
    def refused(self, owner: Device, another: Callable[[], Client]) -> Device:
        """The owner after that registration, with the cookie of the answer. Without it no offer would be due again."""
        kept, owner.browser = owner.browser, another()
        answer = owner.register()
        assert (answer.status_code, answer["Cache-Control"]) == (401, "private, no-store")
        owner.browser = kept
        owner.browser.cookies[CLAIM] = answer.cookies[CLAIM].value
        return owner

    @pytest.mark.parametrize(
        "headers", [FROM_HERE, {**FROM_HERE, "Sec-Fetch-Site": "none"}, {}], ids=["here", "the address bar", "unknown"]
    )
    def test_is_offered_it_again_by_the_next_response_and_is_bound_then(self, refused, headers):
        answer = refused.browser.get("/probe/who", headers=headers)
        refused.offer = parameters(answer[REGISTRATION])
        assert answer.cookies[CLAIM].value == ""
        assert "no-store" in answer["Cache-Control"]
        assert [refused.register().status_code, refused.refresh().status_code] == [200, 200]
        assert row_of(refused).bound_at
        assert REGISTRATION not in refused.browser.get("/probe/who").headers

    def test_is_offered_it_after_a_refresh_by_the_middleware_too(self, refused, clock):
        clock.forward(EXPIRED)
        answer = refused.browser.get("/probe/who", headers=FROM_HERE)
        refused.offer = parameters(answer[REGISTRATION])
        assert refused.register().status_code == 200

    def test_costs_no_statement(self, refused):
        who(refused.browser)
        claim = refused.browser.cookies[CLAIM]
        del refused.browser.cookies[CLAIM]
        plain = statements(lambda: refused.browser.get("/probe/rest"))
        refused.browser.cookies[CLAIM] = claim.value
        assert len(statements(lambda: refused.browser.get("/probe/rest"))) == len(plain)

    @pytest.mark.parametrize(
        "headers", [FROM_ELSEWHERE, {**FROM_HERE, "Sec-Fetch-Dest": "image"}], ids=["another site", "a picture"]
    )
    def test_is_not_offered_it_yet_by_the_response_to(self, refused, headers):
        answer = refused.browser.get("/probe/who", headers=headers)
        assert (REGISTRATION in answer.headers, CLAIM in answer.cookies) == (False, False)
        assert REGISTRATION in refused.browser.get("/probe/who", headers=FROM_HERE).headers

    def test_is_offered_it_once_by_the_responses_to_parallel_requests(self, refused):
        claim, found = refused.browser.cookies[CLAIM].value, []
        for _ in range(6):
            refused.browser.cookies[CLAIM] = claim
            found.append(REGISTRATION in refused.browser.get("/probe/who", headers=FROM_HERE).headers)
        assert found == [True, False, False, False, False, False]

    def test_is_not_offered_it_after_an_hour(self, refused, clock):
        clock.forward(3601)
        answer = refused.browser.get("/probe/who", headers=FROM_HERE)
        assert (REGISTRATION in answer.headers, answer.cookies[CLAIM].value) == (False, "")

    def test_is_not_offered_it_when_another_registration_has_bound_the_session(self, refused):
        """Otherwise a late registration, which has no refresh cookie either, would bring the next offer for ever."""
        claim = refused.browser.cookies[CLAIM].value
        for message, status in ((refused.register, 200), (refused.refresh, 200), (refused.register, 401)):
            assert message().status_code == status
        refused.browser.cookies[CLAIM] = claim
        answer = refused.browser.get("/probe/who", headers=FROM_HERE)
        assert (REGISTRATION in answer.headers, answer.cookies[CLAIM].value) == (False, "")

    def test_keeps_no_claim_when_it_signs_out(self, refused):
        assert refused.browser.post("/api/auth/logout").cookies[CLAIM].value == ""

    def test_cannot_pass_its_claim_to_a_client_with_another_session(self, refused):
        client = signed_in_as(UserFactory())
        client.cookies[CLAIM] = refused.browser.cookies[CLAIM].value
        assert REGISTRATION not in client.get("/probe/who").headers


def test_the_thief_of_a_refresh_token_without_a_claim_is_never_offered_to_bind_the_session(owner, another, clock):
    thief = another()
    thief.cookies.load(values_of(owner.browser))
    for _ in range(3):
        assert REGISTRATION not in thief.get("/probe/who", headers=FROM_HERE).headers
        assert REGISTRATION not in refresh(thief).headers
        clock.forward(EXPIRED)
