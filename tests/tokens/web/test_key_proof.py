"""A bound session changes the account without the password: its browser is redirected, signs, and sends it again."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, FIREFOX, post
from tests.factories import PASSWORD, UserFactory
from tests.tokens.devices import OFFERED, Device
from tests.tokens.edge import cleared
from tests.tokens.service.holders import Holder
from tests.tokens.service.statements import verbs
from tokens.models import RefreshToken
from tokens.service import binding

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.at_length_on("sqlite"),
    pytest.mark.urls("tests.attacks.possession_urls"),
]

VOUCHER, SCOPED_VOUCHER = "__Host-Http-voucher", "__Http-voucher"
JSON = "application/json"

Change = Callable[..., Any]


def rename(device: Device, **headers: str) -> Any:
    """Give the device of the session a name by the API."""
    path = f"/api/auth/sessions/{device.sid}"
    return device.browser.patch(path, {"device_name": "mine"}, JSON, headers=headers)


def rename_by_form(device: Device, **headers: str) -> Any:
    return device.browser.post(f"/sessions/{device.sid}/rename", {"name": "mine"}, headers=headers)


def end_others_by_form(device: Device, **headers: str) -> Any:
    return device.browser.post("/sessions/end-others", headers=headers)


def change_in_a_view(device: Device, **headers: str) -> Any:
    return device.browser.post("/probe/change", "{}", JSON, headers=headers)


CHANGES: dict[str, tuple[Change, int]] = {
    "a request of a script to the API": (rename, 200),
    "a form of ours": (rename_by_form, 302),
    "a button of ours": (end_others_by_form, 302),
    "a view of a project": (change_in_a_view, 200),
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
    return Device(Client(headers={"User-Agent": FIREFOX})).bind(user)


def asks_for_proof(response: Any) -> bool:
    """Return whether the response is the redirect before which the browser signs. It must not be cached."""
    if response.status_code != 307:
        return False
    assert response["Location"] == response.wsgi_request.get_full_path()
    assert ACCESS in cleared(response)
    (wanted,) = (cookie for name, cookie in response.cookies.items() if "voucher" in name)
    assert (wanted.value, wanted["max-age"], wanted["secure"], wanted["httponly"]) == ("wanted", 60, True, True)
    assert "no-store" in response["Cache-Control"]
    return True


def sign(device: Device) -> Any:
    """Let the browser refresh, as it does before it obeys the redirect."""
    answer = device.refresh()
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize(("change", "status"), CHANGES.values(), ids=CHANGES)
def test_the_browser_signs_once_and_the_change_is_carried_out(bound, change, status):
    assert asks_for_proof(change(bound))
    answer = sign(bound)
    assert answer.cookies[VOUCHER]["max-age"] == 300
    assert (answer.cookies[VOUCHER]["path"], answer.cookies[VOUCHER]["samesite"]) == ("/", "Lax")
    assert change(bound).status_code == status


def test_the_redirect_has_changed_nothing_and_writes_nothing(bound):
    before = list(RefreshToken.objects.order_by("pk").values())
    found = verbs(lambda: rename(bound))
    assert set(found) <= {"SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK"}
    assert list(RefreshToken.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("page", ["/email/change", "/account/delete"])
def test_a_form_does_not_ask_for_the_password_as_the_browser_can_sign(bound, page):
    assert 'name="current_password"' not in bound.browser.get(page).content.decode()


def test_further_changes_need_no_other_signature_for_five_minutes(bound, clock):
    assert asks_for_proof(rename(bound))
    sign(bound)
    clock.forward(299)
    assert rename(bound).status_code == 200
    clock.forward(2)
    assert asks_for_proof(rename(bound))


def test_a_refresh_that_was_not_asked_for_a_voucher_gives_none_and_does_not_renew_one(bound, clock):
    assert VOUCHER not in sign(bound).cookies
    assert asks_for_proof(rename(bound))
    sign(bound)
    clock.forward(60)
    assert VOUCHER not in sign(bound).cookies


def test_the_browser_is_asked_seldom_and_then_the_password_is_needed(bound, clock):
    for _ in range(binding.MOST_VOUCHERS):
        assert asks_for_proof(rename(bound))
        bound.browser.cookies.pop(VOUCHER)
        sign(bound)
    assert rename(bound).json()["code"] == "refresh_token_required"
    assert 'name="current_password"' in end_others_by_form(bound).content.decode()
    clock.forward(binding.VOUCHERS_COUNT_FOR + 1)
    sign(bound)
    assert asks_for_proof(rename(bound))


def voucher_of(device: Device) -> str:
    assert asks_for_proof(rename(device))
    sign(device)
    return device.browser.cookies[VOUCHER].value


class TestAVoucherDoesNotCount:
    """Each of these requests has one, and is answered as if it had none."""

    def test_in_another_session(self, bound, user):
        other = Device(Client(headers={"User-Agent": FIREFOX})).bind(user)
        other.browser.cookies[VOUCHER] = voucher_of(bound)
        assert asks_for_proof(rename(other))

    def test_in_the_session_of_another_user(self, bound):
        other = Device(Client(headers={"User-Agent": FIREFOX})).bind(UserFactory())
        other.browser.cookies[VOUCHER] = voucher_of(bound)
        assert asks_for_proof(rename(other))

    @pytest.mark.parametrize("text", ["wanted", "x", "A" * 40, ""])
    def test_that_the_server_has_not_signed(self, bound, text):
        bound.browser.cookies[VOUCHER] = text
        assert asks_for_proof(rename(bound))

    def test_that_is_a_challenge_of_the_same_session(self, bound):
        bound.browser.cookies[VOUCHER] = bound.challenge
        assert asks_for_proof(rename(bound))

    def test_beside_a_wrong_password(self, bound):
        voucher_of(bound)
        path, given = f"/api/auth/sessions/{bound.sid}", {"device_name": "mine", "current_password": "not this one"}
        assert bound.browser.patch(path, given, JSON).json()["code"] == "invalid_credentials"

    def test_in_a_request_of_another_origin(self, bound):
        access = bound.browser.cookies[ACCESS].value
        voucher_of(bound)
        foreign = {"Origin": "https://evil.testserver", "Sec-Fetch-Site": "same-site"}
        answer = rename(bound, Authorization=f"Bearer {access}", **foreign)
        assert answer.json()["code"] == "refresh_token_required"
        assert rename(bound, **foreign).status_code == 403

    def test_if_the_session_has_ended(self, bound, clock):
        voucher_of(bound)
        RefreshToken.objects.filter(id=bound.sid).update(revoked_at=clock.now, revoked_reason="ended_by_user")
        assert change_in_a_view(bound).status_code == 401


class TestNoBrowserIsAsked:
    """The request gets 403, because the redirect would lead nowhere."""

    def test_if_it_says_that_it_cannot_sign_now(self, bound):
        said = f'quota_exceeded;session_identifier="{bound.sid}"'
        assert rename(bound, **{"Secure-Session-Skipped": said}).json()["code"] == "refresh_token_required"

    def test_if_the_access_token_came_as_a_bearer_token(self, bound):
        bearer = {"Authorization": f"Bearer {bound.browser.cookies[ACCESS].value}"}
        bound.browser.cookies.clear()
        assert rename(bound, **bearer).json()["code"] == "refresh_token_required"

    def test_if_its_session_is_not_bound(self, user):
        browser = Client(headers={"User-Agent": FIREFOX})
        device = Device(browser).sign_in(user)
        browser.cookies.pop("__Host-Http-refresh")
        assert rename(device).json()["code"] == "refresh_token_required"


def test_in_mode_scoped_the_api_gets_the_voucher_and_pages_ask_for_the_password(user, settings):
    settings.TOKENS = {**OFFERED, "MODES": ["scoped"]}
    bound = Device(Client(headers={"User-Agent": FIREFOX})).bind(user)
    assert 'name="current_password"' in bound.browser.get("/email/change").content.decode()
    assert 'name="current_password"' in end_others_by_form(bound).content.decode()
    assert asks_for_proof(rename(bound))
    assert sign(bound).cookies[SCOPED_VOUCHER]["path"] == "/api/auth/"
    assert rename(bound).status_code == 200


def test_the_voucher_is_deleted_at_the_sign_out(bound):
    voucher_of(bound)
    assert VOUCHER in cleared(post(bound.browser, "/api/auth/logout"))


def test_the_voucher_goes_on_while_the_server_changes_its_keys(bound, settings):
    voucher_of(bound)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another secret key " * 4, [settings.SECRET_KEY]
    assert rename(bound).status_code == 200


def test_the_password_is_enough_without_any_proof(bound):
    given = {"device_name": "mine", "current_password": PASSWORD}
    assert bound.browser.patch(f"/api/auth/sessions/{bound.sid}", given, JSON).status_code == 200
