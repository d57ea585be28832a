"""A person who has another factor than a password can do everything that a password can do."""

from typing import Any

import pytest
from django.test import Client

from tests.accounts.steps import API, NEW_PASSWORD
from tests.browsers import REFRESH, post
from tests.factories import PASSWORD, User, UserFactory
from tests.factors.fixed_code import Code
from tests.tokens.api.steps import assert_problem
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

RIGHT = {"method": "totp", "answer": "123456"}
WRONG = {"method": "totp", "answer": "654321"}
AGAIN = "/api/auth/reauthenticate"


@pytest.fixture(autouse=True)
def _with_codes(settings: Any) -> None:
    """Adds a factor to the password. Without it nothing but the password would be offered."""
    settings.TOKENS = {**settings.TOKENS, "FACTORS": ["tokens.web.factors.Password", "tests.factors.fixed_code.Code"]}


def send(client: Client, method: str, path: str, data: Any) -> Any:
    return getattr(client, method)(path, data, content_type="application/json")


class TestByTheApi:
    def test_a_reauthentication_adds_the_method_and_moves_the_time(self, browser, clock):
        answer = post(browser, AGAIN, RIGHT).json()
        assert answer["session"]["amr"] == ["otp"]
        assert RefreshToken.objects.get().authenticated_at == clock.now
        assert SecurityEvent.objects.get(kind="reauthenticated").methods == "otp"

    def test_a_wrong_answer_a_factor_that_the_account_lacks_and_one_that_does_not_exist_are_refused_alike(
        self, browser, person
    ):
        before = RefreshToken.objects.values().get()
        tried = [WRONG, {**RIGHT, "method": "password"}, {**RIGHT, "method": "none"}, {"password": PASSWORD}]
        answers = [post(browser, AGAIN, given) for given in tried]
        for answer in answers:
            assert_problem(answer, 401, "invalid_credentials")
        assert len({answer.content for answer in answers}) == 1
        assert RefreshToken.objects.values().get() == before

    @pytest.mark.parametrize(
        "given",
        [{"answer": "1"}, {}, {"method": 1, "answer": "1"}],
        ids=["no method", "nothing", "a number as the method"],
    )
    def test_a_body_without_a_whole_answer_is_not_valid(self, browser, given):
        assert_problem(post(browser, AGAIN, given), 400, "invalid")

    @pytest.mark.parametrize(
        ("method", "path", "data"),
        [
            ("post", f"{API}email/change", {"email": "new@example.org"}),
            ("post", f"{API}password/change", {"new_password": NEW_PASSWORD}),
            ("delete", f"{API}me", {}),
            ("delete", f"{API}sessions", {}),
        ],
        ids=["an address", "a first password", "a deletion", "the end of other sessions"],
    )
    def test_what_is_offered_is_in_the_problem_and_an_answer_is_enough(self, browser, method, path, data):
        refused = send(browser, method, path, data)
        assert_problem(refused, 403, "reauthentication_required")
        assert refused.json()["offered"] == ["totp"]
        if "password" not in path:
            # The answer alone is a proof, without a refresh token.
            alone = Client()
            alone.cookies = browser.cookies.copy()
            del alone.cookies[REFRESH]
            assert_problem(send(alone, method, path, {**data, **WRONG}), 401, "invalid_credentials")
            assert send(alone, method, path, {**data, **RIGHT}).status_code in {202, 204}
        else:
            assert post(browser, AGAIN, RIGHT).status_code == 200
            assert send(browser, method, path, data).status_code == 204
            assert User.objects.get().check_password(NEW_PASSWORD)

    def test_a_password_that_there_is_cannot_be_replaced_as_a_first_one(self, browser, person):
        post(browser, AGAIN, RIGHT)
        User.objects.filter(pk=person.pk).update(password=UserFactory().password)
        assert send(browser, "post", f"{API}password/change", {"new_password": NEW_PASSWORD}).status_code in {400, 401}
        assert not User.objects.get(pk=person.pk).check_password(NEW_PASSWORD)

    def test_a_client_gets_what_a_factor_needs_before_it_can_be_answered(self, browser, monkeypatch):
        assert post(browser, AGAIN, {"method": "totp"}).json() == {"options": None}
        monkeypatch.setattr(Code, "begin", lambda self, request, user: {"digits": 6, "for": user.email})
        person = User.objects.get()
        assert post(browser, AGAIN, {"method": "totp"}).json() == {"options": {"digits": 6, "for": person.email}}
        assert post(browser, AGAIN, {"method": "none"}).json() == {"options": None}


class TestOnPages:
    def test_the_page_asks_for_the_code_and_leads_back(self, browser, clock):
        response = browser.get("/email/change")
        assert response.url == "/sign-in/again?next=/email/change"
        page = browser.get(response.url).content.decode()
        assert 'name="method"' in page
        assert "Confirm that it is you" in page
        wrong = browser.post(response.url, {"method": "totp", "current_password": "654321"})
        assert "This is not right." in wrong.content.decode()
        right = browser.post(response.url, {"method": "totp", "current_password": "123456"})
        assert right.url == "/email/change"
        assert browser.get("/email/change").status_code == 200

    @pytest.mark.parametrize("is_held", [True, False], ids=["with the refresh token", "with the code alone"])
    def test_a_first_password_is_set(self, browser, is_held):
        answer = {"method": "totp", "current_password": "123456"}
        browser.post("/sign-in/again", answer)
        if is_held:
            answer = {}
        else:
            del browser.cookies[REFRESH]
        page = browser.get("/password/change").content.decode()
        assert ('name="current_password"' in page) is not is_held
        done = browser.post("/password/change", {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, **answer})
        assert done.status_code == 302
        assert User.objects.get().check_password(NEW_PASSWORD)

    def test_somebody_with_a_password_and_a_code_can_choose(self, api, user, clock):
        post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD})
        clock.forward(1000)
        page = api.get("/sign-in/again").content.decode()
        assert 'value="password"' in page
        assert 'value="totp"' in page
        assert api.post("/sign-in/again", {"method": "totp", "current_password": "123456"}).status_code == 302
        assert RefreshToken.objects.get().amr == ["pwd", "otp", "mfa"]
        # The password that there is has to be given to change it.
        assert 'name="method"' not in api.get("/password/change").content.decode()
