"""A bound session has no refresh token: a voucher in its place shows that its browser changes the account."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.attacks import possession_urls
from tests.browsers import ACCESS, VOUCHER, copy_of, new_browser, post
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.devices import OFFERED, Device
from tests.tokens.service.holders import Holder
from tests.tokens.web.impersonation import by_function, release_by_function
from tests.tokens.web_steps import cleared
from tokens.conf import codec
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(possession_urls.__name__)]

SCOPED_VOUCHER = "__Http-voucher"
JSON, REQUIRED = "application/json", "refresh_token_required"

Change = Callable[..., Any]


def rename(device: Device, data: Any = None, **headers: str) -> Any:
    """Give the device of the session a name by the API."""
    path = f"/api/auth/sessions/{device.sid}"
    return device.browser.patch(path, {"device_name": "mine", **(data or {})}, JSON, headers=headers)


def end_others_by_form(device: Device) -> Any:
    return device.browser.post("/sessions/end-others")


CHANGES: dict[str, tuple[Change, int]] = {
    "a request of a script to the API": (rename, 200),
    "a form of ours": (lambda device: device.browser.post("/email/change", {"email": "new@example.org"}), 302),
    "a button of ours": (end_others_by_form, 302),
    "a view of a project": (lambda device: device.browser.post("/probe/change", "{}", JSON), 200),
}


@pytest.fixture(autouse=True)
def _offered(settings: Any, clock: Any) -> None:
    """Switches binding on over https. Without it no session is bound. The clock stands still until a test moves it."""
    settings.ORIGIN = "https://testserver"
    settings.TOKENS = OFFERED


@pytest.fixture
def bound(user: Any) -> Device:
    """A browser whose session is bound, beside another session of the user, which a change could end."""
    Holder(user)
    return a_browser(user)


def a_browser(user: Any) -> Device:
    return Device(new_browser()).bind(user)


def voucher_of(device: Device) -> str:
    value: str = device.browser.cookies[VOUCHER].value
    assert value
    return value


@pytest.mark.parametrize(("change", "status"), CHANGES.values(), ids=CHANGES)
def test_the_browser_changes_the_account_without_the_password(bound, change, status):
    assert change(bound).status_code == status


def test_a_form_does_not_ask_for_the_password(bound):
    for page in ("/email/change", "/account/delete"):
        assert 'name="current_password"' not in bound.browser.get(page).content.decode()


def test_every_refresh_by_the_key_sets_one_that_lives_as_long_as_the_access_token(bound, clock):
    first = voucher_of(bound)
    clock.forward(100)
    voucher = bound.refresh().cookies[VOUCHER]
    assert voucher.value not in {"", first}
    assert 560 < voucher["max-age"] <= 600
    assert [voucher[name] for name in ("path", "samesite", "secure", "httponly")] == ["/", "Lax", True, True]
    clock.forward(500)
    assert rename(bound).status_code == 200
    clock.forward(101)
    bound.browser.cookies[ACCESS] = bound.refresh().cookies[ACCESS].value
    bound.browser.cookies[VOUCHER] = voucher.value
    assert rename(bound).json()["code"] == REQUIRED


@pytest.mark.parametrize("way", ["in a cookie", "in a Bearer header"])
def test_a_reauthentication_sets_none_and_prolongs_no_access(bound, clock, way):
    """Otherwise an access token and the password would be enough to use the session for ever, without the key."""
    expires_at = codec().loads(bound.browser.cookies[ACCESS].value, clock.now).expires_at
    bearer = {"Authorization": f"Bearer {bound.browser.cookies[ACCESS].value}"}
    browser, headers = (bound.browser, {}) if way == "in a cookie" else (Client(), bearer)
    clock.forward(500)
    answer = post(browser, "/api/auth/reauthenticate", {"password": PASSWORD}, **headers)
    assert answer.status_code == 200
    assert VOUCHER not in answer.cookies
    token = codec().loads(answer.cookies[ACCESS].value, clock.now)
    assert (token.authenticated_at, token.expires_at) == (int(clock.now.timestamp()), expires_at)


@pytest.mark.parametrize("left", [100, 55, 15], ids=lambda left: f"{left} s left")
def test_after_a_reauthentication_the_voucher_lasts_as_long_as_the_access_cookie(bound, clock, left):
    clock.forward(int(bound.browser.cookies[VOUCHER]["max-age"]) - left)
    answer = post(bound.browser, "/api/auth/reauthenticate", {"password": PASSWORD})
    clock.forward(answer.cookies[ACCESS]["max-age"])
    assert rename(bound).status_code == 200


@pytest.mark.urls("tests.tokens.web.impersonation_urls")
def test_the_way_back_from_an_impersonation_opens_nothing_until_the_browser_signs(clock):
    """Otherwise a copy of a bound session could be used for ever, by one release after another."""
    staff = a_browser(AdminFactory())
    browser = copy_of(staff.browser)
    assert by_function(browser, UserFactory()).status_code == 200
    for _ in range(2):
        clock.forward(550)
        post(browser, "/api/auth/refresh")
    answer = release_by_function(browser)
    assert answer.status_code == 200
    assert VOUCHER not in answer.cookies
    assert answer.cookies[ACCESS]["max-age"] == 0
    copied = {"Authorization": f"Bearer {answer.cookies[ACCESS].value}"}
    assert Client().get("/api/auth/me", headers=copied).status_code == 401
    assert by_function(browser, UserFactory()).status_code == 403
    assert (staff.refresh().status_code, staff.browser.get("/api/auth/me").status_code) == (200, 200)


def test_the_registration_sets_one_that_counts_as_soon_as_the_session_is_bound(user, api):
    """The api sends a request in parallel to its first proof, which makes its refresh token invalid."""
    device = Device(api).sign_in(user)
    assert VOUCHER not in api.cookies
    before = {name: cookie.value for name, cookie in api.cookies.items()}
    device.register()
    sent = {**before, VOUCHER: voucher_of(device), ACCESS: api.cookies[ACCESS].value}
    assert device.refresh().status_code == 200
    cookies = "; ".join(f"{name}={value}" for name, value in sent.items() if value)
    assert rename(Device(Client(), sid=device.sid), Cookie=cookies).status_code == 200


class TestAVoucherDoesNotCount:
    """Each of these requests has one, and is answered as if it had none."""

    @pytest.mark.parametrize("owner", ["the same user", "another user"])
    def test_in_another_session(self, bound, user, owner):
        other = a_browser(user if owner == "the same user" else UserFactory())
        other.browser.cookies[VOUCHER] = voucher_of(bound)
        assert rename(other).json()["code"] == REQUIRED

    def test_that_the_server_has_not_signed_or_that_is_a_challenge_of_the_same_session(self, bound):
        for text in ("x", "A" * 38, "", bound.challenge):
            bound.browser.cookies[VOUCHER] = text
            assert rename(bound).json()["code"] == REQUIRED, text

    def test_in_a_session_that_is_not_bound(self, bound, user):
        voucher = voucher_of(bound)
        RefreshToken.objects.filter(id=bound.sid).update(bound_at=None)
        bound.browser.cookies[VOUCHER] = voucher
        assert rename(bound).json()["code"] == REQUIRED

    def test_beside_a_wrong_password(self, bound):
        assert rename(bound, {"current_password": "not this one"}).json()["code"] == "invalid_credentials"

    def test_in_a_request_of_another_origin(self, bound):
        foreign = {"Origin": "https://evil.testserver", "Sec-Fetch-Site": "same-site"}
        bearer = {"Authorization": f"Bearer {bound.browser.cookies[ACCESS].value}"}
        assert rename(bound, **bearer, **foreign).json()["code"] == REQUIRED
        assert rename(bound, **foreign).status_code == 403

    def test_if_the_session_has_ended(self, bound, clock):
        RefreshToken.objects.filter(id=bound.sid).update(revoked_at=clock.now, revoked_reason="ended_by_user")
        assert bound.browser.post("/probe/change", "{}", JSON).status_code == 401

    def test_to_refresh_or_to_register_a_key(self, bound):
        bound.browser.cookies["__Host-Http-refresh"] = voucher_of(bound)
        assert post(bound.browser, "/api/auth/refresh").status_code in {200, 401}
        assert "__Host-Http-refresh" not in post(bound.browser, "/api/auth/refresh").cookies
        assert bound.register().status_code == 401


def test_in_mode_scoped_the_api_gets_it_and_pages_ask_for_the_password(user, settings):
    settings.TOKENS = {**OFFERED, "MODES": ["scoped"]}
    bound = a_browser(user)
    assert bound.browser.cookies[SCOPED_VOUCHER]["path"] == "/api/auth/"
    assert 'name="current_password"' in bound.browser.get("/email/change").content.decode()
    assert 'name="current_password"' in end_others_by_form(bound).content.decode()
    assert rename(bound).status_code == 200


def test_a_sibling_host_that_plants_some_changes_nothing(user, settings):
    settings.TOKENS = {**OFFERED, "MODES": ["scoped"]}
    bound = a_browser(user)
    cookies = {name: found.value for name, found in bound.browser.cookies.items() if found.value}
    planted = [f"{SCOPED_VOUCHER}={text}" for text in (*"123456", *(f"{'A' * 36}{number}" for number in range(10, 50)))]
    header = "; ".join([*planted, *(f"{name}={value}" for name, value in cookies.items())])
    assert rename(Device(Client(), sid=bound.sid), Cookie=header).status_code == 200


def test_it_is_deleted_at_the_sign_out(bound):
    assert VOUCHER in cleared(post(bound.browser, "/api/auth/logout"))


def test_it_goes_on_while_the_server_changes_its_keys(bound, change_secret_key):
    change_secret_key()
    assert rename(bound).status_code == 200
