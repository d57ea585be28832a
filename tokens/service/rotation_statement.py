"""The most common refresh, a rotation, as one statement on PostgreSQL.

The statement updates the row only if `tokens.protocol.rotation.decide` says ROTATE and the session is not bound to its
device, and as `tokens.protocol.rotation.begin` does. In mode ``scoped`` the client must hold the token of the session's
device. It is not used for the first rotation of a session, which ends other sessions, nor in strict mode, whose commits
wait for the disk. With REQUIRED_FACTORS it leaves out sessions that may lack a factor. If it updates no row,
`tokens.service.refreshing` reads the row and decides.
"""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections

from tokens.conf import NOBODY, SCOPED, STAFF, token_settings
from tokens.conf.lifetimes import IdleLimits
from tokens.database.expressions import DatabaseNow, WithoutFlush
from tokens.database.statements import Columns
from tokens.database.transactions import writer
from tokens.models import Device, RefreshToken
from tokens.protocol import refresh_tokens
from tokens.protocol.methods import MULTIPLE, STRONG
from tokens.service import devices
from tokens.service.client import Client

if TYPE_CHECKING:
    from tokens.database.prepared import Prepared

# The clock is read in a subquery. In the outer query it is a volatile function, and would be read several times.
_TEXT = """\
UPDATE {session.table} AS session SET
    generation = session.generation + 1,
    since = clock.now,
    recovered = 0,
    recoveries = CASE WHEN session.recovered > 0 THEN session.recoveries ELSE 0 END,
    acknowledged = false,
    idle_expires_at = {idle_until},
    ip = %s,
    user_agent_digest = %s
FROM (
    SELECT now,
        now - make_interval(secs => {still}) AS still_since,
        now + make_interval(secs => {idle}) AS remembered_until,
        now + make_interval(secs => {unremembered}) AS forgotten_at
    FROM (SELECT {clock} AS now) AS reading
) AS clock, {user.table} AS owner, {device.table} AS device
WHERE session.id = %s AND session.generation = %s AND session.secret_digest = %s AND session.mode = ANY(%s::varchar[])
    AND (session.mode <> '{scoped}' OR device.token_digest = %s)
    AND session.since <= still_since AND session.bound_at IS NULL
    AND session.revoked_at IS NULL AND session.idle_expires_at > now AND session.expires_at > now
    AND owner.{user_key} = session.user_id AND device.id = session.device_id{may_go_on}
    AND {without_flush}
RETURNING now, {session.sql}, {user.sql}, {device.sql}"""

_NOW = DatabaseNow()


class _Statement(NamedTuple):
    """The statement, and the columns of the row that it returns."""

    prepared: "Prepared"
    session: Columns
    user: Columns
    device: Columns


def rotate(presented: refresh_tokens.RefreshToken, modes: Collection[str], client: Client) -> RefreshToken | None:
    """Rotate the session of this token, and return its row with user, device and clock. None: `decide` has to be asked.

    The caller has to check whether the user is active and still has the same password.
    """
    alias, found = writer(RefreshToken), token_settings()
    connection = connections[alias]
    if connection.vendor != "postgresql" or presented.generation == 0 or found.policy.strict:
        return None
    clock, clock_params = _NOW.as_postgresql(None, connection)
    durations = (found.policy.acknowledge_after, found.idle_lifetime_unbound, found.browser_session_lifetime)
    seconds = (duration.total_seconds() for duration in durations)
    asked = found.required_factors, found.own_methods
    statement = _statement(alias, clock, len(clock_params), found.idle_limits, asked, *seconds)
    if statement is None:
        return None
    params = [
        client.ip,
        client.user_agent_digest,
        *clock_params,
        presented.session_id,
        presented.generation,
        # The digest of 128 random bits, in a token whose tag was verified. The time of this comparison reveals nothing.
        presented.digest,
        f"{{{','.join(modes)}}}",
        # `tokens.service.refreshing` checks how old a doubtful device is.
        devices.digest_of("" if client.is_device_doubtful else client.device_token or ""),
    ]
    row = statement.prepared.fetchone(connection, params)
    if row is None:
        return None
    values = iter(row)
    now = next(values)
    session: RefreshToken = statement.session.read(values, alias)
    session.now = now
    for name, columns in (("user", statement.user), ("device", statement.device)):
        # As `select_related` does. An assignment would compare the keys, too.
        field: Any = RefreshToken._meta.get_field(name)
        field.set_cached_value(session, columns.read(values, alias))
    return session


def _idle_until(limits: IdleLimits) -> str:
    """Return the SQL of `tokens.service.lifetimes.idle_until`, for sessions that are not bound to their device.

    It finds the level as `tokens.protocol.methods.acr_of` does. A name of a method has no character that SQL would
    interpret in quotation marks.
    """
    until = "CASE WHEN session.remember THEN remembered_until ELSE forgotten_at END"
    cases = [
        f"WHEN {' AND '.join(map(_has_method, sorted(enough)))} THEN {'NULL' if seconds is None else seconds}"
        for sets, seconds in limits
        for enough in sets
    ]
    # PostgreSQL's LEAST ignores NULL, which stands for a level without a limit.
    return f"LEAST({until}, now + make_interval(secs => CASE {' '.join(cases)} END))" if cases else until


def _may_go_on(required: str, own_methods: Iterable[str], model: Any, quote: Callable[[str], str]) -> str:
    """Return the SQL for sessions that lack no factor, as far as SQL can tell (`tokens.service.required_factors`)."""
    if required == NOBODY:
        return ""
    enough = [_has_method(name) for name in (MULTIPLE, *sorted(STRONG.union(own_methods) - {MULTIPLE}))]
    if required == STAFF:
        # Most users are no staff. A model may compute it.
        columns = [field.column for field in model._meta.concrete_fields if field.name == "is_staff"]
        enough = [*(f"NOT owner.{quote(column)}" for column in columns), *enough]
    return f"\n    AND session.actor_id IS NULL AND ({' OR '.join(enough)})"


def _has_method(name: str) -> str:
    return f"strpos(' ' || session.methods, ' {name}:') > 0"


@lru_cache(maxsize=8)
def _statement(
    alias: str,
    clock: str,
    clock_params: int,
    idle_limits: IdleLimits,
    asked: tuple[str, tuple[str, ...]],
    still: float,
    idle: float,
    unremembered: float,
) -> _Statement | None:
    """Return the statement, or None if the user model has several tables.

    ``clock`` is the SQL of the database's clock. ``idle_limits`` is that of the settings. ``asked`` are
    REQUIRED_FACTORS and OWN_METHODS. ``still``, ``idle`` and ``unremembered`` are settings, in seconds.
    """
    from tokens.database.prepared import Prepared  # `prepared` imports psycopg, which SQLite does not need.

    user: Any = RefreshToken._meta.get_field("user")
    try:
        columns = {
            "session": Columns(RefreshToken, "session", alias),
            "user": Columns(user.related_model, "owner", alias),
            "device": Columns(Device, "device", alias),
        }
    except ValueError:
        return None
    connection = connections[alias]
    without_flush, _ = WithoutFlush().as_postgresql(None, connection)
    text = _TEXT.format(
        **columns,
        scoped=SCOPED,
        still=still,
        idle=idle,
        idle_until=_idle_until(idle_limits),
        may_go_on=_may_go_on(*asked, user.related_model, connection.ops.quote_name),
        unremembered=unremembered,
        clock=clock,
        user_key=connection.ops.quote_name(user.target_field.column),
        without_flush=without_flush,
    )
    types = ["inet", "bytea", *["timestamptz"] * clock_params, "uuid", "bigint", "bytea", "varchar[]", "bytea"]
    return _Statement(Prepared(text, types), **columns)
