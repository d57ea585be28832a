"""The cookie jar is stolen, and used in a second browser: both are out, and the owner is told."""

from playwright.sync_api import expect

from tests.browser.steps import sign_in

NOTE = "/probe/note"


def test_a_stolen_jar_ends_the_session_for_both(page, context, site, person, jar):
    sign_in(page, person)
    thief = jar(base_url=site.origin, user_agent="a thief's own")
    thief.add_cookies(context.cookies())
    site.forward(601)
    page.goto(NOTE)
    expect(page.locator("#who")).to_have_text(person.email)
    site.forward(100)  # Now its use proves that the owner has the new token.
    page.goto(NOTE)
    expect(page.locator("#who")).to_have_text(person.email)
    site.forward(601)
    stolen = thief.new_page()
    stolen.goto(NOTE)
    expect(stolen.locator("#who")).to_have_text("nobody")
    page.goto(NOTE)
    expect(page.locator("#who")).to_have_text("nobody")
    page.goto("/")
    expect(page.get_by_label("Password")).to_be_visible()
    assert [session["revoked_reason"] for session in site.sessions(person)] == ["reuse_detected"]
    assert "reuse_detected" in site.events(person)


def test_a_thief_who_is_faster_is_put_out_by_the_owner(page, context, site, person, jar):
    sign_in(page, person)
    thief = jar(base_url=site.origin, user_agent="a thief's own")
    thief.add_cookies(context.cookies())
    site.forward(601)
    stolen = thief.new_page()
    stolen.goto(NOTE)
    expect(stolen.locator("#who")).to_have_text(person.email)
    site.forward(100)
    stolen.goto(NOTE)
    expect(stolen.locator("#who")).to_have_text(person.email)
    page.goto(NOTE)
    expect(page.locator("#who")).to_have_text("nobody")
    stolen.goto(NOTE)
    expect(stolen.locator("#who")).to_have_text("nobody")
    assert [session["revoked_reason"] for session in site.sessions(person)] == ["reuse_detected"]
