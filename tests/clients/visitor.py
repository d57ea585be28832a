# ruff: noqa: S310
"""A person with a browser, at a project that ``manage.py runserver`` serves. Mails are in the server's output."""

import json
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

PASSWORD, NEW_PASSWORD = "correct horse battery staple", "another horse battery staple"
FOR_ANYBODY = (
    "/sign-in", "/signed-out", "/register", "/mail-sent", "/email/confirm", "/email/confirmed", "/password/changed",
    "/password/reset", "/password/reset/confirm", "/password/reset/done", "/alarm", "/account/deleted",
)  # fmt: skip
FOR_USERS = ("/devices", "/email/change", "/password/change", "/account/delete", "/.well-known/change-password")


class Answer:
    """A response. ``path`` is where redirects have led."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status
        self.path = "/" + response.url.partition("//")[2].partition("/")[2]
        self.text: str = response.read().decode()


class Browser:
    """Keeps cookies, and follows redirects."""

    def __init__(self, origin: str) -> None:
        self.origin, self.cookies = origin, CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> Answer:
        return self._ask(Request(self.origin + path, headers={"Accept": "text/html"}))

    def submit(self, path: str, to: str = "", **fields: str) -> Answer:
        """Fill in the form on the page at ``path``, and send it there or to another path."""
        page = self.get(path)
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text)
        given = {name: unescape(value) for name, value in hidden} | fields
        headers = {"Accept": "text/html", "Origin": self.origin, "Referer": self.origin + page.path}
        return self._ask(Request(self.origin + (to or page.path), urlencode(given).encode(), headers))

    def send(self, method: str, path: str, **given: Any) -> Answer:
        headers = {"Content-Type": "application/json", "Origin": self.origin}
        return self._ask(Request(self.origin + path, json.dumps(given).encode(), headers, method=method))

    def drop(self, cookie: str) -> None:
        for found in list(self.cookies):
            if found.name == cookie:
                self.cookies.clear(found.domain, found.path, found.name)

    def _ask(self, request: Request) -> Answer:
        try:
            return Answer(self._opener.open(request, timeout=60))
        except HTTPError as error:
            return Answer(error)


class Served:
    """A running project, and what a person does there. Each method raises `AssertionError` if it does not work."""

    def __init__(self, process: "subprocess.Popen[str]", origin: str) -> None:
        self._process, self._origin = process, origin
        self._said = ""
        self.browser = Browser(origin)
        for line in self._lines():
            if line.startswith("Quit the server"):
                break
        else:
            raise AssertionError(f"The server does not start:\n{self._said}")

    def sign_in_at_the_admin(self, name: str) -> None:
        browser = Browser(self._origin)
        page = browser.submit("/admin/", username=name, password=PASSWORD)
        expect(page, 200, "/admin/")
        assert {"access", "refresh"} <= {cookie.name for cookie in browser.cookies}
        browser.drop("access")
        expect(browser.get("/admin/"), 200, "/admin/")  # Refreshed.
        expect(browser.submit("/admin/", to="/admin/logout/"), 200, "/admin/logout/")
        expect(browser.get("/admin/"), 200, "/admin/login/?next=/admin/")

    def use_the_api(self, name: str) -> None:
        browser = Browser(self._origin)
        expect(browser.send("POST", "/api/auth/login", email=name, password="wrong"), 401)
        expect(browser.send("POST", "/api/auth/login", email=name, password=PASSWORD), 200)
        for path in ("/api/auth/me", "/api/auth/sessions", "/.well-known/jwks.json"):
            expect(browser.get(path), 200, path)
        expect(browser.send("POST", "/api/auth/refresh"), 200)
        expect(browser.send("POST", "/api/auth/reauthenticate", password=PASSWORD), 200)
        expect(browser.send("POST", "/api/auth/logout"), 204)
        expect(browser.get("/api/auth/me"), 401)
        expect(browser.get("/api/nothing"), 404)

    def register(self, email: str) -> None:
        for path in FOR_ANYBODY:
            expect(self.browser.get(path), 200, path)
        page = self.browser.submit("/register", username="bob", email=email, password1=PASSWORD, password2=PASSWORD)
        expect(page, 200, "/mail-sent")
        link = self.link("/email/confirm")
        expect(self.browser.submit(link, password1=PASSWORD), 200, "/email/confirmed")

    def sign_in(self, email: str, password: str) -> None:
        page = self.browser.get("/devices")
        expect(page, 200, "/sign-in?next=/devices")
        expect(self.browser.submit("/sign-in", username=email, password=password), 200, "/devices")

    def visit_the_pages(self) -> None:
        for path in FOR_USERS:
            page = self.browser.get(path)
            expect(page, 200)
            assert "sign-in" not in page.path, page.path
            for linked in re.findall(r'href="(/[^"]*)"', page.text):
                expect(self.browser.get(linked), 200)
        expect(self.browser.submit("/devices", to="/sessions/end-others"), 200, "/devices")

    def raise_the_alarm(self) -> None:
        """Follow the link "This was not me" of the mail about the new device, and the link that is mailed then."""
        page = self.browser.submit(self.link("/alarm"))
        expect(page, 200, "/alarm")
        link = self.link("/password/reset/confirm")
        page = self.browser.submit(link, new_password1=NEW_PASSWORD, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
        expect(page, 200, "/password/reset/done")

    def sign_out(self) -> None:
        expect(self.browser.submit("/devices", to="/sign-out"), 200, "/signed-out")

    def link(self, path: str) -> str:
        """Return the next link to this page in a mail, without the origin."""
        for line in self._lines():
            found = re.search(rf"{re.escape(self._origin)}({path}\?token=\S+)$", line)
            if found:
                return found[1]
        raise AssertionError(f"No mail with a link to {path}:\n{self._said[-4000:]}")

    def _lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said += line
            yield line.rstrip("\n")


def expect(answer: Answer, status: int, path: str = "") -> None:
    """Check the status of a response, and where it comes from."""
    assert (answer.status, answer.path if path else "") == (status, path), (
        f"{answer.status} {answer.path}: {answer.text[:2000]}"
    )
