"""The help says what the program does, and nothing that it does not."""

import argparse
import re
from collections.abc import Iterator

import pytest

from ztmcp_desktop.cli import server
from ztmcp_desktop.cli.main import make_parser
from ztmcp_desktop.control.resources import help_texts, resource_text
from ztmcp_desktop.control.toml_reading import COMMON_KEYS, LIMIT_KEYS, LOCAL_KEYS, REMOTE_KEYS
from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.domain.limits import Limits
from ztmcp_desktop.policy.cedar import problems
from ztmcp_desktop.settings import DeskKind, Settings

PAGES = help_texts()
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`|^ {4}([^\n]+)$", re.DOTALL | re.MULTILINE)


def code_of(text: str) -> list[str]:
    """Every line of code in a page."""
    found = ("".join(groups) for groups in CODE.findall(text))
    return [line.strip() for piece in found for line in piece.splitlines()]


LINES = [line for text in PAGES.values() for line in code_of(text)]


def choices_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command with its verb, and its parser."""
    for noun, parser in choices_of(make_parser()).items():
        verbs = choices_of(parser)
        yield from ((f"{noun} {verb}", inner) for verb, inner in verbs.items())
        if not verbs:
            yield noun, parser


COMMANDS = dict(commands())
OPTIONS = {
    option
    for parser in [make_parser(), *COMMANDS.values()]
    for action in parser._actions
    for option in action.option_strings
} - {server.COMMAND_FOLLOWS}


def rows(page: str) -> dict[str, list[str]]:
    """The rows of a page's tables: the code in the first cell to the other cells."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGES[page].splitlines() if "|" in line]
    return {key: cells[1:] for cells in found for key in re.findall(r"`([^`]+)`", cells[0])}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_stands_in_the_list_of_commands(command: str) -> None:
    assert any(key.removeprefix("ztmcp ").startswith(command) for key in rows("10-command-line.md"))


@pytest.mark.parametrize("option", sorted(OPTIONS - {"--help"}))
def test_each_option_stands_in_the_page_of_the_command_line(option: str) -> None:
    assert re.search(rf"`[^`]*{option}\b", PAGES["10-command-line.md"])


def test_no_page_names_a_command_that_is_not_there() -> None:
    named = [words for line in LINES for words in re.findall(r"\bztmcp ((?:[a-z]+ ?){1,2})", line)]
    assert len(named) > len(COMMANDS)
    nouns = choices_of(make_parser())
    for words in named:
        noun, _, verb = words.strip().partition(" ")
        assert noun in nouns, words
        if verbs := choices_of(nouns[noun]):
            assert verb in verbs, words


def test_no_page_names_an_option_that_is_not_there() -> None:
    named = {option for line in LINES for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)}
    assert named
    assert named <= OPTIONS


def test_each_setting_is_told_with_the_value_that_it_has_as_shipped() -> None:
    table = rows("09-settings.md")
    for key in Settings.__dataclass_fields__:
        shipped = getattr(Settings(), key)
        said = "none" if shipped in ((), "") else f"{shipped:g}" if isinstance(shipped, float) else str(shipped)
        assert table[key][0] == said, key
    for key in LIMIT_KEYS:
        assert table[key][0] == f"{getattr(Limits(), key):.0f}", key


def test_each_key_of_a_server_and_each_choice_is_told_and_no_other() -> None:
    table = rows("09-settings.md")
    servers = COMMON_KEYS | LOCAL_KEYS | REMOTE_KEYS
    assert set(table) == set(Settings.__dataclass_fields__) | servers | LIMIT_KEYS
    for kind in DeskKind:
        assert f"`{kind.value}`" in PAGES["09-settings.md"]


def test_each_code_is_told_with_what_it_means_and_what_to_do_and_no_other() -> None:
    table = rows("11-refusals.md")
    assert list(table) == [code.value for code in Code]
    for meaning, remedy in table.values():
        assert meaning
        assert remedy


@pytest.mark.parametrize("rule", re.findall(r"```cedar\n(.*?)```", PAGES["05-rules.md"], re.DOTALL))
def test_each_rule_in_the_help_is_one(rule: str) -> None:
    assert problems("help.cedar", rule, resource_text("policy/schema.cedarschema")) == ()


@pytest.mark.parametrize("page", PAGES)
def test_each_page_has_one_title_and_leads_only_to_pages(page: str) -> None:
    text = PAGES[page]
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert set(re.findall(r"\]\(([^)]*)\)", text)) <= set(PAGES)
    assert "![" not in text
    assert "<" not in CODE.sub("", text)


def test_what_is_not_there_yet_is_said_to_be() -> None:
    said = PAGES["12-protection.md"].partition("## Not there yet")[2]
    assert all(word in said for word in ("Network and table limits", "import", "macOS"))
    for text in (text for page, text in PAGES.items() if page != "12-protection.md"):
        for paragraph in re.split(r"\n\n|\n[|-] ", text):
            if re.search(r"--host|--table|rule preview", paragraph):
                assert "not there yet" in " ".join(paragraph.split()).lower()
