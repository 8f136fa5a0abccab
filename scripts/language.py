"""Check the words of documents, pages, source text and messages. Run: python scripts/language.py [--scope S] [--count]

The words are in scripts/language.toml. Only prose is read: of Markdown what is not code or a link's target, of a
template its text, of Python its docstrings, comments and string literals, of scripts and style sheets their comments
and strings. Of Python also the names that a file defines (its own, classes, functions, arguments, variables) are
checked against the words that no name may have. The exit status is 1 when there is a hit.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = Path(__file__).with_suffix(".toml")
WALL = "\0"  # stands where something that is not prose was, so that no rule matches across it


@dataclass(frozen=True)
class Scope:
    """A named group of files, and which kinds of Python text of them are checked."""

    name: str
    globs: tuple[str, ...]
    kinds: tuple[str, ...] = ("docstring", "comment", "string")
    # Which list of words no name may have; "" when names are not checked.
    names: str = ""


SCOPES = {
    scope.name: scope
    for scope in (
        Scope("docs", ("README.md", "HACKING.md", "docs/*.md", "docs/decisions/*.md")),
        Scope("templates", ("src/dmarcworks/dashboard/templates/*.html",)),
        Scope("static", ("src/dmarcworks/dashboard/static/*.js", "src/dmarcworks/dashboard/static/*.css")),
        Scope("src", ("src/**/*.py",), names="source"),
        Scope("bench", ("bench/*.py",), ("string",), names="tests"),
        Scope("examples", ("examples/*.py",), names="source"),
        Scope("scripts", ("scripts/*.py", "fuzz/*.py"), (), names="tests"),
        Scope("tests", ("tests/**/*.py",), (), names="tests"),
    )
}


@dataclass(frozen=True)
class Rule:
    """What to look for, and what to write instead."""

    find: re.Pattern[str]
    use: str


@dataclass(frozen=True)
class Excuse:
    """An expression inside which a hit is none, in the files of a glob."""

    path: str
    find: re.Pattern[str]


@dataclass(frozen=True)
class NameRules:
    """The words that no name may have, by list, with what to use instead; and the names that may have them."""

    words: dict[str, dict[str, str]]
    whole: dict[str, dict[str, str]]
    # Finds a word of the list anywhere in a text: a file without one need not be parsed.
    anywhere: dict[str, re.Pattern[str]]
    allowed: list[tuple[str, re.Pattern[str]]]


@dataclass(frozen=True)
class Hit:
    """One place: which words, and the better ones."""

    path: str
    line: int
    kind: str
    words: str
    use: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.words} → {self.use}"


def load(path: Path = RULES) -> tuple[list[Rule], list[Excuse]]:
    """The rules and the exceptions."""
    data = tomllib.loads(path.read_text())
    rules = [Rule(_pattern(row["find"], exact=row.get("case", False)), row["use"]) for row in data["rule"]]
    return rules, [Excuse(row["path"], _pattern(row["find"])) for row in data["exception"]]


def load_names(path: Path = RULES) -> NameRules:
    """The rules for names: the list "source" holds that of "tests" too."""
    data = tomllib.loads(path.read_text())["names"]
    words = {"tests": dict(data["everywhere"]), "source": data["everywhere"] | data["source"]}
    whole = {"tests": {}, "source": dict(data["whole"])}
    anywhere = {
        which: re.compile(rf"(?<![a-z])(?:{'|'.join([*words[which], *whole[which]])})(?![a-z])", re.IGNORECASE)
        for which in words
    }
    return NameRules(words, whole, anywhere, [(row["path"], re.compile(row["name"])) for row in data["allowed"]])


def _pattern(find: str, *, exact: bool = False) -> re.Pattern[str]:
    return re.compile(find.replace(" ", r"\s+"), 0 if exact else re.IGNORECASE)


def check(path: str, source: str, rules: list[Rule], excuses: list[Excuse], kinds: tuple[str, ...]) -> list[Hit]:
    """Every hit in one file, in the order of the file; a place counts once, by the first rule that finds it."""
    hits: list[tuple[int, Hit]] = []
    for kind, prose in texts(path, source):
        if kind not in kinds and path.endswith(".py"):
            continue
        allowed = [found.span() for one in excuses if fnmatch(path, one.path) for found in one.find.finditer(prose)]
        seen: list[tuple[int, int]] = []
        for rule in rules:
            for found in rule.find.finditer(prose):
                start, end = found.span()
                if any(a <= start and end <= b for a, b in allowed) or any(start < b and a < end for a, b in seen):
                    continue
                seen.append((start, end))
                words = " ".join(found.group().split())
                hits.append((start, Hit(path, prose.count("\n", 0, start) + 1, kind, words, rule.use)))
    return [hit for _, hit in sorted(hits, key=lambda pair: pair[0])]


_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def defined_names(path: str, source: str) -> Iterator[tuple[int, str, str]]:
    """Every name that a Python file defines: line, what it is, the name. The file's own comes first."""
    yield 1, "file", path.rsplit("/", 1)[-1].removesuffix(".py")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            yield node.lineno, "class", node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, "function", node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, "argument", node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, "variable", node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, "attribute", node.attr


def check_names(path: str, source: str, rules: NameRules, which: str) -> list[Hit]:
    """The names that a Python file defines with a word of the list; each name once, where it is first."""
    hits: dict[str, Hit] = {}
    if rules.anywhere[which].search(path) is None and rules.anywhere[which].search(source) is None:
        return []
    for line, kind, name in defined_names(path, source):
        if name in hits:
            continue
        use = rules.whole[which].get(name.strip("_"), "")
        for word in _WORD.findall(name):
            use = use or rules.words[which].get(word.lower(), "")
        if use and not any(fnmatch(path, glob) and pattern.fullmatch(name) for glob, pattern in rules.allowed):
            hits[name] = Hit(path, line, "name", f"the {kind} {name}", use)
    return sorted(hits.values(), key=lambda hit: hit.line)


def texts(path: str, source: str) -> Iterator[tuple[str, str]]:
    """The prose of a file by kind: the source with everything else blanked, so that lines stay where they are."""
    suffix = path.rsplit(".", 1)[-1]
    if suffix == "py":
        yield from python(source)
    elif suffix == "html":
        yield "text", _plain(template(source))
    elif suffix in ("js", "css"):
        yield "text", _plain(script(source))
    else:
        yield "text", _plain(markdown(source))


def _blank(text: str, fill: str = " ") -> str:
    return "".join(char if char == "\n" else fill for char in text)


def _plain(text: str) -> str:
    """Prose without addresses, variables and names of files."""
    names = r"https?://\S+|\b[A-Z]+(_[A-Z]+)+\b|[\w./-]*\w\.(md|py|toml|sh|html|js|css)\b|\w+(/[\w.-]+)+|\b\w+_\w+\b"
    return re.sub(names, lambda found: _blank(found.group(), WALL), text)


def markdown(source: str) -> str:
    """A page without code spans and the targets of links."""
    source = re.sub(r"`[^`\n]+`", lambda found: _blank(found.group(), WALL), source)
    return re.sub(r"\]\([^)]*\)", lambda found: _blank(found.group()), source)


def template(source: str) -> str:
    """A template's text, the attributes that people read, and the sentences inside expressions."""
    quoted = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
    read = re.compile(r"\b(?:title|placeholder|alt|value|content|hx-confirm|aria-label|data-\w+)=(\"[^\"]*\")")

    def keep(pattern: re.Pattern[str], group: int) -> Callable[[re.Match[str]], str]:
        def inner(found: re.Match[str]) -> str:
            text, out, at = found.group(), "", 0
            for part in pattern.finditer(text):
                words = part.group(group)
                out += _blank(text[at : part.start(group)]) + (words if " " in words else _blank(words))
                at = part.end(group)
            return out + _blank(text[at:])

        return inner

    source = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", keep(quoted, 0), source, flags=re.DOTALL)
    return re.sub(r"<[^<>]*>", keep(read, 1), source)


def script(source: str) -> str:
    """The comments and strings of a script, the comments of a style sheet."""
    parts = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`", re.DOTALL)
    out, at = "", 0
    for part in parts.finditer(source):
        words = part.group()
        out += _blank(source[at : part.start()], WALL) + (words if " " in words else _blank(words, WALL))
        at = part.end()
    return out + _blank(source[at:], WALL)


def python(source: str) -> Iterator[tuple[str, str]]:
    """Docstrings, comments and string literals, each over the blanked source."""
    documents = {
        (node.value.lineno, node.value.col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    spans: dict[str, list[tuple[int, int]]] = {"docstring": [], "comment": [], "string": []}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        span = (starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1])
        if token.type == tokenize.COMMENT:
            spans["comment"].append(span)
        elif tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE"):
            spans["docstring" if _starts(token, documents) else "string"].append(span)
    for kind, parts in spans.items():
        yield kind, _plain(_over(source, kind, parts))


def _starts(token: tokenize.TokenInfo, documents: set[tuple[int, int]]) -> bool:
    column = len(token.line[: token.start[1]].encode())  # ast counts bytes
    return (token.start[0], column) in documents


def _over(source: str, kind: str, parts: list[tuple[int, int]]) -> str:
    out, at = "", 0
    for start, end in parts:
        between = source[at:start]
        out += _blank(between, " " if not between.strip() else WALL) + _words(source[start:end], kind)
        at = end
    return out + _blank(source[at:], WALL)


def _words(text: str, kind: str) -> str:
    """A comment without its sign, a string without quotes, expressions and code; one that is no prose is a wall."""
    if kind == "comment":
        return re.sub(r"`[^`\n]+`", lambda found: _blank(found.group(), WALL), text.replace("#", " "))
    if kind == "string":
        if " " not in text or re.match(r"[rbfRBF]*[\"']+\s*(SELECT|INSERT|CREATE|ALTER|WITH|DELETE|UPDATE)\b", text):
            return _blank(text, WALL)
        text = re.sub(r"\{[^{}]*\}", lambda found: _blank(found.group(), WALL), text)
    text = re.sub(r"^([rbfuRBFU]*)(\"\"\"|'''|\"|')", lambda found: _blank(found.group()), text)
    text = re.sub(r"(\"\"\"|'''|\"|')$", lambda found: _blank(found.group()), text)
    return re.sub(r"`[^`\n]+`", lambda found: _blank(found.group(), WALL), text)


def files(scope: Scope, root: Path) -> Iterator[Path]:
    """The files of a scope, sorted."""
    for path in sorted({path for glob in scope.globs for path in root.glob(glob)}):
        name = path.relative_to(root).as_posix()
        if "/vendor/" not in name:
            yield path


def hits_of(scopes: list[Scope], root: Path = ROOT) -> Iterator[tuple[Scope, Hit]]:
    """Every hit of some scopes, by file and line."""
    rules, excuses = load()
    name_rules = load_names()
    for scope in scopes:
        for path in files(scope, root):
            name, source = path.relative_to(root).as_posix(), path.read_text()
            if scope.kinds:
                for hit in check(name, source, rules, excuses, scope.kinds):
                    yield scope, hit
            if scope.names:
                for hit in check_names(name, source, name_rules, scope.names):
                    yield scope, hit


def main(arguments: list[str] | None = None) -> int:
    """Print the hits, or with --count how many there are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--scope", action="append", choices=list(SCOPES), help="check only this; default: all")
    parser.add_argument("--count", action="store_true", help="print the number of hits by scope, kind and package")
    parser.add_argument("--root", type=Path, default=ROOT, help="check another working tree")
    options = parser.parse_args(arguments)
    scopes = [SCOPES[name] for name in options.scope or SCOPES]
    found = list(hits_of(scopes, options.root))
    if options.count:
        for (scope, kind), number in sorted(Counter((scope.name, hit.kind) for scope, hit in found).items()):
            print(f"{number:6}  {scope}: {kind}")
        for package, number in sorted(
            Counter(_package(hit.path) for scope, hit in found if scope.name == "src").items()
        ):
            print(f"{number:6}  src: {package}")
        print(f"{len(found):6}  in all")
    else:
        for _, hit in found:
            print(hit)
        if found:
            print(f"{len(found)} hits", file=sys.stderr)
    return 1 if found else 0


def _package(path: str) -> str:
    parts = path.removeprefix("src/dmarcworks/").split("/")
    return parts[0]


if __name__ == "__main__":
    sys.exit(main())
