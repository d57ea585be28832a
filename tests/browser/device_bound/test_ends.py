"""The end of a bound session: the browser deletes it, and another sign-in takes its place."""

import pytest
from playwright.sync_api import expect

from tests.browser.device_bound.devices import REFRESH_BOUND, REGISTER, Device, bound_sessions
from tests.browser.steps import ACCESS, cookie, sign_in_by_api, sign_out


def assert_signed_out(device: Device) -> None:
    """Check that the browser is redirected to the sign-in page, and sends no more refreshes."""
    device.page.goto("/")
    expect(device.page.get_by_label("Password")).to_be_visible()
    assert device.wait_for_end()
    device.forget()
    device.sees(None)
    assert (device.asked(), cookie(device.context, ACCESS)) == ([], None)


@pytest.mark.parametrize("expired", [False, True], ids=["a good token", "an expired cookie"])
def test_a_session_that_was_revoked_ends_with(bound, site, person, expired):
    site.revoke(person)
    if expired:
        bound.expire()
    assert_signed_out(bound)


def test_a_session_ends_when_the_user_signs_out(bound, site, person):
    bound.page.goto("/")
    sign_out(bound.page)
    assert_signed_out(bound)
    assert site.reasons(person) == ["signed_out"]


@pytest.mark.parametrize("same", [True, False], ids=["the same user", "another user"])
def test_a_second_sign_in_replaces_the_session_for(bound, site, person, same):
    """The browser then has two keys, and may send the older one's proof first, whose answer deletes that session."""
    newcomer = person if same else site.new_person()
    sign_in_by_api(bound.page, newcomer)
    bound.wait_for_key()
    bound.prove(newcomer)
    bound.expires_and_sees(newcomer)
    if same:
        assert sorted(one.status for one in bound.asked()) == [200, 200, 401]
    rows = site.sessions(person) + ([] if same else site.sessions(newcomer))
    assert [row["revoked_reason"] for row in rows] == ["superseded", ""]
    assert bound_sessions(site, newcomer) == [rows[1]["id"]]


def test_a_user_who_has_signed_out_can_bind_a_new_session(bound, site, person):
    bound.page.goto("/")
    sign_out(bound.page)
    bound.sign_in(person)
    assert [one.status for one in bound.asked(REGISTER)] == [200]
    bound.prove(person)
    assert {one.status for one in bound.asked(REFRESH_BOUND)} <= {200, 401, 403}
    bound.expires_and_sees(person)
