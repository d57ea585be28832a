"""The admin resets the factors of a user, and shows the resets that wait for another superuser.

The page of a user has a link to it, whatever the project's own admin class for users is. `factors.service.resetting`
says who may do it.
"""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from factors import forms
from factors.models import FactorReset
from factors.service import resetting
from factors.views import Change
from tokens import sessions


class _OfStaff(Change):
    """A page of the admin that carries out a change of the factors of somebody else."""

    site: ClassVar[Any] = None
    template_name = "admin/factors/reset.html"
    is_final = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if sessions.actor_id(request) is not None or not resetting.may_reset(request.user):
            raise PermissionDenied
        try:
            return super().dispatch(request, *args, **kwargs)
        except resetting.ResetRefused:
            raise PermissionDenied from None
        except resetting.NothingThere:
            raise Http404 from None

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        more = self.site.each_context(self.request)
        return super().get_context_data(**more, title=self.heading, **kwargs)

    def _shown_name(self, user: Any) -> str:
        """Return the name of a user. A member of the staff who may not look at users learns only the key."""
        may_view = self.request.user.has_perm(f"{user._meta.app_label}.view_{user._meta.model_name}")
        return str(user if may_view else user.pk)

    def _staff(self) -> Any:
        return get_user_model()._default_manager.get(pk=self.request.user.pk)

    def _log(self, user: Any, text: str) -> None:
        """Note it in the admin's log."""
        LogEntry.objects.create(
            user=self._staff(),
            content_type=ContentType.objects.get_for_model(user),
            object_id=user.pk,
            object_repr=self._shown_name(user)[:200],
            action_flag=CHANGE,
            change_message=text,
        )
        messages.success(self.request, text, fail_silently=True)


class ResetFactors(_OfStaff):
    """Asks for the reason, and resets the factors of a user. Those of a superuser wait for a confirmation."""

    form_class = forms.ResetForm
    heading, button = gettext_lazy("Reset factors"), gettext_lazy("Reset factors")
    text = gettext_lazy(
        "All factors are removed, all sessions end, and all devices are forgotten. The user gets a mail with the "
        "reason, and then signs in by the password only."
    )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = self._user()
        waiting = [row for row in resetting.waiting() if row.user_id == user.pk]
        return super().get_context_data(
            shown=self._shown_name(user),
            is_superuser=resetting.is_superuser(user),
            has_password=user.has_usable_password(),
            waiting=waiting,
            **kwargs,
        )

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        user = self._user()
        row = resetting.reset(self.request, user.pk, given["reason"], **proof)
        if row is None:
            self._log(user, _("The factors are reset."))
        else:
            self._log(user, _("Another superuser has to confirm the reset within 24 hours."))
        meta = user._meta
        change = f"{self.site.name}:{meta.app_label}_{meta.model_name}_change"
        may_view = self.request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}")
        return redirect(reverse(change, args=[user.pk]) if may_view else reverse(f"{self.site.name}:index"))

    def _user(self) -> Any:
        model = get_user_model()
        try:
            user = model._default_manager.get(pk=self.kwargs["user_id"])
        except (model.DoesNotExist, ValidationError, ValueError):
            raise Http404 from None
        if user.pk == self.request.user.pk:
            raise PermissionDenied
        return user


class ConfirmReset(_OfStaff):
    """Asks another superuser to confirm a reset, or to decline it."""

    heading, button = gettext_lazy("Confirm the reset of factors"), gettext_lazy("Confirm")
    text = ResetFactors.text

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not resetting.is_superuser(request.user):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        row = self._row()
        return super().get_context_data(shown=str(row.user), row=row, has_password=True, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "decline" not in request.POST:
            return super().post(request, *args, **kwargs)
        user = self._row().user
        resetting.decline(request, self.kwargs["row_id"])
        self._log(user, _("The reset is declined."))
        return redirect(f"{self.site.name}:factors_factorreset_changelist")

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        self._log(resetting.confirm(self.request, self.kwargs["row_id"], **proof), _("The factors are reset."))
        return redirect(f"{self.site.name}:factors_factorreset_changelist")

    def _row(self) -> FactorReset:
        row = resetting.waiting().filter(pk=self.kwargs["row_id"]).first()
        if row is None:
            raise Http404
        return row


@admin.register(FactorReset)
class FactorResetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows superusers the resets that wait. A row leads to the page that confirms it."""

    list_display = ("user", "requested_by", "reason", "created_at")
    ordering = ("-created_at",)
    sortable_by = ()
    actions = None

    def get_queryset(self, request: HttpRequest) -> Any:
        return resetting.waiting()

    def get_urls(self) -> list[URLPattern]:
        # A site asks for its URLs when all models are registered, the project's user model too.
        _offer_reset(self.admin_site)

        def page(view: type[_OfStaff]) -> Any:
            return self.admin_site.admin_view(view.as_view(site=self.admin_site))

        return [
            path("user/<path:user_id>/reset/", page(ResetFactors), name="factors_factorreset_user"),
            path("<uuid:row_id>/confirm/", page(ConfirmReset), name="factors_factorreset_confirm"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            row_id = UUID(object_id)
        except ValueError:
            raise Http404 from None
        return redirect(f"{self.admin_site.name}:factors_factorreset_confirm", row_id)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active) and resetting.is_superuser(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Django also asks this when a user is deleted together with these rows, which must be allowed.
        match = request.resolver_match
        return match is None or not (match.url_name or "").startswith("factors_factorreset_")


def _offer_reset(site: admin.AdminSite) -> None:
    """Show "Reset factors" on the page of a user, whatever the project's own admin class for users is."""
    model = get_user_model()
    if not site.is_registered(model):
        return
    users: Any = site.get_model_admin(model)
    if hasattr(users, "page_without_factors"):
        return
    users.page_without_factors = users.render_change_form

    def render_change_form(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        page: HttpResponse = users.page_without_factors(request, *args, **kwargs)
        context = getattr(page, "context_data", None) or {}
        user = context.get("original")
        if not isinstance(page, TemplateResponse) or user is None or not resetting.may_reset(request.user):
            return page
        if user.pk != request.user.pk:
            context["page_of_others"] = page.resolve_template(page.template_name)
            page.template_name = "admin/factors/user_change_form.html"
        return page

    users.render_change_form = render_change_form
