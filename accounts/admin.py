"""Users in the admin: Django's user admin for our own user model, also for very many users.

A project with another user model registers its own.
"""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from accounts.forms import AdminSignInForm

MAX_LISTED = 10_000
"""Users that the list counts and shows."""

User = get_user_model()

admin.site.login_form = AdminSignInForm


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts and shows at most `MAX_LISTED` users. Others are found by searching."""

    @cached_property
    def count(self) -> int:
        # The order is that of an index, so only these users are read.
        users: Any = self.object_list
        return int(users[:MAX_LISTED].count())


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email",)


class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    add_form = UserCreationForm
    ordering = ("email",)
    list_display = ("email", "is_active", "is_staff", "date_joined")
    # Any other order would read the whole table.
    sortable_by = ("email",)
    show_full_result_count = False
    paginator = BoundedPaginator
    search_fields = ("email",)
    search_help_text = _("Any part of the address. For older users: the beginning of it.")
    readonly_fields = ("email_confirmed_at", "date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Dates"), {"fields": ("email_confirmed_at", "last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the user. If the address changes, both addresses get a mail, and the new one is to be confirmed."""
        is_new_address = change and obj.email.lower() != form.initial.get("email")
        if is_new_address and apps.is_installed("tokens"):
            # Imported here, because a project can have our users before it installs `tokens`.
            from accounts.service import emails

            emails.change_by_staff(request, obj, form.initial["email"])
        else:
            super().save_model(request, obj, form, change)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Set a password as Django does, and record who has done it. The user gets a mail about it."""
        subject = self.get_object(request, unquote(id))
        rows = User.objects.for_decision().filter(pk=subject and subject.pk)
        with transaction.atomic(using=rows.db):
            response = super().user_change_password(request, id, form_url)
            user = rows.exclude(password=subject.password).first() if subject else None
            if user is not None and user.pk != request.user.pk and apps.is_installed("tokens"):
                from tokens import sessions  # As above.

                sessions.record(request, sessions.Kind.PASSWORD_CHANGED, user, "by staff", by=request.user)
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search any part of the address of the newest users, and the beginning of it for all others.

        So no search reads the whole table.
        """
        newest = User.objects.using(queryset.db).order_by("-pk").values_list("pk", flat=True)
        oldest = newest[MAX_LISTED - 1 : MAX_LISTED].first()
        if oldest is None or not search_term:
            return super().get_search_results(request, queryset, search_term)
        found, duplicates = super().get_search_results(request, queryset.filter(pk__gte=oldest), search_term)
        beginning = User.objects.filter(email__startswith=search_term.lower()).order_by("email")[:MAX_LISTED]
        keys: list[Any] = [
            users.order_by().values("pk") for users in (found, queryset.filter(pk__in=beginning.values("pk")))
        ]
        return queryset.filter(pk__in=keys[0].union(keys[1])), duplicates


if User._meta.label == "accounts.User":
    admin.site.register(User, UserAdmin)
