from django.db import migrations, models

KINDS = [
    ("signed_in", "signed in"),
    ("sign_in_failed", "sign-in failed"),
    ("new_device", "new device"),
    ("impersonated", "impersonation began"),
    ("reauthenticated", "authenticated again"),
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
]


class Migration(migrations.Migration):
    """Add the methods with which a session was opened. They are not known for sessions from before.

    No row is written. The older column stays in the table, because processes of the earlier release write it until they
    are replaced. It has a default now, so that the others need not know it. A later migration removes it.
    """

    dependencies = [("tokens", "0018_backend")]

    operations = [
        migrations.AlterField(
            model_name="refreshtoken",
            name="authentication_methods",
            field=models.JSONField(
                db_default=[], default=list, help_text="RFC 8176 values", verbose_name="authenticated by"
            ),
        ),
        migrations.AddField(
            model_name="refreshtoken",
            name="methods",
            field=models.TextField(blank=True, db_default="", default="", verbose_name="authenticated by"),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name="refreshtoken", name="authentication_methods")]
        ),
        migrations.AddField(
            model_name="securityevent",
            name="methods",
            field=models.TextField(blank=True, db_default="", default="", verbose_name="authenticated by"),
        ),
        migrations.AlterField(
            model_name="securityevent",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=30, verbose_name="event"),
        ),
    ]
