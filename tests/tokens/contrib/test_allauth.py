"""The adapters for django-allauth. Their tests are in `headless`, because the package's apps must be installed."""

import pytest

from tests.docs.blocks import Block, block
from tests.tokens.contrib.test_oauth_toolkit import run

SETTINGS = "tests.tokens.contrib.headless.settings"


def runs_blocks() -> list[Block]:
    """The block is the settings of `headless.policy`."""
    return [block("docs/how-to/other-packages.md", "# settings.py, with django-allauth")]


@pytest.mark.long
def test_the_suite_passes_with_the_package():
    options = ("-q", "-n0", "-p", "no:cacheprovider", f"--ds={SETTINGS}")
    files = [f"tests/tokens/contrib/headless/{name}.py" for name in ("suite", "factors", "policy")]
    assert "passed" in run("-m", "pytest", *options, *files)
