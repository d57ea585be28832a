from django.conf import settings
from django.db import models


class TakenOver(models.Model):
    """A credential of another package that has become a session.

    ``key`` is what its package calls it: the id of a token, or a digest. ``more`` is what ending it there also takes.
    ``session_id`` is no foreign key: the row of the session may be purged, and the credential must not become another
    session then.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    session_id = models.UUIDField(unique=True)
    package = models.CharField(max_length=20)
    key = models.CharField(max_length=255)
    more = models.TextField(blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("package", "key"), name="tokens_taken_over_once"),)

    def __str__(self) -> str:
        return f"{self.package} {self.session_id}"
