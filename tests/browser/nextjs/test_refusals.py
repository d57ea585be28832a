"""What is rejected, and how: an ended session, a page of another origin, an auth server that does not answer."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.nextjs.visits import set_cookies
from tests.browser.steps import ACCESS, cookie, show_other_site, sign_in, tokens
from tests.browser.watching import Watch

FORM = '<form action="{}" method="post"><input name="note" value="stolen"></form>'
NOT_AUTHENTICATED = [401, {"code": "not_authenticated"}]


def save(page: Page, note: str) -> None:
    """Submit the form whose server action a script calls."""
    page.get_by_label("Note", exact=True).fill(note)
    page.get_by_role("button", name="Save", exact=True).click()


@pytest.fixture
def navigations(page) -> list[str]:
    """The URLs of the pages that the browser opened, in order. Without it a redirect too many would go unnoticed."""
    seen: list[str] = []
    page.on("framenavigated", lambda frame: seen.append(frame.url))
    return seen


class TestARevokedSession:
    @pytest.fixture
    def revoked(self, visitor, site, person) -> Page:
        """The page /account, left open. Its session was revoked. With a valid access token, nothing is refused yet."""
        visitor.leave_open()
        site.revoke(person)
        return visitor.page

    def test_a_page_redirects_to_the_sign_in_once(self, visitor, page, context, site, person, navigations):
        visitor.sign_in_ten_minutes_ago()
        site.revoke(person)
        navigations.clear()
        page.goto("/account")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert navigations == [f"{site.origin}/sign-in?next=%2Faccount"]
        assert tokens(context) == (None, None)
        assert cookie(context, "__Host-Http-device")
        sign_in(page, person, path=page.url)
        assert visitor.facts()["gen"] == 0

    def test_a_public_page_is_shown_without_a_user(self, visitor, page, context, site, person):
        visitor.sign_in_ten_minutes_ago()
        site.revoke(person)
        assert page.goto("/").status == 200
        assert visitor.facts() is None
        assert tokens(context) == (None, None)

    def test_a_script_s_request_gets_401_and_deletes_no_cookies(self, revoked, visitor, context):
        held = tokens(context)
        assert [visitor.fetch(method) for method in ("GET", "POST")] == [NOT_AUTHENTICATED] * 2
        assert tokens(context) == held

    def test_a_navigation_inside_the_app_redirects_to_the_sign_in(self, revoked, context):
        revoked.get_by_role("link", name="The list").click()
        revoked.wait_for_url("**/sign-in?next=%2Flist")
        assert tokens(context) == (None, None)

    def test_rejected_prefetches_have_no_effect_until_the_user_opens_the_page(
        self, visitor, page, context, site, person
    ):
        visitor.leave_open("/list")
        site.revoke(person)
        with page.expect_response("**/item/7?*") as refused:
            page.get_by_role("button", name="Show all").click()
        assert refused.value.status == 401
        expect(page.get_by_role("link")).to_have_count(8)
        page.get_by_role("link", name="Item 5").click()
        page.wait_for_url("**/sign-in?next=%2Fitem%2F5")
        assert tokens(context) == (None, None)

    def test_a_server_action_is_rejected_and_the_page_can_say_so(self, revoked, context):
        held = tokens(context)
        save(revoked, "too late")
        link = revoked.get_by_role("alert").get_by_role("link")
        expect(link).to_be_visible()
        assert tokens(context) == held
        link.click()
        revoked.wait_for_url("**/sign-in?next=%2Faccount")
        assert tokens(context) == (None, None)

    @pytest.mark.parametrize("javascript", [False], ids=["without JavaScript"])
    def test_a_form_redirects_to_the_sign_in(self, revoked, context):
        revoked.get_by_role("button", name="Save plainly").click()
        revoked.wait_for_url("**/sign-in?next=%2Faccount")
        assert tokens(context) == (None, None)


class TestAnotherOrigin:
    # The first is of the same site, so that the browser sends our cookies from it.
    @pytest.mark.parametrize("origin", ["https://evil.app.test/", "https://evil.test/"])
    def test_its_form_is_rejected_and_rotates_nothing(self, visitor, page, context, site, origin):
        visitor.leave_open()
        held = tokens(context)
        show_other_site(page, FORM.format(f"{site.origin}/account"), origin)
        with page.expect_navigation() as posted:
            page.evaluate("() => document.forms[0].submit()")
        assert (posted.value.status, set_cookies(posted.value)) == (403, {})
        assert (visitor.generation, tokens(context)) == (1, held)

    def test_its_link_gets_a_page_that_refreshes(self, visitor, page, site):
        visitor.sign_in_ten_minutes_ago()
        show_other_site(page, f'<a href="{site.origin}/account?a=1">here</a>', "https://mail.test/")
        watch = Watch(site)
        page.get_by_role("link").click()
        assert visitor.facts()["gen"] == 1
        assert page.url == f"{site.origin}/account?a=1"
        # The guard asks for the same path always, so that no other one of Latchkey's can be reached like this. What it
        # sends by itself, for an earlier request of the app's page, has no such header.
        by_browser = [(one.path, one.sent("sec-fetch-site")) for one in watch.answered()]
        assert [row for row in by_browser if row[1] and "/static/" not in row[0]] == [
            ("/sign-in?a=1", "cross-site"),
            ("/api/auth/refresh", "same-origin"),
        ]

    def test_a_fetch_of_a_sibling_host_is_anonymous_and_rotates_nothing(self, visitor, page, context, site):
        visitor.leave_open()
        held = tokens(context)
        show_other_site(page, origin="https://evil.app.test/")
        send = "url => fetch(url, {mode: 'no-cors', credentials: 'include'}).catch(() => 'hidden')"
        for path in ("/api/whoami", "/"):
            page.evaluate(send, site.origin + path)
        assert (visitor.generation, tokens(context)) == (1, held)


class TestTheAuthServer:
    def test_when_it_is_down_the_user_stays_signed_in(self, visitor, page, context, deployment, navigations):
        visitor.sign_in_ten_minutes_ago()
        old = cookie(context, ACCESS)
        page.goto("/account")
        navigations.clear()
        with deployment.auth_server_gone():
            page.goto("/account")
            assert visitor.facts()["gen"] == 1  # A good token needs no auth server.
            visitor.put_back(old)
            held = tokens(context)
            response = page.goto("/account")
            assert (response.status, response.headers["retry-after"]) == (503, "2")
            assert page.evaluate("() => fetch('/api/whoami').then((got) => got.status)") == 503
            assert page.goto("/").status == 200
            assert tokens(context) == held
        page.goto("/account")
        assert visitor.facts()["gen"] == 1
        assert set(navigations) == {f"{deployment.origin}/account", f"{deployment.origin}/"}

    def test_when_it_is_down_a_server_action_fails_and_the_form_keeps_its_data(
        self, visitor, page, context, deployment, person
    ):
        sign_in(page, person, path="/sign-in?next=/account")
        context.clear_cookies(name=ACCESS)
        with deployment.auth_server_gone():
            save(page, "kept")
            expect(page.get_by_role("alert").get_by_role("link")).to_be_visible()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_test_id("result")).to_be_visible()
        found = visitor.facts("result")
        assert (found["note"], found["gen"]) == ("kept", 1)

    def test_when_it_hangs_the_app_answers_after_a_while(self, visitor, page, context, deployment):
        visitor.sign_in_ten_minutes_ago()
        held = tokens(context)
        with deployment.auth_server_hanging():
            assert page.goto("/account", timeout=60_000).status == 503
            assert tokens(context) == held
        page.goto("/account")
        assert visitor.facts()["gen"] == 1
