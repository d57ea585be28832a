"""The URLs of the demo and of the mailbox. `config.urls` includes them if DEBUG is on."""

from django.urls import path

from config.demo import factor_views, mailbox_views, views

urlpatterns = [
    path("demo", views.show, name="latchkey-demo"),
    path("demo/ask", views.ask, name="demo-ask"),
    path("demo/time", views.pass_time, name="demo-time"),
    path("demo/steal", views.steal, name="demo-steal"),
    path("demo/thief", views.ask_as_thief, name="demo-thief"),
    path("demo/revoke", views.revoke_from_elsewhere, name="demo-revoke"),
    path("demo/factors", factor_views.show, name="demo-factors"),
    path("demo/factors/step-up", factor_views.step_up, name="demo-step-up"),
    path("mailbox", mailbox_views.show_mailbox, name="mailbox"),
    path("mailbox/<int:number>", mailbox_views.show_mail, name="mailbox-mail"),
    path("mailbox/<int:number>/html", mailbox_views.show_html, name="mailbox-html"),
]
