"""The origin check, case by case."""

import pytest

from tokens.origins import is_cross_origin, is_unsafe

OURS, TRUSTED, OTHER = "https://testserver", "https://app.example.org", "https://evil.example.org"

CASES = [
    # Origin, Sec-Fetch-Site, cross-origin?, why
    (None, None, False, "no browser"),
    (OURS, None, False, "an old browser, our own page"),
    (OTHER, None, True, "an old browser, another's page"),
    ("http://testserver", None, True, "another scheme"),
    ("https://testserver:8443", None, True, "another port"),
    ("https://testserver.evil.example.org", None, True, "a host that only begins like ours"),
    ("null", None, True, "a sandboxed frame"),
    ("", None, True, "an empty Origin is no Origin of ours"),
    (OURS, "same-origin", False, "our own page"),
    ("null", "same-origin", False, "our own page, which does not tell its origin"),
    (None, "none", False, "typed into the address bar"),
    (OURS, "cross-site", True, "the browser knows better than Origin"),
    (OTHER, "cross-site", True, "another site"),
    (OTHER, "same-site", True, "a sibling domain"),
    (OTHER, "", True, "an empty header says nothing for it"),
    (TRUSTED, None, False, "trusted, an old browser"),
    (TRUSTED, "cross-site", False, "trusted, whatever the site is"),
    (TRUSTED + ":444", "cross-site", True, "trusted, but for its port"),
]


@pytest.mark.parametrize(("origin", "site", "expected", "why"), CASES, ids=[case[-1] for case in CASES])
def test_where_a_request_may_come_from(origin, site, expected, why, rf, settings):
    settings.TOKENS = {"TRUSTED_ORIGINS": [TRUSTED]}  # type: ignore[attr-defined]
    headers = {"Origin": origin, "Sec-Fetch-Site": site}
    request = rf.post("/", headers={name: value for name, value in headers.items() if value is not None})
    assert is_cross_origin(request) is expected


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "WHATEVER"])
def test_a_method_that_is_not_known_to_be_safe_is_unsafe(method, rf):
    assert is_unsafe(rf.generic(method, "/"))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_method_is_safe(method, rf):
    assert not is_unsafe(rf.generic(method, "/"))
