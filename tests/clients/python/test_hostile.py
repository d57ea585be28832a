"""`LatchkeyAuth` with answers that are none, with a clock that is set back, and with addresses that are none."""

import httpx
import pytest

from latchkey_client import LatchkeyAuth, LatchkeyError, SignInRefused, Unavailable
from tests.clients.python.network import REFRESH, stranger
from tests.clients.python.test_auth import LIFETIME, ME, WRONG, client_of, me
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]


class TestAnOutage:
    def test_is_over_although_the_clock_was_set_back_meanwhile(self, auth, proxy, clock):
        clock.ahead += 10 * LIFETIME
        proxy.own[REFRESH] = [(503, {"Retry-After": "40"})]
        with pytest.raises(Unavailable):
            me(auth, proxy)
        clock.ahead -= 8 * LIFETIME
        assert (me(auth, proxy), proxy.refreshes) == (200, 2)

    def test_is_not_waited_for_longer_when_the_clock_is_set_back(self, proxy, clock):
        found = LatchkeyAuth(proxy.origin, clock=clock, sleep=lambda seconds: clock.sleep(-100 * seconds))
        found.adopt("latchkey_rt_x")
        proxy.own[REFRESH] = [(502, {})] * 50
        with pytest.raises(Unavailable):
            me(found, proxy)
        assert len(clock.slept) == 6


class TestTokensAreSentToNobodyElse:
    def test_not_to_a_proxy_of_the_environment_without_https(self, auth, proxy, clock, monkeypatch):
        clock.ahead += LIFETIME
        with stranger() as (origin, seen):
            with monkeypatch.context() as patch, client_of(auth, proxy, trust_env=False) as client:
                patch.setenv("HTTP_PROXY", origin)
                patch.delenv("NO_PROXY", raising=False)
                patch.delenv("no_proxy", raising=False)
                status = client.get(ME).status_code
            assert (status, seen) == (200, [])

    @pytest.mark.parametrize(
        ("origin", "api"),
        [("https:auth", "/api/auth/"), ("https://a\0", "/api/auth/"), ("https://auth.example.org", "http://other/")],
        ids=["no host", "no address", "an API elsewhere"],
    )
    def test_not_to_an_address_that_is_none(self, origin, api):
        with pytest.raises(LatchkeyError, match=r"address|has to be a path"):
            LatchkeyAuth(origin, api=api)


OTHERS = '"expires_in": 600, "refresh_token": "latchkey_rt_secret"'
BAD_ANSWERS = {
    "nested too deeply": b"[" * 200_000,
    "too large a number": f'{{"access_token": "a", {OTHERS}, "expires_in": 1{"0" * 400}}}'.encode(),
    "ends too early": b'{"refresh_token": "latchkey_rt_secret", "acc',
    "not UTF-8": b'{"refresh_token": "latchkey_rt_secret\xff"}',
    "a line end in a token": f'{{"access_token": "a\\nb", {OTHERS}}}'.encode(),
    "a token that no header can have": f'{{"access_token": "\u20ac", {OTHERS}}}'.encode(),
}


@pytest.mark.parametrize("content", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_answer_without_tokens_is_an_outage_whose_error_does_not_have_it(content):
    answer = httpx.MockTransport(lambda request: httpx.Response(200, content=content))
    auth = LatchkeyAuth("https://auth.example.org", patience=0, transport=answer)
    auth.adopt("latchkey_rt_old")
    with pytest.raises(Unavailable, match="no tokens") as raised:
        httpx.get("https://auth.example.org/", auth=auth)
    assert (auth.is_signed_in, "latchkey_rt_secret" in everything_in(raised.value)) == (True, False)


def everything_in(error: BaseException | None) -> str:
    """Return the texts and the attributes of an exception, and of those that it was raised after."""
    shown = ""
    while error is not None:
        attributes = [getattr(error, name) for name in ("doc", "object", "request", "response") if hasattr(error, name)]
        shown, error = f"{shown} {error!r} {attributes!r}", error.__context__
    return shown


def test_a_problem_of_a_listed_origin_that_is_nested_too_deeply_means_nothing(auth, proxy, store):
    kind = {"Content-Type": "application/problem+json"}
    deep = httpx.MockTransport(lambda request: httpx.Response(401, content=b"[" * 200_000, headers=kind))
    with httpx.Client(auth=auth, transport=deep) as client:
        assert (client.get(f"{proxy.origin}{ME}").status_code, proxy.refreshes) == (401, 0)


def test_a_password_that_is_no_text_is_refused_by_the_server(proxy):
    with pytest.raises(SignInRefused):
        LatchkeyAuth(proxy.origin).sign_in(email=UserFactory().email, password=f"{WRONG}\udcff")
