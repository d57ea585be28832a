"""The pages about accounts. Include at the root: mails lead here."""

from django.urls import path
from django.utils.translation import gettext_lazy as _

from accounts import views
from accounts.views import Notice

urlpatterns = [
    path("sign-in", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/again", views.SignInAgain.as_view(), name="sign-in-again"),
    path("signed-out", views.SignedOut.as_view(), name="signed-out"),
    path("register", views.Register.as_view(), name="register"),
    path("email/confirm", views.ConfirmEmail.as_view(), name="confirm-email"),
    path("email/change", views.ChangeEmail.as_view(), name="change-email"),
    path("password/change", views.ChangePassword.as_view(), name="change-password"),
    path("password/reset", views.ResetPassword.as_view(), name="reset-password"),
    path("password/reset/confirm", views.ConfirmPasswordReset.as_view(), name="confirm-password-reset"),
    path("alarm", views.Alarm.as_view(), name="alarm"),
    path("account/delete", views.DeleteAccount.as_view(), name="delete-account"),
    path(
        "mail-sent",
        Notice.as_view(
            heading=_("Look into your mailbox"),
            text=_("If there is something to do, a mail says what. It may take a minute."),
        ),
        name="mail-sent",
    ),
    path(
        "email/confirmed",
        Notice.as_view(heading=_("Your e-mail address is confirmed"), text=_("It is the one that you sign in with.")),
        name="email-confirmed",
    ),
    path(
        "password/changed",
        Notice.as_view(heading=_("Your password is changed"), text=_("You are signed out everywhere else.")),
        name="password-changed",
    ),
    path(
        "password/reset/done",
        Notice.as_view(heading=_("Your password is changed"), text=_("Sign in with it.")),
        name="password-reset",
    ),
    path(
        "alarm/raised",
        Notice.as_view(
            heading=_("You are signed out everywhere"),
            text=_(
                "Choose a new password now: whoever knows the old one can sign in again. If your e-mail address was "
                "changed, and not by you, ask whoever runs this site for help."
            ),
            template_name="accounts/alarm_raised.html",
        ),
        name="alarm-raised",
    ),
    path(
        "account/deleted",
        Notice.as_view(heading=_("Your account is deleted"), text=_("Nothing of it is left to sign in to.")),
        name="account-deleted",
    ),
]
