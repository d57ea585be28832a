"""Every page of the project, in each of its states, and the steps that lead a user there."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.browser.sites import Person, Site
from tests.browser.steps import sign_in, sign_out

SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"
LONG_NAME = "The very old laptop in the shed behind the house, beside Donaudampfschifffahrtsgesellschaftskapitäne"
"""A name of the maximum length, with a word in it that is wider than a phone."""
NEW_PASSWORD = "a brand new and better password"
NEW_TWICE = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}

_THROTTLE = """import os
from tokens import conf
os.environ["TOKENS_THROTTLES"] = rates
conf.read.cache_clear()
conf.token_settings.cache_clear()"""


@dataclass(frozen=True, slots=True)
class Visit:
    """A user in front of a browser. ``down`` returns the same site without a database."""

    page: Page
    site: Site
    person: Person
    down: Callable[[], Site]

    def sign_in_elsewhere(self, name: str = "", ip: str = "127.0.0.1") -> None:
        """Let the user sign in on a phone. ``name``: of the device; its browser names it by default."""
        self.site.do(
            "from accounts.models import User\n"
            "from tokens.service.client import Client\n"
            "from tokens.service.opening import open_session\n"
            "client = Client(ip, user_agent)\n"
            "open_session(User.objects.get(email=email), client, mode='cookie', device_name=name)",
            email=self.person.email,
            ip=ip,
            user_agent=SAFARI,
            name=name,
        )

    def open_mail(self, person: Person | None = None) -> None:
        """Follow the link in the latest mail to the user, or to another one."""
        text = self.site.mails(person or self.person)[-1]["text"]
        self.page.goto(next(word for word in text.split() if "?token=" in word))

    def fill(self, **fields: str) -> None:
        """Fill the fields of these names, and press the last button of the form that has them."""
        for name, value in fields.items():
            self.page.locator(f"main [name={name}]").fill(value)
        form = "".join(f":has([name={name}])" for name in fields)
        self.page.locator(f"main form{form} button").last.click()


Step = Callable[[Visit], None]


def page(path: str, **fields: str) -> Step:
    """Go to a page, and send its form if there are ``fields``. "{email}" and "{password}" are the user's."""

    def go(visit: Visit) -> None:
        visit.page.goto(path)
        if fields:
            own = {"email": visit.person.email, "password": visit.person.password}
            visit.fill(**{name: value.format(**own) for name, value in fields.items()})

    return go


def signed_in(*steps: Step) -> Step:
    """Sign in, and then take these steps."""

    def go(visit: Visit) -> None:
        sign_in(visit.page, visit.person)
        for step in steps:
            step(visit)

    return go


def quarter_of_an_hour(visit: Visit) -> None:
    """Wait until the password must be confirmed before changes."""
    visit.site.forward(901)


def confirm_email(visit: Visit) -> None:
    new = Person(f"new.{visit.person.email}")
    visit.page.goto("/register")
    visit.fill(email=new.email, **NEW_TWICE)
    visit.open_mail(new)


def choose_password(visit: Visit) -> None:
    visit.page.goto("/password/reset")
    visit.fill(email=visit.person.email)
    visit.open_mail()


def devices(visit: Visit) -> None:
    visit.sign_in_elsewhere(LONG_NAME, "2001:db8:85a3:1319:8a2e:370:7344:8a2e")
    visit.sign_in_elsewhere(ip="203.0.113.77")
    sign_in(visit.page, visit.person)


def renamed_to(name: str) -> Step:
    def go(visit: Visit) -> None:
        devices(visit)
        visit.page.locator("summary").first.click()
        visit.page.locator("[name=name]").first.fill(name)
        visit.page.get_by_role("button", name="Save").first.click()

    return go


def delete(visit: Visit) -> None:
    visit.page.goto("/account/delete")
    visit.page.get_by_label("Delete my account").check()
    visit.fill()


def bad_request(visit: Visit) -> None:
    visit.page.goto(visit.site.origin.replace("app.test", "evil.test"))


def form_outdated(visit: Visit) -> None:
    visit.page.goto("/sign-in")
    visit.page.context.clear_cookies()
    visit.fill(username=visit.person.email, password="wrong")


def throttled(visit: Visit) -> None:
    """Send a wrong password more often than the throttle allows."""
    visit.site.do(_THROTTLE, rates="sign_in_account=1/h")
    try:
        for _ in range(2):
            WRONG_PASSWORD(visit)
    finally:
        visit.site.do(_THROTTLE, rates="off")


def error(visit: Visit) -> None:
    """Open a page whose view has a bug."""
    code = "from accounts.views import Register as owner\ndef new(*given, **more): return 1 / 0"
    with visit.site.replaced("get", code):
        visit.page.goto("/register")


def unavailable(visit: Visit) -> None:
    """Open the site without a database. The browser is signed in there too: cookies do not depend on the port."""
    visit.page.goto(visit.down().origin)


WRONG_PASSWORD = page("/sign-in", username="{email}", password="wrong")
CHANGE = "/password/change"

PAGES: dict[str, Step] = {
    "sign-in": page("/sign-in"),
    "sign-in-refused": WRONG_PASSWORD,
    "sign-in-again": signed_in(quarter_of_an_hour, page(CHANGE)),
    "sign-in-again-refused": signed_in(quarter_of_an_hour, page(CHANGE, current_password="wrong")),
    "signed-out": signed_in(lambda visit: sign_out(visit.page)),
    "register": page("/register"),
    "register-refused": page("/register", email="{email}", password1="12345", password2="54321"),
    "mail-sent": page("/register", email="{email}", **NEW_TWICE),
    "confirm-email": confirm_email,
    "confirm-email-refused": page("/email/confirm?token=x"),
    "email-confirmed": page("/email/confirmed"),
    "devices": devices,
    "devices-alone": signed_in(),
    "device-renamed": renamed_to("Laptop"),
    "device-not-renamed": renamed_to("a\u200e\u0085b"),
    "change-email": signed_in(page("/email/change")),
    "change-password": signed_in(page(CHANGE)),
    "change-password-refused": signed_in(page(CHANGE, current_password="wrong", **NEW_TWICE)),
    "password-changed": signed_in(page(CHANGE, current_password="{password}", **NEW_TWICE)),
    "reset-password": page("/password/reset"),
    "choose-password": choose_password,
    "password-reset": page("/password/reset/done"),
    "delete-account": signed_in(page("/account/delete")),
    "account-deleted": signed_in(delete),
    "400-bad-request": bad_request,
    "403-form-outdated": form_outdated,
    "404-not-found": page("/nothing"),
    "405-method-not-allowed": page("/sign-out"),
    "429-throttled": throttled,
    "500-error": error,
    "503-unavailable": signed_in(unavailable),
}
"""The steps to each page, by the name of its screenshots."""
LIKE_ANOTHER = (
    *("sign-in-refused", "sign-in-again-refused", "register-refused", "confirm-email-refused", "email-confirmed"),
    *("device-not-renamed", "password-changed", "password-reset", "account-deleted"),
    *("400-bad-request", "403-form-outdated", "405-method-not-allowed", "429-throttled"),
)
"""Pages with the template and the parts of another one."""
