"""Coming over from other packages. The tests are in `coming_over`, because the packages' apps must be installed."""

import pytest

from tests.tokens.contrib.test_oauth_toolkit import run

SETTINGS = "tests.tokens.contrib.coming_over.settings"


@pytest.mark.long
@pytest.mark.parametrize("package", ["simplejwt"])
def test_the_suite_passes_with_the_package(package):
    options = ("-q", "-n0", "-p", "no:cacheprovider", f"--ds={SETTINGS}")
    assert "passed" in run("-m", "pytest", *options, f"tests/tokens/contrib/coming_over/{package}_suite.py")


def test_its_migration_is_complete():
    run("-m", "django", "makemigrations", "--check", "--dry-run", "--settings", SETTINGS)
