"""nginx in front, Latchkey behind: which address and browser Latchkey records, and what a cache between may store."""

from contextlib import closing
from http.client import HTTPResponse
from uuid import uuid4

from tests.browser.nextjs.deployments import ELSEWHERE, Deployment
from tests.browser.nextjs.visits import set_cookies
from tests.browser.steps import ACCESS, REFRESH, tokens

PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


def ask(deployment: Deployment, method: str, path: str, cookies: str, **headers: str) -> HTTPResponse:
    """Send a request from `ELSEWHERE`, without the headers that only today's browsers send."""
    with closing(deployment.front.connect()) as connection:
        connection.request(method, path, headers={"Cookie": cookies, "User-Agent": PHONE, **headers})
        response = connection.getresponse()
        response.read()
    return response


def test_security_events_name_the_user_s_address_and_browser_and_not_the_app_s(visitor, page, context, deployment):
    visitor.sign_in_ten_minutes_ago()
    access, refresh = tokens(context)
    page.goto("/account")
    # Within the grace this request is answered, and an event reports that another network and browser sent it.
    assert ask(deployment, "GET", "/account", f"{ACCESS}={access}; {REFRESH}={refresh}").status == 200
    (event,) = deployment.site.do(
        "from tokens.models import SecurityEvent\n"
        "events = SecurityEvent.objects.filter(user__email=email, kind=SecurityEvent.Kind.ELSEWHERE)\n"
        "result = list(events.values('ip', 'user_agent'))",
        email=visitor.person.email,
    )
    assert event == {"ip": ELSEWHERE, "user_agent": PHONE}


def test_a_browser_that_sends_only_an_origin_header_is_judged_by_it(visitor, context, deployment):
    visitor.sign_in_ten_minutes_ago()
    access, refresh = tokens(context)
    held = f"{ACCESS}={access}; {REFRESH}={refresh}"
    foreign = ask(deployment, "POST", "/api/whoami", held, Origin="https://evil.app.test")
    assert (foreign.status, foreign.headers["Set-Cookie"], visitor.generation) == (403, None, 0)
    own = ask(deployment, "POST", "/api/whoami", held, Origin=deployment.origin)
    assert (own.status, visitor.generation) == (200, 1)


def test_a_cache_stores_a_public_page_but_not_with_a_user_s_cookies(visitor, page, deployment):
    visitor.sign_in_ten_minutes_ago()
    path = f"/about?{uuid4()}"
    response = page.goto(path)
    assert (set(set_cookies(response)), response.headers["x-cache"]) == ({ACCESS, REFRESH}, "MISS")
    answers = [ask(deployment, "GET", path, "") for _ in range(2)]
    found = [(answer.headers["X-Cache"], answer.headers["Set-Cookie"]) for answer in answers]
    assert found == [("MISS", None), ("HIT", None)]


def test_no_cache_stores_pages_that_are_not_public(visitor, page):
    visitor.sign_in_ten_minutes_ago()
    for refreshed in (True, False):
        response = page.goto("/list")
        assert (bool(set_cookies(response)), response.headers["cache-control"]) == (refreshed, "private, no-store")


def test_no_cache_stores_the_answer_to_a_post_with_its_cookies(visitor, page):
    visitor.leave_open()
    cache_control = "fetch('/api/whoami', {method: 'POST'}).then((got) => got.headers.get('cache-control'))"
    assert "no-store" in page.evaluate(cache_control)
