"""The tenants, in the public schema."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Shop(TenantMixin):  # type: ignore[misc]
    name = models.CharField(max_length=100)


class Domain(DomainMixin):  # type: ignore[misc]
    pass
