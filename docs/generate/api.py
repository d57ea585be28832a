"""The operations of the API, the objects in their bodies, and the problems, from the OpenAPI description."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from django.utils import translation

from config.schema import Schema
from docs.generate.markdown import prose, table
from tokens.api.base import ApiView, Public
from tokens.web.http import problems
from tokens.web.http.problems import Problem

JSON, FORM, PROBLEM = "application/json", "application/x-www-form-urlencoded", problems.CONTENT_TYPE
EVERYWHERE = {
    *("cross_origin", "unavailable", "invalid", "malformed", "length_required", "payload_too_large"),
    "unsupported_media_type",
}
"""The problems of nearly every operation, which the page names once."""
_GENERAL = {Public.__doc__, ApiView.__doc__}
"""Docstrings of base classes, which the description repeats."""


@cache
def description() -> dict[str, Any]:
    with translation.override("en"):
        generator: Any = Schema.generator_class(urlconf="config.urls")
        found: dict[str, Any] = generator.get_schema(request=None, public=True)
    return found


def operations() -> str:
    found = [
        _operation(path, method, operation)
        for path, methods in sorted(description()["paths"].items())
        for method, operation in methods.items()
    ]
    return "\n".join(found)


def objects() -> str:
    """Return the members of each object that an answer or another object has."""
    schemas = description()["components"]["schemas"]
    return "\n".join(
        f"### {name}\n\n{_about(schema)}{_members(schema)}"
        for name, schema in sorted(schemas.items())
        if name.endswith("Output") and "properties" in schema
    )


def problem_codes() -> str:
    """Return the table of codes. A code may have several texts."""
    by_code: dict[str, list[Problem]] = {}
    for problem in vars(problems).values():
        if isinstance(problem, Problem):
            by_code.setdefault(problem.code, []).append(problem)
    rows = []
    for code, found in sorted(by_code.items(), key=lambda item: (item[1][0].status, item[0])):
        details = dict.fromkeys(str(problem.detail) for problem in found)
        challenges = dict.fromkeys(_challenge(problem) for problem in found)
        texts = " · ".join(details), " · ".join(filter(None, challenges))
        rows.append([str(found[0].status.value), f"`{code}`", *texts])
    return table(["status", "code", "detail", "WWW-Authenticate"], rows)


def _challenge(problem: Problem) -> str:
    return f"`{problem.headers['WWW-Authenticate']}`" if problem.status == 401 else ""


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [f"### `{method.upper()} {path}`", operation["summary"]]
    if (more := operation.get("description")) and more not in _GENERAL and not more.startswith(tuple(_GENERAL)):
        parts.append(prose(more))
    if parameters := operation.get("parameters"):
        rows = [[f"`{one['name']}`", one["in"], _type(one["schema"]), _note(one)] for one in parameters]
        parts.append(table(["parameter", "in", "type", ""], rows))
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(body["schema"])
        parts.append("The body is a form:" if kind == FORM else "The body:")
        parts.append(_members(schema))
    parts.append(_answers(operation["responses"]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _answers(responses: dict[str, Any]) -> str:
    lines = []
    for status, response in sorted(responses.items()):
        content = response.get("content", {})
        if JSON in content:
            lines.append(f"- {status}: {_type(content[JSON]['schema'])}")
        elif PROBLEM not in content:
            lines.append(f"- {status}, without a body")
        elif codes := [code for code in _codes(response) if code not in EVERYWHERE]:
            lines.append(f"- {status}: {', '.join(f'`{code}`' for code in codes)}")
    return "\n".join(lines)


def _codes(response: dict[str, Any]) -> Iterable[str]:
    """Return the codes in the description of a problem, each once."""
    return dict.fromkeys(re.findall(r"(?:^| · )`(\w+)`: ", response["description"]))


def _about(schema: dict[str, Any]) -> str:
    return f"{prose(schema['description'])}\n\n" if schema.get("description") else ""


def _members(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        [f"`{name}`", _type(member), _note({**member, "required": name in required})]
        for name, member in schema.get("properties", {}).items()
    ]
    return table(["member", "type", ""], rows)


def _note(member: dict[str, Any]) -> str:
    note = member.get("description", "")
    limits = [f"at most {member['maxLength']} characters"] if "maxLength" in member else []
    marks = [*(["required"] if member.get("required") else []), *limits]
    return " ".join(part for part in (note, f"({', '.join(marks)})" if marks else "") if part)


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a value in words, with a link to an object."""
    if "allOf" in schema:
        return _type(schema["allOf"][0]) + (" or null" if schema.get("nullable") else "")
    if "oneOf" in schema:
        return " or ".join(_type(one) for one in schema["oneOf"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found = _resolved(schema)
        if "enum" in found:
            return "a code of the [problems](problems.md)" if name == "CodeEnum" else _values(found["enum"])
        return f"[{name}](#{name.lower()})" if name.endswith("Output") else name
    or_null = " or null" if schema.get("nullable") else ""
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items'])}{or_null}"
        case "object" | None:
            return f"object{or_null}"
        case "string" if "enum" in schema:
            return _values(schema["enum"]) + or_null
        case kind:
            return {"string": schema.get("format", "text"), "boolean": "flag"}.get(kind, kind) + or_null


def _values(values: list[Any]) -> str:
    return " or ".join(f"`{value}`" for value in values)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found
