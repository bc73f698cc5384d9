"""The command `bench`: one module of this package per command.

Every module here has one public function, `register(app)`, which adds its command (or its group
of commands) to the typer application:

    def register(app: typer.Typer) -> None:
        app.command("engines")(engines)

`main` finds the modules by looking into the package, so that adding a command is adding a file.
A module only parses, calls and prints; what is slow to import (pandas, scipy, TensorFlow's absence)
is imported inside the function that needs it, since `bench --help` imports every command file.

Errors: raise a class of `harness.errors` with a message that stands on its own. `main` prints it as
`bench: <message>` on standard error and exits with its `exit_code`. Wrong options, found by typer,
become one line too, with the allowed names where there is a list of them.
"""

import importlib
import pkgutil
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from harness.errors import BenchError, UsageError
from harness.safe.text import say

DISTRIBUTION = "myad-bench"
INTERRUPTED = 130
NARROW = 60  # characters; in a narrower terminal the help has no frames


def build_app() -> typer.Typer:
    """The application with every command of this package registered, in order of file names."""
    columns = shutil.get_terminal_size().columns
    app = typer.Typer(
        name="bench",
        help="Compare engines that train the same CNN: time, memory and accuracy, side by side.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # columns in a frame cut the options' names off where there is little room
        rich_markup_mode="rich" if columns >= NARROW else None,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "terminal_width": columns if columns < NARROW else None,
        },
    )
    # A callback makes typer treat even a single registered command as a sub-command.
    app.callback()(_before_a_command)
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name):
        if module.name.startswith("_"):
            continue
        importlib.import_module(f"{__name__}.{module.name}").register(app)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        print(f"bench {_version()}")
        raise typer.Exit


def _before_a_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """What `bench` takes before a command."""


def _version() -> str:
    """The installed distribution's. Raises: UsageError where there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError as error:
        raise UsageError(
            f"--version: {DISTRIBUTION} runs from its sources and is not installed; "
            "`make install` or `pip install .` installs it."
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `bench` with `arguments` (those of the process by default) and return its exit code."""
    try:
        outcome = build_app()(args=arguments, prog_name="bench", standalone_mode=False)
    except BenchError as error:
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        if not _is_one_line(error):  # the help text, asked for by giving no command
            print(error, file=sys.stderr)
            return UsageError.exit_code
        return _fail(_one_line(error), UsageError.exit_code)
    except typer.Abort:
        return _fail("interrupted.", INTERRUPTED)
    except KeyboardInterrupt:
        return _fail("interrupted.", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe left (`bench report | head`): no traceback
        return 1
    return outcome if isinstance(outcome, int) else 0


def _fail(message: str, exit_code: int) -> int:
    say(message)
    return exit_code


def _is_one_line(error: TyperException) -> bool:
    return type(error).__name__ != "NoArgsIsHelpError"


def _one_line(error: TyperException) -> str:
    """The parser's message on one line, with the allowed options where one was not known."""
    format_message = getattr(error, "format_message", None)
    message = str(format_message() if format_message else error)
    allowed = _allowed_options(error)
    if allowed:
        message += f" Allowed: {', '.join(allowed)}."
    return " ".join(message.split())


def _allowed_options(error: TyperException) -> list[str]:
    context = getattr(error, "ctx", None)
    if context is None:
        return []
    if type(error).__name__ == "NoSuchOption":
        return [name for parameter in context.command.params for name in parameter.opts]
    if str(error).startswith("No such command"):
        return sorted(context.command.commands)
    return []
