"""A bound session changes the account without the password: the browser signs, and repeats the request by itself."""

from playwright.sync_api import expect

from tests.browser.device_bound.devices import bound_sessions
from tests.browser.device_bound.test_thieves import rob
from tests.browser.steps import cookie

NAME_IT = """async ([session, name, csrf]) => (await fetch(`/api/auth/sessions/${session}`, {
    method: 'PATCH',
    headers: {'Content-Type': 'application/json', 'X-CSRFToken': csrf},
    body: JSON.stringify({device_name: name}),
})).status"""
VOUCHER = "__Host-Http-voucher"


def rename(device, site, person, name: str) -> int:
    """Let a script of the page give the device of the session a name, as a single-page application does."""
    (session,) = bound_sessions(site, person)
    csrf = cookie(device.context, "__Host-csrf") or ""
    return device.page.evaluate(NAME_IT, [session, name, csrf])


def test_a_request_of_a_script_is_repeated_after_one_signature_and_the_next_ones_need_none(bound, site, person):
    bound.sees(person)
    for name in ("first", "second", "third"):
        assert rename(bound, site, person, name) == 200
    assert bound.proofs == [200]


def test_a_form_is_repeated_with_its_data_and_asks_for_no_password(bound):
    bound.page.goto("/email/change")
    expect(bound.page.get_by_label("Current password")).to_have_count(0)
    bound.page.get_by_label("E-mail address").fill("another@app.test")
    bound.page.locator("main").get_by_role("button").click()
    expect(bound.page).to_have_url(f"{bound.site.origin}/mail-sent")
    assert bound.proofs == [200]


def test_a_thief_with_all_cookies_and_no_key_has_to_give_the_password(bound, new_device, site, person):
    thief = rob(bound, new_device)
    thief.sees(person)
    assert rename(thief, site, person, "the thief's") in {401, 403, 503}
    bound.sees(person)
    assert rename(bound, site, person, "the user's") == 200
