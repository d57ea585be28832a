"""The demo: each button is pressed in Chromium, and the drawing is compared with the server's row.

The screenshots are taken on request::

    SCREENSHOTS=1 uv run pytest -n0 -m browser tests/browser/test_demo.py
"""

import re
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.authenticators import BY_PRESS, Authenticator
from tests.browser.conftest import RUN_AXE, at_length
from tests.browser.demo import (
    DEMO_USER,
    Demo,
    demo_served,
    drawn,
    follow_the_story,
    generations,
    marks,
    press,
    seconds_left,
    sentence,
)
from tests.browser.palette import SCREENSHOTS, WANTED, with_palette
from tests.browser.steps import FAST_TIMERS, fill_in, policy_violations, sign_in, sign_out
from tests.scale.cluster import wait_for


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    """The project as a developer starts it. In production there is no demo, and its pages would answer 404."""
    with demo_served(tmp_path_factory.mktemp("demo")) as found:
        yield found


@pytest.fixture
def context(new_context, demo) -> BrowserContext:
    """A browser at the demo. By default it would be at `site`, which has no demo."""
    return new_context(base_url=demo.origin)


@pytest.fixture
def page(context) -> Iterator[Page]:
    """A page without errors or warnings on its console. Otherwise a violation of its policy would go unnoticed."""
    page = context.new_page()
    page.add_init_script(FAST_TIMERS)  # A story pauses between its steps so that a user can follow.
    complaints: list[str] = []
    page.on("console", lambda said: said.type in {"error", "warning"} and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert complaints == []


@pytest.fixture
def at_demo(page) -> Page:
    """The demo's page after a sign-in by the form. No button has been pressed."""
    sign_in(page, DEMO_USER, path="/sign-in?next=/demo")
    expect(page).to_have_url(re.compile("/demo$"))
    expect(marks(page)).to_have_count(1)
    return page


def test_the_command_prints_the_page_s_address(demo):
    assert f"{demo.origin}/demo " in demo.log.read_text()


STORY = [
    "1. Sign in",
    "2. Look at what your browser got",
    "3. Let the access token expire",
    "4. Send twenty requests at once",
    "5. Lose an answer",
    "6. Play the thief",
    "7. End the session from elsewhere",
]


def test_the_first_page_leads_to_the_story_which_can_be_followed_by_its_texts(page, demo):
    assert follow_the_story(page) == STORY
    assert [demo.session()["revoked_reason"], drawn(page)] == ["ended_by_user", ["served", "served", "refused"]]
    expect(page.locator("#log")).to_contain_text(re.compile("would be valid for (9|8):"))
    expect(page.locator(".demo-story [data-done]")).to_have_count(7)
    page.get_by_text("The diagram before this page was loaded").click()
    assert marks(page, "[data-lane=thief]", "timeline-before").count() == 2
    expect(page.locator("#log-before")).to_contain_text("The thief presented generation")
    kept = page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
    assert not [found["name"] for found in page.context.cookies() if found["value"] in kept]
    page.get_by_role("link", name="Read the mails").click()
    expect(page.get_by_role("link", name="A session was ended for your safety")).to_be_visible()


def test_the_cookies_and_the_content_of_both_tokens_are_shown(at_demo, demo):
    press(at_demo, "cookies")
    names = at_demo.locator(".demo-cookies code").all_text_contents()
    # The form to sign in, which the button of the demo leaves out, has a cookie for its passkeys.
    assert set(names) == {found["name"] for found in at_demo.context.cookies()} - {"passkey"}
    session = str(uuid.UUID(demo.session()["id"]))
    assert at_demo.locator("#access-parts dd").all_text_contents()[1] == session
    assert at_demo.locator("#refresh-parts dd").all_text_contents() == [session, "0", "not shown"]
    press(at_demo, "renew", "cookies")
    assert at_demo.locator("#refresh-parts dd").all_text_contents() == [session, "1", "not shown"]


@pytest.mark.parametrize("width", [320, *at_length(1280)], ids=["on a phone", "on a laptop"])
def test_every_step_fits_and_is_accessible_for_an_anonymous_user_and_a_signed_in_one(page, width, axe, context):
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/demo", "/sign-in?next=/demo"):
        page.goto(path)
        if page.url.endswith("next=/demo"):
            fill_in(page, DEMO_USER)
            expect(marks(page)).to_have_count(1)
        page.evaluate(axe)
        for number in range(1, 9):
            page.locator(f"#step-{number} details:not([open]) > summary").click() if number > 2 else None
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), number
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert page.evaluate(RUN_AXE, {}) == [], (path, scheme)


def test_the_token_expires_and_the_next_request_refreshes(at_demo, demo):
    button = at_demo.get_by_role("button", name="Let the token expire")
    button.focus()
    at_demo.keyboard.press("Enter")
    expect(at_demo.locator("#left")).to_have_text("0:00")
    expect(at_demo.locator("#life")).to_have_text("expired: the next request refreshes")
    expect(button).to_be_focused()
    expect(at_demo.locator("#timeline .lanes .expired")).not_to_have_count(0)
    assert demo.session()["generation"] == 0
    press(at_demo, "ask")
    assert (drawn(at_demo), generations(at_demo)) == (["served", "refreshed"], ["0", "1"])
    assert "Generation 0 → 1" in sentence(at_demo)
    expect(at_demo.locator("#left")).to_have_text(re.compile("^(10|9|8):"))
    assert demo.session()["generation"] == 1


def test_the_sign_in_and_a_request_with_a_good_token_are_drawn(at_demo, demo):
    assert drawn(at_demo) == ["served"], "the request for the page itself"
    assert generations(at_demo) == ["0"]
    expect(at_demo.locator("#held")).to_have_text("0")
    expect(at_demo.locator("#life")).to_have_text("valid: no query is needed")
    before = seconds_left(at_demo)
    press(at_demo, "wait")
    expect(at_demo.locator("#timeline text.gap")).to_have_text("+2:00")
    assert seconds_left(at_demo) <= before - 120
    press(at_demo, "ask")
    assert drawn(at_demo) == ["served", "served"]
    assert "without asking the database" in sentence(at_demo)
    assert demo.session()["generation"] == 0


def test_of_twenty_parallel_requests_one_refreshes_and_all_are_answered_and_drawn_on_a_phone(at_demo, demo):
    at_demo.set_viewport_size({"width": 360, "height": 740})
    press(at_demo, "burst")
    assert at_demo.evaluate("document.documentElement.scrollWidth <= innerWidth")
    outcomes = Counter(drawn(at_demo)[1:])
    # A request that the browser sends after the first answer has a good token.
    assert outcomes["repeated"] + outcomes["served"] == 19
    assert outcomes["repeated"] > 0
    assert (outcomes["refreshed"], outcomes.total()) == (1, 20)
    assert generations(at_demo) == ["0", "1"]
    for part in ("20 requests were sent at once", "1 refreshed", "Generation 0 → 1"):
        assert part in sentence(at_demo)
    session = demo.session()
    assert (session["generation"], session["revoked_reason"]) == (1, "")


def test_a_lost_response_is_recovered(at_demo, demo):
    press(at_demo, "lose")
    assert drawn(at_demo) == ["served", "refreshed", "recovered"]
    expect(marks(at_demo, "[data-lost]")).to_have_attribute("data-outcome", "refreshed")
    expect(at_demo.locator("#timeline .broken")).to_have_count(1)
    assert generations(at_demo) == ["0", "1"]
    expect(at_demo.locator("#log")).to_contain_text("but the response was lost. The browser still holds 0")
    assert "Generation 0 was presented again" in sentence(at_demo)
    session = demo.session()
    assert (session["generation"], session["recovered"], session["revoked_reason"]) == (1, 1, "")


def test_the_thief_is_detected_and_both_are_signed_out_until_the_owner_signs_in_again(at_demo, demo):
    press(at_demo, "thief")
    assert drawn(at_demo, "thief") == ["served", "refused"]
    assert drawn(at_demo) == ["served", "refreshed", "served", "refused"]
    for selector, count in (("[data-theft]", 1), (".stop", 2), (".server .cross", 1)):
        expect(at_demo.locator(f"#timeline {selector}")).to_have_count(count)
    expect(at_demo.locator("#log")).to_contain_text("The thief presented generation 0, but 1 is in use")
    assert demo.session()["revoked_reason"] == "reuse_detected"
    expect(at_demo.get_by_text("This session has ended in all browsers.")).to_be_visible()
    for button in at_demo.locator("[data-do]").all():
        expect(button).to_be_disabled()

    at_demo.locator("#ended").get_by_role("button", name=f"Sign in as {DEMO_USER.email}").click()
    expect(at_demo).to_have_url(re.compile(r"/demo\?step=7$"))
    expect(at_demo.locator("#step-7 details")).to_have_attribute("open", "")
    press(at_demo, "ask")
    assert drawn(at_demo) == ["served", "served"]
    assert demo.session()["revoked_reason"] == ""


def test_a_step_whose_session_has_ended_says_so_and_leads_to_a_new_one(at_demo, context):
    other = context.new_page()
    other.goto("/")
    sign_out(other)
    press(at_demo, "renew")
    step = at_demo.locator("#step-3")
    expect(step.get_by_text("The button needs a session, and yours has ended.")).to_be_visible()
    expect(step.get_by_text("What happened:")).to_be_hidden()
    assert drawn(at_demo)[-1] == "refused"
    expect(at_demo.locator("#ended").get_by_role("button", name="Sign in as")).to_be_visible()
    step.get_by_role("button", name="Sign in again for this step").click()
    expect(at_demo).to_have_url(re.compile(r"/demo\?step=3$"))
    press(at_demo, "renew")
    assert drawn(at_demo) == ["served", "refreshed"]


def test_the_page_loaded_after_the_end_says_so_keeps_the_ticks_and_each_step_has_the_sign_in(at_demo):
    press(at_demo, "cookies", "revoke")
    at_demo.goto("/demo?step=7")
    expect(at_demo.get_by_role("status")).to_contain_text("Your session in this browser has ended")
    expect(at_demo.locator("#step-2")).to_have_attribute("data-done", "")
    step = at_demo.locator("#step-7")
    expect(step.get_by_text("This step needs a session.")).to_be_visible()
    step.get_by_role("button", name=f"Sign in as {DEMO_USER.email}").click()
    expect(at_demo.locator("#step-7 details")).to_have_attribute("open", "")
    expect(marks(at_demo)).to_have_count(1)


@pytest.mark.exhaustive
def test_every_story_can_follow_every_other(at_demo, demo):
    press(at_demo, "lose", "burst", "expire", "lose", "expire", "burst", "wait")
    assert generations(at_demo) == ["0", "1", "2", "3", "4"]
    assert demo.session()["generation"] == 4
    press(at_demo, "clear")
    assert (drawn(at_demo), generations(at_demo)) == (["served"], ["4"])


def test_without_javascript_the_page_says_that_it_needs_it(new_context, demo):
    page = new_context(base_url=demo.origin, java_script_enabled=False).new_page()
    sign_in(page, DEMO_USER, path="/sign-in?next=/demo")
    expect(page.get_by_text("This page needs JavaScript.")).to_be_visible()
    expect(page.locator("[data-do]").first).to_be_hidden()


def test_the_mailbox_shows_mails_and_their_links_work(demo, new_context):
    assert f"{demo.origin}/mailbox" in demo.log.read_text()
    first, second = new_context(base_url=demo.origin), new_context(base_url=demo.origin, color_scheme="dark")
    refused = policy_violations(first)
    owner, other = first.new_page(), second.new_page()
    sign_in(owner, DEMO_USER)
    sign_in(other, DEMO_USER)

    def has_come() -> bool:
        owner.goto("/mailbox")
        return mail.count() > 0

    mail = owner.get_by_role("link", name="A new device signed in")
    wait_for(has_come, "a mail, which is sent after the sign-in is answered")
    mail.first.click()
    expect(owner.get_by_role("heading", level=1)).to_have_text("A new device signed in")
    expect(owner.locator("main")).to_contain_text("If this was you, you do not have to do anything.")
    frame = owner.frame_locator("iframe")
    expect(frame.get_by_role("heading")).to_have_text("A new device signed in")
    # The policy permits the mail's style.
    expect(frame.get_by_role("link", name="This was not me")).to_have_css("background-color", "rgb(163, 38, 28)")
    assert refused == []

    with first.expect_page() as opened:
        frame.get_by_role("link", name="This was not me").click()
    opened.value.get_by_role("button", name="Sign out everywhere").click()
    expect(opened.value.get_by_role("heading")).to_have_text("You are signed out everywhere")
    other.goto("/")
    expect(other.get_by_label("Password")).to_be_visible()
    assert refused == []


PICTURES = {"demo": (1200, ["burst", "lose", "thief"]), "demo-phone": (390, ["burst", "lose"])}


@pytest.mark.skipif(not WANTED, reason="screenshots are taken when SCREENSHOTS is set")
@pytest.mark.parametrize("name", PICTURES)
def test_screenshots_are_taken(at_demo, name):
    width, buttons = PICTURES[name]
    at_demo.set_viewport_size({"width": width, "height": 844})
    press(at_demo, *buttons)
    at_demo.emulate_media(reduced_motion="reduce")
    bottom = "it => it.parentElement.getBoundingClientRect().bottom + scrollY"
    clip = {"x": 0, "y": 0, "width": width, "height": at_demo.locator(".demo-drawing").first.evaluate(bottom) + 16}
    for scheme in ("light", "dark"):
        at_demo.emulate_media(color_scheme=scheme)
        picture = with_palette(at_demo.screenshot(full_page=True, clip=clip))
        (SCREENSHOTS / f"{name}-{scheme}.png").write_bytes(picture)


def test_a_passkey_is_created_on_localhost_and_signs_in_and_answers_a_view_that_asks_for_more(
    page, demo, is_accessible
):
    """It is the last test here, because the passkey stays."""
    page.add_init_script(BY_PRESS)
    sign_in(page, DEMO_USER, path="/demo/factors")
    is_accessible()
    device = Authenticator(page)
    page.get_by_role("link", name="Create a passkey").click()
    page.get_by_role("button", name="Create a passkey").click()
    expect(page.get_by_role("status")).to_have_text("The passkey is created.")
    assert [made["rpId"] for made in device.credentials()] == ["localhost"]
    sign_out(page)
    page.goto("/demo/factors")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("This session was opened with:")).to_be_visible()
    page.get_by_role("link", name="Open that view").click()
    expect(page.get_by_role("status")).to_have_text(re.compile("^The view was reached"))
