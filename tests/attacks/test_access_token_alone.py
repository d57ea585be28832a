"""An access token alone changes no account and ends no other session: other hosts and services may have seen it.

A change needs a refresh token of the same session, the voucher of a session that is bound to its device, or the current
password. The thief in these tests is another client that has the owner's access token, and nothing else of the owner's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.test import Client

from accounts.models import User
from accounts.service import passwords
from tests.attacks.changes import CHANGES, PAGES, everything, other_session, submit
from tests.browsers import ACCESS, REFRESH, SESSION, login, new_browser, post
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.devices import OFFERED
from tests.tokens.devices import Device as KeyedBrowser
from tests.tokens.service.holders import Holder
from tests.tokens.service.statements import verbs
from tests.tokens.service.threads import in_thread
from tokens.api import base
from tokens.conf import keyring
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.service import auth_hash, issuing
from tokens.web import possession

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.long,
    pytest.mark.at_length_on("sqlite"),
    pytest.mark.urls("tests.attacks.possession_urls"),
]

SITE_ACCESS, SCOPED_REFRESH = "__Secure-access", "__Http-refresh"
KINDS = ["cookie", "scoped", "subdomain", "body", "bound"]
"""The storage modes, and a session that is bound to its device."""
REQUIRED = "refresh_token_required"


@pytest.fixture(autouse=True)
def _serves_all(settings: Any, clock: Any) -> None:
    """Lets the server accept all modes and offer to bind. Otherwise a token that counts in another mode would not show.

    The clock stands still, so that no access token expires in a slow test.
    """
    settings.ORIGIN = "https://testserver"
    settings.ALLOWED_HOSTS = ["*"]
    settings.TOKENS = {"MODES": KINDS[:4], "COOKIE_DOMAIN": "testserver", **OFFERED}


each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
each_kind = pytest.mark.parametrize("kind", KINDS)


@dataclass
class Signed:
    """The owner's browser with its session. ``access`` and ``refresh`` are its tokens. ``row`` is read anew."""

    client: Client
    user: Any
    kind: str
    session_id: str
    access: str = ""
    refresh: str = ""

    def take_tokens(self, answer: Any = None) -> None:
        """Note the tokens of the browser, or those of an answer in mode ``body``."""
        jar = {name: morsel.value for name, morsel in self.client.cookies.items()}
        self.access = answer["access_token"] if self.kind == "body" else jar[self.access_cookie]
        self.refresh = answer["refresh_token"] if self.kind == "body" else jar.get(self.refresh_cookie, "")

    @property
    def row(self) -> RefreshToken:
        return RefreshToken.objects.get(pk=self.session_id)

    @property
    def refresh_cookie(self) -> str:
        return SCOPED_REFRESH if self.kind == "scoped" else REFRESH

    @property
    def bearer(self) -> dict[str, str]:
        """The header with the access token."""
        return {"Authorization": f"Bearer {self.access}"}

    @property
    def access_cookie(self) -> str:
        return SITE_ACCESS if self.kind == "subdomain" else ACCESS

    def send(self, change: Callable[..., Any], **proof: Any) -> Any:
        """Send a request as the owner's own client does, without a proof in the body unless it is given."""
        return change(self.client, self.bearer if self.kind == "body" else {}, **proof)


def sign_in(user: Any, kind: str) -> Signed:
    client = new_browser()
    if kind == "bound":
        device = KeyedBrowser(client).bind(user)
        return Signed(client, user, kind, device.sid, client.cookies[ACCESS].value)
    answer = login(client, user, mode=kind, remember=True)
    signed = Signed(client, user, kind, answer["session"]["id"])
    signed.take_tokens(answer)
    return signed


@pytest.fixture
def owner(user: Any) -> Callable[..., Signed]:
    """Sign the owner in, beside another session of theirs, which a change could end.

    The value is a function of the kind of session. Without the other session a change that ends all would not show.
    """

    def signed(kind: str) -> Signed:
        Holder(user)
        return sign_in(user, kind)

    return signed


WAYS: dict[str, Callable[[Signed], tuple[Client, dict[str, str]]]] = {
    "in a Bearer header": lambda owner: (Client(), owner.bearer),
    "in a cookie": lambda owner: (Client(), {"Cookie": f"{owner.access_cookie}={owner.access}"}),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def problem(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@each_kind
@each_way
def test_an_access_token_alone_changes_nothing(owner, kind, way, mailoutbox):
    signed = owner(kind)
    before = [*everything(), len(mailoutbox)]
    client, headers = way(signed)
    for name, change in CHANGES.items():
        assert (problem(change(client, headers)), [*everything(), len(mailoutbox)]) == ((403, REQUIRED), before), name
    assert client.get("/api/auth/me", headers=headers).status_code == 200


def forged(owner: Signed) -> str:
    """Return a token of the owner's session with a valid MAC, but another secret."""
    ring = keyring()
    token = refresh_tokens.RefreshToken(owner.row.pk, b"x" * 16, owner.row.generation)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])


def flipped(owner: Signed) -> str:
    """Return the owner's token with another generation, which the MAC does not cover."""
    return owner.refresh[:-30] + ("A" if owner.refresh[-30] != "A" else "B") + owner.refresh[-29:]


WRONG: dict[str, Callable[[Signed], str]] = {
    "another session of the owner": lambda owner: sign_in(owner.user, owner.kind).refresh,
    "another user": lambda owner: sign_in(UserFactory(), owner.kind).refresh,
    "a forger who knows the server's key": forged,
    "a forger": flipped,
    "nobody": lambda owner: "latchkey_rt_",
    "a stranger": lambda owner: "\N{SNOWMAN}",
}


def presenting(owner: Signed, text: str, change: Callable[..., Any], way: Any) -> Any:
    """Send a change by a client that has the access token, and this refresh token in the right place."""
    client, headers = way(owner)
    if owner.kind == "body":
        return change(client, headers, refresh_token=text)
    cookie = f"{owner.refresh_cookie}={text.encode('ascii', 'replace').decode()}"
    return change(client, {**headers, "Cookie": "; ".join([*filter(None, [headers.get("Cookie")]), cookie])})


@pytest.mark.parametrize("whose", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("kind", KINDS[:4])
def test_the_refresh_token_of_anybody_else_gets_the_same_answer(owner, kind, whose):
    signed, way = owner(kind), WAYS["in a Bearer header" if kind == "body" else "in a cookie"]
    client, headers = way(signed)
    text = whose(signed)
    for change in CHANGES.values():
        alone, before = change(client, headers), everything()
        answer = presenting(signed, text, change, way)
        assert (answer.status_code, answer.content, answer.headers) == (403, alone.content, alone.headers)
        assert everything() == before


@pytest.mark.parametrize("kind", KINDS[:4])
def test_an_older_refresh_token_gets_the_same_answer_and_does_not_end_the_session(owner, kind, clock):
    signed = owner(kind)
    way = WAYS["in a Bearer header"]
    first = signed.refresh
    for _ in range(2):
        clock.forward(100)
        given = {"refresh_token": signed.refresh} if kind == "body" else None
        signed.take_tokens(post(signed.client, "/api/auth/refresh", given).json())
    client, headers = way(signed)
    for name, change in CHANGES.items():
        alone, before = change(client, headers), everything()
        answer = presenting(signed, first, change, way)
        assert (answer.status_code, answer.content, everything()) == (403, alone.content, before), name
    assert presenting(signed, signed.refresh, CHANGES["all other sessions are ended"], way).status_code < 300


@pytest.mark.parametrize("later", [0, 31], ids=["at the same time", "later, and its successor was used"])
@pytest.mark.parametrize("kind", KINDS[:4])
def test_the_refresh_token_before_counts_while_a_parallel_request_may_present_it(owner, kind, later, clock):
    signed = owner(kind)
    clock.forward(100)
    before = signed.refresh
    assert post(signed.client, "/api/auth/refresh", {"refresh_token": before} if kind == "body" else None)
    RefreshToken.objects.filter(pk=signed.session_id).update(acknowledged=bool(later))
    clock.forward(later)
    answer = presenting(signed, before, CHANGES["all other sessions are ended"], WAYS["in a Bearer header"])
    assert (answer.status_code, signed.row.revoked_at) == (403 if later else 204, None)


@each_change
@each_kind
def test_the_owners_own_client_changes_the_account(owner, kind, change, mailoutbox):
    signed = owner(kind)
    before = [*everything(), len(mailoutbox)]
    proof = {"refresh_token": signed.refresh} if kind == "body" else {}
    answer = signed.send(change, **proof)
    assert answer.status_code in {200, 202, 204}, answer.content
    assert [*everything(), len(mailoutbox)] != before


@pytest.mark.parametrize("kind", ["cookie", "scoped", "subdomain", "bound"])
def test_a_token_that_came_in_another_way_than_its_mode_says_does_not_count(owner, kind):
    signed, change = owner(kind), CHANGES["the account is deleted"]
    token = signed.refresh or Holder(signed.user).token
    assert problem(change(Client(), signed.bearer, refresh_token=token)) == (403, REQUIRED)
    body = sign_in(signed.user, "body")
    cookie = f"{REFRESH}={body.refresh}; {SCOPED_REFRESH}={body.refresh}"
    assert problem(change(Client(), {**body.bearer, "Cookie": cookie})) == (403, REQUIRED)


def test_of_several_scoped_cookies_any_may_be_the_right_one(owner):
    signed = owner("scoped")
    planted = sign_in(UserFactory(), "scoped").refresh
    cookie = f"{ACCESS}={signed.access}; {SCOPED_REFRESH}={planted}; {SCOPED_REFRESH}={signed.refresh}"
    assert CHANGES["the account is deleted"](Client(), {"Cookie": cookie}).status_code == 204


def test_the_refresh_token_of_before_the_binding_does_not_count(user):
    Holder(user)
    client = new_browser()
    device = KeyedBrowser(client).sign_in(user)
    old = client.cookies[REFRESH].value
    device.register()
    assert device.refresh().status_code == 200
    cookie = {"Cookie": f"{ACCESS}={client.cookies[ACCESS].value}; {REFRESH}={old}"}
    assert problem(CHANGES["the account is deleted"](Client(), cookie)) == (403, REQUIRED)
    assert RefreshToken.objects.live().count() == 2


@each_change
@each_kind
def test_the_current_password_is_enough_and_the_sign_in_need_not_be_recent(owner, kind, change, clock):
    signed = owner(kind)
    RefreshToken.objects.filter(pk=signed.session_id).update(authenticated_at=None)
    before = everything()
    assert change(Client(), signed.bearer, current_password=PASSWORD).status_code in {200, 202, 204}
    assert everything() != before


@each_kind
def test_a_wrong_password_changes_nothing_and_is_counted(owner, kind, throttled):
    throttled(sign_in_device="6/1h", sign_in_account="6/1h")
    signed = owner(kind)
    before = everything()
    for name, change in CHANGES.items():
        answer = change(Client(), signed.bearer, current_password="not this one")
        assert problem(answer) == (401, "invalid_credentials"), name
    for name, change in CHANGES.items():
        assert problem(change(Client(), signed.bearer, current_password=PASSWORD)) == (429, "throttled"), name
    assert everything() == before


def test_without_a_recent_sign_in_the_password_is_enough_and_a_refresh_token_is_not(owner, clock):
    signed, change = owner("cookie"), CHANGES["the account is deleted"]
    clock.forward(901)
    assert post(signed.client, "/api/auth/refresh").status_code == 200
    assert problem(signed.send(change)) == (403, "reauthentication_required")
    assert signed.send(change, current_password=PASSWORD).status_code == 204


def test_the_session_of_the_request_ends_without_a_proof(owner):
    signed = owner("body")
    assert Client().delete(f"/api/auth/sessions/{signed.session_id}", headers=signed.bearer).status_code == 204
    assert RefreshToken.objects.live().count() == 1


def test_a_page_of_another_origin_cannot_put_the_users_cookies_beside_an_access_token_that_it_has_got(owner):
    signed = owner("cookie")
    headers = {**signed.bearer, "Origin": "https://evil.testserver"}
    response = CHANGES["the account is deleted"](signed.client, {**headers, "Sec-Fetch-Site": "same-site"})
    assert problem(response) == (403, REQUIRED)


@pytest.mark.parametrize("how", ["a middleware that refreshes", "a middleware that moves a sign-in over"])
def test_a_request_that_gets_tokens_by_itself_needs_no_more(user, clock, settings, how):
    """In strict mode the refresh token of such a request has been replaced before the view runs."""
    settings.TOKENS = {"REUSE_GRACE": 0}
    client = new_browser()
    if how == "a middleware that refreshes":
        login(client, user)
        clock.forward(601)
    else:
        client.force_login(user)
    assert client.post("/probe/change", "{}", content_type="application/json").status_code == 200


class TestAViewOfAProject:
    """It calls `sessions.change_account`, and does not catch the exception."""

    @each_way
    @each_kind
    def test_is_answered_by_the_middleware(self, owner, kind, way):
        signed = owner(kind)
        client, headers = way(signed)
        before = everything()
        for body in ("{}", '{"careless": true}', '{"refresh_token": "latchkey_rt_"}'):
            response = client.post(
                "/probe/change", body, "application/json", headers={**headers, "Accept": "application/json"}
            )
            assert problem(response) == (403, REQUIRED)
        assert everything() == before

    @each_kind
    def test_changes_the_account_with_a_proof(self, owner, kind):
        signed = owner(kind)
        given = {"refresh_token": signed.refresh} if kind == "body" else {"current_password": PASSWORD}
        assert Client().post("/probe/change", given, "application/json", headers=signed.bearer).status_code == 200
        assert User.objects.get().email == "changed@example.org"


class TestAPage:
    """In mode ``scoped`` a page gets no refresh token, and asks for the password."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_asks_a_client_with_an_access_token_alone_for_the_password(self, owner, kind, mailoutbox):
        signed = owner(kind)
        client = Client(headers=signed.bearer if kind == "body" else WAYS["in a cookie"](signed)[1])
        before = [*everything(), len(mailoutbox)]
        for name, page in PAGES.items():
            response = submit(client, page)
            assert response.status_code == 200, name
            assert 'name="current_password"' in response.content.decode(), name
            assert [*everything(), len(mailoutbox)] == before, name

    @each_page
    @pytest.mark.parametrize("kind", ["cookie", "subdomain", "bound"])
    def test_does_not_ask_where_browsers_send_the_refresh_token(self, owner, kind, page):
        signed = owner(kind)
        before = everything()
        path, _ = page
        if "/sessions/" not in path:
            for came_from in ("none", "same-origin", "cross-site"):
                shown = signed.client.get(path, headers={"Sec-Fetch-Site": came_from}).content.decode()
                assert 'name="current_password"' not in shown
        assert submit(signed.client, page).status_code == 302
        assert everything() != before

    @each_page
    def test_changes_the_account_with_the_right_password_only(self, owner, page, clock):
        signed = owner("scoped")
        before = everything()
        if "/sessions/" not in page[0]:
            assert 'name="current_password"' in signed.client.get(page[0]).content.decode()
        response = submit(signed.client, page, current_password="not this one")
        assert "This is not your current password." in response.content.decode()
        assert everything() == before
        assert submit(signed.client, page, current_password=PASSWORD).status_code == 302
        assert everything() != before

    @each_page
    def test_asks_once_only_if_the_sign_in_is_not_recent(self, owner, page):
        signed = owner("scoped")
        RefreshToken.objects.filter(pk=signed.session_id).update(authenticated_at=None)
        signed.client.cookies[ACCESS] = old_access(signed)
        response = submit(signed.client, page)
        assert 'name="current_password"' in response.content.decode()
        assert submit(signed.client, page, current_password=PASSWORD).status_code == 302

    def test_asks_if_the_refresh_token_is_too_old(self, owner, clock):
        signed = owner("cookie")
        for _ in range(2):
            clock.forward(100)
            assert post(signed.client, "/api/auth/refresh").status_code == 200
        signed.client.cookies[REFRESH] = signed.refresh
        page = PAGES["the page to delete the account"]
        response = submit(signed.client, page)
        assert 'name="current_password"' in response.content.decode()
        assert "This field is required." in response.content.decode()
        assert submit(signed.client, page, current_password="not this one").status_code == 200
        assert User.objects.exists()
        assert submit(signed.client, page, current_password=PASSWORD).status_code == 302
        assert not User.objects.exists()

    def test_keeps_the_name_of_a_device_and_shows_the_same_button(self, owner):
        signed = owner("scoped")
        response = submit(signed.client, PAGES["the form that names another device"]).content.decode()
        assert f'action="/sessions/{other_session().pk}/rename"' in response
        assert '<input type="hidden" name="name" value="mine"' in response
        assert "<button>Save</button>" in response

    def test_a_browser_ends_its_own_session_without_the_password(self, owner):
        signed = owner("scoped")
        assert signed.client.post(f"/sessions/{signed.session_id}/end").status_code == 302
        assert signed.row.revoked_at is not None


def old_access(signed: Signed) -> str:
    """Return an access token of the session that does not say when the user signed in."""
    row = signed.row
    return issuing.access_token(row, signed.user, None, RefreshToken.objects.for_decision().get(pk=row.pk).now)[0]


class TestTheAdmin:
    """A member of the staff could set anybody's password there, and so could a thief with their access token."""

    @staticmethod
    def set_password(client: Client, user: Any, headers: Any = None) -> Any:
        new = {"password1": "what the thief likes", "password2": "what the thief likes", "usable_password": "true"}
        return client.post(f"/admin/accounts/user/{user.pk}/password/", new, headers=headers)

    @each_kind
    @each_way
    def test_an_access_token_alone_changes_nothing_there(self, kind, way, user):
        signed = sign_in(AdminFactory(), kind)
        client, headers = way(signed)
        before = everything()
        response = self.set_password(client, user, headers)
        assert (response.status_code, everything()) == (302, before)
        assert response["Location"].startswith("/admin/login/")
        page = client.get(response["Location"], headers=headers)
        assert page.status_code == 200
        assert 'name="password"' in page.content.decode()
        assert client.get("/api/auth/me", headers=headers).status_code == 200

    @pytest.mark.parametrize("kind", ["cookie", "scoped", "subdomain", "bound"])
    def test_it_works_in_the_browser_of_the_staff(self, kind, user):
        signed = sign_in(AdminFactory(), kind)
        assert self.set_password(signed.client, user)["Location"] == f"/admin/accounts/user/{user.pk}/change/"
        user.refresh_from_db()
        assert user.check_password("what the thief likes")
        assert signed.client.get("/admin/login/").status_code == 302

    @pytest.mark.parametrize("kind", ["scoped", "bound"])
    def test_djangos_session_counts_only_if_the_sign_in_in_it_is_that_of_this_session(self, kind, user):
        staff = AdminFactory()
        signed, earlier = sign_in(staff, kind), sign_in(staff, kind)
        for browser in (earlier, sign_in(user, kind)):
            cookie = f"{ACCESS}={signed.access}; {SESSION}={browser.client.cookies[SESSION].value}"
            assert self.set_password(Client(), user, {"Cookie": cookie})["Location"].startswith("/admin/login/")
        # A view that writes to the session gives a client with an access token a session that names ours.
        thief = Client(headers={"Cookie": f"{ACCESS}={signed.access}"})
        written = thief.get("/probe/write").cookies[SESSION].value
        cookie = f"{ACCESS}={signed.access}; {SESSION}={written}"
        assert self.set_password(Client(), user, {"Cookie": cookie})["Location"].startswith("/admin/login/")
        assert user.password == User.objects.get(pk=user.pk).password

    @pytest.mark.parametrize("kind", ["cookie", "subdomain"])
    def test_djangos_session_does_not_replace_a_refresh_token_that_every_request_has(self, kind, user):
        signed = sign_in(AdminFactory(), kind)
        del signed.client.cookies[REFRESH]
        assert self.set_password(signed.client, user)["Location"].startswith("/admin/login/")

    def test_who_signs_in_again_there_goes_on(self, user):
        staff = AdminFactory()
        signed = sign_in(staff, "cookie")
        client = Client()
        client.cookies[ACCESS] = signed.access
        where = self.set_password(client, user)["Location"]
        assert client.post(where, {"username": staff.email, "password": PASSWORD}).status_code == 302
        assert self.set_password(client, user)["Location"] == f"/admin/accounts/user/{user.pk}/change/"

    def test_to_sign_out_an_access_token_is_enough(self, user):
        signed = sign_in(AdminFactory(), "cookie")
        client, headers = WAYS["in a cookie"](signed)
        assert client.post("/admin/logout/", headers=headers).status_code in {200, 302}
        assert signed.row.revoked_at is not None

    def test_the_check_reads_one_row_and_locks_none(self, user, monkeypatch):
        signed = sign_in(AdminFactory(), "cookie")
        seen: list[list[str]] = []
        original = possession.treat_as_anonymous

        def watched(request: Any, *, needs_proof: bool) -> None:
            seen.append(verbs(lambda: original(request, needs_proof=needs_proof)))

        monkeypatch.setattr(possession, "treat_as_anonymous", watched)
        self.set_password(signed.client, user)
        assert seen == [["SELECT"]]


def set_password(user: Any, password: str) -> None:
    """Set a password. The user's sessions go on, as the session does in which a password is changed."""
    User.objects.filter(pk=user.pk).update(password=make_password(password))
    RefreshToken.objects.update(auth_hash_digest=auth_hash.digest_of(User.objects.get(pk=user.pk)))


def with_a_change_after(check: Callable[..., Any], user: Any) -> Callable[..., Any]:
    """Return the function that checks a password, with a change of the password before it returns."""

    def checked_before(request: Any, **given: Any) -> Any:
        known = check(request, **given)
        with in_thread(lambda: set_password(user, "what the owner has chosen")):
            pass
        return known

    return checked_before


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["cookie", "body", "bound"])
def test_a_password_that_is_changed_while_it_is_checked_is_no_proof(owner, kind, monkeypatch):
    """The refresh cookie does not help: the client has said which proof is to count."""
    signed = owner(kind)
    monkeypatch.setattr(base, "authenticate", with_a_change_after(authenticate, signed.user))
    before = [list(Device.objects.order_by("pk").values()), RefreshToken.objects.live().count()]
    for name, change in CHANGES.items():
        set_password(signed.user, PASSWORD)
        assert problem(signed.send(change, current_password=PASSWORD)) == (403, REQUIRED), name
        assert [list(Device.objects.order_by("pk").values()), RefreshToken.objects.live().count()] == before, name
    assert not SecurityEvent.objects.filter(kind=SecurityEvent.Kind.EMAIL_CHANGE).exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_password_that_is_changed_while_it_is_checked_is_not_changed_again(owner, monkeypatch):
    signed = owner("cookie")
    monkeypatch.setattr(passwords, "authenticate", with_a_change_after(authenticate, signed.user))
    given = {"current_password": PASSWORD, "new_password": "what somebody else likes"}
    assert problem(post(signed.client, "/api/auth/password/change", given)) == (401, "invalid_credentials")
    assert User.objects.get().check_password("what the owner has chosen")
