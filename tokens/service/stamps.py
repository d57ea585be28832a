"""Stamps: a session carries a digest of its user's session auth hash, so a new password ends it, changed by any path.

Django computes that hash from the password's hash and ``SECRET_KEY``. Neither a rotated ``SECRET_KEY`` nor a password
hash that Django upgrades at sign-in is a new password: the first is recognised by Django's fall-back hashes, the
second is noticed when it happens, and the sessions are stamped anew.
"""

from collections.abc import Iterator
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from django.contrib.auth.hashers import get_hasher, identify_hasher

from tokens.database import writer
from tokens.models import RefreshToken


def stamp_of(user: Any) -> bytes:
    """The user's stamp as it is now, 32 bytes."""
    return sha256(user.get_session_auth_hash().encode()).digest()


def renewed_stamp(session: RefreshToken, user: Any) -> bytes | None:
    """Return the stamp that the session should carry, or None if the password was changed since its sign-in."""
    stamped, good = bytes(session.auth_hash_digest), good_stamps(user)
    todays = next(good)
    is_good = compare_digest(stamped, todays) or any(compare_digest(stamped, stamp) for stamp in good)
    return todays if is_good else None


def good_stamps(user: Any) -> Iterator[bytes]:
    """The stamps that sessions of this user may carry: today's first, then those of older secrets."""
    yield stamp_of(user)
    for fallback in user.get_session_auth_fallback_hash():
        yield sha256(fallback.encode()).digest()


def is_upgrade(old: str, new: str) -> bool:
    """Whether Django would itself replace the password hash ``old``, by one made as ``new`` is."""
    try:
        before, preferred = identify_hasher(old), get_hasher()
        after = identify_hasher(new)
    except ValueError:
        return False
    outdated = before.algorithm != preferred.algorithm or preferred.must_update(old)
    return outdated and after.algorithm == preferred.algorithm and not preferred.must_update(new)


def restamp(user: Any, old_password: str) -> None:
    """Stamp the sessions that were good with the password hash ``old_password`` for the one that the user has now."""
    new_password, user.password = user.password, old_password
    good = list(good_stamps(user))
    user.password = new_password
    alias = writer(RefreshToken)
    RefreshToken.objects.using(alias).filter(user=user, auth_hash_digest__in=good, revoked_at=None).update(
        auth_hash_digest=stamp_of(user)
    )
