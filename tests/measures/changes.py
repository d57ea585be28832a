"""Find the small changes ("mutants") that `tests.measures.mutants` makes in source code, and draw some of them."""

import ast
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Eq: ast.NotEq, ast.Is: ast.IsNot, ast.In: ast.NotIn}
OPPOSITES |= {other: operator for operator, other in OPPOSITES.items()}
NEIGHBOURS: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.Gt: ast.GtE}
NEIGHBOURS |= {other: operator for operator, other in NEIGHBOURS.items()}

Change = tuple[ast.expr | ast.stmt, ast.expr | ast.stmt]
"""The syntax node that is replaced, and its replacement."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file: the bytes from ``start`` to ``end`` are replaced by ``text``."""

    file: str
    line: int
    function: str
    change: str
    start: int = field(repr=False)
    end: int = field(repr=False)
    text: bytes = field(repr=False)
    lines: range = field(repr=False)
    statement_lines: range = field(repr=False)

    def apply(self, source: bytes) -> bytes:
        """Return the source code with the change."""
        return source[: self.start] + self.text + source[self.end :]


def changes(node: ast.AST) -> Iterator[Change]:
    """Yield the changes that this node allows."""
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                if other := (OPPOSITES | NEIGHBOURS).get(type(operator)):
                    operators = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                    yield node, ast.Compare(node.left, operators, node.comparators)
        case ast.BoolOp(op=ast.And()):
            yield node, ast.BoolOp(ast.Or(), node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node, node.operand
        case ast.BinOp(op=ast.Add()) if not any(_is_text(operand) for operand in (node.left, node.right)):
            yield node, ast.BinOp(node.left, ast.Sub(), node.right)
        case ast.Constant(value=bool()):
            yield node, ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield node, ast.Constant(node.value + 1)
        case ast.If() | ast.IfExp() if not _negated_by_another_change(node.test):
            yield node.test, ast.UnaryOp(ast.Not(), node.test)
        case ast.Return(value=ast.expr()) if ast.unparse(node.value) not in {"None", "False"}:
            yield node, ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call()) | ast.Yield()):
            yield node, ast.Pass()
        case ast.Assign() if all(isinstance(target, ast.Attribute) for target in node.targets):
            yield node, ast.Pass()
        case ast.AugAssign(target=ast.Attribute()) | ast.AnnAssign(target=ast.Attribute(), value=ast.expr()):
            yield node, ast.Pass()
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        yield node, ast.AugAssign(node.target, ast.Sub(), node.value)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _negated_by_another_change(test: ast.expr) -> bool:
    return (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)) or (
        isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in OPPOSITES
    )


class Finder(ast.NodeVisitor):
    """Collect the mutants of one file.

    Only the bodies of functions are changed. Docstrings, annotations, default values, decorators, assertions, formatted
    texts and code for the type checker stay as they are.
    """

    def __init__(self, file: str, source: bytes) -> None:
        self.found: list[Mutant] = []
        self._file, self._source = file, source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._names: list[str] = []
        self._in_function = False
        self._statement: ast.stmt | None = None
        self.visit(ast.parse(source))

    def visit(self, node: ast.AST) -> None:
        outer = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node
        if self._in_function and not _is_for_type_checker(node):
            for target, replacement in changes(node):
                self._add(target, replacement)
        super().visit(node)
        self._statement = outer

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if _is_for_type_checker(node):
            return
        outer, self._in_function = self._in_function, True
        self._visit_body(node, node.body[1:] if ast.get_docstring(node) is not None else node.body)
        self._in_function = outer

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_body(node, node.body)

    def _visit_body(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, body: Iterable[ast.stmt]
    ) -> None:
        self._names.append(node.name)
        for child in body:
            self.visit(child)
        self._names.pop()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        for child in node.orelse if _is_for_type_checker(node) else [node.test, *node.body, *node.orelse]:
            self.visit(child)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Do not change what is inside: before Python 3.12, the positions of these nodes are wrong."""

    def visit_Assert(self, node: ast.Assert) -> None:
        """Do not change an assertion: it tells a type to the type checker."""

    def _add(self, target: ast.expr | ast.stmt, replacement: ast.expr | ast.stmt) -> None:
        start = self._starts[target.lineno - 1] + target.col_offset
        end = self._starts[(target.end_lineno or 0) - 1] + (target.end_col_offset or 0)
        text = ast.unparse(replacement)
        lines, statement = range(target.lineno, (target.end_lineno or 0) + 1), self._statement or target
        mutant = Mutant(
            file=self._file,
            line=target.lineno,
            function=".".join(self._names),
            change=f"{ast.unparse(target)}  ->  {text}",
            start=start,
            end=end,
            text=(text if isinstance(replacement, ast.stmt) else f"({text})").encode(),
            lines=lines,
            statement_lines=range(statement.lineno, lines.stop),
        )
        try:
            ast.parse(mutant.apply(self._source))
        except SyntaxError:
            return
        self.found.append(mutant)


def _is_for_type_checker(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test).endswith("TYPE_CHECKING")
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
    return False


def draw(names: Iterable[str], seed: int, count: int) -> list[Mutant]:
    """Return ``count`` mutants of these files, and of the files in these folders."""
    files = {file for name in names for file in (sorted(Path(name).rglob("*.py")) or [Path(name)])}
    found = [mutant for file in sorted(files) for mutant in Finder(file.as_posix(), file.read_bytes()).found]
    return random.Random(seed).sample(found, min(count, len(found)))  # noqa: S311
