"""The rows: the `Totp` of an app, each `RecoveryCode`, each `Passkey`, and each `FactorReset` that waits.

Only `factors.service` writes them.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from factors.encryption import Encrypted, decrypt, encrypt

MAX_REASON = 150
"""Characters of the reason of a reset."""


class Totp(models.Model):
    """The secret that an authenticator app of a user has. Until a code of it has confirmed it, it does not count.

    A user has at most one that is confirmed, and one that is not.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    key_id = models.BinaryField(max_length=4, editable=False)
    secret = models.BinaryField(max_length=100, editable=False)
    """Encrypted (`factors.encryption`)."""
    created_at = models.DateTimeField(_("created"))
    confirmed_at = models.DateTimeField(_("confirmed"), null=True)
    confirmed_in = models.UUIDField(null=True, editable=False)
    """The session in which it was confirmed. Its code counts there as an answer (`factors.service.change_permission`).
    If it is set before, the sign-in that opens this session sets up the app."""
    last_step = models.BigIntegerField(default=0, editable=False)
    """The step of the last code that was accepted. No code of it, or of an earlier one, is accepted again."""

    class Meta:
        verbose_name = _("authenticator app")
        verbose_name_plural = _("authenticator apps")
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(confirmed_at__isnull=False), name="factors_totp_confirmed"
            ),
            models.UniqueConstraint(fields=["user"], condition=Q(confirmed_at=None), name="factors_totp_pending"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def encrypt(self, secret: str) -> None:
        """Set the secret, under the current key."""
        self.key_id, self.secret = encrypt(secret, self._about)

    def decrypt(self) -> str:
        """Return the secret. Raise `factors.encryption.Unreadable`."""
        return decrypt(Encrypted(bytes(self.key_id), bytes(self.secret)), self._about)

    @property
    def _about(self) -> str:
        return f"factors.Totp {self.id} of {self.user_id}"


class RecoveryCode(models.Model):
    """One of the recovery codes of a user. The row has the digest."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    digest = models.BinaryField(max_length=32, editable=False)
    created_at = models.DateTimeField(_("created"))
    used_at = models.DateTimeField(_("used"), null=True)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="factors_recovery_code")]

    def __str__(self) -> str:
        return str(self.id)


class UserHandle(models.Model):
    """What authenticators call a user: random bytes, which say nothing about the user (WebAuthn Level 3, 14.6.1)."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+", verbose_name=_("user")
    )
    handle = models.BinaryField(max_length=64, unique=True, editable=False)
    is_offer_dismissed = models.BooleanField(default=False, editable=False)
    """Whether the user does not want to be offered a passkey after a sign-in any more."""

    class Meta:
        verbose_name = _("user handle")
        verbose_name_plural = _("user handles")

    def __str__(self) -> str:
        return str(self.user_id)


class Passkey(models.Model):
    """A passkey of a user: its public key, and what its authenticator has last said about it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    credential_id = models.BinaryField(max_length=1023, unique=True, editable=False)
    public_key = models.BinaryField(max_length=2048, editable=False)
    """A COSE key, as CBOR."""
    sign_count = models.BigIntegerField(editable=False)
    """The signature counter. It goes up with each use, or stays zero, if the authenticator has none."""
    aaguid = models.UUIDField(editable=False)
    """The model of the authenticator, which nothing proves. Zero: it does not say it."""
    name = models.CharField(_("name"), max_length=100)
    transports = models.CharField(max_length=100, blank=True, editable=False)
    """How browsers reach it, with blanks between."""
    can_sync = models.BooleanField(_("can be synced"), editable=False)
    is_synced = models.BooleanField(_("synced"), editable=False)
    is_discoverable = models.BooleanField(_("signs in without a name"), null=True, editable=False)
    """Whether browsers find it without a user's name. None: the browser has not said it."""
    created_at = models.DateTimeField(_("created"))
    created_in = models.UUIDField(null=True, editable=False)
    """The session in which it was created, where it counts as an answer to it (`factors.service.change_permission`)."""
    last_used_at = models.DateTimeField(_("last used"), null=True)
    proved: list[str]
    """The methods that its creation has proved. Only a row that was just created has them."""

    class Meta:
        verbose_name = _("passkey")
        verbose_name_plural = _("passkeys")

    def __str__(self) -> str:
        return self.name


class UsedChallenge(models.Model):
    """A challenge that was answered right, so that it is not answered again. It is deleted some time after its end."""

    nonce = models.UUIDField(primary_key=True, editable=False)
    expires_at = models.DateTimeField(db_index=True, editable=False)

    class Meta:
        verbose_name = _("used challenge")
        verbose_name_plural = _("used challenges")

    def __str__(self) -> str:
        return str(self.nonce)


class FactorReset(models.Model):
    """A reset of the factors of a superuser, which waits for the confirmation of another superuser."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("asked for by")
    )
    reason = models.CharField(_("reason"), max_length=MAX_REASON)
    created_at = models.DateTimeField(_("asked for"))

    class Meta:
        verbose_name = _("reset of factors")
        verbose_name_plural = _("resets of factors")
        default_permissions = ()
        permissions = [("reset_factors", "Can reset the factors of users")]

    def __str__(self) -> str:
        return str(self.user)
