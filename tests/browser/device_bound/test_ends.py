"""A bound session ends when it is ended, and the browser forgets it; another sign-in takes its place."""

import pytest
from playwright.sync_api import expect

from tests.browser.device_bound.devices import REFRESH_BOUND, REGISTER, Device, bound_sessions
from tests.browser.steps import ACCESS, cookie, sign_in_by_api


def is_out(device: Device) -> None:
    """The browser is at the sign-in page, and asks no more."""
    device.page.goto("/")
    expect(device.page.get_by_label("Password")).to_be_visible()
    assert device.wait_for_end()
    device.forget()
    device.sees(None)
    assert device.asked() == []
    assert cookie(device.context, ACCESS) is None


@pytest.mark.parametrize("in_time", [True, False], ids=["token good", "cookie ended"])
def test_who_is_revoked_by_another_process_is_out(bound, sites, person, in_time):
    sites().revoke(person)
    if in_time:
        bound.page.wait_for_timeout(2000)  # A turn of the feed, whose clock no test moves here.
    else:
        bound.expire()
    is_out(bound)


def test_who_signs_out_is_out(bound, site, person):
    bound.page.goto("/")
    bound.page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(bound.page.get_by_role("link", name="Sign in")).to_be_visible()
    is_out(bound)
    assert [row["revoked_reason"] for row in site.sessions(person)] == ["signed_out"]


def test_who_signs_in_again_is_bound_anew(bound, site, person):
    """The browser has two keys then, and may prove the older one first: it is told to forget it."""
    sign_in_by_api(bound.page, person)
    bound.wait_for_key()
    bound.prove(person)
    bound.expire()
    bound.sees(person)
    assert sorted(one.status for one in bound.asked()) == [200, 200, 401]
    first, second = site.sessions(person)
    assert (first["revoked_reason"], second["revoked_reason"]) == ("superseded", "")
    assert bound_sessions(site, person) == [second["id"]]


def test_another_user_takes_the_browser_over(bound, site, person):
    another = site.new_person()
    sign_in_by_api(bound.page, another)
    bound.wait_for_key()
    bound.prove(another)
    bound.expire()
    bound.sees(another)
    assert [row["revoked_reason"] for row in site.sessions(person)] == ["superseded"]
    assert [row["revoked_reason"] for row in site.sessions(another)] == [""]


def test_who_has_signed_out_signs_in_and_is_bound_anew(bound, site, person):
    bound.page.goto("/")
    bound.page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(bound.page.get_by_role("link", name="Sign in")).to_be_visible()
    bound.sign_in(person)
    assert [one.status for one in bound.asked(REGISTER)] == [200]
    bound.prove(person)
    assert {one.status for one in bound.asked(REFRESH_BOUND)} <= {200, 401, 403}
    bound.expire()
    bound.sees(person)
