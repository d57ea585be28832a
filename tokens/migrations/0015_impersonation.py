from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def _delete_impersonations(apps: Any, schema_editor: Any) -> None:
    """Delete the sessions that would look like their user's own without the actor."""
    sessions = apps.get_model("tokens", "RefreshToken")._default_manager.using(schema_editor.connection.alias)
    sessions.exclude(actor=None).delete()


class Migration(migrations.Migration):
    """Add the actor of a session. Both columns are empty in all rows, so that no row is written. 0016 makes indexes."""

    dependencies = [
        ("tokens", "0014_forgotten_devices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="refreshtoken",
            name="actor",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="impersonated by",
            ),
        ),
        migrations.AddField(
            model_name="refreshtoken",
            name="actor_session_id",
            field=models.UUIDField(editable=False, null=True, verbose_name="session of the actor"),
        ),
        migrations.RunPython(migrations.RunPython.noop, _delete_impersonations),
        migrations.AlterField(
            model_name="refreshtoken",
            name="revoked_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("signed_out", "signed out"),
                    ("ended_by_user", "ended by the user from another session"),
                    ("ended_by_staff", "revoked by an administrator"),
                    ("ended_by_command", "revoked by a command"),
                    ("reuse_detected", "a refresh token was used twice"),
                    ("recoveries_exhausted", "recovered too often"),
                    ("password_changed", "the password was changed"),
                    ("user_disabled", "the account was switched off"),
                    ("user_deleted", "the account was deleted"),
                    ("superseded", "signed in again on this device"),
                    ("too_many_sessions", "too many sessions"),
                    ("released", "impersonation ended"),
                    ("actor_ended", "the session of the actor ended"),
                ],
                max_length=30,
                verbose_name="reason",
            ),
        ),
        migrations.AlterField(
            model_name="securityevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("signed_in", "signed in"),
                    ("sign_in_failed", "sign-in failed"),
                    ("new_device", "new device"),
                    ("impersonated", "impersonation began"),
                    ("refresh_recovered", "refresh recovered"),
                    ("reuse_detected", "refresh token used twice"),
                    ("recoveries_exhausted", "recoveries exhausted"),
                    ("answered_elsewhere", "answered to another network or browser"),
                    ("session_bound", "session bound to the device"),
                    ("unproven", "tried without the device's key"),
                    ("revoked", "session revoked"),
                    ("registration", "registration asked for"),
                    ("email_confirmed", "e-mail address confirmed"),
                    ("email_change", "change of e-mail address asked for"),
                    ("email_changed", "e-mail address changed"),
                    ("password_reset", "password reset asked for"),
                    ("password_changed", "password changed"),
                    ("alarm", "the owner says: this was not me"),
                    ("mail_dropped", "notice not sent"),
                    ("purged", "purged"),
                ],
                max_length=30,
                verbose_name="event",
            ),
        ),
    ]
