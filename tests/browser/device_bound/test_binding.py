"""After a sign-in, in whichever way, the session is bound: the browser registers a key, and proves that it has it."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import at_length
from tests.browser.device_bound.devices import REGISTER, Device, bound_sessions
from tests.browser.sites import Person
from tests.browser.steps import (
    ACCESS,
    CLAIM,
    EXPIRED,
    REFRESH,
    assert_user,
    cookie,
    show_other_site,
    sign_in,
    sign_in_by_api,
    tokens,
)


def by_the_form(device: Device, person: Person) -> None:
    sign_in(device.page, person)


def by_a_script(device: Device, person: Person) -> None:
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


def link_on_another_site(device: Device, path: str) -> None:
    """Click a link to our site on a page of another one, such as a webmail or a search engine."""
    show_other_site(device.page, f'<a href="{device.site.origin}{path}">look</a>')
    device.page.get_by_role("link").click()


@pytest.mark.parametrize("way", [by_the_form, by_a_script, by_the_admin, *at_length(by_a_view_that_calls_login)])
def test_a_new_session_is_bound_by_the_first_proof(device, site, way):
    person = site.new_person(is_staff=True, is_superuser=True)
    way(device, person)
    device.wait_for_key()
    assert [one.status for one in device.asked(REGISTER)] == [200]
    device.prove(person)
    assert device.proofs == [200]
    assert bound_sessions(site, person) == [session["id"] for session in site.sessions(person)]
    assert len(site.sessions(person)) == 1
    assert cookie(device.context, ACCESS)
    assert cookie(device.context, REFRESH) is None, "a cookie that a bound session does not need, but could be stolen"
    before = cookie(device.context, ACCESS)
    device.expires_and_sees(person, times=2)
    assert device.proofs == [200] * 3
    assert cookie(device.context, ACCESS) not in {None, before}


def test_after_a_link_on_another_site_the_session_is_bound_by_the_next_request_of_its_own_site(device, site, person):
    """The first registration has no SameSite cookie, and is refused. The next response offers it again."""
    link_on_another_site(device, f"/probe/magic?email={person.email}")
    expect(device.page.locator("#who")).to_have_text(person.email)
    device.wait_until(lambda: device.asked(REGISTER), "a registration")
    device.wait_until(lambda: cookie(device.context, CLAIM), "the claim to another offer")
    assert [one.status for one in device.asked(REGISTER)] == [401]
    device.forget()
    device.sees(person)
    device.wait_for_key()
    assert [one.status for one in device.asked(REGISTER)] == [200]
    device.prove(person)
    assert bound_sessions(site, person) == [session["id"] for session in site.sessions(person)]
    assert cookie(device.context, CLAIM) is cookie(device.context, REFRESH) is None
    device.expires_and_sees(person)


def test_every_request_has_its_cookie_while_the_key_is_registered_and_proved(device, person):
    """The answer to the registration sets a short-lived cookie, which is good until the browser has renewed it."""
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


def test_a_browser_without_support_for_it_uses_rotation(chromium_without_keys, site, person):
    context = chromium_without_keys.new_context(base_url=site.origin)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: "favicon" in message.location["url"] or said.append(message.text))
    watching = Device(context, site)
    sign_in(page, person)
    for generation in (1, 2):
        before = {*tokens(context)}
        site.forward(EXPIRED)
        assert_user(page, person)
        assert not before & {*tokens(context)}
        assert site.generations(person) == [generation]
    assert watching.asked(REGISTER) == watching.asked() == watching.events == said == []
    assert bound_sessions(site, person) == []
    context.close()
