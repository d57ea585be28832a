"""The adapter for django-allauth. Its tests are in `headless.suite`, because the package's apps must be installed."""

import pytest

from tests.tokens.contrib.test_oauth_toolkit import run

SETTINGS = "tests.tokens.contrib.headless.settings"


@pytest.mark.long
def test_the_suite_passes_with_the_package():
    options = ("-q", "-n0", "-p", "no:cacheprovider", f"--ds={SETTINGS}")
    assert "passed" in run("-m", "pytest", *options, "tests/tokens/contrib/headless/suite.py")
