"""The URL patterns of the API answer for views that they have not imported."""

import pytest
from django.urls import URLPattern
from django.utils.module_loading import import_string

from accounts.api.urls import urlpatterns as of_accounts
from tokens.api.urls import urlpatterns as of_tokens

PATTERNS = [*of_accounts, *of_tokens]


@pytest.mark.parametrize("pattern", PATTERNS, ids=[str(pattern.pattern) for pattern in PATTERNS])
def test_an_endpoint_says_what_its_view_says(pattern: URLPattern) -> None:
    endpoint = pattern.callback
    view = import_string(f"{endpoint.__module__}.{endpoint.__name__}").as_view()
    for name in ("cls", "initkwargs", "csrf_exempt", "login_required", "_non_atomic_requests"):
        assert getattr(endpoint, name) == getattr(view, name)
    assert pattern.lookup_str == URLPattern(pattern.pattern, view).lookup_str
