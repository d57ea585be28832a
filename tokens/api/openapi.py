"""The description of the API as OpenAPI 3: the operations of the views, and how requests are authenticated.

`tokens.api.base.LazySchema` imports this module when a description is requested. A project that describes only views of
its own has to import it, so that drf-spectacular knows `TokenAuthentication`.
"""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from tokens.api.schema import Operation, ProblemOutput
from tokens.web.http.problems import CONTENT_TYPE, Problem


class CookieOrBearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Either of the two authenticates. A Bearer token takes precedence."""

    target_class = "tokens.api.authentication.TokenAuthentication"
    name = ["accessCookie", "bearer"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]  # One object with both names would require both schemes at once.

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "apiKey", "in": "cookie", "name": "__Host-access"},
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        ]


class IntrospectorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "tokens.api.introspection.IntrospectorAuthentication"
    name = "introspectionClient"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "basic"}


class BodyOfDelete(AutoSchema):
    """Describes the body of a DELETE request, which drf-spectacular leaves out."""

    def _get_request_body(self, direction: Any = "request") -> Any:
        method, self.method = self.method, "POST"
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        finally:
            self.method = method


def describe(view: Any) -> None:
    """Pass the operations of a view class to drf-spectacular, each once."""
    for name in view.http_method_names:
        method: Any = getattr(view, name, None)
        operation = getattr(method, "operation", None)
        if operation is not None and not hasattr(method, "kwargs"):  # drf-spectacular's attribute.
            if name == "delete" and operation.takes:
                method.schema = BodyOfDelete
            _extend(operation)(method)


def _extend(operation: Operation) -> Any:
    by_status: dict[int, list[Problem]] = {}
    for problem in operation.problems:
        by_status.setdefault(int(problem.status), []).append(problem)
    responses: dict[Any, Any] = {
        operation.status: OpenApiResponse(
            operation.answers, examples=_examples("answer", operation.example), description=operation.summary
        )
    }
    for code, found in by_status.items():
        responses[code, CONTENT_TYPE] = OpenApiResponse(
            ProblemOutput,
            description=" · ".join(f"`{problem.code}`: {problem.detail}" for problem in found),
            examples=[
                OpenApiExample(problem.code, problem.as_json(detail=problem.detail), response_only=True)
                for problem in found
            ],
        )
    return extend_schema(
        operation_id=operation.name,
        summary=operation.summary,
        request=operation.takes,
        responses=responses,
        parameters=[
            OpenApiParameter(
                parameter.name,
                parameter.type,
                parameter.location,
                required=parameter.required,
                description=parameter.description,
            )
            for parameter in operation.parameters
        ],
        examples=_examples("input", operation.example_input),
    )


def _examples(name: str, value: Any) -> list[OpenApiExample]:
    """Return the example of a request body (``input``) or of a response body (``answer``), if there is one."""
    return [OpenApiExample(name, value, request_only=name == "input", response_only=name == "answer")] if value else []
