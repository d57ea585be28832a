"""The URLs of simplejwt: ``path("api/token/", include("tokens.contrib.coming_over.simplejwt_urls"))``."""

from django.urls import path

from tokens.contrib.coming_over import simplejwt_views as views

urlpatterns = [
    path("", views.TokenObtainPairView.as_view(), name="token_obtain_pair"),
    path("refresh/", views.TokenRefreshView.as_view(), name="token_refresh"),
    path("verify/", views.TokenVerifyView.as_view(), name="token_verify"),
    path("blacklist/", views.TokenBlacklistView.as_view(), name="token_blacklist"),
    path("take-over/", views.TakeOver.as_view(), name="token_take_over"),
]
