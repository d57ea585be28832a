"""The client's address, which only a trusted proxy can report, and the client's device token."""

import pytest

from tokens.web.http.client import _short_peer, client_ip, client_of

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
            *("garbage\r\nX: y", "", ",", "999.1.1.1", f"{CLIENT}\0", "١٢٧.0.0.1", f"[{CLIENT}]", f"{CLIENT}:", "[::1"),
            *(f"{CLIENT}:http", f"{CLIENT}:4711:4711", f"{CLIENT}:٤٧", f"{CLIENT}:123456", "[]", "[]:80", ":80"),
            *("[2001:db8::1]x", "[[2001:db8::1]]", "2001:db8::1]", "[fe80::1%" + "x" * 100 + "]"),
            *("10.0.0.1, 10.0.0.1", "'; DROP TABLE tokens_refreshtoken; --", f"{CLIENT}," * 10_000),
        )
    },
    "with a port": (TRUSTED, PROXY, f"{CLIENT}:4711", CLIENT),
    "IPv6 in brackets": (TRUSTED, PROXY, "[2001:db8::7]", "2001:db8::7"),
    "IPv6 in brackets with a port": (TRUSTED, PROXY, "[2001:db8::7]:51234", "2001:db8::7"),
    "IPv6 with a scope in brackets": (TRUSTED, PROXY, "[fe80::1%eth0]:80", "fe80::1"),
    "a mapped IPv4 address in brackets": (TRUSTED, PROXY, f"[::ffff:{CLIENT}]:80", CLIENT),
    "two proxies with ports": (TRUSTED, PROXY, f"{CLIENT}:4711, 10.1.2.3:80", CLIENT),
    "what the client wrote, with ports": (TRUSTED, PROXY, f"10.1.2.3:80, {OTHER}:1,{CLIENT}:2", CLIENT),
    "after an invalid entry": (TRUSTED, PROXY, f"garbage, {CLIENT}", CLIENT),
    "an IPv4 address mapped to IPv6 in the header": (TRUSTED, PROXY, f"::ffff:{CLIENT}", CLIENT),
    "a scope in the header": (TRUSTED, PROXY, "fe80::1%eth0", "fe80::1"),
    "before an invalid entry all entries are ignored": (TRUSTED, PROXY, f"{CLIENT}, unknown", PROXY),
    "IPv6": (["::1"], "::1", "2001:db8::1", "2001:db8::1"),
    "an IPv4 address mapped to IPv6 is the IPv4 address": ([], "::ffff:203.0.113.7", None, CLIENT),
    "the scope of an IPv6 address is removed": ([], "fe80::1%eth0", None, "fe80::1"),
    "a Unix socket": ([], "", None, None),
    "a Unix socket of a project that does not name its proxies": ([], "", CLIENT, None),
    "a proxy at a Unix socket": (TRUSTED, "", f"{OTHER}, {CLIENT}", CLIENT),
    "a proxy at a Unix socket behind another one": (TRUSTED, "", f"{CLIENT}:4711, {PROXY}", CLIENT),
    "a proxy at a Unix socket with an invalid header": (TRUSTED, "", "garbage", None),
    "a text that the server has taken for an address": (TRUSTED, "unknown", CLIENT, None),
}


@pytest.mark.parametrize(("proxies", "remote", "forwarded", "expected"), CASES.values(), ids=CASES)
def test_the_address_of_the_client(proxies, remote, forwarded, expected, rf, settings):
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
    assert client_ip(rf.get("/", REMOTE_ADDR=remote, headers=headers)) == expected


SCHEME = ("HTTP_X_FORWARDED_PROTO", "https")
PEERS: dict[str, tuple[list[str], str, bool]] = {
    # trusted proxies, remote address, whether X-Forwarded-Proto is believed
    "a trusted proxy": (TRUSTED, PROXY, True),
    "a trusted proxy with a mapped address": (TRUSTED, f"::ffff:{PROXY}", True),
    "a client": (TRUSTED, CLIENT, False),
    "a client that names a proxy in X-Forwarded-For": (TRUSTED, f"{CLIENT}", False),
    "a proxy at a Unix socket": (TRUSTED, "", True),
    "a client of a project that does not name its proxies": ([], CLIENT, True),
}


@pytest.mark.parametrize("order", ["with the health checks", "without the health checks"])
@pytest.mark.parametrize(("proxies", "remote", "believed"), PEERS.values(), ids=PEERS)
def test_the_scheme_counts_from_trusted_proxies(browser, settings, proxies, remote, believed, order):
    settings.TRUSTED_PROXIES, settings.SECURE_PROXY_SSL_HEADER = proxies, SCHEME
    if order.startswith("without"):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != "tokens.monitoring.middleware"]
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": PROXY}
    response = browser.get("/.well-known/jwks.json", REMOTE_ADDR=remote, headers=headers)
    assert response.wsgi_request.is_secure() is believed
    assert ("Strict-Transport-Security" in response) is believed


def test_no_middleware_reads_the_scheme_of_a_client(browser, settings):
    settings.TRUSTED_PROXIES, settings.SECURE_PROXY_SSL_HEADER, settings.SECURE_SSL_REDIRECT = TRUSTED, SCHEME, True
    headers = {"X-Forwarded-Proto": "https"}
    assert browser.get("/.well-known/jwks.json", REMOTE_ADDR=CLIENT, headers=headers).status_code == 301
    assert browser.get("/.well-known/jwks.json", REMOTE_ADDR=PROXY, headers=headers).status_code == 200


def test_long_texts_of_strangers_are_not_remembered(rf, settings):
    settings.TRUSTED_PROXIES = TRUSTED
    before = _short_peer.cache_info().currsize
    client_ip(rf.get("/", REMOTE_ADDR=PROXY, headers={"X-Forwarded-For": f"{CLIENT}, fe80::1%" + "x" * 8000}))
    assert _short_peer.cache_info().currsize - before <= 1  # The proxy.


def test_a_device_token_in_the_body_precedes_the_cookie(rf):
    request = rf.get("/", headers={"Cookie": "__Host-device=from the cookie"})
    assert client_of(request).device_token == "from the cookie"
    assert client_of(request, "from the body").device_token == "from the body"


def test_a_device_token_of_a_megabyte_is_ignored(rf):
    request = rf.get("/", headers={"Cookie": "__Host-device=" + "x" * 1_000_000})
    assert client_of(request).device_token is None


def test_the_device_token_is_not_shown(rf):
    assert "a secret" not in repr(client_of(rf.get("/"), "a secret"))
