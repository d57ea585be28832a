"""A session ends by signing out or by a revocation: what other tabs, the back button and the next request show."""

from playwright.sync_api import expect

from tests.browser.steps import assert_user, sign_in, sign_out, tokens

STATUS = "fetch('/api/auth/me').then(r => r.status)"


def test_the_back_button_after_signing_out_shows_nothing_of_the_user(signed_in, person):
    expect(signed_in.get_by_text(person.email)).to_be_visible()
    sign_out(signed_in)
    signed_in.evaluate("history.back()")
    expect(signed_in.get_by_label("Password")).to_be_visible()
    expect(signed_in.get_by_text(person.email)).to_have_count(0)


def test_the_back_button_after_signing_in_does_not_sign_out(signed_in, person):
    signed_in.go_back()
    assert_user(signed_in, person)


def test_signing_out_in_one_tab_signs_out_in_the_others(signed_in, context, person):
    other = context.new_page()
    other.goto("/")
    sign_out(signed_in)
    expect(signed_in.get_by_text(person.email)).to_have_count(0)
    assert tokens(context) == (None, None)
    assert other.evaluate(STATUS) == 401
    other.reload()
    expect(other.get_by_label("Password")).to_be_visible()


def test_a_revocation_in_the_admin_of_another_process_is_seen_within_two_seconds(
    signed_in, site, person, sites, new_context
):
    assert signed_in.evaluate(STATUS) == 200
    other_process = sites(TOKENS_CLIENT_ID="the other process")
    staff = new_context(base_url=other_process.origin).new_page()
    sign_in(staff, site.new_person(is_staff=True, is_superuser=True))
    staff.goto(f"/admin/tokens/refreshtoken/?q={person.email}")
    staff.get_by_role("checkbox", name="Select this object").first.check()
    staff.locator("select[name=action]").select_option(label="Revoke selected sessions")
    staff.get_by_role("button", name="Run").or_(staff.get_by_role("button", name="Go")).first.click()
    expect(staff.get_by_text("1 session revoked.")).to_be_visible()
    signed_in.wait_for_timeout(2000)  # The documented limit is a time: a request two seconds later is rejected.
    assert signed_in.evaluate(STATUS) == 401
    assert site.reasons(person) == ["ended_by_staff"]
