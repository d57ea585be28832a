"""The accounts of the demo, whose password is published. With DEBUG off they do not sign in, and their sessions end.

They are known by their addresses. An account that got another address is known by the password.
"""

from django.conf import settings

PASSWORD = "latchkey-demo"  # noqa: S105 — published, so the command needs DEBUG
FLAGS = {
    "demo@latchkey.test": {},
    "admin@latchkey.test": {"is_staff": True, "is_superuser": True},
}
"""Their addresses, and the flags of each."""


def may_use(password: str) -> bool:
    """Return whether anybody may have this password: DEBUG is on, or it is not the published one."""
    return settings.DEBUG or password != PASSWORD
