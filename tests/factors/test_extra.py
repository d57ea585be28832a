"""Without the packages of the extra ``factors``, the error says what to install."""

import subprocess
import sys

import pytest

_WITHOUT = """
import sys
for name in {missing}:
    sys.modules[name] = None
{code}
"""
_SETTINGS = """
from django.conf import settings
settings.configure(SECRET_KEY="x" * 64, INSTALLED_APPS={apps}, TOKENS={{"FACTORS": ["factors.totp.TotpFactor"]}})
import django
django.setup()
"""
_CHECK = """
import sys
from tokens.checks.settings import check_factors
sys.exit(check_factors()[0].msg)
"""


@pytest.mark.long
@pytest.mark.parametrize("missing", [("fido2",), ("pyotp", "segno")], ids=" and ".join)
@pytest.mark.parametrize(
    "code",
    [
        "import factors.totp",
        _SETTINGS.format(apps=["factors"]),
        _SETTINGS.format(apps=["django.contrib.auth", "django.contrib.contenttypes", "tokens"]) + _CHECK,
    ],
    ids=["an import", "the app", "the check of FACTORS"],
)
def test_the_error_names_the_extra(missing, code):
    script = _WITHOUT.format(missing=missing, code=code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    [*_, last] = done.stderr.strip().splitlines()
    assert f"needs {' and '.join(missing)}. Install the extra: django-latchkey[factors]" in last
