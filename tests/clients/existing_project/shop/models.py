from django.conf import settings
from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=50)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True)

    def __str__(self) -> str:
        return self.name
