"""Use after move: finds a state that is read after a consuming transition took it. `python -m tools.movecheck [folder]`

Type checkers know no affine types; this walks the syntax tree of each function. Branches are followed one by one and
joined (moved in one of them is moved after them, unless that branch leaves the function), loop bodies are walked twice,
`break` and `continue` carry what was moved to where they lead, a `try` body may have stopped before any of its
statements (a transition that raised did not happen), and a name that was bound to a state is another name of it.

Names of transitions are ordinary words (`split`, `broadcast`), so in the product only names that hold a state count:
those annotated with a state class or a union of them, their other names, and everything called `state`. Not seen: a
state that a container or another function gives back under a second name. For these there is the token at run time.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DECORATOR = "consumes"
DEFAULT = (Path(__file__).parents[1] / "coordinator",)
Moved = dict[str, int]
"""Name (dotted) to the line on which it was consumed."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


@dataclass(frozen=True, order=True)
class UseAfterMove:
    """A read of `name` on `line`; it was consumed on `moved_on`."""

    line: int
    name: str
    moved_on: int

    def __str__(self) -> str:
        return f"line {self.line}: {self.name} was consumed on line {self.moved_on}"


def consuming_methods(trees: Iterable[ast.AST]) -> frozenset[str]:
    """Names of the methods that carry the decorator."""
    functions = (n for tree in trees for n in ast.walk(tree) if isinstance(n, Function))
    return frozenset(n.name for n in functions if _consumes(n))


def _consumes(function: Function) -> bool:
    return any(isinstance(d, ast.Name) and d.id == DECORATOR for d in function.decorator_list)


def state_types(trees: Iterable[ast.Module]) -> frozenset[str]:
    """Names of the classes that have transitions, and of the unions that hold one of them."""
    listed = list(trees)
    classes = [n for tree in listed for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    known = {c.name for c in classes if any(isinstance(n, Function) and _consumes(n) for n in c.body)}
    aliases = [n for tree in listed for n in tree.body if isinstance(n, ast.Assign | ast.AnnAssign)]
    while True:
        fresh = {name for n in aliases for name in _union_of(n, known)} - known
        if not fresh:
            return frozenset(known)
        known |= fresh


def _union_of(node: ast.Assign | ast.AnnAssign, known: set[str]) -> set[str]:
    if not isinstance(node.value, ast.BinOp) or not _names(node.value) & known:
        return set()
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def check(tree: ast.AST, transitions: frozenset[str], types: frozenset[str] | None = None) -> list[UseAfterMove]:
    """Every use after a move in a module, in the order of lines. `types` None: every receiver counts."""
    found: set[UseAfterMove] = set()
    for node in ast.walk(tree):
        if isinstance(node, Function):
            holders = None if types is None else _holders(node, types)
            walk = _Walk(transitions, holders, _other_names(node))
            walk.block(node.body, {})
            found |= walk.found
    return sorted(found)


def check_tree(root: Path) -> list[str]:
    """Every use after a move under a folder, with the transitions that are declared there.

    A module that imports neither domain nor engine can hold no state.
    """
    sources = {path: path.read_text() for path in sorted(root.rglob("*.py"))}
    reached = {path: text for path, text in sources.items() if "coordinator.domain" in text or ".engine" in text}
    trees = {path: ast.parse(text) for path, text in reached.items()}
    transitions, types = consuming_methods(trees.values()), state_types(trees.values())
    return [f"{path}: {use}" for path, tree in trees.items() for use in check(tree, transitions, types)]


def _holders(function: Function, types: frozenset[str]) -> frozenset[str]:
    """Names in a function that are annotated with a state type."""
    annotated = [n for n in ast.walk(function) if isinstance(n, ast.arg | ast.AnnAssign) and n.annotation is not None]
    targets = {n.arg if isinstance(n, ast.arg) else _dotted(n.target): n.annotation for n in annotated}
    return frozenset(name for name, kind in targets.items() if name is not None and kind and _names(kind) & types)


def _other_names(function: Function) -> dict[str, str]:
    """Names that are bound once, to another name (`a = b`, `case C() as a` of a match on b): name to what it names."""
    bound: dict[str, list[str | None]] = {}
    for node in ast.walk(function):
        for name, value in _bindings(node):
            bound.setdefault(name, []).append(value)
    return {name: values[0] for name, values in bound.items() if len(values) == 1 and values[0] is not None}


def _bindings(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        value = None if node.value is None else _state_name(node.value)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.Match):
        subject = _state_name(node.subject)
        captured = (case.pattern for case in node.cases)
        yield from ((p.name, subject) for p in captured if isinstance(p, ast.MatchAs) and p.name is not None)
    elif isinstance(node, ast.For | ast.AsyncFor) and isinstance(node.target, ast.Name):
        yield node.target.id, None


def _state_name(node: ast.expr) -> str | None:
    """A name, or an attribute called `state`: any other attribute is data of a state, which outlives it."""
    name = _dotted(node)
    return name if isinstance(node, ast.Name) or (name or "").rpartition(".")[2] == "state" else None


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


@dataclass
class _Walk:
    transitions: frozenset[str]
    holders: frozenset[str] | None
    other_names: dict[str, str]
    found: set[UseAfterMove] = field(default_factory=set[UseAfterMove])
    stops: list[Moved] = field(default_factory=list[Moved])
    """What was moved before any statement of the `try` bodies around."""
    breaks: list[Moved] = field(default_factory=list[Moved])
    continues: list[Moved] = field(default_factory=list[Moved])

    def block(self, statements: list[ast.stmt], moved: Moved) -> bool:
        """Walk statements; True when the end of the block is never reached."""
        return any(self._statement(statement, moved) for statement in statements)

    def _statement(self, node: ast.stmt, moved: Moved) -> bool:
        for stopped in self.stops:
            stopped.update(moved)
        match node:
            case ast.If():
                self._expression(node.test, moved)
                return self._branches([node.body, node.orelse], moved)
            case ast.Match():
                self._expression(node.subject, moved)
                return self._match(node, moved)
            case ast.Try() | ast.TryStar():
                return self._try(node, moved)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._children(item, moved)
                return self.block(node.body, moved)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(node, moved)
                return False
            case _:
                return self._simple(node, moved)

    def _simple(self, node: ast.stmt, moved: Moved) -> bool:
        match node:
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                self._assign(node, moved)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return False
            case ast.Break():
                self._jump(self.breaks, moved)
            case ast.Continue():
                self._jump(self.continues, moved)
            case _:
                self._children(node, moved)
        return isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break)

    @staticmethod
    def _jump(targets: list[Moved], moved: Moved) -> None:
        if targets:
            targets[-1].update(moved)

    def _branches(self, bodies: list[list[ast.stmt]], moved: Moved) -> bool:
        ends: list[Moved] = []
        for body in bodies:
            branch = dict(moved)
            if not self.block(body, branch):
                ends.append(branch)
        _join(moved, ends)
        return not ends

    def _match(self, node: ast.Match, moved: Moved) -> bool:
        for case in node.cases:
            if case.guard is not None:
                self._expression(case.guard, moved)
        total = any(
            isinstance(c.pattern, ast.MatchAs) and c.pattern.pattern is None and c.guard is None for c in node.cases
        )
        bodies = [case.body for case in node.cases]
        return self._branches(bodies if total else [*bodies, []], moved)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, moved: Moved) -> None:
        self._expression(node.test if isinstance(node, ast.While) else node.iter, moved)
        self.breaks.append({})
        for _ in range(2):
            self.continues.append({})
            if not isinstance(node, ast.While):
                self._expression(node.target, moved)
            self._branches([node.body, []], moved)
            moved.update(self.continues.pop())
        broken = self.breaks.pop()
        self.block(node.orelse, moved)
        moved.update(broken)

    def _try(self, node: ast.Try | ast.TryStar, moved: Moved) -> bool:
        stops: Moved = {}
        body = dict(moved)
        with self._stopping_in(stops):
            left = self.block([*node.body, *node.orelse], body)
        ends, everything = ([] if left else [body]), {**stops, **body}
        for handler in node.handlers:
            stopped = dict(stops)
            if not self.block(handler.body, stopped):
                ends.append(stopped)
            everything.update(stopped)
        self.block(node.finalbody, everything)
        _join(moved, ends)
        return self.block(node.finalbody, moved) or not ends

    @contextmanager
    def _stopping_in(self, stops: Moved) -> Iterator[None]:
        self.stops.append(stops)
        yield
        self.stops.pop()

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, moved: Moved) -> None:
        if node.value is not None:
            self._expression(node.value, moved)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            self._expression(target, moved)

    def _expression(self, node: ast.AST, moved: Moved) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return
            case ast.Lambda():
                self._expression(node.body, dict(moved))
            case ast.IfExp():
                self._expression(node.test, moved)
                self._either([node.body, node.orelse], moved)
            case ast.Call(func=ast.Attribute(attr=attr) as function) if attr in self.transitions:
                self._transition(node, function, moved)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self._comprehension(node, moved)
            case _:
                self._read(node, moved)

    def _read(self, node: ast.AST, moved: Moved) -> None:
        name = _dotted(node)
        if name is not None and isinstance(node, ast.Name | ast.Attribute):
            self._name(node, name, moved)
        else:
            self._children(node, moved)

    def _comprehension(self, node: Comprehension, moved: Moved) -> None:
        for _ in range(2):
            for generator in node.generators:
                self._children(generator, moved)
            for part in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
                self._expression(part, moved)

    def _either(self, nodes: list[ast.expr], moved: Moved) -> None:
        ends = [dict(moved) for _ in nodes]
        for node, end in zip(nodes, ends, strict=True):
            self._expression(node, end)
        for end in ends:
            moved.update(end)

    def _transition(self, call: ast.Call, function: ast.Attribute, moved: Moved) -> None:
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            self._expression(argument, moved)
        self._expression(function.value, moved)
        name = _dotted(function.value)
        if name is not None and self._holds_state(name):
            moved[self._origin(name)] = call.lineno

    def _holds_state(self, name: str) -> bool:
        origin = self._origin(name)
        return self.holders is None or {name, origin} & self.holders != set() or origin.rpartition(".")[2] == "state"

    def _origin(self, name: str) -> str:
        """The first name of what `name` is another name of."""
        head, dot, rest = name.partition(".")
        seen = {head}
        while (head := self.other_names.get(head, head)) not in seen:
            seen.add(head)
        return f"{head}{dot}{rest}"

    def _name(self, node: ast.Name | ast.Attribute, name: str, moved: Moved) -> None:
        origin = self._origin(name)
        if isinstance(node.ctx, ast.Load):
            for known, line in list(moved.items()):
                if origin == known or origin.startswith(f"{known}."):
                    self.found.add(UseAfterMove(node.lineno, known, line))
        elif origin == name:
            for known in [k for k in moved if k == name or k.startswith(f"{name}.")]:
                del moved[known]

    def _children(self, node: ast.AST, moved: Moved) -> None:
        for child in ast.iter_child_nodes(node):
            self._expression(child, moved)


def _join(moved: Moved, ends: list[Moved]) -> None:
    """What was moved where any of the ends was reached."""
    moved.clear()
    for end in ends:
        moved.update(end)


def main() -> int:
    """Exit code 1 when a state is used after a transition took it."""
    found = [use for root in [*map(Path, sys.argv[1:])] or DEFAULT for use in check_tree(root)]
    for use in found:
        print(use)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
