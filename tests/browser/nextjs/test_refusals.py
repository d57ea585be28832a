"""What is refused, and how: somebody signed out, a page of another origin, an auth server that does not answer."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.nextjs.visits import expired_meanwhile, facts, put_back, set_cookies, sign_in_ten_minutes_ago
from tests.browser.sites import Person, Site
from tests.browser.steps import ACCESS, REFRESH, cookie, sign_in

FETCH = "([path, method]) => fetch(path, {method}).then(async (got) => [got.status, await got.json()])"
FORM = '<form action="{}" method="post"><input name="note" value="stolen"></form>'


def revoke(site: Site, person: Person) -> None:
    site.do(
        "from tokens.models import RefreshToken\n"
        "from tokens.service.ending import end\n"
        "end(RefreshToken.objects.filter(user__email=email), RefreshToken.Reason.ENDED_BY_STAFF)",
        email=person.email,
    )


def tokens(context: BrowserContext) -> tuple[str | None, str | None]:
    return cookie(context, ACCESS), cookie(context, REFRESH)


def save(page: Page, note: str) -> None:
    """Have the server action called by script."""
    page.get_by_label("Note", exact=True).fill(note)
    page.get_by_role("button", name="Save", exact=True).click()


@pytest.fixture
def navigations(page: Page) -> list[str]:
    """The pages that the browser was led to, in order."""
    seen: list[str] = []
    page.on("framenavigated", lambda frame: seen.append(frame.url))
    return seen


def test_public_pages_are_everybodys_and_others_ask_to_sign_in(page, context, site, person):
    for path, heading in (("/", "Everybody’s page"), ("/about", "About")):
        assert set_cookies(page.goto(path)) == {}
        expect(page.get_by_role("heading")).to_have_text(heading)
    page.goto("/item/3?colour=brass%26ink")
    assert page.url == f"{site.origin}/sign-in?next=%2Fitem%2F3%3Fcolour%3Dbrass%2526ink"
    assert tokens(context) == (None, None)
    assert page.evaluate(FETCH, ["/api/whoami", "GET"]) == [401, {"code": "not_authenticated"}]
    sign_in(page, person, path=page.url)
    assert page.url == f"{site.origin}/item/3?colour=brass%26ink"


def test_a_revoked_session_leads_to_the_page_to_sign_in_once(page, context, site, person, navigations):
    sign_in_ten_minutes_ago(page, site, person)
    revoke(site, person)
    navigations.clear()
    page.goto("/account")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert navigations == [f"{site.origin}/sign-in?next=%2Faccount"]
    assert tokens(context) == (None, None)
    assert cookie(context, "__Host-device")
    sign_in(page, person, path=page.url)
    assert facts(page)["gen"] == 0


def test_a_revoked_session_leaves_a_public_page_as_a_stranger(page, context, site, person):
    sign_in_ten_minutes_ago(page, site, person)
    revoke(site, person)
    response = page.goto("/")
    assert response
    assert response.status == 200
    assert facts(page) is None
    assert tokens(context) == (None, None)


def test_a_request_by_script_is_told_that_the_session_has_ended_and_clears_nothing(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        revoke(site, person)
        held = tokens(context)
        for method in ("GET", "POST"):
            assert page.evaluate(FETCH, ["/api/whoami", method]) == [401, {"code": "not_authenticated"}]
        assert tokens(context) == held


def test_going_to_a_page_inside_the_app_leads_to_the_page_to_sign_in(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        revoke(site, person)
        page.get_by_role("link", name="The list").click()
        page.wait_for_url("**/sign-in?next=%2Flist")
        assert tokens(context) == (None, None)


def test_prefetches_that_are_refused_stay_quiet_until_somebody_goes_there(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/list"):
        revoke(site, person)
        with page.expect_response("**/item/7?*") as refused:
            page.get_by_role("button", name="Show all").click()
        assert refused.value.status == 401
        expect(page.get_by_role("link")).to_have_count(8)
        page.get_by_role("link", name="Item 5").click()
        page.wait_for_url("**/sign-in?next=%2Fitem%2F5")
        assert tokens(context) == (None, None)


def test_a_server_action_of_an_ended_session_is_refused_and_the_page_can_say_so(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        revoke(site, person)
        held = tokens(context)
        save(page, "too late")
        expect(page.get_by_role("alert").get_by_role("link")).to_be_visible()
        assert tokens(context) == held
        page.get_by_role("alert").get_by_role("link").click()
        page.wait_for_url("**/sign-in?next=%2Faccount")
        assert tokens(context) == (None, None)


def test_a_form_of_an_ended_session_leads_to_the_page_to_sign_in_without_javascript_too(jar, site, person):
    context = jar(base_url=site.origin, java_script_enabled=False)
    page = context.new_page()
    with expired_meanwhile(page, context, site, person, "/account"):
        revoke(site, person)
        page.get_by_role("button", name="Save plainly").click()
        page.wait_for_url("**/sign-in?next=%2Faccount")
        assert tokens(context) == (None, None)


def test_signing_out_ends_the_session_and_leaves_nothing(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{site.origin}/")
        assert facts(page) is None
        assert tokens(context) == (None, None)
        assert site.sessions(person)[-1]["revoked_reason"] == "signed_out"
        page.goto("/account")
        assert page.url == f"{site.origin}/sign-in?next=%2Faccount"


@pytest.fixture(params=["evil.app.test", "evil.test"])
def elsewhere(request: pytest.FixtureRequest, page: Page) -> Iterator[Callable[[str], None]]:
    """Goes to a page of another origin with this in its body; the first is of the same site, so cookies are sent."""

    def go(html: str) -> None:
        page.route(f"https://{request.param}/", lambda route: route.fulfill(content_type="text/html", body=html))
        page.goto(f"https://{request.param}/")

    return go


@pytest.mark.parametrize("path", ["/account", "/api/whoami"])
def test_a_form_of_another_origin_is_refused_and_rotates_nothing(page, context, site, person, elsewhere, path):
    with expired_meanwhile(page, context, site, person, "/account"):
        held = tokens(context)
        elsewhere(FORM.format(site.origin + path))
        with page.expect_navigation() as posted:
            page.evaluate("() => document.forms[0].submit()")
        assert posted.value.status == 403
        assert set_cookies(posted.value) == {}
        assert site.sessions(person)[-1]["generation"] == 1
        assert tokens(context) == held


def test_a_link_on_another_site_may_refresh(page, context, site, person):
    sign_in_ten_minutes_ago(page, site, person)
    page.route("https://mail.test/", lambda route: route.fulfill(body=f'<a href="{site.origin}/account">here</a>'))
    page.goto("https://mail.test/")
    page.get_by_role("link").click()
    page.wait_for_url("**/account")
    assert facts(page)["gen"] == 1


def test_an_auth_server_that_is_gone_signs_nobody_out(page, context, deployment, person, navigations):
    sign_in_ten_minutes_ago(page, deployment.site, person)
    old = cookie(context, ACCESS)
    page.goto("/account")
    assert old
    navigations.clear()
    with deployment.auth_server_gone():
        page.goto("/account")
        assert facts(page)["gen"] == 1  # A good token needs nobody.
        put_back(context, deployment.site, old)
        held = tokens(context)
        response = page.goto("/account")
        assert response
        assert response.status == 503
        assert response.headers["retry-after"] == "2"
        assert page.evaluate("() => fetch('/api/whoami').then((got) => got.status)") == 503
        public = page.goto("/")
        assert public
        assert public.status == 200
        assert tokens(context) == held
    response = page.goto("/account")
    assert facts(page)["gen"] == 1
    assert set(navigations) == {f"{deployment.origin}/account", f"{deployment.origin}/"}


def test_a_server_action_waits_for_the_auth_server_with_the_form_still_filled_in(page, context, deployment, person):
    sign_in(page, person, path="/sign-in?next=/account")
    context.clear_cookies(name=ACCESS)
    with deployment.auth_server_gone():
        save(page, "kept")
        expect(page.get_by_role("alert").get_by_role("link")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_test_id("result")).to_be_visible()
    assert facts(page, "result")["note"] == "kept"
    assert facts(page, "result")["gen"] == 1


def test_an_auth_server_that_hangs_is_not_waited_for_for_ever(page, context, deployment, person):
    sign_in_ten_minutes_ago(page, deployment.site, person)
    held = tokens(context)
    with deployment.auth_server_hanging():
        response = page.goto("/account", timeout=60_000)
        assert response
        assert response.status == 503
        assert tokens(context) == held
    page.goto("/account")
    assert facts(page)["gen"] == 1
