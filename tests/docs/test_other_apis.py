"""The guides for Django Ninja and GraphQL, with the real packages: who the user is, 401, and pages of other origins."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from django.urls import clear_url_caches, path
from ninja import NinjaAPI
from ninja.errors import AuthenticationError
from ninja.utils import check_csrf

from tests.browsers import ACCESS, FIREFOX, AsyncBrowser, login, post
from tests.docs.blocks import Block, block
from tests.docs.code import modules, run
from tests.tokens.api.steps import assert_problem, bearer
from tests.tokens.web_steps import EXPIRED
from tests.urls import urlpatterns as project
from tokens import sessions
from tokens.testing import revoke

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("sqlite")]

NINJA, GRAPHQL = "docs/how-to/ninja.md", "docs/how-to/graphql.md"
API, NINJA_URLS = block(NINJA, "# api.py, with Django Ninja"), block(NINJA, "# urls.py, with Django Ninja")
SCHEMA, VIEW = block(GRAPHQL, "# schema.py, with Strawberry"), block(GRAPHQL, "# graphql_view.py, with Strawberry")
GRAPHQL_URLS = block(GRAPHQL, "# urls.py, with Strawberry")
FOREIGN = {"Origin": "https://evil.example.org", "Sec-Fetch-Site": "cross-site"}


async def signed_in(request: Any) -> Any:
    user = await request.auser()
    return user if user.is_authenticated else None


ASYNC = NinjaAPI(auth=signed_in, urls_namespace="async")


@ASYNC.exception_handler(AuthenticationError)
def refuse(request: Any, error: Any) -> Any:
    return sessions.unauthorized(request)


@ASYNC.get("/me")
async def me(request: Any) -> dict[str, str]:
    return {"name": request.auth.get_username()}


def runs_blocks() -> list[Block]:
    return [API, NINJA_URLS, SCHEMA, VIEW, GRAPHQL_URLS]


@pytest.fixture(scope="module")
def urls() -> Iterator[ModuleType]:
    """URLs with both APIs. Each block is imported as the module that its first line names."""
    found = ModuleType("documented_urls")
    with modules(api=API, schema=SCHEMA, graphql_view=VIEW):
        with_ninja = run(NINJA_URLS, path=path, urlpatterns=project)["urlpatterns"]
        vars(found)["urlpatterns"] = run(GRAPHQL_URLS, path=path, urlpatterns=with_ninja)["urlpatterns"]
        yield found


@pytest.fixture(autouse=True)
def _served(urls: ModuleType, settings: Any) -> Iterator[None]:
    """Serves both APIs. Without it every request would be answered 404, and no refusal would be seen."""
    settings.ROOT_URLCONF = urls
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    clear_url_caches()
    yield
    clear_url_caches()


@pytest.fixture
def browser() -> Client:
    """A browser whose forms need Django's CSRF token. Without the check, a view that asks for it would go unnoticed."""
    return Client(enforce_csrf_checks=True, headers={"User-Agent": FIREFOX})


def ask(client: Client, **headers: str) -> list[Any]:
    """Ask both APIs who the user is."""
    ninja = client.get("/api/shop/me", headers=headers)
    return [ninja, post(client, "/api/graphql", {"query": "{ me }"}, **headers)]


def change(client: Client, **headers: str) -> list[Any]:
    """Change something by both APIs."""
    ninja = post(client, "/api/shop/orders?article=key", **headers)
    return [ninja, post(client, "/api/graphql", {"query": 'mutation { order(article: "key") }'}, **headers)]


def ids(responses: list[Any]) -> list[str]:
    ninja, graphql = (response.json() for response in responses)
    return [ninja["id"], graphql["data"]["me"]]


def test_the_user_of_the_cookies_is_the_user_of_both_also_after_a_refresh(browser, user, clock):
    login(browser, user)
    assert ids(ask(browser)) == [str(user.pk)] * 2
    clock.forward(EXPIRED)
    first, second = ask(browser)
    assert ids([first, second]) == [str(user.pk)] * 2
    assert ACCESS in first.cookies
    ordered = [response.json() for response in change(browser)]
    assert ordered == [{"article": "key", "of": str(user.pk)}, {"data": {"order": f"key for {user.get_username()}"}}]


def test_a_bearer_token_signs_in_and_an_expired_one_is_to_be_refreshed(browser, user, clock):
    tokens = login(Client(), user, mode="body")
    headers = bearer(tokens["access_token"])
    assert ids(ask(browser, **headers)) == [str(user.pk)] * 2
    clock.forward(EXPIRED)
    for response in ask(browser, **headers):
        assert_problem(response, 401, "token_expired")


def test_nobody_gets_a_401_that_says_what_to_do(browser, user):
    for response in ask(browser) + change(browser):
        assert_problem(response, 401, "not_authenticated")
    login(browser, user)
    revoke(browser)
    for response in ask(browser):
        assert_problem(response, 401, "session_ended")


def test_a_page_of_another_origin_changes_nothing(browser, user):
    login(browser, user)
    for response in change(browser, **FOREIGN):
        assert_problem(response, 403, "cross_origin")


def test_an_operation_asks_for_more_than_a_password(browser, user):
    login(browser, user)
    # The account has no second factor, so that it cannot give more.
    assert_problem(post(browser, "/api/shop/payments"), 403, "permission_denied")


def test_async_operations_ask_for_the_user_as_the_page_says(settings, user):
    found = ModuleType("async_urls")
    vars(found)["urlpatterns"] = [path("api/async/", ASYNC.urls), *project]
    settings.ROOT_URLCONF = found
    browser = AsyncBrowser(headers={"User-Agent": FIREFOX})
    assert_problem(browser.get("/api/async/me"), 401, "not_authenticated")
    login(browser, user)
    assert browser.get("/api/async/me").json() == {"name": user.get_username()}


def test_a_query_by_get_changes_nothing(browser, user):
    login(browser, user)
    response = browser.get("/api/graphql", {"query": 'mutation { order(article: "key") }'})
    assert response.status_code == 400


@pytest.mark.parametrize("api", ["Ninja", "GraphQL"])
def test_a_user_without_a_cookie_is_protected_by_djangos_check_as_the_pages_say(api, user, urls, settings):
    from graphql_view import SignedInGraphQLView
    from schema import schema

    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.RemoteUserMiddleware"]
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    ninja = NinjaAPI(auth=lambda request: None if check_csrf(request) else request.user, urls_namespace="checked")
    ninja.post("/orders")(lambda request: {"of": str(request.user.pk)})
    settings.ROOT_URLCONF = ModuleType("checked_urls")
    graphql = SignedInGraphQLView.as_view(schema=schema)
    vars(settings.ROOT_URLCONF)["urlpatterns"] = [path("api/shop/", ninja.urls), path("api/graphql", graphql), *project]
    statuses = []
    for headers in (FOREIGN, {"X-CSRFToken": "a" * 32}):
        client = Client(enforce_csrf_checks=True, REMOTE_USER=user.get_username())
        client.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
        statuses.append(change(client, **headers)[api == "GraphQL"].status_code)
    assert statuses == [401 if api == "Ninja" else 403, 200]
