"""Write as many sessions as a large site has, with all their columns. PostgreSQL makes them itself, within seconds.

The sessions began one after the other during `PAST`, four for each user and two for each device. Each ends at a random
time within the longest lifetime of a session, and every second one was revoked. A fifth of them are therefore older
than the default retention. If only live sessions are asked for, all began within the last week, and none ends today.
Each session was refreshed once, and a live one can be refreshed again: `token_of` makes its token.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection

from tokens.conf import keyring, token_settings
from tokens.database.transactions import clock
from tokens.protocol import refresh_tokens
from tokens.protocol.refresh_tokens import SECRET_BYTES
from tokens.service.auth_hash import digest_of

PAST = timedelta(days=56)
_SECRET = bytes(SECRET_BYTES)
_PASSWORD = "!nobody's"
"""An unusable password. It is the same for all users, so that all sessions have the same ``auth_hash_digest``."""

_JOINED = "%(now)s - interval '1 year'"


def _uuid7(at: str, number: str) -> str:
    milliseconds = f"floor(extract(epoch FROM {at}) * 1000)::bigint"
    return f"(lpad(to_hex({milliseconds}), 12, '0') || '70008000' || lpad(to_hex({number}), 12, '0'))::uuid"


_USER, _DEVICE, _SESSION = _uuid7(_JOINED, "n / 4"), _uuid7(_JOINED, "n / 2"), _uuid7("at", "n")

_STATEMENTS = (
    f"""
    INSERT INTO accounts_user (id, password, is_superuser, email, is_staff, is_active, email_confirmed_at, date_joined)
    SELECT {_USER}, %(password)s, false, 'member' || n / 4 || '@example.org', false, true, {_JOINED}, {_JOINED}
    FROM generate_series(0, %(count)s - 1, 4) n
    """,  # noqa: S608
    f"""
    INSERT INTO tokens_device (id, user_id, token_digest, name, created_at)
    SELECT {_DEVICE}, {_USER}, sha256(n::text::bytea), 'Firefox on Windows', {_JOINED}
    FROM generate_series(0, %(count)s - 1, 2) n
    """,  # noqa: S608
    f"""
    INSERT INTO tokens_refreshtoken (
        id, user_id, device_id, mode, secret_digest, generation, since, recovered, recoveries, acknowledged, created_at,
        authenticated_at, methods, remember, idle_expires_at, expires_at, auth_hash_digest, ip,
        user_agent_digest, revoked_at, revoked_reason)
    SELECT {_SESSION}, {_USER}, {_DEVICE}, 'cookie', %(digest)s, 1, least(ends, %(now)s) - interval '1 hour', 0, 0,
        false, at, at, 'pwd:' || extract(epoch FROM at)::bigint, true, ends, at + %(lifetime)s, %(stamp)s,
        '192.0.2.7', substr(sha256('Firefox'), 1, 8), CASE WHEN is_revoked THEN ends END,
        CASE WHEN is_revoked THEN 'signed_out' ELSE '' END
    FROM generate_series(0, %(count)s - 1) n,
        LATERAL (SELECT %(now)s - %(past)s * (1 - n / %(count)s::float)) signed_in (at),
        LATERAL (SELECT greatest(at + %(lifetime)s * random(), %(now)s + %(left)s)) ended (ends),
        LATERAL (SELECT ends < %(now)s AND n %% 2 = 0) how (is_revoked)
    """,  # noqa: S608
    "ANALYZE accounts_user, tokens_device, tokens_refreshtoken",
)


def gather(count: int, *, live: bool = False) -> None:
    """Write ``count`` sessions with their users and devices to the database ``default``. ``live``: none has ended."""
    values = {
        "count": count,
        "now": clock("default"),
        "past": timedelta(days=7) if live else PAST,
        "left": timedelta(days=1) if live else -PAST,
        "lifetime": token_settings().absolute_lifetime,
        "password": _PASSWORD,
        "digest": refresh_tokens.RefreshToken(UUID(int=0), _SECRET, 0).digest,
        "stamp": digest_of(get_user_model()(password=_PASSWORD)),
    }
    with connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, values)


def token_of(session_id: Any, generation: int = 1) -> str:
    """Return the refresh token of a session that `gather` wrote, as it is in a cookie."""
    ring = keyring()
    token = refresh_tokens.RefreshToken(session_id, _SECRET, generation)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id], http=True)
