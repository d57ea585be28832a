"""What every project serves beside its peer's own: the floor; and the view of peers that need no API framework."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

SOMEBODY = {"pk": "01890f6e-7c3a-7000-8000-000000000000"}
"""As long an answer as that to somebody who is signed in."""


@require_GET
def view(request: HttpRequest) -> JsonResponse:
    """Whose request it is; 401 if nobody's."""
    if not request.user.is_authenticated:
        return JsonResponse({}, status=401)
    return JsonResponse({"pk": request.user.pk})


@require_GET
def bare(request: HttpRequest) -> JsonResponse:
    return JsonResponse(SOMEBODY)


@csrf_exempt
@require_POST
def bare_post(request: HttpRequest) -> JsonResponse:
    return JsonResponse(SOMEBODY)


urlpatterns = [path("bare", bare), path("bare-post", bare_post)]
