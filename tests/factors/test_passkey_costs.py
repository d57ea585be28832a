"""What strangers can do by sign-ins with passkeys: nothing grows, nothing is told, and nobody is kept out."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from factors.models import UsedChallenge
from tests.browsers import FIREFOX, browser_at, post
from tests.factors.authenticator import Authenticator, Credential
from tests.factors.passkey_steps import BY_PASSKEY, begin, create, sign_in
from tokens.conf import tenants
from tokens.models import RefreshToken, SecurityEvent
from tokens.sessions import relying_party

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]


def statements(work):
    """Return the statements of this work, without those of transactions."""
    with CaptureQueriesContext(connection) as captured:
        work()
    kinds = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
    return [query["sql"] for query in captured if query["sql"].lstrip("/* ").startswith(kinds)]


def rows():
    return RefreshToken.objects.count(), UsedChallenge.objects.count(), SecurityEvent.objects.count()


def test_options_need_no_statement_and_leave_no_row(device, another):
    browser, before = another(), rows()
    assert statements(lambda: begin(browser)) == []
    assert statements(lambda: browser.post("/account/passkeys/options", {"for": "sign-in"})) == []
    assert rows() == before


def test_options_are_the_same_for_everybody_except_what_is_random(device, another):
    found = [begin(another()) for _ in range(2)]
    challenges = [one.pop("challenge") for one in found]
    assert found[0] == found[1]
    assert challenges[0] != challenges[1]


def test_options_do_not_look_at_a_name(device, another, user):
    found = [begin(another(), email=name) for name in (user.email, "nobody@example.org")]
    assert len({str({**one, "challenge": ""}) for one in found}) == 1


def test_an_answer_to_no_challenge_of_ours_needs_no_statement(device, another):
    browser = another()
    for answer in ({}, device.sign({**begin(browser), "challenge": "A" * 75})):
        before = rows()
        assert statements(lambda answer=answer: post(browser, BY_PASSKEY, {"answer": answer})) == []
        assert rows() == before


def test_an_unknown_passkey_takes_one_statement_and_leaves_no_row(device, another):
    unknown = Credential("testserver", b"unknown", device.credentials[0].key, b"x" * 64)
    browser = another()
    answer, before = {"answer": device.sign(begin(browser), unknown)}, rows()
    assert len(statements(lambda: post(browser, BY_PASSKEY, answer))) == 1
    assert rows() == before


@pytest.mark.only_on("postgresql")
def test_a_sign_in_takes_few_statements(device, another):
    """Nine are those of every sign-in on a new device. The rest find, lock and verify the passkey."""
    browser = another()
    answer = {"answer": device.sign(begin(browser))}
    found = statements(lambda: post(browser, BY_PASSKEY, answer))
    assert len(found) <= 20, "\n".join(found)


class TestThrottles:
    def test_strangers_with_wrong_signatures_do_not_keep_the_owner_out(self, device, throttled):
        thief, other = browser_at("198.51.100.1"), Authenticator()
        other.create({"rp": {"id": "x"}, "user": {"id": ""}, "challenge": "", "excludeCredentials": []})
        statuses = [sign_in(thief, device, key=other.credentials[0].key).status_code for _ in range(101)]
        assert statuses == [401] * 100 + [429]
        assert sign_in(browser_at("203.0.113.1"), device).status_code == 200

    def test_good_sign_ins_do_not_use_up_a_network(self, device, throttled):
        throttled(factor_network="2/10m")
        for _ in range(5):
            assert sign_in(browser_at("198.51.100.1"), device).status_code == 200

    def test_answers_for_a_known_user_are_counted_as_those_to_other_factors(self, device, another, user, throttled):
        throttled(factor_account="2/d")
        browser = browser_at("198.51.100.1")
        answer = post(browser, "/api/auth/login", {"email": user.email, "password": "correct horse battery staple"})
        assert answer.json()["code"] == "factor_required"
        body = {"method": "passkey", "answer": {}}
        statuses = [post(browser, "/api/auth/factor", body).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]


class TestTenants:
    @pytest.fixture(autouse=True)
    def _tenants(self, settings):
        """Each host is a tenant. Without it there would be one relying party."""
        settings.ALLOWED_HOSTS = ["one.example", "two.example"]
        settings.TOKENS = {**settings.TOKENS, "TENANT_HOOK": f"{__name__}.tenant_of"}

    def test_have_their_hosts_as_relying_parties(self, rf):
        with tenants.entered("one.example"):
            found = relying_party(rf.get("/", headers={"Host": "one.example"}))
            assert (found.id, found.origins[0]) == ("one.example", "https://one.example")
            assert relying_party(rf.get("/", headers={"Host": "evil.example"})).id == "testserver"

    def test_have_challenges_and_passkeys_of_their_own(self, user):
        one, two = (Client(headers={"User-Agent": FIREFOX, "Host": f"{name}.example"}) for name in ("one", "two"))
        device = Authenticator(origin="https://one.example")
        login = {"email": user.email, "password": "correct horse battery staple"}
        assert post(one, "/api/auth/login", login).status_code == 200
        create(one, device)
        assert sign_in(one, device).status_code == 200
        signed = device.sign(begin(one))
        two.cookies["__Host-passkey"] = one.cookies["__Host-passkey"].value
        assert post(two, BY_PASSKEY, {"answer": signed}).status_code == 401
        assert post(one, BY_PASSKEY, {"answer": signed}).status_code == 200


def tenant_of(request):
    return request.META["HTTP_HOST"]
