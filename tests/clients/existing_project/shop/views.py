from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render


@login_not_required
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/home.html")


@login_required
def members(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"members: {request.user.get_username()}")


@login_not_required
def greet(request: HttpRequest) -> HttpResponse:
    messages.success(request, f"Hello, {request.POST['name']}.")
    return redirect("home")


@login_not_required
def who(request: HttpRequest) -> HttpResponse:
    """Return the user's key, as far as it is known without a query."""
    return JsonResponse({"pk": request.user.pk if request.user.is_authenticated else None})


def fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a bug")
