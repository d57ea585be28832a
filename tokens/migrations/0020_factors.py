from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0019_methods"),
    ]

    operations = [
        migrations.AlterField(
            model_name="securityevent",
            name="kind",
            field=models.CharField(
                choices=[
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
                    ("factor_added", "factor added"),
                    ("factor_removed", "factor removed"),
                    ("recovery_code_used", "recovery code used"),
                    ("mail_dropped", "notice not sent"),
                    ("purged", "purged"),
                ],
                max_length=30,
                verbose_name="event",
            ),
        ),
    ]
