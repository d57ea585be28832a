"""One-time codes (RFC 6238) and recovery codes, as plain functions. `pyotp` computes one-time codes.

Codes have six digits and change every 30 seconds, by SHA-1, because not all apps read other values from a QR code.
"""

import re
import secrets
from base64 import b32encode
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Any

import pyotp

DIGITS, PERIOD = 6, 30
TOLERANCE = 1
"""How many steps before and after the server's time are accepted (RFC 6238 section 5.2)."""
RECOVERY_CODES = 10
MAX_ACCOUNT = 64
"""Characters of a user's name in a QR code. One character may take twelve there."""
_RECOVERY_BYTES = 15
"""120 random bits. SP 800-63B-4 section 3.1.2.2 requires 112 where codes are stored as plain digests."""
_GROUP = 6
_ONE_TIME = re.compile(rf"[0-9]{{{DIGITS}}}")
_RECOVERY = re.compile(r"[a-z2-7]{24}")


def new_secret() -> str:
    """Return a secret of 160 bits in base32, as authenticator apps take it (RFC 4226 section 4)."""
    return pyotp.random_base32(32)


def code_at(secret: str, step: int, digits: int = DIGITS) -> str:
    """Return the code of a step: the number of periods since 1970."""
    return pyotp.HOTP(secret, digits=digits).at(step)


def step_at(now: datetime) -> int:
    """Return the step of this time."""
    return int(now.timestamp()) // PERIOD


def matching_step(secret: str, answer: Any, now: datetime, after: int) -> int | None:
    """Return the step of which this is the code, or None. Steps up to ``after`` do not count.

    ``answer`` is any JSON. Blanks in it do not matter.
    """
    given = "".join(answer.split()) if isinstance(answer, str) else ""
    if not _ONE_TIME.fullmatch(given):
        return None
    here, found = step_at(now), None
    for step in range(here - TOLERANCE, here + TOLERANCE + 1):
        is_right = compare_digest(code_at(secret, step), given)
        found = step if is_right and step > after else found
    return found


def uri(secret: str, account: Any, issuer: str) -> str:
    """Return the URI that an authenticator app reads from a QR code (otpauth). ``account`` is the user's name.

    The app only shows the name. A long one is cut, because a QR code has room for about two thousand characters.
    """
    name = str(account)
    name = name if len(name) <= MAX_ACCOUNT else name[: MAX_ACCOUNT - 1] + "…"
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def qr_code(text: str) -> str:
    """Return a QR code as SVG, for a page. It has no styles and names no other file, so that every CSP allows it."""
    import segno  # Importing it takes longer than making a code, and most processes make none.

    return segno.make(text, micro=False, error="m").svg_inline(scale=4, dark="#000", light="#fff")


def in_groups(text: str, size: int = 4, between: str = " ") -> str:
    """Return a text in groups of characters, so that a person can copy it."""
    return between.join(text[place : place + size] for place in range(0, len(text), size))


def new_recovery_codes() -> list[str]:
    """Return a set of recovery codes."""
    made = (b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES))
    return [in_groups(code, _GROUP, "-") for code in made]


def recovery_digest(answer: Any) -> bytes | None:
    """Return the digest under which a recovery code is stored, or None if this is none. ``answer`` is any JSON.

    Upper case, blanks and hyphens do not matter.
    """
    given = "".join(answer.split()).replace("-", "").lower() if isinstance(answer, str) else ""
    return sha256(given.encode()).digest() if _RECOVERY.fullmatch(given) else None
