"""The URLs of the API of accounts. Include them under ``api/``, before ``tokens.api.urls``, which answers 404 there."""

from accounts.api import views
from tokens.api.public import endpoint

app_name = "accounts"
urlpatterns = [
    endpoint("auth/register", views.Register, "register"),
    endpoint("auth/email/confirm", views.ConfirmEmail, "confirm-email"),
    endpoint("auth/email/change", views.ChangeEmail, "change-email"),
    endpoint("auth/password/change", views.ChangePassword, "change-password"),
    endpoint("auth/password/reset", views.ResetPassword, "reset-password"),
    endpoint("auth/password/reset/confirm", views.ConfirmPasswordReset, "confirm-password-reset"),
    endpoint("auth/me", views.Account, "me"),
]
