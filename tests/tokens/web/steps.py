"""The steps of a sign-in that needs a second factor, and a factor that stands for one of a project."""

from typing import Any

from django.test import Client

from tests.attacks.entry_points import by_service
from tests.browsers import ACCESS, post
from tests.factories import PASSWORD
from tests.tokens.web_steps import claims_of, who
from tokens.models import RefreshToken
from tokens.web.factors import Factor

CODE, NEW_CODE = "123456", "new 123456"
"""The answer that is right, and the one that sets up a code."""


class Code(Factor):
    """A code that is always the same. Accounts whose address begins with "without" have none."""

    name, label, proves = "totp", "code", frozenset({"otp"})

    def is_available(self, user: Any) -> bool:
        return not user.email.startswith("without")

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return ["otp"] if answer == CODE else None


def begin(browser: Client, user: Any, **more: Any) -> Any:
    """Give the password, and return the response, which may ask for a factor."""
    return post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD, **more})


def answer(browser: Client, given: Any = CODE, method: str = "totp", **more: Any) -> Any:
    """Answer in the next step, and return the response."""
    return post(browser, "/api/auth/factor", {"method": method, "answer": given, **more})


def said(client: Client) -> tuple[list[str], str | None]:
    """Return ``amr`` and ``acr`` of the browser's session. The token, the row, a service and the list agree on them.

    The setting INTROSPECTION_CLIENTS has to be `tests.attacks.entry_points.INTROSPECTION`.
    """
    if ACCESS not in client.cookies:
        assert who(client)
    found = claims_of(client)
    answer = found.get("amr", []), found.get("acr")
    assert [] not in found.values()
    row = RefreshToken.objects.get(pk=found["sid"])
    of_service = by_service(Client(), client.cookies[ACCESS].value).json()
    assert (of_service.get("amr", []), of_service.get("acr")) == answer
    assert row.amr == answer[0]
    [listed] = [one for one in client.get("/api/auth/sessions").json()["results"] if one["id"] == found["sid"]]
    assert (listed["amr"], listed["acr"]) == answer
    return answer
