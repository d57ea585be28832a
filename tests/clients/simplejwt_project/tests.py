"""The tests of the project, which know nothing of Latchkey. They pass before and after it moves."""

from django.contrib.auth.models import User
from rest_framework.test import APITestCase
from rest_framework_simplejwt.tokens import RefreshToken


class TokenTests(APITestCase):
    def setUp(self):
        self.user = User.objects.create_user("ada", "ada@example.org", "correct horse battery")

    def obtain(self, password="correct horse battery"):
        return self.client.post("/api/token/", {"username": "ada", "password": password}, format="json")

    def refresh(self, token):
        return self.client.post("/api/token/refresh/", {"refresh": token}, format="json")

    def orders(self, access):
        return self.client.get("/api/orders/", headers={"Authorization": f"Bearer {access}"})

    def test_signing_in(self):
        answer = self.obtain()
        self.assertEqual((answer.status_code, set(answer.json())), (200, {"access", "refresh"}))
        self.assertEqual(self.orders(answer.json()["access"]).json(), {"of": "ada"})

    def test_a_view_that_names_its_authentication_classes(self):
        answer = self.client.get(
            "/api/invoices/", headers={"Authorization": f"Bearer {self.obtain().json()['access']}"}
        )
        self.assertEqual((answer.status_code, answer.json()), (200, {"of": "ada"}))

    def test_a_wrong_password(self):
        answer = self.obtain("wrong")
        self.assertEqual(answer.status_code, 401)
        self.assertEqual(answer.json()["detail"], "No active account found with the given credentials")

    def test_missing_fields(self):
        answer = self.client.post("/api/token/", {}, format="json")
        self.assertEqual(answer.status_code, 400)
        self.assertEqual(set(answer.json()), {"username", "password"})

    def test_refreshing(self):
        answer = self.refresh(self.obtain().json()["refresh"])
        self.assertEqual((answer.status_code, set(answer.json())), (200, {"access", "refresh"}))
        self.assertEqual(self.orders(answer.json()["access"]).status_code, 200)

    def test_a_form_is_accepted_too(self):
        answer = self.client.post("/api/token/", {"username": "ada", "password": "correct horse battery"})
        self.assertEqual(answer.status_code, 200)

    def test_a_token_that_the_code_has_made(self):
        answer = self.refresh(str(RefreshToken.for_user(self.user)))
        self.assertEqual(answer.status_code, 200)
        access = RefreshToken.for_user(self.user).access_token
        self.assertEqual(self.orders(access).status_code, 200)

    def test_signing_out(self):
        token = self.obtain().json()["refresh"]
        answer = self.client.post("/api/token/blacklist/", {"refresh": token}, format="json")
        self.assertEqual((answer.status_code, answer.json()), (200, {}))
        self.assertEqual(self.refresh(token).status_code, 401)
        self.assertEqual(self.refresh(token).json()["code"], "token_not_valid")

    def test_verifying(self):
        for token, status in ((self.obtain().json()["access"], 200), ("nothing", 401)):
            answer = self.client.post("/api/token/verify/", {"token": token}, format="json")
            self.assertEqual(answer.status_code, status)

    def test_nobody(self):
        self.assertEqual(self.client.get("/api/orders/").status_code, 401)
        self.assertEqual(self.orders("nothing").status_code, 401)

    def test_a_user_who_was_deactivated(self):
        token = self.obtain().json()["refresh"]
        User.objects.update(is_active=False)
        self.assertEqual(self.refresh(token).status_code, 401)

    def test_force_authenticate(self):
        self.client.force_authenticate(self.user)
        self.assertEqual(self.client.get("/api/orders/").status_code, 200)
