"""Counts packages, imports between them, and layers: ``python -m tests.measures.structure``.

A package is what a reader sees as one box of the architecture: each module and each folder directly below `tokens`, and
`accounts`, `factors`, `config` and ``manage.py`` as one each. An arrow is a direct import of one package by another.
The layers are the length of the longest chain of arrows. The script fails if imports form a circle, or a limit is
exceeded.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREES = ("tokens", "accounts", "factors", "config")
DIVIDED = "tokens"
"""The tree whose modules and folders are packages of their own."""
MAX_PACKAGES, MAX_ARROWS, MAX_LAYERS, MAX_LINES = 26, 90, 9, 350


def sources() -> dict[str, Path]:
    """Return the files of the project by their module names."""
    files = {"manage": ROOT / "manage.py"}
    for tree in TREES:
        for path in sorted((ROOT / tree).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imported(path: Path, modules: Iterable[str]) -> Iterator[str]:
    """Yield the modules of the project that a file imports, also inside functions."""
    known = set(modules)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else str(node.module) for name in names]
        else:
            continue
        yield from (name for name in names if name in known)


def package_of(module: str) -> str:
    """Return the package of a module."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == DIVIDED else parts[0]


def arrows(files: Mapping[str, Path]) -> set[tuple[str, str]]:
    """Return the pairs of packages of which the first imports the second."""
    pairs = {(package_of(module), package_of(name)) for module, path in files.items() for name in imported(path, files)}
    return {(importer, other) for importer, other in pairs if importer != other and other != DIVIDED}


def layers(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the packages by layer, the lowest first. Raise `CycleError` if imports form a circle."""
    uses: dict[str, set[str]] = {}
    for importer, other in pairs:
        uses.setdefault(importer, set()).add(other)
        uses.setdefault(other, set())
    depth: dict[str, int] = {}
    for package in TopologicalSorter(uses).static_order():
        depth[package] = 1 + max((depth[other] for other in uses[package]), default=0)
    return [sorted(name for name in depth if depth[name] == level) for level in range(1, max(depth.values()) + 1)]


def main() -> int:
    """Print the layers and the counts. Return 1 if imports form a circle or a limit is exceeded, else 0."""
    files = sources()
    packages = {package_of(module) for module in files} - {DIVIDED}
    pairs = arrows(files)
    levels = layers(pairs)
    for number, level in reversed(list(enumerate(levels, start=1))):
        print(f"{number}  {', '.join(level)}")
    print(f"{len(packages)} packages, {len(pairs)} arrows, {len(levels)} layers")
    problems = [
        f"{path.relative_to(ROOT)} has more than {MAX_LINES} lines."
        for path in files.values()
        if len(path.read_text().splitlines()) > MAX_LINES
    ]
    try:
        layers((module, name) for module, path in files.items() for name in imported(path, files) if name != module)
    except CycleError as error:
        problems.append(f"These modules import each other: {' -> '.join(error.args[1])}.")
    if len(packages) > MAX_PACKAGES or len(pairs) > MAX_ARROWS or len(levels) > MAX_LAYERS:
        problems.append(f"At most {MAX_PACKAGES} packages, {MAX_ARROWS} arrows and {MAX_LAYERS} layers are allowed.")
    print("\n".join(problems))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
