"""The URLs of the pages about factors. Include them at the root, or below any prefix."""

from django.urls import path

from factors import passkey_pages, passkey_views, security, views

urlpatterns = [
    path("account/security", security.Security.as_view(), name="your-security"),
    path("account/security/passkeys/add", passkey_pages.AddPasskey.as_view(), name="add-passkey"),
    path("account/security/passkeys/offer", passkey_pages.OfferPasskey.as_view(), name="offer-passkey"),
    path(
        "account/security/passkeys/<uuid:passkey_id>/rename",
        passkey_pages.RenamePasskey.as_view(),
        name="rename-passkey",
    ),
    path(
        "account/security/passkeys/<uuid:passkey_id>/remove",
        passkey_pages.RemovePasskey.as_view(),
        name="remove-passkey",
    ),
    path("account/passkeys/options", passkey_views.Options.as_view(), name="passkey-options"),
    path("sign-in/passkey", passkey_views.SignIn.as_view(), name="sign-in-by-passkey"),
    path(".well-known/webauthn", passkey_views.related_origins, name="well-known-webauthn"),
    path("account/security/app", views.SetUpApp.as_view(), name="set-up-app"),
    path("account/security/app/confirm", views.ConfirmApp.as_view(), name="confirm-app"),
    path("account/security/app/remove", views.RemoveApp.as_view(), name="remove-app"),
    path("account/security/recovery-codes", views.NewRecoveryCodes.as_view(), name="new-recovery-codes"),
]
