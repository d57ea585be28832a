"""Real use: accounts that live through everything there is, and a record of what was secret about it."""

import re
from typing import Any

from django.test import Client

from accounts.models import User
from tests.attacks.doors import SERVICE, by_service
from tests.browsers import FIREFOX, REFRESH, post

PASSWORDS = {
    "first": "the first password, never to be seen",
    "wrong": "a wrong password, no less secret: typed elsewhere",
    "changed": "the password after the change of it",
    "reset": "the password after the reset of it",
    "page": "the password that was given to a page",
}
_BODY_TOKENS = ("access_token", "refresh_token", "device_token")
_LINK = re.compile(r"\?token=(\S+)")


class Recorder(Client):
    """A browser that notes every token that it is given."""

    def __init__(self, seen: set[str], **options: Any) -> None:
        super().__init__(raise_request_exception=False, headers={"User-Agent": FIREFOX}, **options)
        self._seen = seen

    def request(self, **request: Any) -> Any:
        answer = super().request(**request)
        self._seen.update(cookie.value for cookie in answer.cookies.values() if len(cookie.value) > 20)
        if answer.get("Content-Type") == "application/json":
            self._seen.update(answer.json()[name] for name in _BODY_TOKENS if name in answer.json())
        return answer


class Use:
    """``tokens``: every token, cookie and link that was given to anybody. ``errors``: the answers that were none."""

    def __init__(self, clock: Any, mails: list[Any]) -> None:
        self._clock, self._mails = clock, mails
        self.tokens: set[str] = set()
        self.errors: list[Any] = []

    @property
    def secrets(self) -> set[str]:
        return {*self.tokens, *PASSWORDS.values(), SERVICE}

    def run(self) -> None:
        """Register, sign in and out in every mode, refresh, lose and steal tokens, change everything, fail."""
        self._by_api()
        self._by_pages()
        self._fail()

    def browser(self) -> Recorder:
        return Recorder(self.tokens)

    def link(self, address: str) -> str:
        """The token of the latest link that was mailed to this address."""
        for mail in reversed(self._mails):
            if mail.to == [address] and (found := _LINK.search(mail.body)):
                self.tokens.add(found[1])
                return found[1]
        raise AssertionError(f"no link for {address}")

    def _by_api(self) -> None:
        address, browser = "owner@example.org", self.browser()
        self._post(browser, "register", {"email": address, "password": PASSWORDS["first"]})
        self._post(browser, "email/confirm", {"token": self.link(address)})
        self._post(browser, "login", {"email": address, "password": PASSWORDS["wrong"]})
        for mode in ("cookie", "scoped", "body"):
            data = {"email": address, "password": PASSWORDS["first"], "mode": mode, "remember": True}
            answer = self._post(self.browser(), "login", data)
            assert answer.status_code == 200, answer.content
        app = self.browser()
        first = self._post(app, "login", {**data, "device_name": "an app"}).json()["refresh_token"]
        for _ in range(3):
            self._clock.forward(600)
            token = self._post(app, "refresh", {"refresh_token": first}).json().get("refresh_token")
        self._post(app, "refresh", {"refresh_token": token})
        self._clock.forward(600)
        self._post(app, "refresh", {"refresh_token": first})  # Reuse, by now.
        self._post(browser, "login", {"email": address, "password": PASSWORDS["first"]})
        self._clock.forward(601)
        self._post(browser, "refresh")
        self._post(browser, "reauthenticate", {"password": PASSWORDS["wrong"]})
        self._post(browser, "reauthenticate", {"password": PASSWORDS["first"]})
        change = {"current_password": PASSWORDS["first"], "new_password": PASSWORDS["changed"]}
        assert self._post(browser, "password/change", change).status_code < 300
        self._post(browser, "email/change", {"email": "new@example.org"})
        self.link("new@example.org")
        self._post(browser, "password/reset", {"email": address})
        reset = {"token": self.link(address), "password": PASSWORDS["reset"]}
        assert self._post(browser, "password/reset/confirm", reset).status_code < 300
        self._post(browser, "password/reset/confirm", reset)  # Used already.
        self._post(browser, "login", {"email": address, "password": PASSWORDS["reset"]})
        self._post(browser, "password/reset", {"email": address})
        self.link(address)  # Is still good.
        self._post(self.browser(), "login", {"email": address, "password": PASSWORDS["reset"], "mode": "body"})
        for text in list(self.tokens):
            by_service(self.browser(), text)

    def _by_pages(self) -> None:
        browser = self.browser()
        user = User.objects.create_user("page@example.org", PASSWORDS["page"], is_staff=True, is_superuser=True)
        for password in (PASSWORDS["wrong"], PASSWORDS["page"]):
            browser.post("/sign-in", {"username": user.email, "password": password})
        for path in ("/", "/admin/", "/admin/tokens/refreshtoken/", "/admin/tokens/securityevent/", "/nothing"):
            self._note(browser.get(path))
        browser.post("/password/reset", {"email": user.email})
        self._note(browser.get("/alarm", {"token": self.link("owner@example.org")}))
        self._note(browser.post("/admin/login/", {"username": user.email, "password": PASSWORDS["wrong"]}))

    def _fail(self) -> None:
        """A bug of somebody's in every kind of request that brings something secret along."""
        browser, address = self.browser(), "owner@example.org"
        answer = self._post(browser, "login", {"email": address, "password": PASSWORDS["reset"], "mode": "body"})
        access = answer.json()["access_token"]
        self._post(browser, "login", {"email": address, "password": PASSWORDS["reset"]})
        link, password = self.link(address), PASSWORDS["reset"]
        secret = {"token": link, "password": password, "somewhere": browser.cookies[REFRESH].value}
        for answer in (
            browser.get("/probe/fails", {"token": link}),
            browser.get("/probe/fails", headers={"Referer": f"https://testserver/alarm?token={link}"}),
            browser.get("/probe/fails", headers={"Authorization": f"Bearer {access}"}),
            browser.post("/probe/fails", secret),
            browser.post("/probe/fails", secret, content_type="application/json"),
        ):
            assert self._note(answer).status_code == 500

    def _post(self, client: Client, path: str, data: Any = None) -> Any:
        return self._note(post(client, f"/api/auth/{path}", data))

    def _note(self, answer: Any) -> Any:
        if answer.status_code >= 400:
            self.errors.append(answer)
        return answer
