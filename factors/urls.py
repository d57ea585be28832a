"""The URLs of the pages about factors. Include them at the root, or below any prefix."""

from django.urls import path

from factors import views

urlpatterns = [
    path("security", views.Security.as_view(), name="security"),
    path("security/app", views.SetUpApp.as_view(), name="set-up-app"),
    path("security/app/confirm", views.ConfirmApp.as_view(), name="confirm-app"),
    path("security/app/remove", views.RemoveApp.as_view(), name="remove-app"),
    path("security/recovery-codes", views.NewRecoveryCodes.as_view(), name="new-recovery-codes"),
]
