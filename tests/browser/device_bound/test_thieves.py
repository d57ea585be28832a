"""A jar is copied to a second browser: it is good until the access token ends, and then for ever worthless."""

import http.client
import socket
import ssl
from collections.abc import Callable
from typing import Any

from tests.browser.device_bound.devices import Device, bound_sessions
from tests.browser.device_bound.test_outages import a_proxy_that_answers
from tests.browser.sites import Certificate, Person
from tests.browser.steps import REFRESH, cookie

LONGER_THAN_A_TOKEN = 601
DAY = 86400


def rob(owner: Device, new_device: Callable[..., Device]) -> Device:
    """Copy the whole jar to another browser, which holds keys too."""
    thief = new_device(user_agent="a thief's own")
    jar: Any = owner.context.cookies()
    thief.context.add_cookies(jar)
    return thief


def ask(thief: Device, certificate: Certificate, **headers: str) -> int:
    """The status of a request for what only its owner may see: by a tool, which says what no page's script may say."""
    sent = {**headers, "Cookie": "; ".join(f"{one['name']}={one['value']}" for one in thief.context.cookies())}
    trust = ssl.create_default_context(cafile=str(certificate.authority_path))
    with socket.create_connection(("127.0.0.1", thief.site.port)) as connection:
        client = http.client.HTTPConnection(thief.site.host, thief.site.port)
        client.sock = trust.wrap_socket(connection, server_hostname=thief.site.host)
        client.request("GET", "/api/auth/me", headers=sent)
        return client.getresponse().status


def test_a_stolen_jar_is_dead_when_the_access_token_ends_and_the_owner_is_undisturbed(
    bound, new_device, site, person, certificate
):
    thief = rob(bound, new_device)
    thief.sees(person)
    site.forward(LONGER_THAN_A_TOKEN)
    jar: Any = bound.context.cookies()
    for _ in range(3):
        thief.sees(None)
        thief.context.add_cookies(jar)
        assert ask(thief, certificate) == 401
        bound.sees(person)
        site.forward(LONGER_THAN_A_TOKEN)
    for skipped in ("quota_exceeded", "unreachable", "server_error"):
        said = f'{skipped};session_identifier="{bound_sessions(site, person)[0]}"'
        assert ask(thief, certificate, **{"Secure-Session-Skipped": said}) in {401, 503}
    assert [row["revoked_reason"] for row in site.sessions(person)] == [""]
    assert "reuse_detected" not in site.events(person)


def test_a_jar_stolen_before_the_first_proof_is_worthless_after_it(device, new_device, site, person):
    with a_proxy_that_answers(site, 503):
        device.sign_in(person)
        assert cookie(device.context, REFRESH)
        thief = rob(device, new_device)
    device.prove(person)
    is_dead_and_the_owner_goes_on(thief, device, person)


def test_a_thief_who_refreshes_before_the_first_proof_loses_to_it(device, new_device, site, person):
    with a_proxy_that_answers(site, 503):
        device.sign_in(person)
        thief = rob(device, new_device)
        site.forward(LONGER_THAN_A_TOKEN)
        thief.sees(person)
        assert [row["generation"] for row in site.sessions(person)] == [1]
    device.prove(person)
    is_dead_and_the_owner_goes_on(thief, device, person)


def is_dead_and_the_owner_goes_on(thief: Device, device: Device, person: Person) -> None:
    """Once the access token has ended that the thief may hold, and from then on."""
    site = device.site
    site.forward(LONGER_THAN_A_TOKEN)
    for _ in range(2):
        thief.sees(None)
        device.sees(person)
        site.forward(LONGER_THAN_A_TOKEN)
    assert [row["revoked_reason"] for row in site.sessions(person)] == [""]
