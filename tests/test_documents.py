"""Links, names of files and commands in the Markdown files and notebooks lead somewhere."""

from __future__ import annotations

import argparse
import functools
import json
import re
from pathlib import Path

import pytest

from amfzoo.cli.main import build_parser

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "*/README.md", *(f"{top}/**/*.{ext}" for top in ("benchmarks", "examples", "results", "weights", "amfzoo") for ext in ("md", "ipynb")))
    for path in ROOT.glob(pattern)
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)  # fmt: skip
pytestmark = pytest.mark.skipif(
    not (ROOT / "results").is_dir(), reason="needs a checkout: a wheel has no documents beside it"
)


def text(path: Path) -> str:
    found = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return found
    cells = ((cell["cell_type"], "".join(cell["source"])) for cell in json.loads(found)["cells"])
    return "\n\n".join(source if kind == "markdown" else f"```\n{source}\n```" for kind, source in cells)


def prose(path: Path) -> str:
    return re.sub(r"^```.*?^```", "", text(path), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(path: Path) -> list[str]:
    """What follows "amfzoo" where it is called, in blocks of code and in code within a line."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text(path), re.DOTALL | re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(path))]
    lines = [line for code in blocks for line in code.replace("\\\n", " ").splitlines()] + spans
    called = r"(?:^|[;{(]|&&|\bdo|-m)\s*amfzoo (?!import\b)(.*?)(?=;|&&|\s#|$)"
    return [found for line in lines for found in re.findall(called, line.strip())]


parser_of_all = functools.cache(build_parser)


def below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next((dict(a.choices) for a in parser._actions if isinstance(a, argparse._SubParsersAction)), {})


def wrong(command: str) -> list[str]:
    """Names of commands and options in it that there are not."""
    parser, words = parser_of_all(), re.findall(r"'[^']*'|[^\s,]+", command)
    while words and (there := below(parser)) and not words[0].startswith("-"):
        if words[0] not in there:
            return [words[0]]
        parser = there[words.pop(0)]
    options = {option for action in parser._actions for option in action.option_strings}
    return [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in options]


def test_all_documents_are_looked_at():
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert names >= {"README.md", "CHANGELOG.md", "examples/recipes/open.md", "results/asymmetry/small/results.md"}
    assert names >= {"amfzoo/weights/amf_small.open/README.md", "examples/predict_and_explain.ipynb"}
    assert sum(len(commands(path)) for path in DOCUMENTS) > 60


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(path))):
        if re.match(r"(https?|mailto):", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_their_options_exist(path):
    assert {command: names for command in commands(path) if (names := wrong(command))} == {}


@pytest.mark.parametrize(
    "command, names",
    [
        ("predict a.csv --out b.csv", []),
        ("data split a.csv --folds 5 -q", ["-q"]),
        ("evaluate --model local-dir:run --date a.csv --split valid", ["--date"]),
        ("data convert a.csv", ["convert"]),
        ("report --out a", ["report"]),
        ("train --label 'finding=finding:plain|veil' --set lr=-1", []),
    ],
)
def test_what_does_not_exist_is_noticed(command, names):
    assert wrong(command) == names
