"""The accounts of the demo, whose password is published. With DEBUG off they do not sign in, and their sessions end."""

PASSWORD = "latchkey-demo"  # noqa: S105 — published, so the command needs DEBUG
FLAGS = {
    "demo@latchkey.test": {},
    "admin@latchkey.test": {"is_staff": True, "is_superuser": True},
}
"""Their addresses, and the flags of each."""
