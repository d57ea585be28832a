"""Whoever signs in, by whichever door, is bound to the browser: it registers a key, and proves it."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import at_length
from tests.browser.device_bound.devices import NOTE, REGISTER, Device, bound_sessions
from tests.browser.sites import Person
from tests.browser.steps import ACCESS, REFRESH, cookie, sign_in, sign_in_by_api

EVIL = "https://evil.test/"


def by_form(device: Device, person: Person) -> None:
    sign_in(device.page, person)


def by_script(device: Device, person: Person) -> None:
    sign_in_by_api(device.page, person)


def by_the_admin(device: Device, person: Person) -> None:
    device.page.goto("/admin/login/?next=/admin/")
    device.page.locator("[name=username]").fill(person.email)
    device.page.locator("[name=password]").fill(person.password)
    device.page.get_by_role("button", name="Log in").click()
    device.page.wait_for_url("**/admin/")


def by_a_view_that_calls_login(device: Device, person: Person) -> None:
    device.page.goto(f"/probe/magic?email={person.email}")
    expect(device.page.locator("#who")).to_have_text(person.email)


def by_a_link_from_another_site(device: Device, person: Person) -> None:
    """The registration brings no SameSite cookie then."""
    link_from_another_site(device, f"/probe/magic?email={person.email}")
    expect(device.page.locator("#who")).to_have_text(person.email)


def link_from_another_site(device: Device, path: str) -> None:
    """Click a link to ours on a page of another site: a webmail, or a search."""
    device.page.route(f"{EVIL}**", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    device.page.goto(EVIL)
    device.page.set_content(f'<a href="{device.site.origin}{path}">look</a>')
    device.page.get_by_role("link").click()


@pytest.mark.parametrize(
    "door", [by_form, by_script, by_the_admin, *at_length(by_a_view_that_calls_login, by_a_link_from_another_site)]
)
def test_whoever_signs_in_is_bound_with_the_first_proof(device, site, door):
    person = site.new_person(is_staff=True, is_superuser=True)
    door(device, person)
    device.wait_for_key()
    assert [one.status for one in device.asked(REGISTER)] == [200]
    device.prove(person)
    assert device.proofs == [200]
    (session,) = site.sessions(person)
    assert bound_sessions(site, person) == [session["id"]]
    assert cookie(device.context, ACCESS)
    assert cookie(device.context, REFRESH) is None, "what a bound session does not need cannot be stolen"
    for _ in range(2):
        device.expire()
        device.sees(person)
    assert device.proofs == [200] * 3


def test_no_request_is_without_its_cookie_while_the_key_is_registered_and_proven(device, person):
    """The cookie that answers the registration is short-lived, and still good while the browser renews it."""
    sign_in_by_api(device.page, person)
    statuses = device.page.evaluate(
        """async () => {
            const me = () => fetch("/api/auth/me").then((answer) => answer.status), all = [];
            for (let round = 0; round < 8; round += 1) {
                all.push(...await Promise.all(Array.from({ length: 6 }, me)));
            }
            return all;
        }"""
    )
    device.wait_for_refresh()
    assert statuses == [200] * 48
    asked = device.asked("/api/auth/me")
    assert all(ACCESS in one.sent("Cookie") for one in asked)
    assert not any(one.sent("Secure-Session-Skipped") for one in asked)
    assert device.proofs == [200]


def test_a_browser_that_knows_nothing_of_it_goes_on_with_rotation(jar, site, person):
    context = jar(base_url=site.origin)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: "favicon" in message.location["url"] or said.append(message.text))
    watching = Device(context, site)
    sign_in(page, person)
    for generation in (1, 2):
        before = cookie(context, ACCESS), cookie(context, REFRESH)
        site.forward(601)
        page.goto(NOTE)
        expect(page.locator("#who")).to_have_text(person.email)
        assert not {*before} & {cookie(context, ACCESS), cookie(context, REFRESH)}
        assert [row["generation"] for row in site.sessions(person)] == [generation]
    assert watching.asked(REGISTER) == watching.asked() == watching.events == said == []
    assert bound_sessions(site, person) == []
