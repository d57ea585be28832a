"""Saves only the fields of a user that were changed, so that a save does not undo what somebody else has changed."""

from collections.abc import Collection
from typing import Any

from django.db import models


class OnlyChanges(models.Model):
    """A model whose ``save()`` without ``update_fields`` writes only the fields that differ from what was read.

    Django would write all fields. A form, or a command that waits for its operator, would undo a new password, a
    deactivation or a new address of the meantime. An object that was not changed is not written, and sends no signals.
    """

    class Meta:
        abstract = True

    def save(self, **options: Any) -> None:
        """Save as Django does, but only the fields that were changed, unless ``update_fields`` names others."""
        super().save(**{**options, "update_fields": self.fields_to_save(**options)})
        self._remember()

    @classmethod
    def from_db(cls, *args: Any, **options: Any) -> Any:
        found = super().from_db(*args, **options)
        found._remember()
        return found

    def refresh_from_db(self, *args: Any, **options: Any) -> None:
        super().refresh_from_db(*args, **options)
        self._remember()

    def fields_to_save(self, **options: Any) -> Collection[str] | None:
        """Return the names of the fields that ``save()`` with these options writes, or None for all."""
        fields: Collection[str] | None = options.get("update_fields")
        is_known = options.get("using") in {None, self._state.db} and not options.get("force_insert")
        return self._changed() if fields is None and is_known and not self._state.adding else fields

    def _remember(self) -> None:
        # The whole dictionary, because each request of a signed-in user reads a user, and few save one.
        values = self.__dict__.copy()
        for name in ("_state", "_saved_values"):
            values.pop(name, None)
        self.__dict__["_saved_values"] = values

    def _changed(self) -> set[str]:
        before, now = self.__dict__.get("_saved_values", {}), self.__dict__
        names = {field.attname: field.name for field in self._meta.concrete_fields if not field.primary_key}
        loaded = [attname for attname in names if attname in now]
        return {names[attname] for attname in loaded if attname not in before or before[attname] != now[attname]}
