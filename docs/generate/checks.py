"""The ids of the system checks, with their messages and hints, as they stand in the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docs.generate.markdown import prose, table

ROOT = Path(__file__).parents[2]
SOURCES = ("tokens/checks", "tokens/conf", "tokens/contrib", "accounts/checks.py", "factors/checks.py")
LEVELS = {"E": "error", "W": "warning"}
GAP = "…"
"""Stands for the part of a message that depends on the project."""
DEEPEST = 3
"""A message may use a name, whose text uses another."""
LEAST_WORDS = 3
"""A message with fewer words of its own says too little. The docstring of the module then says what the check means."""
_ID = re.compile(r"(tokens|accounts|factors)\.([EW])\d{3}")


class Check(NamedTuple):
    id: str
    message: str
    hint: str


def checks() -> str:
    found: dict[str, Check] = {}
    for path in _files():
        for check in _of_module(ast.parse(path.read_text())):
            found.setdefault(check.id, check)
    meanings = {id: text for path in _files() for id, text in _meanings(path.read_text())}
    rows = [
        [f"`{id}`", LEVELS[id.partition(".")[2][0]], _message(check, meanings), _escaped(check.hint)]
        for id, check in sorted(found.items(), key=lambda item: (item[0].partition(".")[0] != "tokens", item[0]))
    ]
    return table(["id", "level", "message", "hint"], rows)


def _message(check: Check, meanings: dict[str, str]) -> str:
    says_little = len(re.findall(r"[A-Za-z]{2,}", check.message)) <= LEAST_WORDS or f"{GAP}: {GAP}" in check.message
    return meanings.get(check.id, check.message) if says_little else _escaped(check.message)


def _escaped(text: str) -> str:
    """Return a text of a message as Markdown, without what would look like HTML or emphasis."""
    return re.sub(r"([<*])", r"\\\1", prose(text))


def _files() -> list[Path]:
    found = [ROOT / name for name in SOURCES]
    return [path for one in found for path in (sorted(one.rglob("*.py")) if one.is_dir() else [one])]


def _meanings(source: str) -> Iterator[tuple[str, str]]:
    """Yield what the docstring of a module of checks says of each id: ``- `tokens.E010`, `E011`: text.``"""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    for ids, text in re.findall(r"^- (``[^:]+``): (.+(?:\n  .+)*)$", docstring, re.MULTILINE):
        names = re.findall(r"``(?:(\w+)\.)?([EW]\d{3})``", ids)
        meaning = prose(" ".join(text.split()))
        for _, number in names:
            is_name = meaning.startswith("django-")
            yield f"{names[0][0]}.{number}", meaning if is_name else meaning[:1].upper() + meaning[1:]


def _of_module(module: ast.Module) -> Iterator[Check]:
    constants = _assigned(module)
    for scope in ast.walk(module):
        if not isinstance(scope, ast.FunctionDef | ast.Module):
            continue
        assigned = _assigned(scope)
        for node in _own(scope):
            line = getattr(node, "lineno", 0)
            texts = {**_before(constants, 10**6), **_before(assigned, line)}
            match node:
                case ast.Call(keywords=keywords, args=[message, *_]):
                    given = {one.arg: one.value for one in keywords}
                    if isinstance(id := given.get("id"), ast.Constant) and _ID.fullmatch(str(id.value)):
                        hint = given.get("hint")
                        yield Check(id.value, _text(message, texts), _text(hint, texts) if hint else "")
                case ast.Tuple(elts=[ast.Constant(value=str(id)), message, hint]) if _ID.fullmatch(id):
                    # A table of messages: the text before each is in the call, such as "SIGNING_KEYS: key 2".
                    yield Check(id, f"SIGNING_KEYS: key {GAP} {_text(message, texts)}.", _text(hint, texts))


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function or module, without those of functions in it."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.FunctionDef):
            yield node
            yield from _own(node)


def _before(assigned: dict[str, list[ast.expr]], line: int) -> dict[str, ast.expr]:
    """Return what each name was given last before a line."""
    found = {name: [one for one in values if one.lineno <= line] for name, values in assigned.items()}
    return {name: values[-1] for name, values in found.items() if values}


def _assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    """Return the texts that are assigned to each name, which a message or a hint may use, from the top."""
    found: dict[str, list[ast.expr]] = {}
    for node in _own(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
    return found


def _text(node: ast.expr | None, texts: dict[str, ast.expr], depth: int = 0) -> str:
    """Return a text of the source. What is not written there is a gap."""
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=values):
            return "".join(_text(value, texts, depth) for value in values)
        case ast.FormattedValue(value=ast.Name() as value, conversion=conversion) if depth < DEEPEST:
            written = _text(value, texts, depth)
            return repr(written) if conversion == ord("r") and written != GAP else written
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Slice(lower=ast.Constant(value=int(first)), upper=None)):
            written = _text(texts.get(name), texts, depth)
            return written if written == GAP else written[first:]
        case ast.FormattedValue(value=ast.Subscript() as value):
            return _text(value, texts, depth)
        case ast.Name(id=name) if depth < DEEPEST and name in texts:
            return _text(texts[name], texts, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, texts, depth) + _text(right, texts, depth)
        case ast.IfExp(body=body):
            return _text(body, texts, depth)
        case _:
            return GAP
