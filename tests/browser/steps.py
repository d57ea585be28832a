"""What people do in a browser, in words."""

from playwright.sync_api import BrowserContext, Page

from tests.browser.sites import Person

ACCESS, REFRESH = "__Host-access", "__Host-refresh"


def sign_in(page: Page, person: Person, *, remember: bool = False, path: str = "/sign-in") -> None:
    """Sign in by the form, and wait for the page behind it."""
    page.goto(path)
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    if remember:
        page.get_by_label("Remember me on this device").check()
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)


def sign_in_by_api(page: Page, person: Person) -> None:
    """Sign in by a script of a page: the form leads on whoever is signed in already."""
    page.goto("/probe/note")
    status = page.evaluate(
        "data => fetch('/api/auth/login', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        " body: JSON.stringify(data)}).then(r => r.status)",
        {"email": person.email, "password": person.password},
    )
    assert status == 200


def cookie(context: BrowserContext, name: str) -> str | None:
    """The value of a cookie in this jar, HttpOnly or not."""
    return next((found["value"] for found in context.cookies() if found.get("name") == name), None)


def gather(page: Page, path: str, count: int) -> list[int]:
    """Send so many requests at once from the page's own script; return the status of each answer."""
    statuses: list[int] = page.evaluate(
        "([path, count]) => Promise.all(Array.from({length: count}, () => fetch(path).then(r => r.status)))",
        [path, count],
    )
    return statuses
