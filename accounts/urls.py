"""The URLs of the pages about accounts. Include them at the root, because links in mails lead to them."""

from django.urls import path
from django.utils.translation import gettext_lazy as _

from accounts import devices, own_account, second_step, views
from accounts.views import Notice, to_change_password

urlpatterns = [
    path("sign-in", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/factor", second_step.SecondStep.as_view(), name="sign-in-factor"),
    path("sign-in/again", own_account.SignInAgain.as_view(), name="sign-in-again"),
    path("sign-out", views.SignOut.as_view(), name="sign-out"),
    path("signed-out", views.SignedOut.as_view(), name="signed-out"),
    path("devices", devices.Home.as_view(), name="your-devices"),
    path("sessions/end-others", devices.end_others, name="end-others"),
    path("sessions/<uuid:session_id>/end", devices.end_session, name="end-session"),
    path("sessions/<uuid:session_id>/rename", devices.Rename.as_view(), name="rename-device"),
    path("register", views.Register.as_view(), name="register"),
    path("email/confirm", views.ConfirmEmail.as_view(), name="confirm-email"),
    path("email/change", own_account.ChangeEmail.as_view(), name="change-email"),
    path(".well-known/change-password", to_change_password, name="well-known-change-password"),
    path("password/change", own_account.ChangePassword.as_view(), name="change-password"),
    path("password/reset", views.ResetPassword.as_view(), name="reset-password"),
    # The admin's page to sign in links to the URL of this name.
    path("password/reset", views.ResetPassword.as_view(), name="admin_password_reset"),
    path("password/reset/confirm", views.ConfirmPasswordReset.as_view(), name="confirm-password-reset"),
    path("alarm", views.Alarm.as_view(), name="alarm"),
    path("account/delete", own_account.DeleteAccount.as_view(), name="delete-account"),
    path(
        "mail-sent",
        Notice.as_view(
            heading=_("Check your mail"),
            text=_("If there is something to do, we have sent you a mail. It may take a minute to arrive."),
        ),
        name="mail-sent",
    ),
    path(
        "email/confirmed",
        Notice.as_view(heading=_("Your e-mail address is confirmed"), text=_("Use it to sign in.")),
        name="email-confirmed",
    ),
    path(
        "password/changed",
        Notice.as_view(heading=_("Your password has been changed"), text=_("You are signed out everywhere else.")),
        name="password-changed",
    ),
    path(
        "password/reset/done",
        Notice.as_view(heading=_("Your password has been changed"), text=_("Sign in with the new password.")),
        name="password-reset",
    ),
    path(
        "account/deleted",
        Notice.as_view(heading=_("Your account has been deleted"), text=_("You cannot sign in with it any more.")),
        name="account-deleted",
    ),
]
