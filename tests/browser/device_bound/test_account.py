"""A bound session changes the account without the password, as any other session does."""

import pytest
from playwright.sync_api import expect

from tests.browser.device_bound.devices import bound_sessions
from tests.browser.device_bound.test_thieves import rob

RENAME = """async ([session, name]) => (await fetch(`/api/auth/sessions/${session}`, {
    method: 'PATCH',
    headers: {'Content-Type': 'application/json'},
    redirect: 'error',
    body: JSON.stringify({device_name: name}),
})).status"""


def rename(device, site, person, name: str) -> int:
    """Let a script of the page give the device of the session a name, as a single-page application does."""
    (session,) = bound_sessions(site, person)
    status: int = device.page.evaluate(RENAME, [session, name])
    return status


def test_a_script_does_and_the_browser_signs_no_more_often(bound, site, person):
    bound.sees(person)
    for name in ("first", "second", "third"):
        assert rename(bound, site, person, name) == 200
    assert bound.proofs == []


def test_a_script_does_after_the_access_token_has_expired(bound, site, person):
    bound.sees(person)
    bound.expire()
    assert (rename(bound, site, person, "late"), bound.proofs) == (200, [200])


@pytest.mark.parametrize("is_expired", [False, True], ids=["at once", "after the access token has expired"])
def test_a_form_does_and_asks_for_no_password(bound, is_expired):
    bound.page.goto("/email/change")
    expect(bound.page.get_by_label("Current password")).to_have_count(0)
    bound.page.get_by_label("E-mail address").fill("another@app.test")
    if is_expired:
        bound.expire()
    bound.page.locator("main").get_by_role("button").click()
    expect(bound.page).to_have_url(f"{bound.site.origin}/mail-sent")


def test_a_thief_with_all_cookies_cannot_after_the_access_token_has_expired(bound, new_device, site, person):
    thief = rob(bound, new_device)
    thief.sees(person)
    site.forward(601)
    thief.page.goto("/static/tokens/session.js")
    assert rename(thief, site, person, "the thief's") in {401, 403, 503}
    bound.sees(person)
    assert rename(bound, site, person, "the user's") == 200


POST = """async ([path, email]) => {
    const csrf = (await (await fetch('/probe/note')).text()).match(/csrfmiddlewaretoken" value="([^"]+)"/)[1];
    const body = new URLSearchParams({email, csrfmiddlewaretoken: csrf});
    return (await fetch(path, {method: 'POST', redirect: 'error', body})).status;
}"""


def test_the_staff_does_after_an_impersonation_because_the_browser_signs_first(device, site, person):
    staff = site.new_person(is_staff=True, is_superuser=True)
    device.bind(staff)
    assert device.page.evaluate(POST, ["/probe/impersonate", person.email]) == 204
    device.sees(person)
    device.forget()
    assert device.page.evaluate(POST, ["/probe/release", ""]) == 204
    assert (rename(device, site, staff, "the staff's"), device.proofs) == (200, [200])
    device.sees(staff)
