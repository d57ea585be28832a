"""A policy that refuses everybody: no entry point leaves anything behind. Without it, each of them opens a session."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client

from tests.attacks.entry_points import by_api, by_form
from tests.attacks.policy_urls import BACKEND, VIEWS
from tests.browsers import FIREFOX, SESSION, AsyncBrowser, login, new_browser, post
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.web.impersonation import by_function, by_hijack
from tests.tokens.web_steps import signed_in_as, who
from tokens import sessions
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.web.operations import admission

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

HERE = __name__
PENDING = "__Host-pending"


def nobody(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Refuse("Not today.")


def more(request: Any, user: Any, methods: Any) -> Any:
    return sessions.MoreNeeded(["password"])


def forgets_to_answer(request: Any, user: Any, methods: Any) -> Any:
    return None


def fails(request: Any, user: Any, methods: Any) -> Any:
    raise LookupError("the policy has a bug")


def actors_only(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if methods.actor is None else sessions.Refuse()


@pytest.fixture(autouse=True)
def _project(settings: Any) -> None:
    """Serve the views of `policy_urls`, and django-hijack. Without it, an entry point would answer 404."""
    settings.ROOT_URLCONF = "tests.attacks.policy_urls"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "hijack"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tokens.contrib.hijack.HijackUserMiddleware"]


@pytest.fixture
def policy(settings: Any) -> Callable[[Any], None]:
    """A function that sets the policy, also after a sign-in. If it was set before, no older session would be tested."""

    def given(function: Any) -> None:
        settings.TOKENS = {**settings.TOKENS, "SIGN_IN_POLICY": f"{HERE}.{function.__name__}"}

    return given


@pytest.fixture
def owner(db: None) -> Any:
    """A member of the staff. The admin would refuse anybody else, whatever the policy says."""
    return AdminFactory()


def by_view(name: str) -> Callable[[Client, Any], Any]:
    return lambda browser, user: browser.get(f"/probe/{name}/{user.email}")


PLAIN, ASGI, ATOMIC = (Client, False), (AsyncBrowser, False), (Client, True)
"""A class of browsers, and whether ATOMIC_REQUESTS is on: Django commits what a view wrote before `login`."""
ENTRY_POINTS: dict[str, tuple[tuple[type[Client], bool], Callable[[Client, Any], Any]]] = {
    "the API": (PLAIN, by_api("cookie")),
    "the API under ASGI": (ASGI, by_api("cookie")),
    "the API in mode body": (PLAIN, by_api("body")),
    "the page": (PLAIN, by_form("/sign-in")),
    "the page under ASGI": (ASGI, by_form("/sign-in")),
    "the page with ATOMIC_REQUESTS": (ATOMIC, by_form("/sign-in")),
    "the admin": (PLAIN, by_form("/admin/login/")),
    **{f"{name}()": (PLAIN, by_view(name)) for name in VIEWS if name != "writing_before"},
    **{f"{name}() under ASGI": (ASGI, by_view(name)) for name in VIEWS if "ing_" not in name},
    **{f"{name}() with ATOMIC_REQUESTS": (ATOMIC, by_view(name)) for name in VIEWS if "async" not in name},
    "catching_async() under ASGI": (ASGI, by_view("catching_async")),
}
SOME = {
    name: ENTRY_POINTS[name] for name in ("the API", "the admin", "catching()", "careless_async() under ASGI", "rest()")
}


def everything(user: Any) -> list[Any]:
    """Return all that a sign-in may write, and all rows of the views."""
    return [
        type(user).objects.values_list("last_login", flat=True).get(pk=user.pk),
        *(model.objects.count() for model in (RefreshToken, Device, SecurityEvent, Session, Group)),
    ]


def cookies_of(response: Any) -> set[str]:
    return {name for name, cookie in response.cookies.items() if cookie["max-age"] != 0}


def signs_nobody_in(browser: Client, enter: Callable[[Client, Any], Any], user: Any, *cookies: str) -> Any:
    """Try to sign in, and hold the server to leaving nothing behind, except for these cookies. Return the response."""
    before = everything(user)
    response = enter(browser, user)
    assert everything(user) == before
    assert cookies_of(response) <= {*cookies}
    assert user.email not in response.text
    assert who(browser) is None
    return response


def browser_at_server(kind: tuple[type[Client], bool], monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return a browser in front of this kind of server: see `PLAIN`."""
    for connection in connections.all():
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", kind[1])
    return kind[0](headers={"User-Agent": FIREFOX}, raise_request_exception=False)


each_entry_point = pytest.mark.parametrize(("kind", "enter"), ENTRY_POINTS.values(), ids=ENTRY_POINTS)


class TestEachEntryPoint:
    @pytest.fixture
    def browser(self, kind: tuple[type[Client], bool], owner: Any, monkeypatch: pytest.MonkeyPatch) -> Client:
        """A browser for the entry point, on its kind of server. One kind could ignore what the policy says."""
        return browser_at_server(kind, monkeypatch)

    @pytest.fixture(autouse=True)
    def _sessions_in_the_database(self, settings: Any) -> None:
        """Lets a row of Django's session count. The project keeps its sessions elsewhere."""
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
        settings.TOKENS = {**settings.TOKENS, "MODES": ["cookie", "body"]}

    @each_entry_point
    def test_without_a_policy_opens_a_session(self, browser, enter, owner):
        before = everything(owner)
        response = enter(browser, owner)
        assert response.status_code in {200, 302, 418}
        assert everything(owner)[1] == before[1] + 1
        assert owner.email in response.text or response.status_code == 302

    @each_entry_point
    def test_that_refuses_everybody_leaves_nothing_behind(self, browser, enter, owner, policy):
        policy(nobody)
        response = signs_nobody_in(browser, enter, owner)
        assert (response.status_code, "Not today." in response.text) == (403, True)

    @pytest.mark.parametrize(("kind", "enter"), SOME.values(), ids=SOME)
    def test_that_asks_for_more_leaves_a_pending_sign_in_only(self, browser, enter, owner, policy):
        policy(more)
        response = signs_nobody_in(browser, enter, owner, PENDING)
        assert (PENDING in response.cookies) is ("pending" not in response.text)

    @pytest.mark.parametrize("wrong", [forgets_to_answer, fails])
    @pytest.mark.parametrize(("kind", "enter"), SOME.values(), ids=SOME)
    def test_whose_policy_is_broken_opens_nothing(self, browser, enter, owner, policy, wrong):
        policy(wrong)
        assert signs_nobody_in(browser, enter, owner).status_code == 500


def outside(user: Any) -> Any:
    """Sign in as Django's test client does, without a request that passes the middleware."""
    browser = new_browser()
    browser.force_login(user, BACKEND)
    return browser


def with_a_session_of_before(user: Any) -> Client:
    """Return a browser with a sign-in that Django's session has from before our middleware was installed."""
    browser = new_browser()
    store: Any = import_module(django_settings.SESSION_ENGINE).SessionStore()
    key = user._meta.pk.value_to_string(user)
    store.update({"_auth_user_id": key, "_auth_user_backend": BACKEND, "_auth_user_hash": user.get_session_auth_hash()})
    store.save()
    browser.cookies[SESSION] = store.session_key
    return browser


class TestWithoutARequestOfTheMiddleware:
    def test_force_login_opens_nothing_and_raises(self, owner, policy):
        before = everything(owner)
        assert who(outside(owner)) == str(owner.pk)
        policy(nobody)
        after = everything(owner)
        with pytest.raises(sessions.SignInRefused, match="Not today"):
            outside(owner)
        assert everything(owner) == after != before

    def test_a_session_of_djangos_is_not_taken_over(self, owner, policy, settings):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
        assert who(with_a_session_of_before(owner)) == str(owner.pk)
        browser, before = with_a_session_of_before(owner), RefreshToken.objects.count()
        policy(nobody)
        assert who(browser) is None
        policy(actors_only)
        assert who(browser) is None
        assert RefreshToken.objects.count() == before

    def test_a_sign_in_that_the_next_request_is_to_take_over_is_asked_about_again(self, owner, policy, settings):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        browser = outside(owner)
        policy(nobody)
        assert who(browser) is None
        assert not RefreshToken.objects.exists()


@pytest.mark.parametrize("begin", [by_function, by_hijack], ids=["sessions.impersonate", "django-hijack"])
class TestAnImpersonation:
    @pytest.fixture
    def actor(self, owner: Any) -> Client:
        """A superuser's browser. django-hijack would refuse anybody else, also without the policy."""
        return signed_in_as(owner)

    def test_that_the_policy_refuses_does_not_begin(self, actor, begin, owner, policy):
        target = UserFactory()
        policy(actors_only)
        before, of_actor = everything(target), everything(owner)
        response = begin(actor, target)
        assert (response.status_code, PENDING in response.cookies) == (403, False)
        assert (everything(target), everything(owner)) == (before, of_actor)
        assert who(actor) == str(owner.pk)

    def test_that_needs_more_does_not_begin_and_leaves_nothing_to_answer(self, actor, begin, policy):
        policy(more)
        response = begin(actor, UserFactory())
        assert (response.status_code, PENDING in response.cookies) == (403, False)
        assert not RefreshToken.objects.exclude(actor=None).exists()

    def test_that_the_policy_admits_begins_and_its_end_is_no_sign_in(self, actor, begin, owner, policy):
        asked.clear()
        policy(remembers)
        target = UserFactory()
        assert begin(actor, target).status_code in {200, 302}
        assert asked == [(str(target.pk), {}, str(owner.pk))]
        policy(nobody)
        assert actor.post("/hijack/release/", {"next": "/probe/whose"}).status_code == 302
        assert who(actor) == str(owner.pk)


asked: list[Any] = []


def remembers(request: Any, user: Any, methods: Any) -> Any:
    """Open a session, and note what the policy was asked."""
    asked.append((str(user.pk), dict.fromkeys(methods, True), methods.actor and str(methods.actor.pk)))
    return sessions.Open()


class TestThePolicy:
    @pytest.fixture(autouse=True)
    def _forgets(self) -> None:
        """Forgets what other tests have asked the policy. Otherwise the order of the tests would decide."""
        asked.clear()

    @pytest.mark.parametrize(
        ("kind", "enter", "known"),
        [
            (Client, by_api("cookie"), {"pwd": True}),
            (Client, by_form("/sign-in"), {"pwd": True}),
            (AsyncBrowser, by_form("/admin/login/"), {"pwd": True}),
            (Client, by_view("careless"), {}),
            (Client, by_view("opening"), {"pwd": True}),
            (Client, by_view("announcing"), {}),
        ],
        ids=["the API", "the page", "the admin under ASGI", "login()", "open_session()", "the signal"],
    )
    def test_is_asked_once_with_the_methods_that_were_proved(self, owner, policy, kind, enter, known):
        policy(remembers)
        assert enter(kind(headers={"User-Agent": FIREFOX}), owner).status_code in {200, 302}
        assert asked == [(str(owner.pk), known, None)]

    def test_is_not_asked_when_a_session_goes_on(self, owner, policy, client):
        login(client, owner)
        policy(nobody)
        asked.clear()
        assert post(client, "/api/auth/refresh").status_code == 200
        changed = {"current_password": PASSWORD, "new_password": "what the owner has chosen"}
        assert post(client, "/api/auth/password/change", changed).status_code in {200, 204}
        assert who(client) == str(owner.pk)

    def test_that_refuses_somebody_else_leaves_who_is_signed_in(self, owner, policy, client):
        login(client, UserFactory())
        before = who(client)
        policy(nobody)
        assert client.get(f"/probe/careless/{owner.email}").status_code == 403
        assert who(client) == before
        assert RefreshToken.objects.live().count() == 1


class TestOtherReceivers:
    """Receivers of the project, whenever they were connected, and whatever package has connected them anew."""

    @pytest.mark.parametrize("entry_point", ["the page", "careless_async() under ASGI"])
    def test_hear_nothing_of_a_sign_in_that_is_refused(self, owner, policy, entry_point):
        heard = []

        def first(**named: Any) -> None:
            heard.append("first")

        async def at_the_same_time(**named: Any) -> None:
            heard.append("async")

        (kind, _), enter = ENTRY_POINTS[entry_point]
        user_logged_in.connect(first)
        user_logged_in.receivers.insert(0, user_logged_in.receivers.pop())
        user_logged_in.connect(at_the_same_time)
        try:
            assert enter(kind(), owner).status_code in {200, 302}
            assert sorted(heard) == ["async", "first"]
            policy(nobody)
            assert enter(kind(), owner).status_code == 403
            assert len(heard) == 2
        finally:
            user_logged_in.disconnect(first)
            user_logged_in.disconnect(at_the_same_time)

    def test_are_asked_about_once_although_the_signal_is_guarded_again(self, owner, policy):
        policy(remembers)
        asked.clear()
        admission.install()
        assert by_view("careless")(Client(), owner).status_code == 200
        assert len(asked) == 1


def test_statements_can_be_written_again_after_a_request_that_was_refused(owner, policy):
    policy(nobody)
    assert by_view("catching")(Client(), owner).status_code == 403
    assert not any(connection.execute_wrappers for connection in connections.all())
    Group.objects.create(name="written afterwards")


@pytest.mark.parametrize("kind", [Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def test_a_middleware_that_signs_in_behind_ours_signs_nobody_in(owner, policy, settings, kind):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.RemoteUserMiddleware"]
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    said = {"REMOTE_USER": owner.email, "HTTP_REMOTE_USER": owner.email}
    assert kind().get("/probe/who", **said).json()["pk"] == str(owner.pk)
    before = everything(owner)
    policy(nobody)
    response = kind().get("/probe/who", **said)
    assert (response.status_code, cookies_of(response)) == (403, set())
    assert owner.email not in response.text
    assert everything(owner) == before


def test_a_sign_in_that_something_else_has_noted_is_asked_about_when_the_session_is_opened(owner, policy, monkeypatch):
    """An adapter may have said that a sign-in is none, and then not have carried that out."""
    monkeypatch.setattr(admission, "_is_admitted", lambda exchange, user: True)
    assert by_view("careless")(Client(), owner).status_code == 200
    assert RefreshToken.objects.count() == 1
    Group.objects.all().delete()
    policy(nobody)
    browser = Client()
    assert by_view("careless")(browser, owner).status_code == 200
    assert RefreshToken.objects.count() == 1
    assert who(browser) is None
