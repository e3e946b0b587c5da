"""What can be checked of the documents without running what they tell."""

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer

from tests.test_readme import GUIDES
from toolkit.cli.app import app
from toolkit.installed import COMMANDS_GROUP

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
}
RUN_ELSEWHERE = {"docs/first_hour.md", "docs/sql_server.md"}
"""Whose commands ``test_first_hour.py`` and ``test_cli_sqlserver.py`` run or compare."""

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


@pytest.fixture(params=DOCUMENTS)
def document(request):
    return request.param


@pytest.fixture(scope="module")
def commands():
    """The commands of ``toolkit`` by name, as its own parser knows them."""
    for point in entry_points(group=COMMANDS_GROUP):
        point.load()(app)
    return typer.main.get_command(app).commands


def test_the_readme_is_short_and_leads_to_every_guide():
    readme = DOCUMENTS["README.md"]
    assert len(readme.splitlines()) <= 180
    guides = [name for name in DOCUMENTS if name.startswith("docs/")]
    assert [name for name in guides if f"]({name})" not in readme] == []
    assert len(guides) >= 6


def test_every_document_with_commands_is_run_by_a_test():
    commanded = {
        name
        for name, text in DOCUMENTS.items()
        if {"sh", "python", "py"} & {language for language, _ in BLOCK.findall(text)}
    }
    assert commanded == set(GUIDES) | RUN_ELSEWHERE


def test_links_lead_somewhere(document):
    assert list(dead_links(document)) == []


def test_commands_are_understood(document, commands):
    """Of a command that is only named, arguments may be missing."""
    for words in typed(DOCUMENTS[document]):
        understand(commands, words)
    for words in mentioned(DOCUMENTS[document]):
        if len(words) == 1:
            assert words[0] in commands
        else:
            understand(commands, words)


def test_make_has_what_is_to_be_made(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    text = DOCUMENTS[document]
    named = set(re.findall(r"`make ([a-z-]+)", BLOCK.sub("", text)))
    for language, block in BLOCK.findall(text):
        if language == "sh":
            named |= set(re.findall(r"^make ([a-z-]+)", block, re.M))
    assert named <= targets


def dead_links(document: str) -> Iterator[str]:
    """The links of a document whose file, or heading in it, is not there."""
    for link in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", DOCUMENTS[document])):
        path, _, heading = link.partition("#")
        if path.startswith(("http://", "https://")):
            continue
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (heading and heading not in headings(target.read_text())):
            yield link


def headings(text: str) -> set[str]:
    """The headings of a document, as links name them."""
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.M)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def typed(text: str) -> Iterator[list[str]]:
    """The words after ``toolkit`` of every call in a block that is to be typed."""
    for language, block in BLOCK.findall(text):
        if language in ("sh", "console"):
            shown = re.sub(r"\$\([^)]*\)", "X", block.replace("\\\n", " "))
            shown = re.sub(r" 2> \S+| &$", "", shown, flags=re.M)
            for part in re.split(r"\n|&&|;", shown):
                if call := re.search(r"(?:^|[\s/])toolkit (.+)", part):
                    yield shlex.split(call[1])


def mentioned(text: str) -> Iterator[list[str]]:
    """The same of every call in the running text."""
    for call in re.findall(r"`toolkit ([a-z][^`]*)`", BLOCK.sub("", text)):
        yield shlex.split(call)


def understand(commands, words: list[str]) -> None:
    """Let the command parse its words, without running it."""
    command, *arguments = words
    assert command in commands, f"toolkit {shlex.join(words)}"
    commands[command].make_context(command, arguments)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("sh\ntoolkit forecast 770 --dbase orders.duckdb", "No such option: --dbase"),
        ("sh\n. .venv/bin/activate\ntoolkit promote x \\\n  --reasons y", "--reasons"),
        ("console\n0 3 * * 1-6 toolkit history && toolkit export --since", "--since"),
        ("console\n$ toolkit read", "Missing"),
        ("sh\n.venv/bin/toolkit fly", "toolkit fly"),
    ],
)
def test_what_is_misspelt_is_found(commands, block, message):
    *right, wrong = typed(f"```{block}\n```")
    for words in right:
        understand(commands, words)
    with pytest.raises(Exception, match=message):
        understand(commands, wrong)
