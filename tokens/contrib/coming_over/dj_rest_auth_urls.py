"""The URLs of dj-rest-auth: ``path("dj-rest-auth/", include("tokens.contrib.coming_over.dj_rest_auth_urls"))``.

Its views for passwords are left out, because by default they need an access token only.
"""

from dj_rest_auth.views import UserDetailsView
from django.urls import re_path

from tokens.contrib.coming_over import dj_rest_auth_views as views
from tokens.contrib.coming_over import simplejwt_views

urlpatterns = [
    re_path(r"login/?$", views.LoginView.as_view(), name="rest_login"),
    re_path(r"logout/?$", views.LogoutView.as_view(), name="rest_logout"),
    re_path(r"user/?$", UserDetailsView.as_view(), name="rest_user_details"),
    re_path(r"token/verify/?$", simplejwt_views.TokenVerifyView.as_view(), name="token_verify"),
    re_path(r"token/refresh/?$", views.TokenRefreshView.as_view(), name="token_refresh"),
    re_path(r"token/take-over/?$", simplejwt_views.TakeOver.as_view(), name="token_take_over"),
]
