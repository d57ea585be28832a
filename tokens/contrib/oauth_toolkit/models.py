from django.conf import settings
from django.db import models


class Granted(models.Model):
    """Something that a user has granted on a session.

    A refresh token's successors are of one family, so refreshing adds no rows. ``session_id`` is no foreign key: the
    row of the session may be purged.
    """

    CODE, DEVICE, ACCESS, FAMILY = "code", "device", "access", "family"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    session_id = models.UUIDField(db_index=True)
    what = models.CharField(max_length=10)
    key = models.CharField(max_length=40)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("what", "key"), name="tokens_granted_once"),)

    def __str__(self) -> str:
        return f"{self.what} {self.key}"
