"""The admin: the same sign-in as everywhere, sessions to look at and to revoke, and nothing else to be done."""

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
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse

from accounts.models import User
from tests.browsers import ACCESS, DEVICE, REFRESH, login, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tokens.admin import MAX_LISTED, RefreshTokenAdmin
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent

pytestmark = pytest.mark.django_db

SESSIONS = "/admin/tokens/refreshtoken/"
DEVICES = "/admin/tokens/device/"
EVENTS = "/admin/tokens/securityevent/"
CURL = "curl/8.9.1"
VIEW = ("view_refreshtoken", "view_device", "view_securityevent", "view_user")


@pytest.fixture
def boss(clock: Any) -> Any:
    """A superuser, signing in when the clock already stands still: their tokens must not be years old."""
    return AdminFactory(email="boss@example.org")


@pytest.fixture
def admin(boss: Any, api: Client) -> Client:
    """The superuser's browser, signed in at the admin's own form."""
    sign_in(api, boss)
    return api


@pytest.fixture
def staff(another: Callable[[], Client]) -> Callable[..., Client]:
    """Makes the browser of somebody on the staff who has the given permissions, and no other."""

    def make(*permissions: str) -> Client:
        somebody = UserFactory(is_staff=True)
        found = Permission.objects.filter(codename__in=permissions)
        assert len(found) == len(permissions)
        somebody.user_permissions.set(found)
        browser = another()
        sign_in(browser, somebody)
        return browser

    return make


def sign_in(client: Client, user: Any) -> Any:
    response = client.post("/admin/login/?next=/admin/", {"username": user.email, "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    return response


def is_sent_to_login(response: Any) -> bool:
    return response.status_code == 302 and response["Location"].startswith("/admin/login/")


def session_of(user: Any, **ended: Any) -> RefreshToken:
    """A session that this user has just opened in a new browser."""
    login(Client(headers={"User-Agent": CURL}), user)
    session: RefreshToken = RefreshToken.objects.filter(user=user).order_by("-id")[0]
    RefreshToken.objects.filter(pk=session.pk).update(**ended)
    return session


def listed(client: Client, query: str = "", path: str = SESSIONS) -> set[Any]:
    """The ids of the rows that the list shows."""
    response = client.get(f"{path}?{query}")
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


def revoke(client: Client, *sessions: RefreshToken, **more: Any) -> Any:
    chosen = [str(session.pk) for session in sessions]
    return client.post(SESSIONS, {"action": "revoke_selected", "_selected_action": chosen, **more})


# Signing in to the admin


def test_signing_in_to_the_admin_is_the_same_sign_in(boss, api):
    response = sign_in(api, boss)
    assert {ACCESS, REFRESH, DEVICE} <= set(response.cookies)
    session = RefreshToken.objects.get()
    assert (session.user, session.mode) == (boss, "cookie")
    assert session.device.name == "Firefox on Windows"
    assert SecurityEvent.objects.filter(kind="signed_in", session_id=session.pk).exists()
    assert api.get("/admin/").status_code == 200
    assert api.get("/api/auth/me").json()["session"]["id"] == str(session.pk)


def test_the_administrators_own_session_is_in_the_list(admin):
    own = RefreshToken.objects.get()
    assert listed(admin) == {own.pk}
    html = admin.get(SESSIONS).content.decode()
    assert "boss@example.org" in html
    assert "Firefox on Windows" in html


def test_the_administrators_own_session_dies_when_revoked(admin, clock):
    revoke(admin, RefreshToken.objects.get())
    clock.forward(2)
    assert is_sent_to_login(admin.get("/admin/"))
    assert admin.get("/api/auth/me").status_code == 401


def test_what_django_remembers_of_the_sign_in_signs_nobody_in(admin, clock):
    assert "__Host-session" in admin.cookies
    RefreshToken.objects.update(revoked_at=clock.now)
    for name in (ACCESS, REFRESH):
        del admin.cookies[name]
    assert is_sent_to_login(admin.get("/admin/"))


def test_the_admin_is_refreshed_unseen(admin, clock):
    clock.forward(601)
    response = admin.get(SESSIONS)
    assert response.status_code == 200
    assert {ACCESS, REFRESH} <= set(response.cookies)
    assert RefreshToken.objects.get().generation == 1


def test_signing_out_of_the_admin_ends_the_session(admin):
    response = admin.post("/admin/logout/")
    assert [response.cookies[name]["max-age"] for name in (ACCESS, REFRESH)] == [0, 0]
    assert RefreshToken.objects.get().revoked_reason == "signed_out"


def test_the_admins_form_takes_nobody_but_staff(user, api):
    for somebody, password in [(user, PASSWORD), (AdminFactory(), "wrong"), (AdminFactory(is_active=False), PASSWORD)]:
        response = api.post("/admin/login/", {"username": somebody.email, "password": password})
        assert response.status_code == 200
        assert ACCESS not in response.cookies
    assert not RefreshToken.objects.exists()


def test_an_administrator_who_is_switched_off_is_out(admin, boss, clock):
    boss.is_active = False
    boss.save()
    clock.forward(2)
    assert is_sent_to_login(admin.get("/admin/"))


def test_a_sign_in_by_the_api_opens_the_admin_too(api, boss):
    login(api, boss)
    assert api.get(SESSIONS).status_code == 200


# The list of sessions


def test_the_list_says_who_where_and_how(admin, user, clock):
    clock.forward(60)
    session = session_of(user)
    RefreshToken.objects.filter(pk=session.pk).update(ip="203.0.113.7")
    html = unescape(admin.get(SESSIONS).content.decode())
    [row] = [row for row in html.split("<tr>") if user.email in row]
    for said in (user.email, "curl", "203.0.113.7", "cookie", "Jan. 1, 2030, 12:01 p.m.", "live"):
        assert said in row
    assert RefreshToken.objects.count() == 2


@pytest.fixture
def one_of_each(user: Any, clock: Any) -> dict[str, RefreshToken]:
    """Sessions in every state. Each ended at this very instant, so a filter that is a second late shows."""
    return {
        "live": session_of(user),
        "unused": session_of(user, idle_expires_at=clock.now),
        "over": session_of(user, expires_at=clock.now),
        "signed out": session_of(user, revoked_at=clock.now, revoked_reason="signed_out"),
        "stolen": session_of(user, revoked_at=clock.now, revoked_reason="reuse_detected", expires_at=clock.now),
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"live", "unused", "over", "signed out", "stolen"}),
        ("state=live", {"live"}),
        ("state=expired", {"unused", "over"}),
        ("state=revoked", {"signed out", "stolen"}),
        ("state=nonsense", {"live", "unused", "over", "signed out", "stolen"}),
        ("revoked_reason__exact=reuse_detected", {"stolen"}),
        ("revoked_reason__exact=signed_out&state=revoked", {"signed out"}),
        ("state=expired&revoked_reason__exact=signed_out", set()),
    ],
)
def test_the_filters_give_the_right_rows(query, names, one_of_each, staff):
    browser = staff(*VIEW)
    own = RefreshToken.objects.get(user__is_staff=True)
    assert listed(browser, query) - {own.pk} == {one_of_each[name].pk for name in names}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("live", "live"),
        ("unused", "expired"),
        ("over", "expired"),
        ("signed out", "signed out"),
        ("stolen", "a refresh token was used twice"),
    ],
)
def test_the_state_says_how_a_session_ended(name, said, one_of_each, admin):
    html = admin.get(f"{SESSIONS}{one_of_each[name].pk}/change/").content.decode()
    [state] = re.findall(r'<label>State:</label>\s*<div class="readonly">([^<]*)</div>', html)
    assert state == said


def test_the_list_can_be_filtered_by_mode(admin, user, settings):
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    login(Client(), user, mode="body")
    in_body = RefreshToken.objects.get(mode="body")
    assert listed(admin, "mode__exact=body") == {in_body.pk}
    assert in_body.pk not in listed(admin, "mode__exact=cookie")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ada@", {"ada"}),
        ("ADA@EXAMPLE", {"ada"}),
        ("grace", {"grace"}),
        ("example.org", {"ada", "grace", "own"}),
        ("Firefox", {"own"}),
        ("curl", {"ada", "grace"}),
        ("203.0.113", {"ada"}),
        ("203.0.113.7 curl", {"ada"}),
        ("2001:db8", {"grace"}),
        ("nobody", set()),
        ("%", set()),
        ("' OR 1=1 --", set()),
    ],
)
def test_the_search_gives_the_right_rows(search, found, admin):
    rows = {
        "own": RefreshToken.objects.get(),
        "ada": session_of(UserFactory(email="ada@example.org"), ip="203.0.113.7"),
        "grace": session_of(UserFactory(email="grace@example.org"), ip="2001:db8::7"),
    }
    response = admin.get(SESSIONS, {"q": search})
    assert {row.pk for row in response.context["cl"].result_list} == {rows[name].pk for name in found}


@pytest.mark.parametrize("path", [SESSIONS, DEVICES, EVENTS])
def test_a_search_for_nonsense_is_no_error(path, admin):
    for search in ("\0", "x" * 5000, "not-a-uuid", "☃", '"', "\\"):
        assert admin.get(path, {"q": search}).status_code == 200


def test_events_are_found_by_their_session_user_and_kind(admin, user):
    session = session_of(user)
    about = set(SecurityEvent.objects.filter(session_id=session.pk).values_list("pk", flat=True))
    assert len(about) == 2
    assert listed(admin, f"q={session.pk}", EVENTS) == about
    assert listed(admin, f"q={user.email}", EVENTS) == about
    assert len(listed(admin, "kind__exact=new_device", EVENTS)) == 2
    assert listed(admin, "kind__exact=reuse_detected", EVENTS) == set()


def test_devices_are_found_by_name_and_user(admin, user):
    session = session_of(user)
    assert listed(admin, "q=curl", DEVICES) == {session.device_id}
    assert listed(admin, f"q={user.email}", DEVICES) == {session.device_id}


@pytest.mark.parametrize("path", [SESSIONS, DEVICES, EVENTS])
def test_the_number_of_queries_does_not_grow_with_the_rows(path, admin, clock):
    def add() -> None:
        session = session_of(UserFactory())
        SecurityEvent.objects.create(
            kind="revoked", created_at=clock.now, user_id=session.user_id, actor=UserFactory(), session_id=session.pk
        )

    def queries() -> int:
        admin.get(path)
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(path).status_code == 200
        return len(captured)

    add()
    before = queries()
    for _ in range(5):
        add()
    assert len(listed(admin, "", path)) >= 6
    assert queries() == before


@pytest.mark.parametrize("query", ["", "q=example.org"])
@pytest.mark.parametrize("path", [SESSIONS, DEVICES, EVENTS])
def test_a_list_does_not_count_the_whole_table(path, query, admin):
    with CaptureQueriesContext(connection) as captured:
        assert listed(admin, query, path)
    [count] = [query["sql"] for query in captured if "COUNT(" in query["sql"].upper()]
    assert f"LIMIT {MAX_LISTED}" in count


def test_a_list_that_is_too_long_shows_its_newest_and_the_search_finds_the_rest(admin, monkeypatch):
    sessions = [session_of(UserFactory()) for _ in range(4)]
    monkeypatch.setattr("tokens.admin.MAX_LISTED", 2)
    monkeypatch.setattr(RefreshTokenAdmin, "list_per_page", 1)
    assert [listed(admin), listed(admin, "p=2")] == [{sessions[3].pk}, {sessions[2].pk}]
    assert admin.get(f"{SESSIONS}?p=3").status_code == 302
    assert listed(admin, f"q={sessions[0].user.email}") == {sessions[0].pk}


# Revoking


def test_the_selected_sessions_are_revoked_and_no_other(admin, boss, user, another, clock):
    victim, spared = another(), another()
    login(victim, user)
    chosen = RefreshToken.objects.get(user=user)
    login(spared, user)
    response = revoke(admin, chosen)
    assert response.status_code == 302
    chosen.refresh_from_db()
    assert (chosen.revoked_at, chosen.revoked_reason, chosen.revoked_by) == (clock.now, "ended_by_staff", boss)
    assert Revocation.objects.get().session_id == chosen.pk
    assert b"1 session revoked." in admin.get(SESSIONS).content
    clock.forward(2)
    assert victim.get("/api/auth/me").status_code == 401
    assert refresh(victim).status_code == 401
    assert spared.get("/api/auth/me").status_code == 200


def test_the_event_says_by_whom(admin, boss, user):
    session = session_of(user)
    revoke(admin, session)
    event = SecurityEvent.objects.get(kind="revoked")
    assert (event.user, event.actor, event.reason) == (user, boss, "ended_by_staff")
    assert (event.session_id, event.device_id) == (session.pk, session.device_id)
    assert (event.ip, event.user_agent[:7]) == ("127.0.0.1", "Mozilla")
    assert "boss@example.org" in admin.get(f"{EVENTS}{event.pk}/change/").content.decode()


def test_several_sessions_are_revoked_at_once_and_ended_ones_left_alone(admin, one_of_each, user):
    second = session_of(user)
    revoke(admin, second, *one_of_each.values())
    revoked = RefreshToken.objects.filter(revoked_reason="ended_by_staff")
    assert set(revoked) == {second, one_of_each["live"]}
    one_of_each["stolen"].refresh_from_db()
    assert one_of_each["stolen"].revoked_reason == "reuse_detected"
    assert b"2 sessions revoked." in admin.get(SESSIONS).content


def test_all_rows_of_a_search_are_revoked_beyond_the_first_page(admin, user):
    page = RefreshTokenAdmin.list_per_page
    first = session_of(user)
    others = [
        RefreshToken(
            **{
                field.attname: getattr(first, field.attname)
                for field in RefreshToken._meta.concrete_fields
                if field.name != "id"
            }
        )
        for _ in range(page)
    ]
    RefreshToken.objects.bulk_create(others)
    admin.post(
        f"{SESSIONS}?q={user.email}",
        {"action": "revoke_selected", "_selected_action": [str(first.pk)], "select_across": "1"},
    )
    assert not RefreshToken.objects.live().filter(user=user).exists()
    assert RefreshToken.objects.live().exclude(user=user).count() == 1


def test_revoking_nothing_revokes_nothing(admin, user):
    session_of(user)
    revoke(admin)
    assert RefreshToken.objects.live().count() == 2


def test_all_sessions_of_a_user_are_revoked_from_the_users_page(admin, boss, user, clock, another):
    browsers = [another(), another()]
    for browser in browsers:
        login(browser, user)
    page = admin.get(f"/admin/accounts/user/{user.pk}/change/").content.decode()
    [link] = re.findall(r'<a href="([^"]+)">Revoke all sessions</a>', page)
    asked = admin.get(link)
    assert asked.status_code == 200
    assert f"{user.email} has 2 live sessions. End all of them?" in unescape(asked.content.decode())
    assert RefreshToken.objects.live().filter(user=user).count() == 2
    response = admin.post(link)
    assert (response.status_code, response["Location"]) == (302, f"/admin/accounts/user/{user.pk}/change/")
    assert set(RefreshToken.objects.values_list("user", "revoked_reason", "revoked_by")) == {
        (user.pk, "ended_by_staff", boss.pk),
        (boss.pk, "", None),
    }
    assert b"2 sessions revoked." in admin.get(response["Location"]).content
    clock.forward(2)
    assert [browser.get("/api/auth/me").status_code for browser in browsers] == [401, 401]


def test_one_live_session_is_asked_about_in_the_singular(admin, user):
    session_of(user)
    html = unescape(admin.get(revoke_url(user)).content.decode())
    assert f"{user.email} has 1 live session. End it?" in html


def revoke_url(user: Any) -> str:
    return reverse("admin:tokens_refreshtoken_revoke_user", args=[user.pk])


@pytest.mark.parametrize("user_id", ["0190b6f2-7e4c-7000-8000-000000000000", "1", "nobody", "%00", "boss@example.org"])
def test_a_user_who_is_not_there_is_not_found(user_id, admin):
    path = f"{SESSIONS}user/{user_id}/revoke/"
    assert admin.get(path).status_code == 404
    assert admin.post(path).status_code == 404
    assert RefreshToken.objects.live().count() == 1


def test_revoking_needs_the_forms_token(boss, user):
    strict = Client(enforce_csrf_checks=True)
    login(strict, boss)
    session = session_of(user)
    assert revoke(strict, session).status_code == 403
    assert strict.post(revoke_url(user)).status_code == 403
    assert RefreshToken.objects.live().count() == 2


def test_another_sites_form_revokes_nothing(admin, user):
    session_of(user)
    response = admin.post(revoke_url(user), headers={"Origin": "https://evil.example"})
    assert (response.status_code, len(response.cookies)) == (403, 0)
    assert RefreshToken.objects.live().count() == 2


# Who may


def test_who_may_only_look_is_not_offered_to_revoke(staff, user):
    session = session_of(user)
    browser = staff(*VIEW)
    for path in (SESSIONS, f"{SESSIONS}{session.pk}/change/", f"/admin/accounts/user/{user.pk}/change/"):
        response = browser.get(path)
        assert response.status_code == 200
        assert b"revoke_selected" not in response.content
        assert b"Revoke all sessions" not in response.content


def test_who_may_only_look_cannot_revoke(staff, user):
    session = session_of(user)
    browser = staff(*VIEW)
    revoke(browser, session)
    revoke(browser, session, select_across="1")
    assert browser.get(revoke_url(user)).status_code == 403
    assert browser.post(revoke_url(user)).status_code == 403
    assert RefreshToken.objects.live().filter(pk=session.pk).exists()
    assert not Revocation.objects.exists()


@pytest.mark.parametrize("permissions", [("delete_refreshtoken", "change_refreshtoken", "add_refreshtoken"), ()])
def test_djangos_own_permissions_do_not_revoke(permissions, staff, user):
    session = session_of(user)
    browser = staff(*permissions)
    revoke(browser, session)
    assert browser.post(revoke_url(user)).status_code == 403
    assert RefreshToken.objects.live().filter(pk=session.pk).exists()


def test_who_may_revoke_can(staff, user):
    one, two, browser = session_of(user), session_of(user), staff("revoke_refreshtoken", *VIEW)
    assert b"revoke_selected" in browser.get(SESSIONS).content
    revoke(browser, one)
    assert set(RefreshToken.objects.live().filter(user=user)) == {two}
    assert browser.get(revoke_url(user)).status_code == 200
    browser.post(revoke_url(user))
    assert not RefreshToken.objects.live().filter(user=user).exists()


@pytest.mark.parametrize("path", [SESSIONS, DEVICES, EVENTS])
def test_without_the_permission_to_look_there_is_nothing_to_see(path, staff):
    assert staff("view_user").get(path).status_code == 403


@pytest.mark.parametrize("signed_in", [False, True])
def test_nobody_but_staff_sees_or_revokes(signed_in, user, another):
    session = session_of(user)
    browser = another()
    if signed_in:
        login(browser, UserFactory())
    for path in (SESSIONS, DEVICES, EVENTS, f"{SESSIONS}{session.pk}/change/", revoke_url(user)):
        assert is_sent_to_login(browser.get(path))
        assert is_sent_to_login(browser.post(path, {"action": "revoke_selected", "_selected_action": session.pk}))
    assert RefreshToken.objects.live().filter(pk=session.pk).exists()


# Nothing else can be done


@pytest.fixture
def one_row_of_each(admin: Client, user: Any) -> dict[str, Any]:
    """A row of every model that the admin shows of this app, by the path of its list."""
    session = session_of(user)
    event = SecurityEvent.objects.filter(session_id=session.pk)[0]
    return {SESSIONS: session, DEVICES: session.device, EVENTS: event}


@pytest.mark.parametrize("path", [SESSIONS, DEVICES, EVENTS])
def test_nothing_can_be_added_changed_or_deleted(path, admin, one_row_of_each, clock):
    row = one_row_of_each[path]
    counts = [model.objects.count() for model in (RefreshToken, Device, SecurityEvent)]
    before = type(row).objects.filter(pk=row.pk).values().get()
    fields = {name: str(value) for name, value in before.items()} | {"name": "changed", "kind": "changed", "ip": ""}
    for method in (admin.get, admin.post):
        assert method(f"{path}add/", fields).status_code == 403
        assert method(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.post(f"{path}{row.pk}/change/", {**fields, "_save": "Save"}).status_code == 403
    admin.post(path, {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"})
    assert type(row).objects.filter(pk=row.pk).values().get() == before
    assert [model.objects.count() for model in (RefreshToken, Device, SecurityEvent)] == counts


@pytest.mark.parametrize("path", [SESSIONS, DEVICES, EVENTS])
def test_nothing_is_offered_to_add_change_or_delete(path, admin, one_row_of_each):
    html = admin.get(path).content + admin.get(f"{path}{one_row_of_each[path].pk}/change/").content
    for offer in (f'href="{path}add/"'.encode(), b"/delete/", b"delete_selected", b'name="_save"', b'name="_continue"'):
        assert offer not in html
    assert not re.search(rb'<(input|select|textarea)[^>]*name="(user|device|mode|name|kind|reason|ip)"', html)


def test_the_admin_shows_no_other_model_of_the_app():
    views = {key for key in get_resolver().namespace_dict["admin"][1].reverse_dict if isinstance(key, str)}
    assert {key.split("_")[1] for key in views if key.startswith("tokens_")} == {
        "refreshtoken",
        "device",
        "securityevent",
    }


def test_a_row_that_is_not_there_is_no_error(admin):
    for path in (SESSIONS, DEVICES, EVENTS):
        for row in ("0190b6f2-7e4c-7000-8000-000000000000", "nonsense", "%00"):
            assert admin.get(f"{path}{row}/change/").status_code == 302


def spellings(secret: bytes) -> list[bytes]:
    texts = [secret.hex(), secret.hex().upper(), b64encode(secret).decode(), urlsafe_b64encode(secret).decode()]
    return [text.rstrip("=").encode() for text in [*texts, str(secret)[2:-1]]]


def test_no_page_shows_anything_secret(admin, user):
    victim = Client(headers={"User-Agent": CURL})
    login(victim, user)
    session = RefreshToken.objects.get(user=user)
    event = SecurityEvent.objects.filter(session_id=session.pk)[0]
    secrets = [
        *(bytes(getattr(session, name)) for name in ("secret_digest", "auth_hash_digest", "user_agent_digest")),
        bytes(session.device.token_digest),
    ]
    texts = [victim.cookies[name].value.encode() for name in (ACCESS, REFRESH, DEVICE)]
    pages = [
        "/admin/",
        SESSIONS,
        DEVICES,
        EVENTS,
        f"{SESSIONS}{session.pk}/change/",
        f"{SESSIONS}{session.pk}/history/",
        f"{DEVICES}{session.device_id}/change/",
        f"{EVENTS}{event.pk}/change/",
        f"/admin/accounts/user/{user.pk}/change/",
        f"/admin/accounts/user/{user.pk}/delete/",
        revoke_url(user),
    ]
    for page in pages:
        response = admin.get(page)
        assert response.status_code == 200, page
        html = unescape(response.content.decode()).encode()
        for secret in secrets:
            assert not [spelling for spelling in spellings(secret) if spelling in html], page
        assert not [text for text in texts if text in html], page


# Deleting a user


def test_a_user_with_sessions_is_deleted_and_their_access_tokens_die(admin, boss, user, another, clock):
    victim = another()
    login(victim, user)
    session = RefreshToken.objects.get(user=user)
    path = f"/admin/accounts/user/{user.pk}/delete/"
    asked = admin.get(path)
    assert asked.status_code == 200
    assert not asked.context["perms_lacking"]
    assert admin.post(path, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()
    assert not RefreshToken.objects.filter(pk=session.pk).exists()
    assert not Device.objects.filter(pk=session.device_id).exists()
    event = SecurityEvent.objects.get(session_id=session.pk, kind="revoked")
    assert (event.user, event.reason) == (None, "user_deleted")
    connection.check_constraints()
    clock.forward(2)
    assert victim.get("/api/auth/me").status_code == 401
    assert admin.get(EVENTS).status_code == 200
    assert admin.get(f"{EVENTS}{event.pk}/change/").status_code == 200


def test_users_are_deleted_from_the_list_too(admin, user, clock):
    victim, other = Client(), UserFactory()
    login(victim, user)
    fields = {"action": "delete_selected", "_selected_action": [str(user.pk), str(other.pk)], "post": "yes"}
    assert admin.post("/admin/accounts/user/", fields).status_code == 302
    assert set(User.objects.values_list("email", flat=True)) == {"boss@example.org"}
    connection.check_constraints()
    clock.forward(2)
    assert victim.get("/api/auth/me").status_code == 401


def test_who_may_not_delete_sessions_cannot_delete_their_user(staff, user):
    session_of(user)
    browser = staff("delete_user", *VIEW)
    path = f"/admin/accounts/user/{user.pk}/delete/"
    assert {"session", "device"} <= {str(name) for name in browser.get(path).context["perms_lacking"]}
    assert browser.post(path, {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=user.pk).exists()


def test_a_user_whose_administrator_is_deleted_keeps_what_was_written_down(admin, boss, user):
    session = session_of(user)
    revoke(admin, session)
    boss.delete()
    session.refresh_from_db()
    assert (session.revoked_reason, session.revoked_by) == ("ended_by_staff", None)
    event = SecurityEvent.objects.get(kind="revoked", session_id=session.pk)
    assert (event.user, event.actor) == (user, None)
    connection.check_constraints()


def test_a_user_switched_off_in_the_admin_is_signed_out(admin, user, clock):
    victim = Client()
    login(victim, user)
    path = f"/admin/accounts/user/{user.pk}/change/"
    assert admin.post(path, {"email": user.email, "_save": "Save"}).status_code == 302
    assert RefreshToken.objects.get(user=user).revoked_reason == "user_disabled"
    clock.forward(2)
    assert victim.get("/api/auth/me").status_code == 401


def test_a_session_shown_an_instant_before_its_end_is_live(user, admin, clock):
    session = session_of(user, idle_expires_at=clock.now + timedelta(seconds=1))
    assert session.pk in listed(admin, "state=live")
    clock.forward(1)
    assert session.pk in listed(admin, "state=expired")
