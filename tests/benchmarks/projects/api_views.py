"""The view of peers whose authentication is Django REST framework's."""

from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response


@api_view()
def view(request: Request) -> Response:
    """Whose request it is; 401 if nobody's."""
    return Response({"pk": request.user.pk})
