"""The admin: it uses the same sign-in as the rest of the site, shows sessions and revokes them, and changes nothing."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import get_resolver, reverse

from accounts.models import User
from tests.browsers import ACCESS, DEVICE, REFRESH, login, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.service.holders import Holder
from tests.tokens.service.statements import statements
from tests.tokens.web_steps import signed_in_as
from tokens import admin as admin_module
from tokens.admin import MAX_LISTED, RefreshTokenAdmin
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service.client import Client as Browser

pytestmark = pytest.mark.django_db

SESSIONS, USERS = "/admin/tokens/refreshtoken/", "/admin/accounts/user/"
DEVICES, EVENTS = "/admin/tokens/device/", "/admin/tokens/securityevent/"
ALL_LISTS = pytest.mark.parametrize("path", [SESSIONS, DEVICES, EVENTS])
CURL = "curl/8.9.1"
VIEW = ("view_refreshtoken", "view_device", "view_securityevent", "view_user")
UNKNOWN_ID = "0190b6f2-7e4c-7000-8000-000000000000"


@pytest.fixture
def boss(clock: Any) -> Any:
    """A superuser, made when the clock already stands still. Otherwise the tokens would be years old."""
    return AdminFactory(email="boss@example.org")


@pytest.fixture
def admin(boss: Any, api: Client) -> Client:
    """The superuser's browser, signed in by the admin's own form. The API's sign-in would not test that form."""
    sign_in(api, boss)
    return api


@pytest.fixture
def staff(another: Callable[[], Client]) -> Callable[..., Client]:
    """Makes the browser of a member of the staff with these permissions. A superuser's would hide a missing check."""

    def make(*permissions: str) -> Client:
        member = UserFactory(is_staff=True)
        found = Permission.objects.filter(codename__in=permissions)
        assert len(found) == len(permissions)
        member.user_permissions.set(found)
        browser = another()
        sign_in(browser, member)
        return browser

    return make


@pytest.fixture
def users_browser(user: Any, clock: Any) -> Client:
    """The browser in which `user` has signed in. Without it a revoked session that is still served goes unnoticed."""
    browser = Client(headers={"User-Agent": CURL})
    login(browser, user)
    return browser


@pytest.fixture
def session(users_browser: Client, user: Any) -> RefreshToken:
    """The session in `users_browser`. Without it a test would not notice that an action ends nothing, or too much."""
    return RefreshToken.objects.get(user=user)


def sign_in(client: Client, user: Any) -> Any:
    response = client.post("/admin/login/?next=/admin/", {"username": user.email, "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    return response


def is_sent_to_login(response: Any) -> bool:
    return response.status_code == 302 and response["Location"].startswith("/admin/login/")


def is_signed_out(browser: Client, clock: Any) -> bool:
    """Return whether the API refuses the browser two seconds later, when every process has read of a revocation."""
    clock.forward(2)
    return browser.get("/api/auth/me").status_code == 401


def session_of(user: Any, **ended: Any) -> RefreshToken:
    """Return a session that this user has just opened in a new browser."""
    session: RefreshToken = Holder(user, Browser("127.0.0.1", CURL)).issued.session
    RefreshToken.objects.filter(pk=session.pk).update(**ended)
    return session


def listed(client: Client, path: str = SESSIONS, **query: Any) -> set[Any]:
    """Return the ids of the rows that the list shows."""
    response = client.get(path, query)
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


def revoke(client: Client, *sessions: RefreshToken, **more: Any) -> Any:
    chosen = [str(session.pk) for session in sessions]
    return client.post(SESSIONS, {"action": "revoke_selected", "_selected_action": chosen, "confirmed": "yes", **more})


def revoke_url(user: Any) -> str:
    return reverse("admin:tokens_refreshtoken_revoke_user", args=[user.pk])


def live_sessions(**of: Any) -> set[RefreshToken]:
    return set(RefreshToken.objects.live().filter(**of))


class TestSigningIn:
    def test_signing_in_to_the_admin_is_the_same_sign_in(self, boss, api):
        assert {ACCESS, REFRESH, DEVICE} <= set(sign_in(api, boss).cookies)
        session = RefreshToken.objects.get()
        assert (session.user, session.mode, session.device.name) == (boss, "cookie", "Firefox on Windows")
        assert SecurityEvent.objects.filter(kind="signed_in", session_id=session.pk).exists()
        assert api.get("/admin/").status_code == 200
        assert api.get("/api/auth/me").json()["session"]["id"] == str(session.pk)

    def test_the_administrators_own_session_is_in_the_list_and_ends_when_revoked(self, admin, clock):
        own = RefreshToken.objects.get()
        assert listed(admin) == {own.pk}
        revoke(admin, own)
        assert is_signed_out(admin, clock)
        assert is_sent_to_login(admin.get("/admin/"))

    def test_the_form_refuses_other_users_wrong_passwords_and_deactivated_staff(self, user, api):
        for one, password in [(user, PASSWORD), (AdminFactory(), "wrong"), (AdminFactory(is_active=False), PASSWORD)]:
            response = api.post("/admin/login/", {"username": one.email, "password": password})
            assert response.status_code == 200
            assert ACCESS not in response.cookies
        assert not RefreshToken.objects.exists()


FILTERS: dict[str, tuple[dict[str, str], set[str]]] = {
    "no filter": ({}, {"live", "unused", "over", "signed out", "stolen"}),
    "live": ({"state": "live"}, {"live"}),
    "expired": ({"state": "expired"}, {"unused", "over"}),
    "revoked": ({"state": "revoked"}, {"signed out", "stolen"}),
    "an unknown state": ({"state": "nonsense"}, {"live", "unused", "over", "signed out", "stolen"}),
    "a reason": ({"revoked_reason__exact": "reuse_detected"}, {"stolen"}),
    "a reason and its state": ({"revoked_reason__exact": "signed_out", "state": "revoked"}, {"signed out"}),
    "a reason and another state": ({"state": "expired", "revoked_reason__exact": "signed_out"}, set()),
}
STATES = {
    "live": "live",
    "unused": "expired",
    "over": "expired",
    "signed out": "signed out",
    "stolen": "a refresh token was used twice",
}
SEARCHES = {
    "ada@": {"ada"},
    "ADA@EXAMPLE": {"ada"},
    "grace": {"grace"},
    "example.org": {"ada", "grace", "own"},
    "Firefox": {"own"},
    "curl": {"ada", "grace"},
    "203.0.113": {"ada"},
    "203.0.113.7 curl": {"ada"},
    "2001:db8": {"grace"},
    "nobody": set(),
    "%": set(),
    "' OR 1=1 --": set(),
}


@pytest.fixture
def one_of_each(user: Any, clock: Any) -> dict[str, RefreshToken]:
    """Sessions in every state. A filter that is a second early or late shows: one ends in a second, the others now."""
    return {
        "live": session_of(user, idle_expires_at=clock.now + timedelta(seconds=1)),
        "unused": session_of(user, idle_expires_at=clock.now),
        "over": session_of(user, expires_at=clock.now),
        "signed out": session_of(user, revoked_at=clock.now, revoked_reason="signed_out"),
        "stolen": session_of(user, revoked_at=clock.now, revoked_reason="reuse_detected", expires_at=clock.now),
    }


class TestTheLists:
    def test_a_row_shows_user_device_state_time_and_address(self, admin, user, clock):
        clock.forward(60)
        session_of(user, ip="203.0.113.7")
        html = unescape(admin.get(SESSIONS).content.decode())
        [row] = [row for row in html.split("<tr>") if user.email in row]
        order = [row.index(text) for text in (user.email, "curl", "live", "01/01/2030 12:01 p.m.", "203.0.113.7")]
        assert order == sorted(order)

    @pytest.mark.parametrize("offered", ["off", "offer"])
    def test_bound_is_a_column_only_where_sessions_can_be_bound(self, offered, admin, settings):
        settings.TOKENS = {**settings.TOKENS, "DEVICE_BOUND": offered}
        assert (b"column-bound" in admin.get(SESSIONS).content) is (offered == "offer")

    @ALL_LISTS
    def test_no_list_offers_to_count_the_rows_of_each_filter(self, path, admin):
        assert b"_facets" not in admin.get(path).content
        assert not admin.get(path, {"_facets": "True"}).context["cl"].add_facets

    @pytest.mark.parametrize(("query", "names"), FILTERS.values(), ids=FILTERS)
    def test_the_filters_give_the_right_rows(self, query, names, one_of_each, staff):
        browser = staff(*VIEW)
        own = RefreshToken.objects.get(user__is_staff=True)
        assert listed(browser, **query) - {own.pk} == {one_of_each[name].pk for name in names}

    @pytest.mark.parametrize(("name", "text"), STATES.items(), ids=STATES)
    def test_the_state_says_how_a_session_ended(self, name, text, one_of_each, admin):
        html = admin.get(f"{SESSIONS}{one_of_each[name].pk}/change/").content.decode()
        [state] = re.findall(r'<label>State:</label>\s*<div class="readonly">([^<]*)</div>', html)
        assert state == text

    def test_the_list_can_be_filtered_by_mode(self, admin, user, both_modes):
        login(Client(), user, mode="body")
        in_body = RefreshToken.objects.get(mode="body")
        assert listed(admin, mode__exact="body") == {in_body.pk}
        assert in_body.pk not in listed(admin, mode__exact="cookie")

    @pytest.mark.parametrize(("search", "names"), SEARCHES.items(), ids=SEARCHES)
    def test_the_search_gives_the_right_rows(self, search, names, admin):
        rows = {
            "own": RefreshToken.objects.get(),
            "ada": session_of(UserFactory(email="ada@example.org"), ip="203.0.113.7"),
            "grace": session_of(UserFactory(email="grace@example.org"), ip="2001:db8::7"),
        }
        assert listed(admin, q=search) == {rows[name].pk for name in names}

    @ALL_LISTS
    def test_a_search_for_nonsense_and_an_unknown_row_are_no_errors(self, path, admin):
        for search in ("\0", "x" * 5000, "not-a-uuid", "☃", '"', "\\"):
            assert admin.get(path, {"q": search}).status_code == 200, search
        for row in (UNKNOWN_ID, "nonsense", "%00"):
            assert admin.get(f"{path}{row}/change/").status_code == 302, row

    def test_events_are_found_by_session_user_and_kind_and_devices_by_name_and_user(self, admin, user, session):
        about = set(SecurityEvent.objects.filter(session_id=session.pk).values_list("pk", flat=True))
        assert len(about) == 2
        assert listed(admin, EVENTS, q=session.pk) == listed(admin, EVENTS, q=user.email) == about
        assert len(listed(admin, EVENTS, kind__exact="new_device")) == 2
        assert listed(admin, EVENTS, kind__exact="reuse_detected") == set()
        assert listed(admin, DEVICES, q="curl") == listed(admin, DEVICES, q=user.email) == {session.device_id}

    @ALL_LISTS
    def test_the_number_of_queries_does_not_grow_with_the_rows(self, path, admin, clock):
        def add() -> None:
            added = session_of(UserFactory())
            about = {"user_id": added.user_id, "session_id": added.pk, "actor": UserFactory()}
            SecurityEvent.objects.create(kind="revoked", created_at=clock.now, **about)

        def queries() -> int:
            assert admin.get(path).status_code == 200
            return len(statements(lambda: admin.get(path)))

        add()
        before = queries()
        for _ in range(5):
            add()
        assert len(listed(admin, path)) >= 6
        assert queries() == before

    @pytest.mark.parametrize("query", [{}, {"q": "example.org"}], ids=["all rows", "a search"])
    @ALL_LISTS
    def test_a_list_does_not_count_the_whole_table(self, path, query, admin):
        assert listed(admin, path, **query)
        sent = statements(lambda: admin.get(path, query))
        [count] = [sql for sql in sent if "COUNT(" in sql.upper()]
        assert f"LIMIT {MAX_LISTED}" in count

    def test_a_list_that_is_too_long_shows_its_newest_and_the_search_finds_the_rest(self, admin, monkeypatch):
        sessions = [session_of(UserFactory()) for _ in range(4)]
        monkeypatch.setattr(admin_module, "MAX_LISTED", 2)
        monkeypatch.setattr(RefreshTokenAdmin, "list_per_page", 1)
        assert [listed(admin), listed(admin, p=2)] == [{sessions[3].pk}, {sessions[2].pk}]
        assert admin.get(SESSIONS, {"p": 3}).status_code == 302
        assert listed(admin, q=sessions[0].user.email) == {sessions[0].pk}


class TestRevoking:
    def test_the_selected_session_is_revoked_and_no_other(self, admin, boss, user, users_browser, session, clock):
        spared = signed_in_as(user)
        assert revoke(admin, session).status_code == 302
        session.refresh_from_db()
        assert (session.revoked_at, session.revoked_reason, session.revoked_by) == (clock.now, "ended_by_staff", boss)
        assert Revocation.objects.get().session_id == session.pk
        assert b"1 session revoked." in admin.get(SESSIONS).content
        assert is_signed_out(users_browser, clock)
        assert refresh(users_browser).status_code == 401
        assert spared.get("/api/auth/me").status_code == 200

    def test_the_event_names_the_administrator(self, admin, boss, user, session):
        revoke(admin, session)
        event = SecurityEvent.objects.get(kind="revoked")
        assert (event.user, event.actor, event.reason) == (user, boss, "ended_by_staff")
        assert (event.session_id, event.device_id) == (session.pk, session.device_id)
        assert (event.ip, event.user_agent[:7]) == ("127.0.0.1", "Mozilla")
        assert boss.email in admin.get(f"{EVENTS}{event.pk}/change/").content.decode()

    def test_several_sessions_are_revoked_together_and_ended_ones_are_not_changed(self, admin, one_of_each, user):
        second = session_of(user)
        revoke(admin, second, *one_of_each.values())
        assert set(RefreshToken.objects.filter(revoked_reason="ended_by_staff")) == {second, one_of_each["live"]}
        one_of_each["stolen"].refresh_from_db()
        assert one_of_each["stolen"].revoked_reason == "reuse_detected"
        assert b"2 sessions revoked." in admin.get(SESSIONS).content

    def test_all_rows_of_a_search_are_revoked_beyond_the_first_page(self, admin, boss, user, session):
        columns = [field.attname for field in RefreshToken._meta.concrete_fields if field.name != "id"]
        copies = [{name: getattr(session, name) for name in columns} for _ in range(RefreshTokenAdmin.list_per_page)]
        RefreshToken.objects.bulk_create(RefreshToken(**copy) for copy in copies)
        chosen = {"action": "revoke_selected", "_selected_action": [str(session.pk)], "select_across": "1"}
        question = admin.post(f"{SESSIONS}?q={user.email}", chosen)
        assert f"{RefreshTokenAdmin.list_per_page + 1} of the selected sessions are live." in question.content.decode()
        assert len(live_sessions(user=user)) == RefreshTokenAdmin.list_per_page + 1, "The question revokes nothing."
        repeated = re.findall(r'type="hidden" name="(?!csrf)([^"]+)" value="([^"]*)"', question.content.decode())
        assert dict(repeated) == {**chosen, "_selected_action": str(session.pk), "confirmed": "yes"}
        admin.post(f"{SESSIONS}?q={user.email}", dict(repeated))
        assert (len(live_sessions(user=user)), len(live_sessions(user=boss))) == (0, 1)

    def test_all_sessions_of_a_user_are_revoked_from_the_users_page(self, admin, boss, user, clock):
        browsers = [signed_in_as(user), signed_in_as(user)]
        page = admin.get(f"{USERS}{user.pk}/change/").content.decode()
        [link] = re.findall(r'<a href="([^"]+)">Revoke all sessions</a>', page)
        question = unescape(admin.get(link).content.decode())
        assert f"{user.email} has 2 live sessions. End all of them?" in question
        assert len(live_sessions(user=user)) == 2, "The question itself revokes nothing."
        response = admin.post(link)
        assert (response.status_code, response["Location"]) == (302, f"{USERS}{user.pk}/change/")
        rows = set(RefreshToken.objects.values_list("user", "revoked_reason", "revoked_by"))
        assert rows == {(user.pk, "ended_by_staff", boss.pk), (boss.pk, "", None)}
        assert b"2 sessions revoked." in admin.get(response["Location"]).content
        assert [is_signed_out(browser, clock) for browser in browsers] == [True, True]

    def test_the_question_about_one_session_is_in_the_singular(self, admin, user, session):
        html = unescape(admin.get(revoke_url(user)).content.decode())
        assert f"{user.email} has 1 live session. End it?" in html

    @pytest.mark.parametrize("user_id", [UNKNOWN_ID, "1", "nobody", "%00", "boss@example.org"], ids=repr)
    def test_for_an_unknown_user_it_is_404(self, user_id, admin):
        path = f"{SESSIONS}user/{user_id}/revoke/"
        assert (admin.get(path).status_code, admin.post(path).status_code) == (404, 404)
        assert len(live_sessions()) == 1

    def test_without_a_selection_a_csrf_token_or_the_own_origin_nothing_is_revoked(self, admin, boss, user, session):
        revoke(admin)
        response = admin.post(revoke_url(user), headers={"Origin": "https://evil.example"})
        assert (response.status_code, len(response.cookies)) == (403, 0)
        strict = Client(enforce_csrf_checks=True)
        login(strict, boss)
        assert revoke(strict, session).status_code == strict.post(revoke_url(user)).status_code == 403
        assert live_sessions(user=user) == {session}


PERMISSIONS: dict[str, tuple[tuple[str, ...], bool]] = {
    "may only look": (VIEW, False),
    "has Django's permissions": (("delete_refreshtoken", "change_refreshtoken", "add_refreshtoken"), False),
    "has no permission": ((), False),
    "may look and revoke": (("revoke_refreshtoken", *VIEW), True),
}


class TestPermissions:
    @pytest.mark.parametrize(("permissions", "may"), PERMISSIONS.values(), ids=PERMISSIONS)
    def test_only_a_member_of_the_staff_who_may_revoke_is_offered_it_and_can(self, permissions, may, staff, user):
        one, two, browser = session_of(user), session_of(user), staff(*permissions)
        user_page, session_page = f"{USERS}{user.pk}/change/", f"{SESSIONS}{one.pk}/change/"
        pages = {path: browser.get(path) for path in (SESSIONS, user_page, session_page)}
        if {*VIEW} <= {*permissions}:
            assert [page.status_code for page in pages.values()] == [200] * 3
        html = {path: page.content for path, page in pages.items()}
        assert (b"revoke_selected" in html[SESSIONS], b"Revoke all sessions" in html[user_page]) == (may, may)
        assert b"revoke_selected" not in html[session_page]
        revoke(browser, one)
        assert live_sessions(user=user) == ({two} if may else {one, two})
        if not may:
            revoke(browser, one, select_across="1")
        statuses = browser.get(revoke_url(user)).status_code, browser.post(revoke_url(user)).status_code
        assert statuses == ((200, 302) if may else (403, 403))
        assert live_sessions(user=user) == (set() if may else {one, two})
        assert Revocation.objects.exists() == may

    @ALL_LISTS
    def test_a_list_needs_the_permission_to_look(self, path, staff):
        assert staff("view_user").get(path).status_code == 403

    @pytest.mark.parametrize("is_signed_in", [False, True], ids=["anonymous", "another user"])
    def test_other_users_and_anonymous_ones_see_and_revoke_nothing(self, is_signed_in, user, session, another):
        browser = another()
        if is_signed_in:
            login(browser, UserFactory())
        for path in (SESSIONS, DEVICES, EVENTS, f"{SESSIONS}{session.pk}/change/", revoke_url(user)):
            assert is_sent_to_login(browser.get(path))
            assert is_sent_to_login(browser.post(path, {"action": "revoke_selected", "_selected_action": session.pk}))
        assert live_sessions(user=user) == {session}


@pytest.fixture
def one_row_of_each(admin: Client, session: RefreshToken) -> dict[str, Any]:
    """A row of each model, by the path of its list. With no rows, a list that offers too much would go unnoticed."""
    event = SecurityEvent.objects.filter(session_id=session.pk)[0]
    return {SESSIONS: session, DEVICES: session.device, EVENTS: event}


def spellings(secret: bytes) -> list[bytes]:
    """Return the texts in which a page could show these bytes."""
    texts = [secret.hex(), secret.hex().upper(), b64encode(secret).decode(), urlsafe_b64encode(secret).decode()]
    return [text.rstrip("=").encode() for text in [*texts, str(secret)[2:-1]]]


class TestWhatTheAdminDoesNotDo:
    @ALL_LISTS
    def test_no_row_can_be_added_changed_or_deleted(self, path, admin, one_row_of_each):
        def contents() -> list[Any]:
            return [list(model.objects.order_by("pk").values()) for model in (RefreshToken, Device, SecurityEvent)]

        row, before = one_row_of_each[path], contents()
        [values] = type(row).objects.filter(pk=row.pk).values()
        fields = {name: str(value) for name, value in values.items()} | {"name": "changed", "kind": "changed", "ip": ""}
        for method in (admin.get, admin.post):
            assert method(f"{path}add/", fields).status_code == 403
            assert method(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        assert admin.post(f"{path}{row.pk}/change/", {**fields, "_save": "Save"}).status_code == 403
        admin.post(path, {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"})
        assert contents() == before

    @ALL_LISTS
    def test_nothing_is_offered_to_add_change_or_delete(self, path, admin, one_row_of_each):
        html = (admin.get(path).content + admin.get(f"{path}{one_row_of_each[path].pk}/change/").content).decode()
        for offer in (f'href="{path}add/"', "/delete/", "delete_selected", 'name="_save"', 'name="_continue"'):
            assert offer not in html
        assert not re.search(r'<(input|select|textarea)[^>]*name="(user|device|mode|name|kind|reason|ip)"', html)

    def test_it_shows_no_other_model_of_the_app(self):
        views = [key for key in get_resolver().namespace_dict["admin"][1].reverse_dict if isinstance(key, str)]
        models = {key.split("_")[1] for key in views if key.startswith("tokens_")}
        assert models == {"refreshtoken", "device", "securityevent"}

    def test_no_page_shows_a_secret(self, admin, user, users_browser, session, one_row_of_each):
        digests = [session.secret_digest, session.auth_hash_digest, session.user_agent_digest]
        hidden = [text for digest in [*digests, session.device.token_digest] for text in spellings(bytes(digest))]
        hidden += [users_browser.cookies[name].value.encode() for name in (ACCESS, REFRESH, DEVICE)]
        pages = ["/admin/", f"{SESSIONS}{session.pk}/history/", f"{USERS}{user.pk}/delete/", revoke_url(user)]
        pages += [f"{path}{row.pk}/change/" for path, row in {**one_row_of_each, USERS: user}.items()]
        for page in [*pages, *one_row_of_each]:
            response = admin.get(page)
            assert response.status_code == 200, page
            html = unescape(response.content.decode()).encode()
            assert not [text for text in hidden if text in html], page


class TestDeletingAndDeactivatingUsers:
    def test_a_deleted_user_is_signed_out_and_has_no_sessions(self, admin, user, users_browser, session, clock):
        path = f"{USERS}{user.pk}/delete/"
        question = admin.get(path)
        assert question.status_code == 200
        assert not question.context["perms_lacking"]
        assert admin.post(path, {"post": "yes"}).status_code == 302
        for model, pk in [(User, user.pk), (RefreshToken, session.pk), (Device, session.device_id)]:
            assert not model.objects.filter(pk=pk).exists()
        event = SecurityEvent.objects.get(session_id=session.pk, kind="revoked")
        assert (event.user, event.reason) == (None, "user_deleted")
        connection.check_constraints()
        assert is_signed_out(users_browser, clock)
        assert admin.get(EVENTS).status_code == admin.get(f"{EVENTS}{event.pk}/change/").status_code == 200

    def test_users_can_be_deleted_from_the_list(self, admin, user, users_browser, clock):
        chosen = [str(user.pk), str(UserFactory().pk)]
        fields = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
        assert admin.post(USERS, fields).status_code == 302
        assert [user.email for user in User.objects.all()] == ["boss@example.org"]
        connection.check_constraints()
        assert is_signed_out(users_browser, clock)

    def test_deleting_a_user_needs_the_permission_to_delete_sessions(self, staff, user, session):
        browser = staff("delete_user", *VIEW)
        path = f"{USERS}{user.pk}/delete/"
        assert {"session", "device"} <= {str(name) for name in browser.get(path).context["perms_lacking"]}
        assert browser.post(path, {"post": "yes"}).status_code == 403
        assert User.objects.filter(pk=user.pk).exists()

    def test_what_a_deleted_administrator_did_stays_recorded(self, admin, boss, user, session):
        revoke(admin, session)
        boss.delete()
        session.refresh_from_db()
        assert (session.revoked_reason, session.revoked_by) == ("ended_by_staff", None)
        event = SecurityEvent.objects.get(kind="revoked", session_id=session.pk)
        assert (event.user, event.actor) == (user, None)
        connection.check_constraints()
