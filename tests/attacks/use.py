"""A history of two accounts that uses every operation of the project, and a record of all secrets in it."""

import re
from typing import Any

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import Client

from accounts.models import User
from tests.attacks.entry_points import SERVICE, by_service
from tests.browsers import FIREFOX, REFRESH, post
from tests.factories import AdminFactory
from tests.factors.authenticator import Authenticator
from tests.factors.steps import code

FIRST, WRONG, CHANGED, RESET, PAGE = PASSWORDS = (
    "the first password, never to be seen",
    "a wrong password, no less secret: typed elsewhere",
    "the password after the change of it",
    "the password after the reset of it",
    "the password that was given to a page",
)
OWNER = "owner@example.org"
_BODY_TOKENS = ("access_token", "refresh_token", "device_token")
_LINK = re.compile(r"\?token=(\S+)")


class Recorder(Client):
    """A browser that records every token that it receives."""

    def __init__(self, seen: set[str], **options: Any) -> None:
        super().__init__(raise_request_exception=False, headers={"User-Agent": FIREFOX}, **options)
        self._seen = seen

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        self._seen.update(cookie.value for cookie in response.cookies.values() if len(cookie.value) > 20)
        if response.get("Content-Type") == "application/json":
            self._seen.update(response.json()[name] for name in _BODY_TOKENS if name in response.json())
        return response


class Use:
    """``tokens``: every token, cookie and link that a client received. ``errors``: the responses with an error."""

    def __init__(self, clock: Any, mails: list[Any]) -> None:
        self._clock, self._mails = clock, mails
        self.tokens: set[str] = set()
        self.errors: list[Any] = []

    @property
    def secrets(self) -> set[str]:
        return {*self.tokens, *PASSWORDS, SERVICE}

    def run(self) -> None:
        """Register, sign in and out in every mode, refresh, reuse a token, change every credential, cause errors.

        At last set up an authenticator app and a passkey, and sign in with them. Staff asks for a reset of somebody's
        factors.
        """
        self._by_api()
        self._by_pages()
        self._fail()
        self._by_factors()

    def browser(self) -> Recorder:
        return Recorder(self.tokens)

    def link(self, address: str) -> str:
        """Return the token of the latest link in a mail to this address."""
        for mail in reversed(self._mails):
            if mail.to == [address] and (found := _LINK.search(mail.body)):
                self.tokens.add(found[1])
                return found[1]
        raise AssertionError(f"no link for {address}")

    def _by_api(self) -> None:
        browser = self.browser()
        self._post(browser, "register", email=OWNER, password=FIRST)
        self._post(browser, "email/confirm", token=self.link(OWNER), password=FIRST)
        self._post(browser, "register", email="waiting@example.org", password=FIRST)
        self.link("waiting@example.org")
        self._post(browser, "login", email=OWNER, password=WRONG)
        first: dict[str, Any] = {"email": OWNER, "password": FIRST}
        for mode in ("cookie", "scoped", "body"):
            answer = self._post(self.browser(), "login", **first, mode=mode, remember=True)
            assert answer.status_code == 200, answer.content
        app = self.browser()
        given = self._post(app, "login", **first, mode="body", remember=True, device_name="an app").json()
        for _ in range(3):
            self._clock.forward(600)
            token = self._post(app, "refresh", refresh_token=given["refresh_token"]).json().get("refresh_token")
        self._post(app, "refresh", refresh_token=token)
        self._clock.forward(600)
        self._post(app, "refresh", refresh_token=given["refresh_token"])  # The server detects reuse.
        self._post(browser, "login", **first)
        self._clock.forward(601)
        self._note(post(browser, "/api/auth/refresh"))
        self._post(browser, "reauthenticate", password=WRONG)
        self._post(browser, "reauthenticate", password=FIRST)
        assert self._post(browser, "service-token").status_code == 200
        assert self._post(browser, "password/change", current_password=FIRST, new_password=CHANGED).status_code < 300
        self._post(browser, "email/change", email="new@example.org")
        self.link("new@example.org")
        self._post(browser, "password/reset", email=OWNER)
        reset = {"token": self.link(OWNER), "password": RESET}
        assert self._post(browser, "password/reset/confirm", **reset).status_code < 300
        self._post(browser, "password/reset/confirm", **reset)  # The link has been used already.
        self._post(browser, "login", email=OWNER, password=RESET)
        self._post(browser, "password/reset", email=OWNER)
        self.link(OWNER)  # A link that the owner has not used stays valid.
        self._post(self.browser(), "login", email=OWNER, password=RESET, mode="body")
        for text in list(self.tokens):
            by_service(self.browser(), text)

    def _by_pages(self) -> None:
        browser = self.browser()
        user = User.objects.create_user("page@example.org", PAGE, is_staff=True, is_superuser=True)
        # Django replaces such a hash at the next sign-in.
        outdated = PBKDF2PasswordHasher().encode(PAGE, "a salt of the page's user", iterations=1)
        User._base_manager.filter(pk=user.pk).update(password=outdated)
        for password in (WRONG, PAGE):
            browser.post("/sign-in", {"username": user.email, "password": password})
        for path in ("/", "/admin/", "/admin/tokens/refreshtoken/", "/admin/tokens/securityevent/", "/nothing"):
            self._note(browser.get(path))
        browser.post("/password/reset", {"email": user.email})
        self._note(browser.get("/alarm", {"token": self.link(OWNER)}))
        self._note(browser.post("/admin/login/", {"username": user.email, "password": WRONG}))

    def _fail(self) -> None:
        """Cause an unhandled exception in every kind of request that contains a secret."""
        browser = self.browser()
        access = self._post(browser, "login", email=OWNER, password=RESET, mode="body").json()["access_token"]
        self._post(browser, "login", email=OWNER, password=RESET)
        link = self.link(OWNER)
        secret = {"token": link, "password": RESET, "somewhere": browser.cookies[REFRESH].value}
        for answer in (
            browser.get("/probe/fails", {"token": link}),
            browser.get("/probe/fails", headers={"Referer": f"https://testserver/alarm?token={link}"}),
            browser.get("/probe/fails", headers={"Authorization": f"Bearer {access}"}),
            browser.post("/probe/fails", secret),
            browser.post("/probe/fails", secret, content_type="application/json"),
        ):
            assert self._note(answer).status_code == 500

    def _by_factors(self) -> None:
        browser, again = self.browser(), self.browser()
        self._post(browser, "login", email=OWNER, password=RESET)
        secret = self._post(browser, "factors/totp").json()["secret"]
        self._post(browser, "factors/totp/confirm", code="000000")
        made = self._post(browser, "factors/totp/confirm", code=code(secret, self._clock.now)).json()["recovery_codes"]
        self.tokens |= {secret, *made}
        self._post(again, "login", email=OWNER, password=RESET)
        answer = self._post(again, "factor", method="recovery_code", answer=made[0], trust_device=True)
        assert answer.status_code == 200
        device, other = Authenticator(), self.browser()
        options = self._post(browser, "factors/passkeys").json()["options"]
        assert self._post(browser, "factors/passkeys", credential=device.create(options)).status_code == 200
        options = self._post(other, "passkey").json()["options"]
        assert self._post(other, "passkey", answer=device.sign(options)).status_code == 200
        boss, owner = (AdminFactory(password=RESET) for _ in range(2))
        self._post(browser, "login", email=boss.email, password=RESET)
        path = f"/admin/factors/factorreset/user/{owner.pk}/reset/"
        assert self._note(browser.post(path, {"reason": "lost"})).status_code == 302

    def _post(self, client: Client, path: str, **data: Any) -> Any:
        return self._note(post(client, f"/api/auth/{path}", data))

    def _note(self, answer: Any) -> Any:
        if answer.status_code >= 400:
            self.errors.append(answer)
        return answer
