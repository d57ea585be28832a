"""nginx in front, Latchkey behind: who somebody is seen as, and what a cache in between may keep."""

import http.client
import ssl
from typing import Any
from uuid import uuid4

from playwright.sync_api import BrowserContext

from tests.browser.nextjs.deployments import HOST, Deployment
from tests.browser.nextjs.visits import expired_meanwhile, set_cookies, sign_in_ten_minutes_ago
from tests.browser.steps import ACCESS, REFRESH, cookie

ELSEWHERE = "127.0.0.9"
"""Another address of this machine's than the proxies have: somebody far away."""
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


def ask(deployment: Deployment, method: str, path: str, cookies: str, **headers: str) -> http.client.HTTPResponse:
    """Send a request from `ELSEWHERE`, without what browsers of today add of themselves."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = int(deployment.origin.rpartition(":")[2])
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, context=context, timeout=60, source_address=(ELSEWHERE, 0)
    )
    sent = {"Host": f"{HOST}:{port}", "Cookie": cookies, "User-Agent": PHONE, **headers}
    connection.request(method, path, headers=sent)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def cookie_header(context: BrowserContext) -> str:
    return f"{ACCESS}={cookie(context, ACCESS)}; {REFRESH}={cookie(context, REFRESH)}"


def test_security_events_are_about_the_person_and_not_about_the_app(page, context, deployment, person):
    sign_in_ten_minutes_ago(page, deployment.site, person)
    held = cookie_header(context)
    page.goto("/account")
    # Within the grace this is answered, and the person is told that it went to another network, and another browser.
    assert ask(deployment, "GET", "/account", held).status == 200
    (event,) = deployment.site.do(
        "from tokens.models import SecurityEvent\n"
        "events = SecurityEvent.objects.filter(user__email=email, kind=SecurityEvent.Kind.ELSEWHERE)\n"
        "result = list(events.values('ip', 'user_agent'))",
        email=person.email,
    )
    assert event == {"ip": ELSEWHERE, "user_agent": PHONE}


def test_a_browser_that_says_no_more_than_its_origin_is_held_to_that(page, context, deployment, person):
    sign_in_ten_minutes_ago(page, deployment.site, person)
    held = cookie_header(context)
    foreign = ask(deployment, "POST", "/api/whoami", held, Origin="https://evil.app.test")
    assert foreign.status == 403
    assert foreign.headers["Set-Cookie"] is None
    assert deployment.site.sessions(person)[-1]["generation"] == 0
    own = ask(deployment, "POST", "/api/whoami", held, Origin=deployment.origin)
    assert own.status == 200
    assert deployment.site.sessions(person)[-1]["generation"] == 1


def test_a_cache_keeps_a_page_for_everybody_but_not_with_somebodys_cookies(page, context, deployment, person):
    sign_in_ten_minutes_ago(page, deployment.site, person)
    path = f"/about?{uuid4()}"
    response = page.goto(path)
    assert set(set_cookies(response)) == {ACCESS, REFRESH}
    assert response
    assert response.headers["x-cache"] == "MISS"
    strangers = [ask(deployment, "GET", path, "") for _ in range(2)]
    assert [answer.headers["X-Cache"] for answer in strangers] == ["MISS", "HIT"]
    assert [answer.headers["Set-Cookie"] for answer in strangers] == [None, None]


def test_pages_that_are_not_for_everybody_are_kept_by_no_cache(page, site, person):
    sign_in_ten_minutes_ago(page, site, person)
    for refreshed in (True, False):
        response = page.goto("/list")
        assert bool(set_cookies(response)) == refreshed
        assert response
        assert response.headers["cache-control"] == "private, no-store"


def test_a_post_is_answered_with_cookies_that_no_cache_keeps(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        found: Any = page.evaluate(
            "() => fetch('/api/whoami', {method: 'POST'}).then((got) => got.headers.get('cache-control'))"
        )
        assert "no-store" in found
