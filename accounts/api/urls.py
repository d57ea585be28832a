"""Include under ``api/``, before ``tokens.api.urls``, which answers for every other path there."""

from tokens.api.endpoints import endpoint

app_name = "accounts"
urlpatterns = [
    endpoint("auth/register", "accounts.api.views.Register", "register"),
    endpoint("auth/email/confirm", "accounts.api.views.ConfirmEmail", "confirm-email"),
    endpoint("auth/email/change", "accounts.api.views.ChangeEmail", "change-email"),
    endpoint("auth/password/change", "accounts.api.views.ChangePassword", "change-password"),
    endpoint("auth/password/reset", "accounts.api.views.ResetPassword", "reset-password"),
    endpoint("auth/password/reset/confirm", "accounts.api.views.ConfirmPasswordReset", "confirm-password-reset"),
    endpoint("auth/me", "accounts.api.views.Account", "me"),
]
