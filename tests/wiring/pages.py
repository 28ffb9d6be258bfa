"""What README.md and docs/*.md show: blocks of code, and commands and requests named in the text."""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n) {4}\S.*\n(?:\n*(?: {4}.+\n))*")
_SPAN = re.compile(r"`([^`]+)`")
_PROMPT = "$ "
# First words of commands, by which a block without a language and a span in the text are known as such.
PROGRAMS = (
    "aws", "bash", "curl", "dagster", "demand", "dg", "docker", "export", "git", "make", "mlflow", "psql", "pytest",
    "python", "terraform", "uv",
)  # fmt: skip
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+=")
_CRON = re.compile(r"(?:[\d*/,-]+ +){5}")


@dataclass(frozen=True)
class Snippet:
    """A block of a page, or one command of it; `line` is that of its first line."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def blocks() -> tuple[Snippet, ...]:
    """Every fenced or indented block, with the language that it says, or that its first word shows."""
    return tuple(block for page in PAGES for block in _blocks_of(page))


@cache
def commands() -> tuple[Snippet, ...]:
    """Each command of the blocks of shell and each one named in the text, as one line; text has the language `span`."""
    found = [command for block in blocks() if block.language == "sh" for command in _commands_of(block)]
    return (*found, *(span for span in spans() if " " in span.text and first_word(span.text) in PROGRAMS))


@cache
def spans() -> tuple[Snippet, ...]:
    """Every piece of code in the text between the blocks."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for pattern in (_FENCE, _INDENTED):
            text = pattern.sub(lambda block: "\n" * block.group().count("\n"), text)
        for span in _SPAN.finditer(text):
            line = text.count("\n", 0, span.start()) + 1
            found.append(Snippet(page.name, line, "span", " ".join(span.group(1).split())))
    return tuple(found)


def first_word(command: str) -> str:
    """The program of a command, without the variables and the times of a crontab before it."""
    words = words_of(command)
    return words[0].removeprefix(".venv/bin/") if words else ""


def words_of(command: str) -> list[str]:
    """The words of a command without the variables that are set for it; none where no shell would read it."""
    try:
        words = shlex.split(_CRON.sub("", command, count=1), comments=True)
    except ValueError:
        return []
    while words and _VARIABLE.match(words[0]):
        del words[0]
    return words


def variables_of(command: str) -> dict[str, str]:
    """The variables that are set for a command."""
    words = shlex.split(_CRON.sub("", command, count=1), comments=True)
    return dict(word.split("=", 1) for word in words if _VARIABLE.match(word))


def output_of(block: Snippet) -> str:
    """What a block shows as printed by its command."""
    lines = block.text.splitlines()
    return "\n".join(line for line in lines[1:] if lines[0].startswith(_PROMPT))


def _blocks_of(page: Path) -> list[Snippet]:
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        indent, language, body = match.groups()
        plain = re.sub(f"^{indent}", "", body, flags=re.MULTILINE)
        found.append(Snippet(page.name, text.count("\n", 0, match.start()) + 2, language or _guess(plain), plain))
    rest = _FENCE.sub(lambda block: "\n" * block.group().count("\n"), text)
    for match in _INDENTED.finditer(rest):
        plain = re.sub("^ {4}", "", match.group(), flags=re.MULTILINE)
        found.append(Snippet(page.name, rest.count("\n", 0, match.start()) + 1, _guess(plain), plain))
    return found


def _guess(text: str) -> str:
    first = text.splitlines()[0].removesuffix("\\")
    if first.startswith("["):
        return "toml"
    return "sh" if first_word(first.removeprefix(_PROMPT)) in PROGRAMS else "text"


def _commands_of(block: Snippet) -> list[Snippet]:
    """Commands over several lines as one; of a block with prompts only the lines that have one."""
    found, held, start = [], "", 0
    prompts = block.text.startswith(_PROMPT)
    for number, line in enumerate(block.text.splitlines()):
        if prompts and not held and not line.startswith(_PROMPT):
            continue
        start = start if held else number
        held = f"{held}\n{line}".strip().removeprefix(_PROMPT).replace("\\\n", " ")
        if not line.endswith("\\") and _is_whole(held):
            if words_of(held):
                found.append(Snippet(block.page, block.line + start, "sh", held))
            held = ""
    assert not held, f"{block.page}:{block.line + start} is a command without an end: {held}"
    return found


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True
