"""Every page that people see, in every state worth looking at, and how somebody gets there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.browser.sites import Person, Site
from tests.browser.steps import sign_in

SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"
LONG_NAME = "The very old laptop in the shed behind the house, beside Donaudampfschifffahrtsgesellschaftskapitäne"
"""As long as a name may be, with a word in it that fits on no phone."""
NEW_PASSWORD = "a brand new and better password"

_LOGIN = """async given => (await fetch("/api/auth/login", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(given)
})).ok"""

_THROTTLE = """import os
from tokens import conf
os.environ["TOKENS_THROTTLES"] = rates
conf.read.cache_clear()
conf.token_settings.cache_clear()"""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody in front of a browser. ``down``: the same site when its database cannot be reached."""

    page: Page
    site: Site
    person: Person
    jar: Callable[..., BrowserContext]
    down: Callable[[], Site]

    def sign_in(self) -> None:
        sign_in(self.page, self.person)

    def sign_in_elsewhere(self, name: str = "", **options: Any) -> None:
        """Sign the person in by the API in another browser, or in an app that gives its device a name."""
        page = self.jar(base_url=self.site.origin, **options).new_page()
        page.goto("/sign-in")
        given = {"email": self.person.email, "password": self.person.password}
        assert page.evaluate(_LOGIN, {**given, "device_name": name} if name else given)

    def link(self, subject: str) -> str:
        """The path of the link in the latest mail with this subject."""
        text = [mail["text"] for mail in self.site.mails(self.person) if subject in mail["subject"]][-1]
        return next(word for word in text.split() if "?token=" in word).removeprefix(self.site.origin)

    def fill(self, **fields: str) -> None:
        """Fill the fields of these names, and press the form's button."""
        for name, value in fields.items():
            self.page.locator(f"main [name={name}]").fill(value)
        self.page.locator("main form button").last.click()


def sign_in_page(visit: Visit) -> None:
    visit.page.goto("/sign-in")


def sign_in_refused(visit: Visit) -> None:
    visit.page.goto("/sign-in")
    visit.fill(username=visit.person.email, password="wrong")


def sign_in_again(visit: Visit) -> None:
    visit.sign_in()
    visit.site.forward(901)
    visit.page.goto("/password/change")


def sign_in_again_refused(visit: Visit) -> None:
    sign_in_again(visit)
    visit.fill(current_password="wrong")


def signed_out(visit: Visit) -> None:
    visit.sign_in()
    visit.page.get_by_role("banner").get_by_role("button", name="Sign out").click()


def register(visit: Visit) -> None:
    visit.page.goto("/register")


def register_refused(visit: Visit) -> None:
    visit.page.goto("/register")
    visit.fill(email=visit.person.email, password1="12345", password2="54321")


def mail_sent(visit: Visit) -> None:
    visit.page.goto("/register")
    visit.fill(email=visit.person.email, password1=NEW_PASSWORD, password2=NEW_PASSWORD)


def confirm_email(visit: Visit) -> None:
    visit.page.goto("/email/confirm?token=x")


def confirm_email_refused(visit: Visit) -> None:
    confirm_email(visit)
    visit.fill()


def email_confirmed(visit: Visit) -> None:
    visit.page.goto("/email/confirmed")


def devices_alone(visit: Visit) -> None:
    visit.sign_in()


def devices(visit: Visit) -> None:
    visit.sign_in_elsewhere(LONG_NAME)
    visit.sign_in_elsewhere(user_agent=SAFARI)
    visit.site.do(
        "from tokens.models import RefreshToken\n"
        "for row, ip in zip(RefreshToken.objects.filter(user__email=email).order_by('id'), ips):\n"
        "    RefreshToken.objects.filter(id=row.id).update(ip=ip)",
        email=visit.person.email,
        ips=["2001:db8:85a3:1319:8a2e:370:7344:8a2e", "203.0.113.77"],
    )
    visit.sign_in()


def device_renamed(visit: Visit) -> None:
    devices(visit)
    visit.page.locator("summary").first.click()
    visit.page.locator("[name=name]").first.fill("Laptop")
    visit.page.get_by_role("button", name="Save").first.click()


def device_not_renamed(visit: Visit) -> None:
    devices(visit)
    visit.page.locator("summary").first.click()
    visit.page.locator("[name=name]").first.fill("a\u200e\u0085b")
    visit.page.get_by_role("button", name="Save").first.click()


def change_email(visit: Visit) -> None:
    visit.sign_in()
    visit.page.goto("/email/change")


def change_password(visit: Visit) -> None:
    visit.sign_in()
    visit.page.goto("/password/change")


def change_password_refused(visit: Visit) -> None:
    change_password(visit)
    visit.fill(current_password="wrong", password1=NEW_PASSWORD, password2=NEW_PASSWORD)


def password_changed(visit: Visit) -> None:
    change_password(visit)
    visit.fill(current_password=visit.person.password, password1=NEW_PASSWORD, password2=NEW_PASSWORD)


def reset_password(visit: Visit) -> None:
    visit.page.goto("/password/reset")


def choose_password(visit: Visit) -> None:
    visit.page.goto("/password/reset/confirm?token=x")


def password_reset(visit: Visit) -> None:
    visit.page.goto("/password/reset/done")


def delete_account(visit: Visit) -> None:
    visit.sign_in()
    visit.page.goto("/account/delete")


def account_deleted(visit: Visit) -> None:
    delete_account(visit)
    visit.page.get_by_label("Delete my account").check()
    visit.fill()


def bad_request(visit: Visit) -> None:
    visit.page.goto(visit.site.origin.replace("app.test", "evil.test"))


def form_outdated(visit: Visit) -> None:
    visit.page.goto("/sign-in")
    visit.page.context.clear_cookies()
    visit.fill(username=visit.person.email, password="wrong")


def not_found(visit: Visit) -> None:
    visit.page.goto("/nothing")


def method_not_allowed(visit: Visit) -> None:
    visit.page.goto("/sign-out")


def throttled(visit: Visit) -> None:
    """Somebody has given a wrong password more often than they may."""
    visit.site.do(_THROTTLE, rates="sign_in_account=1/h")
    try:
        for _ in range(2):
            sign_in_refused(visit)
    finally:
        visit.site.do(_THROTTLE, rates="off")


def error(visit: Visit) -> None:
    """Somebody meets a bug in a view."""
    visit.site.do("from accounts import views; views.Register.get = lambda *given, **more: 1 / 0")
    try:
        visit.page.goto("/register")
    finally:
        visit.site.do("from accounts import views; del views.Register.get")


def unavailable(visit: Visit) -> None:
    """Somebody who is signed in meets an outage of the database: their cookies are for all ports of this host."""
    visit.sign_in()
    visit.page.goto(visit.down().origin)


PAGES: dict[str, Callable[[Visit], None]] = {
    "sign-in": sign_in_page,
    "sign-in-refused": sign_in_refused,
    "sign-in-again": sign_in_again,
    "sign-in-again-refused": sign_in_again_refused,
    "signed-out": signed_out,
    "register": register,
    "register-refused": register_refused,
    "mail-sent": mail_sent,
    "confirm-email": confirm_email,
    "confirm-email-refused": confirm_email_refused,
    "email-confirmed": email_confirmed,
    "devices": devices,
    "devices-alone": devices_alone,
    "device-renamed": device_renamed,
    "device-not-renamed": device_not_renamed,
    "change-email": change_email,
    "change-password": change_password,
    "change-password-refused": change_password_refused,
    "password-changed": password_changed,
    "reset-password": reset_password,
    "choose-password": choose_password,
    "password-reset": password_reset,
    "delete-account": delete_account,
    "account-deleted": account_deleted,
    "400-bad-request": bad_request,
    "403-form-outdated": form_outdated,
    "404-not-found": not_found,
    "405-method-not-allowed": method_not_allowed,
    "429-throttled": throttled,
    "500-error": error,
    "503-unavailable": unavailable,
}
"""By the names of their screenshots."""
