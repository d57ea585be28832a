"""A session holds a digest of its user's session auth hash, so that a changed password ends the session.

Django computes the session auth hash from the password hash and ``SECRET_KEY``
(`AbstractBaseUser.get_session_auth_hash`). Two changes of it are not a new password. A rotated ``SECRET_KEY`` is
recognised by Django's fallback hashes. When Django upgrades a password hash at sign-in, `follow_rehash` updates the
digests of the user's sessions.
"""

from collections.abc import Iterator
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import get_hasher, identify_hasher
from django.utils.crypto import constant_time_compare

from tokens.database.transactions import clock, durable, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol.access_tokens import AccessToken
from tokens.service import events
from tokens.service.client import Client
from tokens.service.revocation import revoke_all


def digest_of(user: Any) -> bytes:
    """Return the digest of the user's current session auth hash, 32 bytes."""
    return sha256(user.get_session_auth_hash().encode()).digest()


def renewed_digest(session: RefreshToken, user: Any) -> bytes | None:
    """Return the digest that the session should hold, or None if the password was changed since the sign-in."""
    held, valid = bytes(session.auth_hash_digest), valid_digests(user)
    current = next(valid)
    is_valid = compare_digest(held, current) or any(compare_digest(held, digest) for digest in valid)
    return current if is_valid else None


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


def follow_rehash(user: Any, old_password: str) -> None:
    """Update the digest of each session that was valid with the password hash ``old_password``."""
    new_password, user.password = user.password, old_password
    valid = list(valid_digests(user))
    user.password = new_password
    alias = writer(RefreshToken)
    RefreshToken.objects.using(alias).filter(user=user, auth_hash_digest__in=valid, revoked_at=None).update(
        auth_hash_digest=digest_of(user)
    )


def follow_password_change(access: AccessToken, session_hash: str, client: Client) -> None:
    """Keep the session in which the password was changed, and end the user's other sessions.

    ``session_hash`` is what `django.contrib.auth.update_session_auth_hash` wrote to Django's session. If it is not the
    user's current session auth hash, the password was not changed, and nothing happens.
    """
    user = get_user_model()._default_manager.using(writer(get_user_model())).filter(pk=access.subject).first()
    if user is None or not constant_time_compare(session_hash, user.get_session_auth_hash()):
        return
    alias, digest = writer(RefreshToken), digest_of(user)
    sessions = RefreshToken.objects.using(alias).live().filter(user=user)
    own = sessions.filter(id=access.session_id).exclude(auth_hash_digest=digest)
    changed = {"user_id": user.pk, "session_id": access.session_id}
    with durable(alias):
        # Everyone locks sessions in this order, so that two transactions that end the same sessions cannot deadlock.
        list(sessions.order_by("id").select_for_update(of=("self",)).values_list("id"))
        if own.update(auth_hash_digest=digest):
            events.write([events.record(SecurityEvent.Kind.PASSWORD_CHANGED, clock(alias), client, **changed)])
            outdated = sessions.exclude(auth_hash_digest__in=list(valid_digests(user)))
            revoke_all(outdated, RefreshToken.Reason.PASSWORD_CHANGED, client=client)
