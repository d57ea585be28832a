"""The URLs of the API of factors. Include them under ``api/``, before ``tokens.api.urls``, which answers 404 there."""

from factors.api import passkeys, views
from tokens.api.public import endpoint

app_name = "factors"
urlpatterns = [
    endpoint("auth/factors", views.Factors, "factors"),
    endpoint("auth/passkey", passkeys.SignIn, "passkey"),
    endpoint("auth/factors/passkeys", passkeys.Passkeys, "passkeys"),
    endpoint("auth/factors/passkeys/(?P<passkey_id>[^/]+)", passkeys.Passkey, "one-passkey"),
    endpoint("auth/factors/totp", views.TotpView, "totp"),
    endpoint("auth/factors/totp/confirm", views.ConfirmTotp, "confirm-totp"),
    endpoint("auth/factors/recovery-codes", views.RecoveryCodes, "recovery-codes"),
]
