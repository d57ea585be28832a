"""The rows: a `RefreshToken` for each session, its `Device`, each `SecurityEvent`, recent `Revocation`s and `Rehash`es.

Only `tokens.service` writes them, and in tests `tokens.testing.changes`. Reads for a decision use the database that
takes writes.
"""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from tokens.conf import BODY, COOKIE, SCOPED, SUBDOMAIN, token_settings
from tokens.conf.methods import words
from tokens.database.expressions import InstantField, TransactionId
from tokens.database.levels import is_of_level
from tokens.database.sessions import SessionQuerySet
from tokens.database.transactions import writer
from tokens.protocol.access_tokens import instant
from tokens.protocol.methods import names_in
from tokens.protocol.rotation import State

LAST_USED_STEP = 600
"""Seconds to which the last use is rounded down. A finer time would tell an attacker when the user is active."""


class Device(models.Model):
    """One browser or app of one user, recognised by a device token. The row holds the token's digest."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    token_digest = models.BinaryField(max_length=32, editable=False)
    name = models.CharField(_("name"), max_length=100)
    created_at = InstantField(_("first seen"))
    last_sign_in = models.UUIDField(default=uuid7, db_default=UUID(int=0), editable=False)
    """Orders a user's devices by the last sign-in on each (`tokens.service.devices`)."""
    forgotten = models.BooleanField(default=False, db_default=False, editable=False)
    """Whether its token is not accepted any more. The row stays, so that the token is never accepted again."""
    trusted_until = InstantField(null=True, editable=False)
    """Until when its user signs in on it without a second factor, as the user has asked."""
    trusted_digest = models.BinaryField(max_length=32, null=True, editable=False)
    """The digest of the password that the user had then. With another one the device is not trusted any more."""
    replaced_by = models.UUIDField(null=True, editable=False)
    """The device as which the browser was recorded when it came back with the token of a forgotten device."""

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        constraints = [
            # The digest comes first: a sign-in looks for the sessions of the browser's other users.
            models.UniqueConstraint(fields=["token_digest", "user"], name="tokens_device_of_one_user")
        ]
        indexes = [
            models.Index(fields=["user", "-last_sign_in"], name="tokens_device_latest", condition=Q(forgotten=False))
        ]

    def __str__(self) -> str:
        return self.name


class RefreshTokenQuerySet(SessionQuerySet["RefreshToken"]):
    """The queries for sessions."""


class RefreshToken(models.Model):
    """One session: a sign-in on one device, until it is revoked or expires. The row is updated in place.

    The refresh token cannot be made from the row (`tokens.protocol.refresh_tokens`). `tokens.protocol.rotation` defines
    ``generation``, ``since``, ``recovered``, ``recoveries`` and ``acknowledged``.

    ``actor`` is set if the session is an impersonation: the actor uses it in the place of ``user``. It was opened from
    the actor's own session ``actor_session_id``, and ends when that one ends (`tokens.service.impersonation`). Its
    ``device`` and ``authenticated_at`` are the actor's. It has no ``methods``, because the user has proved nothing.

    If ``bound_key`` is set and ``bound_at`` is not, the key of the device is registered, but not proven yet, and the
    refresh token is still valid. After the first proof only the key refreshes the session (`tokens.service.binding`).
    """

    class Mode(models.TextChoices):
        """The storage mode: where the client keeps its tokens. It is fixed at the sign-in."""

        COOKIE = COOKIE, _("cookie")
        SCOPED = SCOPED, _("cookie, sent to the auth API alone")
        SUBDOMAIN = SUBDOMAIN, _("cookie of the auth host, access cookie of the site")
        BODY = BODY, _("response body")

    class Reason(models.TextChoices):
        """Why a session was ended."""

        SIGNED_OUT = "signed_out", _("signed out")
        ENDED_BY_USER = "ended_by_user", _("ended by the user from another session")
        ENDED_BY_STAFF = "ended_by_staff", _("revoked by an administrator")
        ENDED_BY_COMMAND = "ended_by_command", _("revoked by a command")
        REUSE = "reuse_detected", _("a refresh token was used twice")
        RECOVERIES_EXHAUSTED = "recoveries_exhausted", _("recovered too often")
        PASSWORD_CHANGED = "password_changed", _("the password was changed")
        USER_DISABLED = "user_disabled", _("the account was switched off")
        USER_DELETED = "user_deleted", _("the account was deleted")
        SUPERSEDED = "superseded", _("signed in again on this device")
        TOO_MANY = "too_many_sessions", _("too many sessions")
        RELEASED = "released", _("impersonation ended")
        ACTOR_ENDED = "actor_ended", _("the session of the actor ended")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    device = models.ForeignKey(Device, models.CASCADE, related_name="refresh_tokens", verbose_name=_("device"))
    # Without the actor the session would look like the user's own, so it is deleted with the actor.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="+",
        db_index=False,
        verbose_name=_("impersonated by"),
    )
    actor_session_id = models.UUIDField(_("session of the actor"), null=True, editable=False)
    mode = models.CharField(_("storage mode"), max_length=10, choices=Mode)
    secret_digest = models.BinaryField(max_length=32, editable=False)

    generation = models.BigIntegerField(_("generation"), default=0)
    since = InstantField(_("last refreshed"))
    recovered = models.PositiveSmallIntegerField(_("times recovered"), default=0)
    recoveries = models.PositiveSmallIntegerField(_("recoveries in a row"), default=0)
    acknowledged = models.BooleanField(_("acknowledged"), default=False)

    created_at = InstantField(_("signed in"))
    authenticated_at = InstantField(_("last authenticated"), null=True)
    methods = models.TextField(_("authenticated by"), blank=True, default="", db_default="")
    """The authentication methods with their times (`tokens.protocol.methods`), or "" if they are not known."""
    backend = models.CharField(max_length=255, blank=True, default="", db_default="", editable=False)
    """The dotted path of the backend of the sign-in, if it matters (`tokens.service.user_rules`)."""
    remember = models.BooleanField(_("remembered"), default=False)
    idle_expires_at = InstantField(_("ends if unused"))
    expires_at = InstantField(_("ends in any case"))
    auth_hash_digest = models.BinaryField(max_length=32, editable=False)

    ip = models.GenericIPAddressField(_("address"), null=True)
    user_agent_digest = models.BinaryField(max_length=8, editable=False)
    elsewhere_at = InstantField(_("last answered elsewhere"), null=True)

    bound_key = models.JSONField(_("device's key"), null=True, editable=False, help_text=_("A public JWK"))
    bound_algorithm = models.CharField(_("proven by"), max_length=5, blank=True, default="", db_default="")
    bound_at = InstantField(_("bound to the device"), null=True)
    unproven_at = InstantField(_("last tried without the device's key"), null=True)

    revoked_at = InstantField(_("revoked"), null=True)
    revoked_reason = models.CharField(_("reason"), max_length=30, choices=Reason, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("revoked by")
    )

    now: datetime
    """The database's clock, if `RefreshTokenQuerySet.for_decision` has read the row."""

    objects = RefreshTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        # No index covers a column that a rotation changes, so PostgreSQL can update the row in place (heap-only
        # tuples).
        indexes = [
            models.Index(fields=["mode", "id"], name="tokens_session_mode"),
            models.Index(
                fields=["revoked_reason", "id"], name="tokens_session_reason", condition=~Q(revoked_reason="")
            ),
            models.Index(fields=["id"], name="tokens_session_revoked", condition=~Q(revoked_at=None)),
            models.Index(fields=["actor"], name="tokens_session_actor", condition=~Q(actor=None)),
            models.Index(fields=["actor_session_id"], name="tokens_session_acts", condition=~Q(actor_session_id=None)),
        ]
        permissions = [("revoke_refreshtoken", "Can revoke sessions")]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def amr(self) -> list[str]:
        """The authentication methods, as the claim ``amr`` has them. Empty: they are not known."""
        return names_in(self.methods)

    @property
    def shown_methods(self) -> list[str]:
        """The words for the authentication methods, in the active language."""
        return words(self.amr)

    @property
    def ends_at(self) -> datetime:
        """When the session expires unless it is refreshed."""
        ends_at: datetime = min(self.idle_expires_at, self.expires_at)
        return ends_at

    @property
    def last_used_at(self) -> datetime:
        """When the session was last refreshed, as its user is told."""
        used = self.since.timestamp()
        rounded: datetime = max(instant(int(used - used % LAST_USED_STEP)), self.created_at)
        return rounded

    @property
    def is_reopened(self) -> bool:
        """Whether a factor reopens the session when it is idle. One that is bound to its device has no token."""
        return self.bound_at is None and token_settings().limits_of(self.amr).reopens

    @classmethod
    def reopened(cls) -> Q:
        """Return the condition `is_reopened`."""
        return is_of_level(token_settings().reopened_sets) & Q(bound_at=None)

    def is_idle(self, now: datetime) -> bool:
        """Return whether the session was not used for too long, and has not ended, because a factor reopens it."""
        is_unused = self.idle_expires_at <= now < self.expires_at
        return is_unused and self.revoked_at is None and self.is_reopened

    def state(self, now: datetime) -> State:
        """Return the part of the row that the protocol reads."""
        is_idle = self.is_idle(now)
        return State(
            generation=self.generation,
            since=self.since,
            recovered=self.recovered,
            recoveries=self.recoveries,
            acknowledged=self.acknowledged,
            ended=self.revoked_at is not None or (now >= self.ends_at and not is_idle),
            idle=is_idle,
        )

    def unchanged(self) -> "RefreshTokenQuerySet":
        """Return a query for this row that finds it only if no other request has changed it."""
        return RefreshToken.objects.using(writer(RefreshToken)).filter(
            id=self.id,
            generation=self.generation,
            since=self.since,
            acknowledged=self.acknowledged,
            # Otherwise a concurrent refresh would restore the digest of a password that has just been changed.
            auth_hash_digest=self.auth_hash_digest,
            revoked_at=None,
        )


class SecurityEvent(models.Model):
    """Something that a user or an operator may ask about later.

    It is never changed, and kept longer than the session.
    """

    class Kind(models.TextChoices):
        """What has happened."""

        SIGNED_IN = "signed_in", _("signed in")
        SIGN_IN_FAILED = "sign_in_failed", _("sign-in failed")
        NEW_DEVICE = "new_device", _("new device")
        IMPERSONATED = "impersonated", _("impersonation began")
        REAUTHENTICATED = "reauthenticated", _("authenticated again")
        RECOVERED = "refresh_recovered", _("refresh recovered")
        REUSE_DETECTED = "reuse_detected", _("refresh token used twice")
        RECOVERIES_EXHAUSTED = "recoveries_exhausted", _("recoveries exhausted")
        ELSEWHERE = "answered_elsewhere", _("answered to another network or browser")
        BOUND = "session_bound", _("session bound to the device")
        UNPROVEN = "unproven", _("tried without the device's key")
        REVOKED = "revoked", _("session revoked")
        REGISTRATION = "registration", _("registration asked for")
        EMAIL_CONFIRMED = "email_confirmed", _("e-mail address confirmed")
        EMAIL_CHANGE = "email_change", _("change of e-mail address asked for")
        EMAIL_CHANGED = "email_changed", _("e-mail address changed")
        PASSWORD_RESET = "password_reset", _("password reset asked for")
        PASSWORD_CHANGED = "password_changed", _("password changed")
        ALARM = "alarm", _("the owner says: this was not me")
        FACTOR_ADDED = "factor_added", _("factor added")
        FACTOR_REMOVED = "factor_removed", _("factor removed")
        RECOVERY_CODE_USED = "recovery_code_used", _("recovery code used")
        FACTORS_RESET = "factors_reset", _("factors reset by an administrator")
        PASSKEY_COPIED = "passkey_copied", _("passkey copied")
        MAIL_DROPPED = "mail_dropped", _("notice not sent")
        PURGED = "purged", _("purged")

    ATTEMPTS = (Kind.SIGN_IN_FAILED, Kind.REGISTRATION, Kind.PASSWORD_RESET)
    """What anybody can cause without a session. Such events are limited, and kept for a shorter time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("event"), max_length=30, choices=Kind)
    created_at = InstantField(_("when"), db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("user")
    )
    session_id = models.UUIDField(_("session"), null=True)
    device_id = models.UUIDField(_("device"), null=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )
    methods = models.TextField(_("authenticated by"), blank=True, default="", db_default="")
    """The names of the authentication methods, with blanks between them."""
    ip = models.GenericIPAddressField(_("address"), null=True)
    user_agent = models.CharField(_("browser or app"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("security event")
        verbose_name_plural = _("security events")
        indexes = [
            models.Index(fields=["kind", "id"], name="tokens_event_kind"),
            models.Index(fields=["session_id"], name="tokens_event_session"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class Revocation(models.Model):
    """A session that was ended before its time, or a user whose sessions have to be checked.

    Every process reads these rows, and rejects the access tokens of these sessions. The row of a session is written in
    the transaction that ends it, and kept while an access token of it may be valid. The row of a user has no session:
    a trigger writes it when somebody changes the user's password hash or deactivates the user
    (`tokens.service.triggers`), and `tokens.service.user_changes` then decides which sessions end.
    """

    session_id = models.UUIDField(_("session"), null=True)
    user_key = models.CharField(_("user"), max_length=255, blank=True, default="", db_default="")
    transaction_id = models.BigIntegerField(db_default=TransactionId(), db_index=True, editable=False)
    created_at = InstantField(_("when"), db_index=True)

    class Meta:
        verbose_name = _("revocation")
        verbose_name_plural = _("revocations")


class Rehash(models.Model):
    """A password hash that Django replaced by another hash of the same password, at a sign-in.

    The row is written before the hash is replaced. It holds digests of both session auth hashes. Without it, the new
    hash would look like a new password, which ends sessions.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    old_digest = models.BinaryField(max_length=32, editable=False)
    new_digest = models.BinaryField(max_length=32, editable=False)
    created_at = InstantField(_("when"), db_index=True)

    class Meta:
        verbose_name = _("rehash")
        verbose_name_plural = _("rehashes")
