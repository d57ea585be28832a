"""Signed out here, revoked there: what other tabs, the back button and the next request show."""

from playwright.sync_api import expect

from tests.browser.steps import ACCESS, REFRESH, cookie, sign_in

SIGN_OUT = {"name": "Sign out"}


def test_back_after_signing_out_shows_nothing_of_whoever_was_here(page, site, person):
    sign_in(page, person)
    expect(page.get_by_text(person.email)).to_be_visible()
    page.get_by_role("button", **SIGN_OUT).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    page.evaluate("history.back()")
    expect(page.get_by_label("Password")).to_be_visible()
    expect(page.get_by_text(person.email)).to_have_count(0)


def test_back_after_signing_in_does_not_sign_out(page, site, person):
    sign_in(page, person)
    page.go_back()
    page.goto("/probe/note")
    expect(page.locator("#who")).to_have_text(person.email)


def test_signed_out_in_one_tab_is_signed_out_in_the_others(page, context, site, person):
    sign_in(page, person)
    other = context.new_page()
    other.goto("/")
    page.get_by_role("button", **SIGN_OUT).first.click()
    expect(page.get_by_text(person.email)).to_have_count(0)
    assert cookie(context, ACCESS) is cookie(context, REFRESH) is None
    assert other.evaluate("fetch('/api/auth/me').then(r => r.status)") == 401
    other.reload()
    expect(other.get_by_label("Password")).to_be_visible()


def test_revoked_in_the_admin_of_another_process_is_out_within_two_seconds(page, site, person, sites, jar):
    sign_in(page, person)
    assert page.evaluate("fetch('/api/auth/me').then(r => r.status)") == 200
    beside = sites(TOKENS_CLIENT_ID="the other process")
    staff = jar(base_url=beside.origin).new_page()
    sign_in(staff, site.new_person(is_staff=True, is_superuser=True))
    staff.goto(f"/admin/tokens/refreshtoken/?q={person.email}")
    staff.get_by_role("checkbox", name="Select this object").first.check()
    staff.locator("select[name=action]").select_option(label="Revoke selected sessions")
    staff.get_by_role("button", name="Run").or_(staff.get_by_role("button", name="Go")).first.click()
    expect(staff.get_by_text("1 session revoked.")).to_be_visible()
    page.wait_for_timeout(2000)  # The promise is about time: whoever asks two seconds later is refused.
    assert page.evaluate("fetch('/api/auth/me').then(r => r.status)") == 401
    assert [session["revoked_reason"] for session in site.sessions(person)] == ["ended_by_staff"]
