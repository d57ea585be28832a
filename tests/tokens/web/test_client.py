"""The client's address, which only a trusted proxy can report, and the client's device token."""

import pytest

from tokens.web.client import client_ip, client_of

PROXY, CLIENT, OTHER = "10.0.0.1", "203.0.113.7", "198.51.100.1"
TRUSTED = ["10.0.0.0/8"]

CASES: dict[str, tuple[list[str], str, str | None, str | None]] = {
    # trusted proxies, remote address, X-Forwarded-For, expected address
    "without a proxy": ([], CLIENT, None, CLIENT),
    "without a trusted proxy the header is ignored": ([], CLIENT, OTHER, CLIENT),
    "the header of a client that is no trusted proxy is ignored": (TRUSTED, CLIENT, OTHER, CLIENT),
    "one proxy": (TRUSTED, PROXY, CLIENT, CLIENT),
    "what the client itself wrote into the header is ignored": (TRUSTED, PROXY, f"{OTHER}, {CLIENT}", CLIENT),
    "two proxies": (TRUSTED, PROXY, f"{CLIENT}, 10.1.2.3", CLIENT),
    "a request of the proxy itself": (TRUSTED, PROXY, None, PROXY),
    **{
        f"an invalid header: {ascii(header)[:40]}": (TRUSTED, PROXY, header, PROXY)
        for header in (
            *("garbage\r\nX: y", "", ",", f"{CLIENT}:443", "[2001:db8::1]", "999.1.1.1", f"{CLIENT}\0", "١٢٧.0.0.1"),
            *("10.0.0.1, 10.0.0.1", "'; DROP TABLE tokens_refreshtoken; --", f"{CLIENT}," * 10_000),
        )
    },
    "after an invalid entry": (TRUSTED, PROXY, f"garbage, {CLIENT}", CLIENT),
    "an IPv4 address mapped to IPv6 in the header": (TRUSTED, PROXY, f"::ffff:{CLIENT}", CLIENT),
    "a scope in the header": (TRUSTED, PROXY, "fe80::1%eth0", "fe80::1"),
    "before an invalid entry all entries are ignored": (TRUSTED, PROXY, f"{CLIENT}, unknown", PROXY),
    "IPv6": (["::1"], "::1", "2001:db8::1", "2001:db8::1"),
    "an IPv4 address mapped to IPv6 is the IPv4 address": ([], "::ffff:203.0.113.7", None, CLIENT),
    "the scope of an IPv6 address is removed": ([], "fe80::1%eth0", None, "fe80::1"),
    "a Unix socket": ([], "", None, None),
}


@pytest.mark.parametrize(("proxies", "remote", "forwarded", "expected"), CASES.values(), ids=CASES)
def test_the_address_of_the_client(proxies, remote, forwarded, expected, rf, settings):
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
    assert client_ip(rf.get("/", REMOTE_ADDR=remote, headers=headers)) == expected


def test_a_device_token_in_the_body_precedes_the_cookie(rf):
    request = rf.get("/", headers={"Cookie": "__Host-device=from the cookie"})
    assert client_of(request).device_token == "from the cookie"
    assert client_of(request, "from the body").device_token == "from the body"


def test_a_device_token_of_a_megabyte_is_ignored(rf):
    request = rf.get("/", headers={"Cookie": "__Host-device=" + "x" * 1_000_000})
    assert client_of(request).device_token is None


def test_the_device_token_is_not_shown(rf):
    assert "a secret" not in repr(client_of(rf.get("/"), "a secret"))
