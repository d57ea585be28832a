"""The public Python API: the names of the public modules, with their signatures and docstrings."""

import ast
import inspect
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from django.apps import apps
from django.db.models import BinaryField, Field
from django.utils import translation

from docs.generate.markdown import prose, table

ROOT = Path(__file__).parents[2]
SIGNALS = ("happened", "account_recovered", "revoked_by_operators")
"""The signals in `tokens.sessions`."""
MODELS = ("RefreshToken", "Device", "SecurityEvent")


def names_of(module: str) -> str:
    """Return a section for each public name of a module, without the signals, which have a page."""
    found = import_module(module)
    names = [name for name in sorted(found.__all__, key=lambda name: (name.lower(), name)) if name not in SIGNALS]
    return "\n".join(_section(found, name) for name in names)


def signals() -> str:
    found = import_module("tokens.sessions")
    return "\n".join(f"## `tokens.sessions.{name}`\n\n{_attribute_doc(found, name)}\n" for name in SIGNALS)


def adapters() -> str:
    """Return what each adapter's module says of itself. It is not imported: its package may be missing."""
    parts = []
    for path in sorted((ROOT / "tokens" / "contrib").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        is_part = path.parent.name != "contrib" and path.name != "__init__.py"
        if name != "tokens.contrib" and docstring and not is_part:
            parts.append(f"### `{name}`\n\n{prose(docstring)}\n")
    return "\n".join(parts)


def models() -> str:
    """Return the fields of the models that other apps may read."""
    return "\n".join(_model(apps.get_model("tokens", name)) for name in MODELS)


def _model(model: Any) -> str:
    with translation.override("en"):
        rows = [
            [f"`{field.name}`", type(field).__name__, str(field.verbose_name)]
            for field in model._meta.get_fields()
            if isinstance(field, Field) and not isinstance(field, BinaryField)
        ]
    return f"### `tokens.models.{model.__name__}`\n\n{prose(_cleaned(model))}\n\n{table(['field', 'type', ''], rows)}"


def _section(module: ModuleType, name: str) -> str:
    found = getattr(module, name)
    if (of := name[1:]) in module.__all__ and name.startswith("a"):
        return f"## `{name}`\n\nDoes what [`{of}`](#{of}) does, in a thread. `await` it in asynchronous tests.\n"
    if inspect.isfunction(found):
        return f"## `{name}`\n\n`{name}{_signature(found)}`\n\n{prose(_cleaned(found))}\n"
    if inspect.isclass(found):
        base = next((one.__name__ for one in found.__bases__ if one is not object), "")
        kind = f"A class{f', a subclass of `{base}`' if base else ''}."
        own = found.__init__ if "__init__" in vars(found) and inspect.isfunction(found.__init__) else None
        call = f"`{name}{_signature(own, skip=1)}`\n\n" if own and _is_written(own) else _fields(found)
        methods = "".join(_method(name, key, value) for key, value in vars(found).items())
        return f"## `{name}`\n\n{kind}\n\n{call}{prose(_cleaned(found))}\n{methods}"
    return f"## `{name}`\n\n{_attribute_doc(module, name)}\n"


def _fields(found: Any) -> str:
    """Return how a dataclass is made, if its docstring does not list its fields."""
    [node] = ast.parse(inspect.cleandoc("\n" + inspect.getsource(found))).body
    if not is_dataclass(found) or not isinstance(node, ast.ClassDef) or "\n- " in _cleaned(found):
        return ""
    fields = [ast.unparse(one) for one in node.body if isinstance(one, ast.AnnAssign)]
    return f"`{found.__name__}({', '.join(fields)})`\n\n"


def _method(owner: str, name: str, found: Any) -> str:
    """Return the entry of a public method that has a docstring."""
    function = found.__func__ if isinstance(found, classmethod | staticmethod) else found
    function = function.fget if isinstance(function, property) else function
    if name.startswith("_") or not inspect.isfunction(function) or not function.__doc__ or not _is_written(function):
        return ""
    call = name if isinstance(found, property) else f"{name}{_signature(function, skip=1)}"
    text = prose(_cleaned(function)).replace("\n", "\n  ")
    return f"\n- `{call}`: {text}\n"


def _is_written(function: Any) -> bool:
    """Return whether there is source for a function. A dataclass makes some without."""
    return not function.__code__.co_filename.startswith("<")


def _signature(function: Any, skip: int = 0) -> str:
    """Return the arguments and the type of the answer, as they stand in the source."""
    function = inspect.unwrap(function)
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    node = next(one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    node.args.args = node.args.args[skip:]
    answer = ast.unparse(node.returns) if node.returns else "None"
    if any(ast.unparse(one).endswith("contextmanager") for one in node.decorator_list):
        answer = "context manager"
    return f"({ast.unparse(node.args)}){'' if answer == 'None' else f' → {answer}'}"


def _cleaned(found: Any) -> str:
    """Return the docstring, or an empty text if a dataclass has made it up or a base class has it."""
    docstring = vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__
    if not docstring or (inspect.isclass(found) and docstring.startswith(f"{found.__name__}(")):
        return ""
    return inspect.cleandoc(docstring)


def _attribute_doc(module: ModuleType, name: str) -> str:
    """Return the text below the assignment of a name, here or where the value comes from. A module has a docstring."""
    found = getattr(module, name)
    if isinstance(found, ModuleType):
        return f"The module `{found.__name__}`. {prose(found.__doc__ or '')}"
    value, docstring = _assignments(module).get(name, (None, ""))
    if docstring:
        return prose(docstring)
    match value:
        case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
            source = getattr(module, owner)
            return _attribute_doc(source, attribute) if isinstance(source, ModuleType) else ""
    origin = _imported_from(module).get(name)
    return _attribute_doc(import_module(origin), name) if origin else ""


@cache
def _parsed(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _assignments(module: ModuleType) -> dict[str, tuple[ast.expr, str]]:
    """Return the value and the docstring of each name that the module assigns."""
    body = _parsed(module).body
    found: dict[str, tuple[ast.expr, str]] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[node.targets[0].id] = node.value, inspect.cleandoc(text)
                case _:
                    found[node.targets[0].id] = node.value, ""
    return found


def _imported_from(module: ModuleType) -> dict[str, str]:
    return {
        alias.asname or alias.name: node.module
        for node in _parsed(module).body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
