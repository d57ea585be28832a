"""What pages' scripts ask for: options, a sign-in that leads on, and the origins of other sites."""

import json

import pytest
from django.test import Client

from factors.models import UsedChallenge
from tests.browsers import FIREFOX, login, new_browser
from tests.factories import PASSWORD, UserFactory
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import create
from tokens.models import RefreshToken
from tokens.sessions import relying_party

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

OPTIONS, SIGN_IN, WELL_KNOWN = "/account/passkeys/options", "/sign-in/passkey", "/.well-known/webauthn"
JSON = {"Accept": "application/json"}
REOPENS = {level: {"absolute": 2592000, "idle": 3600, "reopens": True} for level in ("aal1", "aal2")}


def options(browser, purpose, **more):
    answer = browser.post(OPTIONS, {"for": purpose, **more})
    return answer.json()["options"] if answer.status_code == 200 else answer.status_code


def signed(device, found):
    return json.dumps(device.sign(found))


class TestOptions:
    def test_to_sign_in_are_for_everybody(self, another):
        browser = another()
        found = options(browser, "sign-in")
        assert (found["rpId"], found["allowCredentials"]) == ("testserver", [])
        assert found["userVerification"] == "required"
        cookie = browser.cookies["__Host-passkey"]
        assert (cookie["httponly"], cookie["secure"], cookie["samesite"], cookie["max-age"]) == (True, True, "Lax", "")
        before = cookie.value
        options(browser, "sign-in")
        assert browser.cookies["__Host-passkey"].value == before

    def test_have_a_cookie_without_a_prefix_over_http(self, another, settings):
        settings.DEBUG, settings.ORIGIN = True, "http://localhost:8000"
        browser = another()
        options(browser, "sign-in")
        assert browser.cookies["passkey"].value

    def test_to_prove_are_for_the_user(self, signed_in, device, another):
        [allowed] = options(signed_in, "prove")["allowCredentials"]
        assert allowed["transports"] == ["hybrid", "internal"]
        assert options(another(), "prove") == 400

    def test_to_create_are_for_the_user(self, signed_in, another, user):
        assert options(signed_in, "create")["user"]["name"] == user.get_username()
        assert options(another(), "create") == 400

    def test_for_the_second_step_need_a_pending_sign_in(self, device, another, user):
        browser = another()
        assert options(browser, "second-step") == 400
        browser.post("/sign-in", {"username": user.email, "password": PASSWORD})
        assert len(options(browser, "second-step")["allowCredentials"]) == 1

    @pytest.mark.parametrize("purpose", ["", "anything", "create quietly"], ids=["none", "anything", "create quietly"])
    def test_for_nothing_are_refused(self, signed_in, purpose):
        assert options(signed_in, purpose) == 400

    def test_to_create_are_refused_after_the_session_has_ended(self, signed_in):
        RefreshToken.objects.all().delete()
        assert options(signed_in, "create") == 400

    def test_need_a_form_of_ours(self):
        browser = Client(headers={"User-Agent": FIREFOX}, enforce_csrf_checks=True)
        assert browser.post(OPTIONS, {"for": "sign-in"}).status_code == 403
        assert browser.post(SIGN_IN, {"answer": "{}"}).status_code == 403

    def test_are_not_kept_by_caches(self, another):
        assert "no-store" in another().post(OPTIONS, {"for": "sign-in"})["Cache-Control"]
        assert another().get(OPTIONS).status_code == 405


class TestASignIn:
    @pytest.mark.parametrize(
        ("given", "leads_to"),
        [("/devices", "/devices"), ("https://evil.example/", "/"), ("//evil.example", "/"), ("", "/")],
        ids=["to a page", "not to another site", "not to another site without a scheme", "to the start page"],
    )
    def test_leads_on(self, device, another, given, leads_to):
        browser = another()
        found = signed(device, options(browser, "sign-in"))
        answer = browser.post(SIGN_IN, {"answer": found, "next": given})
        assert (answer.status_code, answer["Location"]) == (302, leads_to)
        assert browser.get("/api/auth/me").json()["session"]["amr"] == ["pop", "user", "mfa"]

    @pytest.mark.parametrize("remember", [True, False], ids=["remembered", "not remembered"])
    def test_is_remembered_if_it_is_asked_for(self, device, another, remember):
        browser = another()
        found = signed(device, options(browser, "sign-in"))
        browser.post(SIGN_IN, {"answer": found, **({"remember": "on"} if remember else {})})
        assert RefreshToken.objects.latest("pk").remember is remember

    def test_that_is_refused_leads_back_with_a_message(self, device, another):
        browser = another()
        answer = browser.post(SIGN_IN, {"answer": "{}", "next": "/devices"})
        assert (answer.status_code, answer["Location"]) == (302, "/sign-in?next=/devices")
        assert "That did not work." in browser.get(answer["Location"]).content.decode()

    def test_tells_a_script_where_to_go_or_what_is_wrong(self, device, another):
        browser = another()
        found = signed(device, options(browser, "sign-in"))
        told = browser.post(SIGN_IN, {"answer": found, "next": "/devices"}, headers=JSON).json()
        assert told["next"] == "/devices"
        assert len(told["accepted"]["credential_ids"]) == 1
        refused = browser.post(SIGN_IN, {"answer": found}, headers=JSON)
        assert (refused.status_code, refused.json()["code"]) == (401, "factor_refused")
        device.credentials[0].id = b"unknown"
        unknown = browser.post(SIGN_IN, {"answer": signed(device, options(browser, "sign-in"))}, headers=JSON)
        assert (unknown.status_code, unknown.json()["code"]) == (401, "passkey_unknown")

    def test_goes_on_with_the_idle_session_of_its_user(self, signed_in, device, settings, clock):
        settings.TOKENS = {**settings.TOKENS, "LIFETIMES": REOPENS}
        browser = new_browser()
        browser.post(SIGN_IN, {"answer": signed(device, options(browser, "sign-in"))})
        session = RefreshToken.objects.latest("pk")
        clock.forward(3700)
        assert browser.get("/api/auth/me").status_code == 401
        answer = browser.post(SIGN_IN, {"answer": signed(device, options(browser, "sign-in")), "next": "/devices"})
        assert answer["Location"] == "/devices"
        assert browser.get("/api/auth/me").json()["session"]["id"] == str(session.pk)
        assert UsedChallenge.objects.exists()

    def test_of_another_person_does_not_reopen_an_idle_session(self, signed_in, device, settings, clock, another):
        settings.TOKENS = {**settings.TOKENS, "LIFETIMES": REOPENS}
        other, theirs = another(), Authenticator()
        somebody = UserFactory()
        login(other, somebody)
        create(other, theirs)
        clock.forward(3700)
        answer = signed_in.post(SIGN_IN, {"answer": signed(theirs, options(signed_in, "sign-in"))})
        assert answer.status_code == 302
        assert signed_in.get("/api/auth/me").json()["user"]["id"] == str(somebody.pk)


class TestTheRelyingParty:
    def test_is_the_host_of_the_origin(self, settings):
        settings.ORIGIN = "https://shop.example.org:8443"
        found = relying_party(None)
        assert (found.id, [*found.origins]) == ("shop.example.org", ["https://shop.example.org:8443"])

    def test_is_the_site_in_mode_subdomain(self, settings):
        settings.ORIGIN = "https://auth.example.org"
        settings.TOKENS = {
            "MODES": ["subdomain"],
            "COOKIE_DOMAIN": "example.org",
            "TRUSTED_ORIGINS": ["https://shop.example.org"],
        }
        found = relying_party(None)
        assert found.id == "example.org"
        assert [*found.origins] == ["https://auth.example.org", "https://shop.example.org"]

    def test_does_not_follow_the_host_header_without_tenants(self, rf):
        assert relying_party(rf.get("/", headers={"Host": "localhost"})).id == "testserver"

    def test_shows_no_key(self):
        assert "keys" not in repr(relying_party(None))


class TestRelatedOrigins:
    @pytest.mark.parametrize(
        ("trusted", "listed"),
        [
            ([], None),
            (["https://app.example.org"], None),
            (["https://example.org:8443"], None),
            (["https://example.com", "https://app.example.org"], ["https://example.com"]),
            (["https://a.example.co.uk", "https://b.example"], ["https://a.example.co.uk", "https://b.example"]),
        ],
        ids=["none", "another host of the site", "another port", "another site and one of ours", "two sites"],
    )
    def test_are_those_on_another_site(self, client, settings, trusted, listed):
        settings.ORIGIN = "https://shop.example.org"
        settings.TOKENS = {**settings.TOKENS, "TRUSTED_ORIGINS": trusted}
        answer = client.get(WELL_KNOWN)
        assert answer.status_code == (200 if listed else 404)
        if listed:
            assert (answer.json(), answer["Content-Type"]) == ({"origins": listed}, "application/json")

    def test_of_two_customers_of_one_host_are_two_sites(self, client, settings):
        settings.ORIGIN = "https://a.github.io"
        settings.TOKENS = {**settings.TOKENS, "TRUSTED_ORIGINS": ["https://b.github.io"]}
        assert client.get(WELL_KNOWN).json() == {"origins": ["https://b.github.io"]}

    def test_sign_in(self, signed_in, device, another, settings):
        settings.TOKENS = {**settings.TOKENS, "TRUSTED_ORIGINS": ["https://example.com"]}
        device.origin = "https://example.com"
        browser = another()
        answer = browser.post(SIGN_IN, {"answer": signed(device, options(browser, "sign-in"))})
        assert (answer.status_code, answer["Location"]) == (302, "/")
