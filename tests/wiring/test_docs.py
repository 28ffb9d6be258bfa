"""Everything that README.md and docs/*.md tell people to type is run, or checked against what defines it.

`pages` finds the snippets, so a new one is tested without being named here. What takes minutes, an account of AWS or
a server of others is not run: its program's own definitions say whether the command exists and has these options.
"""

import ast
import importlib.util
import json
import re
import sqlite3
import subprocess
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import botocore.session
import click
import duckdb
import httpx
import pytest
from botocore import xform_name

from api import ApiSettings
from demand_assets.cli import main
from demand_assets.ingestion.dataspec import read_spec
from demand_assets.settings import PREFIX, Settings, read_settings
from demand_assets.store.engine import create_engine_for
from demand_assets.store.keys import create_key
from tests.api.conftest import serving
from tests.api.test_files import HttpFiles
from tests.repository.terraform_files import parsed_file, read_module
from tests.wiring import commands
from tests.wiring.conftest import copy_workspace, environment_of
from tests.wiring.pages import (
    PAGES,
    ROOT,
    Snippet,
    blocks,
    first_word,
    output_of,
    spans,
    variables_of,
    words_of,
)
from tests.wiring.pages import commands as every_command

Finished = tuple[Path, dict[str, object]]

ADDRESS = re.compile(r"(?:http://)?127\.0\.0\.1:8000")
DATE = re.compile(r"\b20\d\d-[01]\d-[0-3]\d\b")
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
# Of the shell itself; commands inside `$(...)` are looked at by themselves.
SHELL_WORDS = ("cat", "cd", "do", "done", "export", "for", "jq", "read")
# Checked by their form alone: their definitions are not on this machine.
FORM_ALONE = ("feast", "gh", "git", "psql", "terraform", "dagster", "dg", "docker", "mlflow", "pytest")
# Commands of the pipeline that are quick on a finished workspace and leave its model alone; the others have tests of
# their own in this folder.
RUN = ("accept", "inspect", "keys", "migrate", "models", "repair", "reproduce", "sample", "watch")


def of_language(*languages: str) -> list[Snippet]:
    return [block for block in blocks() if block.language in languages]


def each(snippets: list[Snippet]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("snippet", snippets, ids=[str(one) for one in snippets])


# --- what exists --------------------------------------------------------------------------------------------------


def nested(text: str) -> list[str]:
    """A command and those inside `$(...)` of it, each part of a pipe by itself."""
    inner = re.findall(r"\$\(([^()]*)\)", text)
    outer = re.sub(r"\w+=\$\([^()]*\)|\$\([^()]*\)", "VALUE", text)
    return [part.strip() for one in (outer, *inner) for part in re.split(r" \| ", one)]


def checked(text: str, *, whole: bool) -> None:
    """Fail unless a command's program is known and has what is asked of it; `whole`: nothing is left out."""
    program, words = first_word(text), words_of(text)
    if not words or program in (*SHELL_WORDS, "VALUE"):
        return
    if program in CHECKS:
        CHECKS[program](words[1:], whole)
    else:
        assert program in FORM_ALONE, f"no test knows the program {program!r}"
    variables_are_read(program, variables_of(text))


def variables_are_read(program: str, given: Mapping[str, str]) -> None:
    if program == "make":
        make_has(["=".join(one) for one in given.items()], whole=False)
    elif program == "pytest":
        tests = "".join(path.read_text() for path in (ROOT / "tests" / "api").glob("*.py"))
        assert all(f'"{name}"' in tests for name in given)
    else:
        assert all(name.startswith(PREFIX) for name in given), f"{program} reads none of {sorted(given)}"
        stated = {name: value for name, value in given.items() if "..." not in value}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in stated.items():
                patch.setenv(name, value)
            read_settings(stated)


def demand_has(words: list[str], whole: bool) -> None:
    command: click.Command = main
    context = click.Context(main, info_name="demand")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"demand has no command {name!r}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    if whole:
        command.make_context(context.info_name, words)
    else:
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known


def make_has(words: list[str], whole: bool) -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    variables = set(re.findall(r"\$\(([A-Z_]+)\)", text))
    given = dict(word.split("=", 1) for word in words if "=" in word)
    assert {word for word in words if "=" not in word} <= targets
    assert set(given) <= variables
    if "BENCH" in given and given["BENCH"] != "NAME":
        python_has(["-m", f"benchmarks.{given['BENCH']}", *given.get("ARGS", "").split()], whole)


def python_has(words: list[str], whole: bool) -> None:
    """A module that is there, with the options that it declares; code that compiles; a script of the page."""
    if words[0] == "-c":
        ast.parse(words[1])
    elif words[0] != "-m":
        assert any(f"Save it as `{words[0]}`" in page.read_text() for page in PAGES)
    elif "NAME" not in words[1]:
        module = importlib.util.find_spec(words[1]) or pytest.fail(f"there is no module {words[1]}")
        is_package = module.submodule_search_locations is not None
        source = Path(str(module.origin)).with_name("__main__.py") if is_package else Path(str(module.origin))
        declared = set(re.findall(r"[\"'/](--[a-z-]+)[\"'/]", source.read_text())) | {"--help"}
        assert {word for word in words[2:] if word.startswith("--")} <= declared, source


def aws_has(words: list[str], whole: bool) -> None:
    """An operation of the service, and options that are members of what it takes, by the models of botocore."""
    service, operation, *rest = words
    if (service, operation) in (("s3", "cp"), ("logs", "tail"), ("ssm", "start-session")):
        return
    model = botocore.session.get_session().get_service_model("s3" if service == "s3api" else service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in operations, f"{service} has no operation {operation}"
    takes = model.operation_model(operations[operation]).input_shape
    members = {xform_name(name, "-") for name in takes.members} | {"query", "output", "region"}
    options = {word.removeprefix("--").removeprefix("no-") for word in rest if word.startswith("--")}
    assert options <= members, sorted(options - members)


CHECKS: Mapping[str, Callable[[list[str], bool], None]] = {
    "aws": aws_has,
    "curl": lambda words, whole: None,  # run below
    "demand": demand_has,
    "make": make_has,
    "python": python_has,
}


@each([*every_command()])
def test_a_command_exists_with_its_options(snippet: Snippet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for text in nested(snippet.text):
        checked(text, whole=snippet.language == "sh" and "..." not in text)


@each(of_language("sh"))
def test_a_shell_reads_each_block(snippet: Snippet) -> None:
    lines = snippet.text.splitlines()
    text = "\n".join(line.removeprefix("$ ") for line in lines if not output_of(snippet) or line.startswith("$ "))
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


@each([*blocks()])
def test_a_block_is_of_a_kind_that_is_tested(snippet: Snippet) -> None:
    assert snippet.language in ("sh", "python", "sql", "toml", "json", "hcl", "mermaid", "text")
    if snippet.language == "toml":
        read_spec(tomllib.loads(snippet.text) and snippet.text)
    if snippet.language == "python":
        ast.parse(snippet.text)
    if snippet.language == "json":
        json.loads(snippet.text)
    if snippet.language == "hcl":
        given = {name for name in parsed_file(snippet.text) if not name.startswith("__")}
        assert given <= set(read_module(ROOT / "terraform").variables)


def test_every_setting_that_is_named_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{PREFIX}API_{name.upper()}" for name in ApiSettings.model_fields}
    named = {name for page in PAGES for name in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", page.read_text())}
    assert len(named) > 40
    assert sorted(named - known) == []


def test_every_address_of_the_dashboard_is_one_of_its_pages() -> None:
    script = (ROOT / "api" / "static" / "js" / "shell.js").read_text()
    known = set(re.findall(r'^  \["(\w+)", "', script, re.MULTILINE)) | {""}
    named = {page for text in PAGES for page in re.findall(r"8000/#/(\w*)", text.read_text())}
    assert {"drift", "exceptions", ""} <= named <= known


REQUEST = re.compile(r"(?:GET|POST|HEAD|PUT|DELETE) /|/v1/")


# What was sent there to break it need not exist.
@each([one for one in spans() if REQUEST.match(one.text) and one.page != "reliability.md"])
def test_an_endpoint_exists_with_its_parameters(snippet: Snippet) -> None:
    method, _, address = snippet.text.rpartition(" ")
    path, _, query = address.partition("?")
    asked = {part.partition("=")[0] for part in query.split("&") if part}
    operations = [
        operation
        for template, methods in DOCUMENT["paths"].items()
        for name, operation in methods.items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/:]+", template), path) and method.lower() in ("", name)
    ]
    assert operations, f"no endpoint is {snippet.text}"
    assert asked <= {parameter["name"] for one in operations for parameter in one.get("parameters", ())}


# --- what runs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Workspace:
    """A finished workspace of its own, its service, and what stands there for the ids and weeks of the docs."""

    home: Path
    client: httpx.Client
    dept: str
    origin: str
    target: str
    scored: str

    def put_in(self, text: str, week: str) -> str:
        """A snippet with the weeks and ids that this workspace has; all of it is in store 1."""
        text = ADDRESS.sub(str(self.client.base_url).rstrip("/"), DATE.sub(week, text))
        return re.sub(r'(dept_id(?:=|":"))\d+', rf"\g<1>{self.dept}", text)


@pytest.fixture(scope="module")
def here(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("docs") / "home"
    copy_workspace(finished[0], home)
    with closing(sqlite3.connect(home / "store.db")) as store:
        origin, target, dept = store.execute(
            "select max(origin_week), min(target_week), min(dept_id) from latest_forecast where store_id = '1' "
            "and origin_week = (select max(origin_week) from latest_forecast)"
        ).fetchone()
        (scored,) = store.execute("select max(week) from forecast_exceptions").fetchone()
    soon = datetime.combine(datetime.fromisoformat(origin), time(6), UTC) + timedelta(days=2)
    with serving(f"sqlite:///{home / 'store.db'}", lambda: soon) as client:
        yield Workspace(home, client, dept, origin, target, scored)


@each([one for one in every_command() if first_word(one.text) == "curl"])
def test_a_request_is_answered(snippet: Snippet, here: Workspace, tmp_path: Path) -> None:
    command = here.put_in(snippet.text, here.target).replace("curl ", "curl -sS --fail-with-body ", 1)
    ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout or any(path.stat().st_size for path in tmp_path.iterdir())
    block = next(one for one in blocks() if one.page == snippet.page and snippet.text in one.text.replace("\\\n", " "))
    shown = re.findall(r'"(\w+)":', output_of(block))
    assert set(shown) <= set(json.loads(ran.stdout) if shown else ())


# Feast's have a test beside its store.
@each([one for one in of_language("python") if one.page != "feature-store.md"])
def test_python_runs(snippet: Snippet, here: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = re.findall(r"^(?:import|from) (\w+)", snippet.text, re.MULTILINE)
    for name in (name for name in imported if importlib.util.find_spec(name) is None):
        pytest.skip(f"{name} is not installed")
    monkeypatch.chdir(tmp_path)
    # In place of httpfs, which duckdb would download.
    duckdb.register_filesystem(HttpFiles())
    try:
        exec(compile(here.put_in(snippet.text, here.target), str(snippet), "exec"), {"__name__": "docs"})
    finally:
        duckdb.unregister_filesystem("http")


# The queries of the lake have a test beside its page.
@each([one for one in of_language("sql") if one.page != "lake.md"])
def test_a_query_is_answered(snippet: Snippet, here: Workspace) -> None:
    queries = [query for query in DATE.sub(here.scored, snippet.text).split(";") if query.strip()]
    with closing(sqlite3.connect(here.home / "store.db")) as store:
        answers = [store.execute(query).fetchall() for query in queries]
    # Others may ask for what so short a history has not.
    assert answers[0]


def is_complete(words: list[str]) -> bool:
    """Whether a command can be run as it stands: with all it asks for, and without AWS."""
    try:
        main.make_context("demand", words)
        demand_has(words, whole=True)
    except (click.UsageError, AssertionError):
        # One that does not exist fails the test of that.
        return False
    return "--secret" not in words and words not in (["accept"], ["--help"]) and not {"...", "NAME"} & {*words}


def runnable() -> list[Snippet]:
    """Each command of the pipeline in `RUN` once."""
    found: dict[str, Snippet] = {}
    for one in every_command():
        words = words_of(one.text)
        if first_word(one.text) == "demand" and words[1] in RUN and is_complete(words[1:]):
            found.setdefault(" ".join(words[1:]), one)
    return list(found.values())


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples of docs/bring-your-own-data.md as `my-data`."""
    folder = tmp_path_factory.mktemp("examples")
    (script,) = (one for one in of_language("python") if "my-data" in one.text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(script.text, "make_data.py", "exec"), {})
    return folder


@each(runnable())
def test_a_command_does_what_it_is_for(snippet: Snippet, here: Workspace, examples: Path) -> None:
    environment = environment_of(here.home) | variables_of(snippet.text)
    environment |= {"DEMAND_HOME": str(here.home), "DEMAND_CLOCK": f"{here.origin}T12:00:00+00:00"}
    words = words_of(snippet.text)[1:]
    for at, option in enumerate(words):
        if option in ("--now", "--origin", "--week"):
            words[at + 1] = here.origin
    folder = "sample" if words[0] == "sample" else "my-data/weekly"
    places = {"DIR": folder, "FOLDER": folder, "my-data": "my-data/parquet"}
    places["KEY_ID"] = a_key(here)
    words = [places.get(word, word) for word in words]
    ended = commands.forked(commands.demand, tuple(words), environment, examples)
    # What is absent is found, and told by the exit code.
    assert ended.returncode in ((0, 1) if words[0] == "watch" else (0,)), ended.stderr
    assert ended.stdout


def a_key(here: Workspace) -> str:
    """The id of a new key of the workspace."""
    engine = create_engine_for(f"sqlite:///{here.home / 'store.db'}")
    _, row = create_key(engine, f"reader-{uuid.uuid4().hex}", ("read",), datetime.now(UTC), None)
    engine.dispose()
    return str(row["key_id"])
