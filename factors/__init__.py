"""Second factors, passkeys and recovery codes. The extra ``factors`` installs what this app needs."""

from importlib.util import find_spec

_missing = " and ".join(name for name in ("fido2", "pyotp", "segno") if find_spec(name) is None)
if _missing:
    raise ModuleNotFoundError(
        f"Latchkey's app factors needs {_missing}. Install the extra: django-latchkey[factors]"
        " (docs/how-to/factors.md)."
    )
