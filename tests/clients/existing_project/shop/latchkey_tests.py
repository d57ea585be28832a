"""Tests that the project adds with Latchkey, of what only Latchkey does."""

from io import StringIO

from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from shop.tests import NEW, PASSWORD, make_user
from tokens.models import RefreshToken


class LatchkeyTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user("ada")

    def setUp(self):
        cache.clear()

    def body_mode(self):
        body = {"email": self.user.get_username(), "password": PASSWORD, "mode": "body"}
        tokens = self.client.post("/api/auth/login", body, content_type="application/json").json()
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
        return client

    def assertNothingAskedOfTheUser(self, queries):
        # A process asks for revocations once a second, and ATOMIC_REQUESTS begins and ends transactions.
        asked = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
        self.assertEqual([sql for sql in asked if "tokens_revocation" not in sql], [])

    def test_sign_in_of_a_test_is_a_session_with_cookies(self):
        self.client.force_login(self.user)
        response = self.client.get("/who")
        self.assertEqual(response.json(), {"pk": self.user.pk if isinstance(self.user.pk, int) else str(self.user.pk)})
        self.assertLessEqual({"access", "refresh"}, set(response.cookies))
        self.assertEqual(RefreshToken.objects.get().user, self.user)

    def test_first_request_may_call_the_api(self):
        self.client.force_login(self.user)
        self.assertEqual(self.client.get("/api/auth/me").json()["user"]["id"], str(self.user.pk))

    def test_first_request_may_fail(self):
        self.client.force_login(self.user)
        self.client.raise_request_exception = False
        with self.assertLogs("django.request", "ERROR"):
            response = self.client.get("/fails")
        self.assertLessEqual({"access", "refresh"}, set(response.cookies))

    def test_session_that_ends_with_the_browser_is_not_remembered(self):
        self.client.force_login(self.user)
        session = self.client.session
        session.set_expiry(0)
        session.save()
        response = self.client.get("/who")
        self.assertEqual([response.cookies[name]["max-age"] for name in ("access", "refresh")], ["", ""])
        self.assertFalse(RefreshToken.objects.get().remember)

    def test_view_of_rest_framework_is_refreshed(self):
        self.client.force_login(self.user)
        self.client.get("/who")
        del self.client.cookies["access"]
        answer = self.client.post("/api/me")
        self.assertEqual(answer.json(), {"name": self.user.get_username()})
        self.assertIn("access", answer.cookies)

    def test_sessions_are_revoked_by_the_user_s_name(self):
        self.client.force_login(self.user)
        self.client.get("/who")
        call_command("revoke_sessions", user=self.user.get_username(), no_input=True, stdout=StringIO())
        self.assertEqual(RefreshToken.objects.get().revoked_reason, "ended_by_command")

    def test_request_user_pk_costs_no_query(self):
        self.client.force_login(self.user)
        self.client.get("/who")
        with CaptureQueriesContext(connection) as queries:
            self.client.get("/who")
        self.assertNothingAskedOfTheUser(queries)

    def test_throttled_view_costs_no_user_query(self):
        self.client.force_login(self.user)
        self.client.get("/who")
        with CaptureQueriesContext(connection) as queries:
            answer = self.client.get("/api/scarce")
        self.assertNothingAskedOfTheUser(queries)
        self.assertEqual(str(answer.json()["pk"]), str(self.user.pk))

    def test_sign_in_and_keys_need_no_session(self):
        self.assertEqual(self.client.get("/.well-known/jwks.json").status_code, 200)
        body = {"email": self.user.get_username(), "password": PASSWORD}
        answer = self.client.post("/api/auth/login", body, content_type="application/json")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(self.client.get("/api/auth/me").json()["user"]["id"], str(self.user.pk))
        self.assertEqual(self.client.post("/api/auth/logout", content_type="application/json").status_code, 204)

    def test_stranger_is_told_to_sign_in(self):
        answer = self.client.get("/api/me")
        self.assertEqual((answer.status_code, answer.json()["code"]), (401, "not_authenticated"))
        self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
        self.assertEqual(self.client.get("/api/auth/me").json()["code"], "not_authenticated")
        answer = self.client.get("/api/nothing")
        self.assertEqual((answer.status_code, answer.json()["code"]), (404, "not_found"))

    def test_problems_of_the_project_s_own_views(self):
        self.client.force_login(self.user)
        for _ in range(3):
            self.client.get("/api/scarce")
        throttled = self.client.get("/api/scarce")
        self.assertEqual((throttled.status_code, throttled.json()["code"]), (429, "throttled"))
        self.assertGreater(int(throttled.headers["Retry-After"]), 3500)
        for answer in (self.client.get("/api/staff"), self.client.post("/api/products/", {"name": "lamp"})):
            self.assertEqual((answer.status_code, answer.json()["code"]), (403, "permission_denied"))

    @override_settings(TOKENS={"MODES": ["cookie", "body"]})
    def test_bearer_tokens(self):
        client = self.body_mode()
        self.assertEqual(client.get("/api/me").json(), {"name": self.user.get_username()})
        self.assertEqual(client.post("/api/me").status_code, 200)
        self.assertEqual([client.get("/api/scarce").status_code for _ in range(4)], [200, 200, 200, 429])
        client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
        answer = client.get("/api/me")
        self.assertEqual((answer.status_code, answer.json()["code"]), (401, "not_authenticated"))
        self.assertEqual(answer.headers["WWW-Authenticate"], 'Bearer error="invalid_token"')


class AllauthTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user("ada")

    def sign_in(self, password=PASSWORD, **fields):
        """Return a new browser, and the response to its sign-in."""
        client = self.client_class(headers={"User-Agent": "Firefox/130.0"})
        fields = {"login": self.user.get_username(), "password": password, **fields}
        return client, client.post("/accounts/login/", fields)

    def test_sign_in_is_remembered_if_this_was_asked_for(self):
        for fields, remembered in (({}, False), ({"remember": "on"}, True)):
            _, response = self.sign_in(**fields)
            for name in ("access", "refresh"):
                self.assertEqual(bool(response.cookies[name]["max-age"]), remembered)
            session = RefreshToken.objects.latest("created_at")
            self.assertEqual((session.user, session.remember), (self.user, remembered))
            self.assertIn("Firefox", session.device.name)

    def test_registration_opens_a_session(self):
        fields = {"username": "grace", "email": "grace@example.org", "password1": PASSWORD, "password2": PASSWORD}
        self.client.post("/accounts/signup/", fields)
        self.assertEqual(RefreshToken.objects.get().user.email, "grace@example.org")

    def test_wrong_password_opens_no_session(self):
        self.assertEqual(self.sign_in("wrong")[1].status_code, 200)
        self.assertFalse(RefreshToken.objects.exists())

    def test_sign_out_ends_the_session(self):
        client, _ = self.sign_in()
        response = client.post("/accounts/logout/")
        self.assertEqual([response.cookies[name].value for name in ("access", "refresh")], ["", ""])
        self.assertEqual(RefreshToken.objects.get().revoked_reason, "signed_out")

    def test_password_change_keeps_this_session_and_ends_the_others(self):
        (client, _), _ = self.sign_in(), self.sign_in()
        fields = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
        self.assertEqual(client.post("/accounts/password/change/", fields).status_code, 302)
        self.assertContains(client.get("/members"), "members")
        reasons = RefreshToken.objects.order_by("created_at").values_list("revoked_reason", flat=True)
        self.assertEqual(list(reasons), ["", "password_changed"])
