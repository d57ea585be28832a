"""The origin check, case by case."""

import pytest

from tokens.web.http.origins import is_cross_origin, is_unsafe

OURS, TRUSTED, OTHER = "https://testserver", "https://app.example.org", "https://evil.example.org"

CASES: dict[str, tuple[str | None, str | None, bool]] = {
    # Origin, Sec-Fetch-Site, is it cross-origin?
    "a client that is no browser": (None, None, False),
    "an old browser on our own page": (OURS, None, False),
    "an old browser on another site's page": (OTHER, None, True),
    "another scheme": ("http://testserver", None, True),
    "another port": ("https://testserver:8443", None, True),
    "a host that only begins like ours": ("https://testserver.evil.example.org", None, True),
    "a sandboxed frame": ("null", None, True),
    "an empty Origin": ("", None, True),
    "an Origin without a host": ("https://", None, True),
    "an Origin without a scheme": ("testserver", None, True),
    "an Origin without the name of a scheme": ("//testserver", None, True),
    "an Origin that is not ASCII": ("\xff", None, True),
    "an Origin of a megabyte": ("x" * 2**20, None, True),
    "an unknown Sec-Fetch-Site": (None, "nonsense", True),
    "our own page": (OURS, "same-origin", False),
    "our own page, which hides its origin": ("null", "same-origin", False),
    "an address that the user typed": (None, "none", False),
    "Sec-Fetch-Site precedes Origin": (OURS, "cross-site", True),
    "another site": (OTHER, "cross-site", True),
    "another host of the site": (OTHER, "same-site", True),
    "an empty Sec-Fetch-Site": (OTHER, "", True),
    "a trusted origin, by an old browser": (TRUSTED, None, False),
    "a trusted origin on another site": (TRUSTED, "cross-site", False),
    "a trusted origin with another port": (TRUSTED + ":444", "cross-site", True),
}


@pytest.mark.parametrize(("origin", "site", "expected"), CASES.values(), ids=CASES)
def test_where_a_request_may_come_from(origin, site, expected, rf, settings):
    settings.TOKENS = {"TRUSTED_ORIGINS": [TRUSTED]}
    headers = {"Origin": origin, "Sec-Fetch-Site": site}
    request = rf.post("/", headers={name: value for name, value in headers.items() if value is not None})
    assert is_cross_origin(request) is expected


SECOND = "second.example.org"


OF_A_SECOND_HOST: dict[str, tuple[str, str | None, str, bool]] = {
    # Origin, Sec-Fetch-Site, ALLOWED_HOSTS, is it cross-origin?
    "an old browser on a page of that host": (f"https://{SECOND}", None, SECOND, False),
    "a newer browser on a page of that host": (f"https://{SECOND}", "same-origin", SECOND, False),
    "a newer browser on another site": (f"https://{SECOND}", "cross-site", SECOND, True),
    "a page over http": (f"http://{SECOND}", None, SECOND, True),
    "another port": (f"https://{SECOND}:8443", None, SECOND, True),
    "another site's page": (OTHER, None, SECOND, True),
    "a host that is not ours": (f"https://{SECOND}", None, "testserver", True),
}


@pytest.mark.parametrize(("origin", "site", "allowed", "expected"), OF_A_SECOND_HOST.values(), ids=OF_A_SECOND_HOST)
def test_a_second_host_of_the_project(origin, site, allowed, expected, rf, settings):
    settings.ALLOWED_HOSTS = [allowed]
    headers = {"Origin": origin, "Host": SECOND, **({"Sec-Fetch-Site": site} if site else {})}
    assert is_cross_origin(rf.post("/", headers=headers)) is expected


UNSAFE = {"POST", "PUT", "PATCH", "DELETE", "WHATEVER"}


@pytest.mark.parametrize("method", [*sorted(UNSAFE), "GET", "HEAD", "OPTIONS", "TRACE"])
def test_every_method_that_is_not_known_to_be_safe_is_unsafe(method, rf):
    assert is_unsafe(rf.generic(method, "/")) is (method in UNSAFE)
