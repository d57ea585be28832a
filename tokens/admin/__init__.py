"""The admin shows sessions, devices and security events, and revokes sessions.

It shows no secrets and edits no rows.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import JSONField, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from tokens.admin import dashboard
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.service import binding, required_factors, trust
from tokens.service.method_labels import dated, of_event
from tokens.service.revocation import revoke_all
from tokens.web.http.client import client_of

MAX_LISTED = 10_000
"""Rows that a list counts and shows."""
_LOOKUPS = {"exact", "in", "gt", "gte", "lt", "lte", "isnull"}
_USER = f"user__{get_user_model().USERNAME_FIELD}"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts and shows at most `MAX_LISTED` rows, whatever the size of the table. Others are found by searching."""

    @cached_property
    def count(self) -> int:
        # The order is that of an index, so only these rows are read.
        rows: Any = self.object_list
        return int(rows[:MAX_LISTED].count())


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows. They are deleted with their user or by the purge, and not by hand."""

    show_full_result_count = False
    # Django would count the rows of each choice of a filter, in the whole table.
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_select_related = ("user",)
    ordering = ("-id",)
    # Any other order would read the whole table.
    sortable_by = ()

    class Media:
        css = {"all": ["tokens/admin.css"]}

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search all fields of the newest rows, and the beginning of the user name in all others.

        So no search reads the whole table.
        """
        newest = self.model._default_manager.using(queryset.db).order_by("-pk").values_list("pk", flat=True)
        oldest = newest[MAX_LISTED - 1 : MAX_LISTED].first()
        if oldest is None or not search_term:
            return super().get_search_results(request, queryset, search_term)
        found, duplicates = super().get_search_results(request, queryset.filter(pk__gte=oldest), search_term)
        users = get_user_model()._default_manager.filter(
            **{f"{get_user_model().USERNAME_FIELD}__startswith": search_term}
        )
        of_users = queryset.filter(user__in=users[:MAX_LISTED].values("pk"))
        rows = [rows.order_by().values("pk") for rows in (found, of_users)]
        return queryset.filter(pk__in=rows[0].union(rows[1])), duplicates

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Return whether the address of the list may contain this filter: a comparison of a field that it shows.

        Django would also allow hidden columns, such as digests, and regular expressions.
        """
        name, *rest = lookup.split("__")
        if name not in {key for field in self.opts.fields for key in (field.name, field.attname)}:
            return super().lookup_allowed(lookup, value, request)
        field = self.opts.get_field(name)
        related: Any = field.related_model
        keys = {related._meta.pk.name} if related else set()
        shown: set[Any] = {*(self.fields or ()), *self.list_display}
        is_shown = field.name in shown and not isinstance(field, JSONField)
        return is_shown and {*rest} <= _LOOKUPS | keys

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Django also asks this when a user is deleted together with these rows, which must be allowed.
        match = request.resolver_match
        on_own_page = match is not None and (match.url_name or "").startswith(
            f"{self.opts.app_label}_{self.opts.model_name}_"
        )
        return not on_own_page and super().has_delete_permission(request, obj)


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("live", _("live")), ("idle", _("idle")), ("expired", _("expired")), ("revoked", _("revoked"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "live":
                return queryset.live()
            case "idle":
                return queryset.idle()
            case "expired":
                return queryset.expired()
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(RefreshToken)
class RefreshTokenAdmin(ReadOnlyAdmin):
    # What identifies a session comes first. On a narrow screen the rest is reached by scrolling.
    list_display = ("user", "device", "state", "last_refreshed", "ip", "actor")
    list_select_related = ("user", "actor", "device")  # type: ignore[assignment]
    list_filter = (StateFilter, "mode", "revoked_reason")
    search_fields = (_USER, "device__name", "ip")
    search_help_text = _(
        "The user name, the device's name, or an address. In older sessions: the beginning of the user name."
    )
    actions = ("revoke_selected",)
    fields = (
        "id",
        "user",
        "actor",
        "device",
        "mode",
        "state",
        "ip",
        "created_at",
        "since",
        "authenticated_at",
        "shown_methods",
        "remember",
        "generation",
        "acknowledged",
        "recoveries",
        "bound_at",
        "bound_algorithm",
        "idle_expires_at",
        "expires_at",
        "revoked_at",
        "revoked_reason",
        "revoked_by",
    )

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the columns. Whether a session is bound is among them if sessions can be bound."""
        bound = ("bound",) if binding.offers_binding() else ()
        return (*self.list_display, *bound)

    @admin.display(description=_("last refreshed"))
    def last_refreshed(self, session: RefreshToken) -> str:
        return date_format(timezone.localtime(session.since), "SHORT_DATETIME_FORMAT")

    @admin.display(description=_("authenticated by"))
    def shown_methods(self, session: RefreshToken) -> str:
        """Return the words for the methods, with the time at which the user last proved each."""
        return ", ".join(
            f"{word} ({date_format(timezone.localtime(at), 'SHORT_DATETIME_FORMAT')})" for word, at in dated(session)
        )

    @admin.display(description=_("state"))
    def state(self, session: RefreshToken) -> Any:
        if session.revoked_at:
            return session.get_revoked_reason_display()
        now = timezone.now()
        if session.is_idle(now):
            return _("idle")
        if now < session.ends_at and required_factors.lacks_factor(session, now):
            return _("lacks a factor")
        return _("expired") if now >= session.ends_at else _("live")

    @admin.display(description=_("bound"), boolean=True)
    def bound(self, session: RefreshToken) -> bool:
        return session.bound_at is not None

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tokens.revoke_refreshtoken")

    @admin.action(description=_("Revoke selected sessions"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[RefreshToken]) -> HttpResponse | None:
        """Revoke the selected sessions that are live, after a confirmation."""
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": _("Revoke selected sessions"),
                "sessions": queryset.unended().count(),  # type: ignore[attr-defined]
                "repeated": [
                    (name, value)
                    for name in ("action", "select_across", ACTION_CHECKBOX_NAME)
                    for value in request.POST.getlist(name)
                ],
            }
            return render(request, "admin/tokens/revoke_selected.html", context)
        found = RefreshToken.objects.unended().in_bulk(list(queryset.values_list("pk", flat=True)))
        sessions = RefreshToken.objects.unended().filter(pk__in=found)
        self._revoke(request, sessions, lambda ended: [(found[id], str(id)) for id in ended])
        return None

    def get_urls(self) -> list[URLPattern]:
        # A site asks for its URLs when all models are registered, the project's user model too.
        _offer_revocation(self.admin_site)
        view = self.admin_site.admin_view
        return [
            path("user/<path:user_id>/revoke/", view(self.revoke_user), name="tokens_refreshtoken_revoke_user"),
            path("dashboard/", view(self.show_dashboard), name="tokens_refreshtoken_dashboard"),
            *super().get_urls(),
        ]

    def show_dashboard(self, request: HttpRequest) -> HttpResponse:
        """Show how many sessions there are, and what happened in the last hours."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        names = {"app_name": self.opts.app_config.verbose_name, "sessions_name": self.opts.verbose_name_plural}
        return dashboard.show(request, {**self.admin_site.each_context(request), **names})

    def revoke_user(self, request: HttpRequest, user_id: str) -> HttpResponse:
        """Revoke all sessions of a user, after a confirmation."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        model = get_user_model()
        try:
            user = model._default_manager.get(pk=user_id)
        except (model.DoesNotExist, ValidationError, ValueError):
            raise Http404 from None
        sessions = RefreshToken.objects.unended().filter(user=user)
        # A member of the staff who may only revoke knows the user's key, and learns nothing else.
        may_view = request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
        shown = str(user if may_view else user.pk)
        if request.method == "POST":
            self._revoke(request, sessions, lambda ended: [(user, shown)], user=user)
            change = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
            return redirect(reverse(change, args=[user.pk]) if may_view else reverse("admin:index"))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Revoke all sessions"),
            "object": shown,
            "sessions": sessions.count(),
        }
        return render(request, "admin/tokens/revoke_user.html", context)

    def _revoke(
        self,
        request: HttpRequest,
        sessions: Any,
        objects: Callable[[list[UUID]], list[tuple[Any, str]]],
        user: Any = None,
    ) -> None:
        """Revoke sessions, and note it in the admin's log.

        ``objects`` returns what is named there, with their names. It is given the ids of the sessions that ended here:
        somebody else may have ended others at the same moment.
        """
        reason = RefreshToken.Reason.ENDED_BY_STAFF
        current = get_user_model()._default_manager.get(pk=request.user.pk)
        trusted = {"pk__in": list(sessions.values_list("device", flat=True))} if user is None else {"user": user.pk}
        with trust.ending(**trusted):
            ended = revoke_all(sessions, reason, user=user, by=current, client=client_of(request))
        message = ngettext("%d session revoked.", "%d sessions revoked.", len(ended)) % len(ended)
        logged = objects(ended)
        types = ContentType.objects.get_for_models(*{type(row) for row, _name in logged})
        LogEntry.objects.bulk_create(
            LogEntry(
                user_id=current.pk,
                content_type=types[type(row)],
                object_id=row.pk,
                object_repr=name[:200],
                action_flag=CHANGE,
                change_message=message,
            )
            for row, name in logged
        )
        self.message_user(request, message, messages.SUCCESS)


def _offer_revocation(site: admin.AdminSite) -> None:
    """Show "Revoke all sessions" on the page of a user, whatever the project's own admin class for users is."""
    model = get_user_model()
    if not site.is_registered(model):
        return
    users: Any = site.get_model_admin(model)
    if hasattr(users, "page_without_tokens"):
        return
    users.page_without_tokens = users.render_change_form

    def render_change_form(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        page: HttpResponse = users.page_without_tokens(request, *args, **kwargs)
        context = getattr(page, "context_data", None) or {}
        if context.get("original") is None or not request.user.has_perm("tokens.revoke_refreshtoken"):
            return page
        context["page_of_project"] = page.resolve_template(page.template_name)  # type: ignore[attr-defined]
        page.template_name = "admin/tokens/user_change_form.html"  # type: ignore[attr-defined]
        return page

    users.render_change_form = render_change_form


@admin.register(Device)
class DeviceAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "created_at")
    search_fields = ("name", _USER)
    fields = ("id", "user", "name", "created_at")


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "user", "reason", "ip", "actor", "user_agent")
    list_select_related = ("user", "actor")  # type: ignore[assignment]
    list_filter = ("kind",)
    search_fields = (_USER, "ip", "=session_id")
    fields = (
        "id", "created_at", "kind", "user", "session_id", "device_id", "reason", "shown_methods", "actor", "ip",
        "user_agent",
    )  # fmt: skip

    @admin.display(description=_("authenticated by"))
    def shown_methods(self, event: SecurityEvent) -> str:
        return ", ".join(of_event(event))
