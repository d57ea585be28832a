"""The client's address: through trusted proxies alone."""

import pytest

from tokens.network import client_ip, client_of

PROXY, CLIENT = "10.0.0.1", "203.0.113.7"

CASES = [
    # trusted proxies, remote address, X-Forwarded-For, expected, why
    ([], CLIENT, None, CLIENT, "nobody in between"),
    ([], CLIENT, "198.51.100.1", CLIENT, "without a trusted proxy the header is anybody's word"),
    (["10.0.0.0/8"], CLIENT, "198.51.100.1", CLIENT, "the header of one who is no proxy of ours"),
    (["10.0.0.0/8"], PROXY, CLIENT, CLIENT, "one proxy"),
    (["10.0.0.0/8"], PROXY, f"198.51.100.1, {CLIENT}", CLIENT, "what the client itself wrote is not believed"),
    (["10.0.0.0/8"], PROXY, f"{CLIENT}, 10.1.2.3", CLIENT, "two proxies"),
    (["10.0.0.0/8"], PROXY, None, PROXY, "the proxy itself"),
    (["10.0.0.0/8"], PROXY, "garbage\r\nX: y", PROXY, "garbage"),
    (["10.0.0.0/8"], PROXY, f"{CLIENT}, unknown", PROXY, "behind garbage nothing counts"),
    (["::1"], "::1", "2001:db8::1", "2001:db8::1", "IPv6"),
    ([], "::ffff:203.0.113.7", None, CLIENT, "a mapped address is that address"),
    ([], "fe80::1%eth0", None, "fe80::1", "a scope means nothing elsewhere"),
    ([], "", None, None, "a Unix socket"),
]


@pytest.mark.parametrize(("proxies", "remote", "forwarded", "expected", "why"), CASES, ids=[case[-1] for case in CASES])
def test_where_a_request_came_from(proxies, remote, forwarded, expected, why, rf, settings):
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
    assert client_ip(rf.get("/", REMOTE_ADDR=remote, headers=headers)) == expected


def test_a_device_token_in_the_body_goes_before_the_cookie(rf):
    request = rf.get("/", headers={"Cookie": "__Host-device=from the cookie"})
    assert client_of(request).device_token == "from the cookie"
    assert client_of(request, "from the body").device_token == "from the body"


def test_a_device_token_of_a_megabyte_is_none(rf):
    request = rf.get("/", headers={"Cookie": "__Host-device=" + "x" * 1_000_000})
    assert client_of(request).device_token is None
    assert "device_token" not in repr(client_of(request, "a secret"))
