"""An attacker copies the cookies to another browser: they work until the access token expires, and never again."""

from collections.abc import Callable
from contextlib import closing

from tests.browser.device_bound.devices import REFRESH_BOUND, Device, bound_sessions
from tests.browser.sites import Certificate
from tests.browser.steps import EXPIRED, REFRESH, cookie
from tests.scale.cluster import Front


def rob(owner: Device, new_device: Callable[..., Device]) -> Device:
    """Copy all cookies to another browser, which keeps keys too."""
    thief = new_device(user_agent="a thief's own")
    thief.context.add_cookies(owner.context.cookies())
    return thief


def ask(thief: Device, certificate: Certificate, **headers: str) -> int:
    """Return the status of a request for the user's own data, sent by a tool with headers that no script may set."""
    sent = {**headers, "Cookie": "; ".join(f"{one['name']}={one['value']}" for one in thief.context.cookies())}
    with closing(Front(thief.site.port, certificate).connect()) as connection:
        connection.request("GET", "/api/auth/me", headers=sent)
        return connection.getresponse().status


def test_stolen_cookies_are_useless_after_the_access_token_expires_and_the_user_stays_signed_in(
    bound, new_device, site, person, certificate
):
    thief = rob(bound, new_device)
    thief.sees(person)
    site.forward(EXPIRED)
    stolen = bound.context.cookies()
    for _ in range(3):
        thief.sees(None)
        thief.context.add_cookies(stolen)
        assert ask(thief, certificate) == 401
        bound.sees(person)
        site.forward(EXPIRED)
    for reason in ("quota_exceeded", "unreachable", "server_error"):
        said = f'{reason};session_identifier="{bound_sessions(site, person)[0]}"'
        assert ask(thief, certificate, **{"Secure-Session-Skipped": said}) in {401, 503}
    assert site.reasons(person) == [""]
    assert "reuse_detected" not in site.events(person)


def test_an_attacker_who_refreshes_before_the_first_proof_loses_access_by_it(device, new_device, site, person):
    with site.stand_in(REFRESH_BOUND, 503):
        device.sign_in(person)
        assert cookie(device.context, REFRESH)
        thief = rob(device, new_device)
        site.forward(EXPIRED)
        thief.sees(person)
        assert site.generations(person) == [1]
    device.prove(person)
    site.forward(EXPIRED)
    for _ in range(2):
        thief.sees(None)
        device.sees(person)
        site.forward(EXPIRED)
    assert site.reasons(person) == [""]
