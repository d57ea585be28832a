"""A session holds a digest of its user's session auth hash, so that a changed password ends the session.

Django computes the session auth hash from the password hash and ``SECRET_KEY``
(`AbstractBaseUser.get_session_auth_hash`). Two changes of it are not a new password. A rotated ``SECRET_KEY`` is
recognised by Django's fallback hashes. When Django upgrades a password hash at sign-in, `announce_rehash` notes before
that the old and the new hash belong to the same password.
"""

from collections.abc import Iterator
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from django.contrib.auth.hashers import get_hasher, identify_hasher

from tokens.conf import token_settings
from tokens.database.transactions import clock, writer
from tokens.models import RefreshToken, Rehash


def digest_of(user: Any) -> bytes:
    """Return the digest of the user's current session auth hash, 32 bytes."""
    return sha256(user.get_session_auth_hash().encode()).digest()


def renewed_digest(session: RefreshToken, user: Any) -> bytes | None:
    """Return the digest that the session should hold, or None if the password was changed since the sign-in."""
    held, current = bytes(session.auth_hash_digest), digest_of(user)
    return current if compare_digest(held, current) or is_same_password(held, user) else None


def is_same_password(held: bytes, user: Any) -> bool:
    """Return whether a digest, which may be an earlier one, belongs to the password that ``user`` has."""
    valid = set(valid_digests(user))
    if held in valid:
        return True
    rows = Rehash.objects.using(writer(Rehash)).filter(user=user.pk).values_list("old_digest", "new_digest")
    older = [(bytes(old), bytes(new)) for old, new in rows]
    while found := {old for old, new in older if new in valid} - valid:
        valid |= found
    return held in valid


def valid_digests(user: Any) -> Iterator[bytes]:
    """Yield the digests that the user's sessions may hold: the current one, then those of SECRET_KEY_FALLBACKS."""
    yield digest_of(user)
    for fallback in user.get_session_auth_fallback_hash():
        yield sha256(fallback.encode()).digest()


def is_rehash(old: str, new: str) -> bool:
    """Return whether Django itself would replace the password hash ``old`` by one made like ``new``, at a sign-in."""
    try:
        before, preferred = identify_hasher(old), get_hasher()
        after = identify_hasher(new)
    except ValueError:
        return False
    outdated = before.algorithm != preferred.algorithm or preferred.must_update(old)
    return outdated and after.algorithm == preferred.algorithm and not preferred.must_update(new)


def announce_rehash(user: Any, old: str, new: str) -> None:
    """Note that the password hash ``new`` belongs to the same password as ``old``, which it is about to replace.

    Notes that are older than any session are deleted, so that few are left of each user.
    """
    user.password = old
    outdated = list(valid_digests(user))
    user.password = new
    alias, digest = writer(Rehash), digest_of(user)
    now = clock(alias)
    rows = Rehash.objects.using(alias)
    rows.filter(user=user.pk, created_at__lt=now - token_settings().absolute_lifetime).delete()
    rows.bulk_create(
        Rehash(user_id=user.pk, old_digest=old_digest, new_digest=digest, created_at=now) for old_digest in outdated
    )
