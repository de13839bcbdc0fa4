"""The docs say what is: pages made from code, links, every command line that they show."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from scripts import load_script

import localvqe

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(page for folder in (".", "examples", "bindings/js") for page in (REPOSITORY / folder).glob("*.md")),
        *(REPOSITORY / "docs").rglob("*.md"),
    ]
)
NAMES = [str(page.relative_to(REPOSITORY)) for page in PAGES]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=NAMES)

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}.*\n|\n)+)")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/cli_reference.py; importing it writes nothing."""
    return load_script("tools/cli_reference.py")


@pytest.mark.parametrize("name", ["cli_reference", "python_reference"])
def test_pages_made_from_code_are_what_the_code_says(name: str) -> None:
    maker = load_script(f"tools/{name}.py")
    same = maker.PAGE.read_text(encoding="utf-8") == maker.page()
    assert same, f"{maker.PAGE.relative_to(REPOSITORY)} is not what the code says; run: {maker.COMMAND}"


def test_every_public_name_is_on_the_page() -> None:
    text = (REPOSITORY / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    for name in localvqe.__all__:
        assert name.startswith("__") or f"\n## {name}\n" in text, name


def test_every_option_of_every_verb_is_on_the_page(tool: ModuleType) -> None:
    text = tool.PAGE.read_text(encoding="utf-8")
    for path, verb, context in tool.walk(*tool.root()):
        section = re.split(rf"^#+ {path}$", text, flags=re.MULTILINE)[1].split("\n## ")[0].split("\n### ")[0]
        for parameter in verb.get_params(context):
            if parameter.param_type_name == "option" and parameter.name != "help":
                for name in [*parameter.opts, *parameter.secondary_opts]:
                    assert f"`{name}`" in section, f"{path} {name}"


def _slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {_slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@EVERY_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for address in re.findall(r"\]\(([^)\s]+)\)", text):
        if address.startswith("https://"):
            continue
        name, _, anchor = address.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), address
        assert not anchor or anchor in _anchors(target), address


@EVERY_PAGE
def test_lines_are_short(page: Path) -> None:
    """But for rows of tables, which have no other form."""
    lines = page.read_text(encoding="utf-8").splitlines()
    long = [number for number, line in enumerate(lines, 1) if len(line) > 120 and not line.lstrip().startswith("|")]
    assert not long, f"lines over 120: {long}"


def test_every_page_is_in_the_index() -> None:
    index = REPOSITORY / "docs" / "README.md"
    linked = {(index.parent / name).resolve() for name in re.findall(r"\]\(([^)#\s]+)\)", index.read_text())}
    assert set((REPOSITORY / "docs").rglob("*.md")) - linked - {index} == set()


def _code(page: Path) -> Iterator[str]:
    """Fenced and indented blocks, lines that end in a backslash joined."""
    text = page.read_text(encoding="utf-8")
    blocks = [body for _, body in _FENCE.findall(text)] + _INDENTED.findall(_FENCE.sub("\n", text))
    for block in blocks:
        yield re.sub(r"\\\n\s*", "", block)


# In a pipe, behind variables, in a virtual environment.
_CALL = re.compile(r"(?:^\s*|\| |&& |[A-Z_]+=\S+ |bin/)(localvqe (?! |-h|error|VERB|\.).*)")


def command_lines(page: Path) -> list[str]:
    """Every call of ``localvqe`` in the code of ``page``; lines of usage, with [OPTIONS], left out."""
    found = (_CALL.search(line) for block in _code(page) for line in block.splitlines())
    return [match[1] for match in found if match and "[OPTIONS]" not in match[1]]


def mentions(page: Path) -> list[str]:
    """Every call in the text and tables of ``page``, where arguments may be left out."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found = (_CALL.search(" ".join(code.split())) for code in re.findall(r"`([^`]+)`", text))
    return [match[1].replace("\\|", "|") for match in found if match]


def parse(tool: ModuleType, line: str) -> None:
    """Let the commands parse ``line`` without running it; raises what a user would be told."""
    words = shlex.split(line, comments=True)[1:]
    words = words[: next((i for i, word in enumerate(words) if re.fullmatch(r"\||[12]?>.*|&&|;", word)), len(words))]
    command, context = tool.root()
    if words and words[0].startswith("--"):
        assert words[0] in {name for parameter in command.get_params(context) for name in parameter.opts}, line
        return
    while hasattr(command, "list_commands") and words:
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"no verb {name} in: {line}"
        command = found
    if words or not hasattr(command, "list_commands"):
        command.make_context(command.name, words, parent=context)


@EVERY_PAGE
def test_every_command_line_is_one_that_localvqe_takes(tool: ModuleType, page: Path) -> None:
    for line in [*command_lines(page), *mentions(page)]:
        try:
            parse(tool, line)
        except Exception as exc:  # usage errors of click and of this package
            if type(exc).__name__ != "MissingParameter" or line not in mentions(page):
                pytest.fail(f"{line}\n{getattr(exc, 'message', exc)}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("localvqe enhance a.wav --no-such-option", "no-such-option"),
        ("localvqe nothing", "no verb nothing"),
        ("localvqe bench -t 99", "32"),
        ("localvqe train", "data"),
    ],
)
def test_the_check_of_command_lines_can_fail(tool: ModuleType, line: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        parse(tool, line)


def test_command_lines_are_found() -> None:
    assert len(command_lines(REPOSITORY / "README.md")) >= 3
    assert len(command_lines(REPOSITORY / "docs" / "guide" / "train.md")) >= 4


def _layers() -> list[list[str]]:
    """The rows of the package picture in docs/reference/architecture.md, from top to bottom."""
    text = (REPOSITORY / "docs" / "reference" / "architecture.md").read_text(encoding="utf-8")
    picture = text.split("## The Python package")[1].split("```")[1]
    return [re.findall(r"\w+", re.split(r" {2,}", row.strip())[0]) for row in picture.strip().splitlines()]


def test_the_package_picture_has_every_package() -> None:
    shown = {name for row in _layers() for name in row}
    packages = {init.parent.name for init in (REPOSITORY / "localvqe_cli").glob("*/__init__.py")}
    assert packages | {"localvqe"} <= shown
    modules = {module.stem for module in (REPOSITORY / "localvqe_cli").glob("*.py")}
    assert shown <= packages | modules | {"localvqe"}


def test_nothing_imports_upwards_in_the_package_picture() -> None:
    height = {name: -number for number, row in enumerate(_layers()) for name in row}
    root = REPOSITORY / "localvqe_cli"
    for source in root.rglob("*.py"):
        path = source.relative_to(REPOSITORY).with_suffix("").parts
        if path[1] not in height or re.match(r"make_", source.name):
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                module = [*path[: len(path) - node.level], *(node.module or "").split(".")]
                names = [module[1]] if node.module or len(module) > 2 else [alias.name for alias in node.names]
                for name in names:
                    assert height.get(name, -99) <= height[path[1]], f"{source}:{node.lineno} imports {name}"


def test_contributing_names_every_folder_of_tests_and_every_tool_once() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Where things live")[1].split("## ")[0]
    cells = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    folders = {f"tests/{init.parent.name}" for init in (REPOSITORY / "tests").glob("*/*.py")}
    tools = {f"tools/{tool.name}" for tool in (REPOSITORY / "tools").glob("*.py")}
    assert folders | tools <= set(names)
    assert len(names) == len(set(names))
