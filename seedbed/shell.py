"""Between the shell and the commands: names, settings from files, errors, signals, standard output."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seedbed.core.errors import ExitCode, SeedbedError, UnknownName, UsageError

if TYPE_CHECKING:
    from seedbed.registry.registry import Registry

_READER_LEFT = 141  # what shells report for SIGPIPE
_START_SECONDS = 60.0
_COMMANDS = "seedbed.shell.commands"
_FIXED = "seedbed.shell.fixed"


class Group(click.Group):
    """A group that says which command was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names; raises UnknownName."""
        is_word = not args[0].startswith("-") and not ctx.resilient_parsing
        if is_word and self.get_command(ctx, args[0]) is None:
            raise UnknownName("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class Commands(Group):
    """The built-in commands first; those of plugins are looked for when help or an unknown command asks."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:  # noqa: ANN401 - as click's
        """Run the command line; without `args`, on those of this process."""
        # Only a process whose arguments are ours was started for our sake: its start-up is the user's time.
        extra.setdefault("obj", args is None)
        return super().main(args, *rest, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; the one place where errors become messages and exit codes, and bugs do not."""
        try:
            return super().invoke(ctx)
        except SeedbedError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError as error:
            # click would end in silence, but this was no reader of ours (see emit): it is a bug.
            raise RuntimeError("A pipe inside Seedbed broke.") from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name, None for unknown."""
        return super().get_command(ctx, cmd_name) or self._plugged(ctx).get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self._plugged(ctx).commands})

    def _plugged(self, ctx: click.Context) -> click.Group:
        if _COMMANDS not in ctx.meta:
            try:
                ctx.meta[_COMMANDS] = registry(ctx).commands()
            except Exception as error:  # a plugin's border: the built-in commands must go on working
                click.echo(f"The commands of plugins are left out: {error}", err=True)
                ctx.meta[_COMMANDS] = click.Group()
        found: click.Group = ctx.meta[_COMMANDS]
        return found


def plugins_named(ctx: click.Context) -> tuple[str, ...]:
    """Return the local files given with --plugin."""
    return tuple(ctx.find_root().params.get("plugin") or ())


def registry(ctx: click.Context) -> Registry:
    """Open the registry that this call's options ask for."""
    from seedbed.registry.registry import open_registry

    return open_registry(plugins_named(ctx))


def emit(data: str | bytes) -> None:
    """Write a result to stdout; where its reader has left, end quietly."""
    if isinstance(data, str):
        from seedbed.show import readable

        data = readable(f"{data}\n", getattr(sys.stdout, "encoding", None))
    try:
        click.echo(data, nl=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's own last flush
        sys.exit(_READER_LEFT)


def read_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Make what a TOML file says the defaults of this command; its keys are the names of options."""
    if path is None:
        return
    import tomllib

    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}.") from None
    ctx.meta[_FIXED] = dict(_flat(path, "set", found.pop("set", {})))
    ctx.default_map = _defaults(ctx.command, found, path)


def fixed_in_config(ctx: click.Context) -> dict[str, Any]:
    """Return the parameters that the table `set` of the file pins."""
    return dict(ctx.meta.get(_FIXED, {}))


def _defaults(command: click.Command, found: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return defaults by parameter name, from values by option name."""
    options = {each.opts[-1].removeprefix("--"): each for each in command.params if isinstance(each, click.Option)}
    known = options.keys() - {"config", "set"}
    defaults: dict[str, Any] = {}
    for key, value in found.items():
        if key not in known:
            raise UnknownName("option", key, {*known, "set"}, hint=f"It stands in {path}.")
        option = options[key]
        if isinstance(value, dict) or (isinstance(value, list) and not option.multiple):
            raise UsageError(f"{path}: {key} = {value!r} is not one value; write it as on the command line.")
        defaults[option.name or key] = [value] if option.multiple and isinstance(value, str) else value
    return defaults


def _flat(path: Path, prefix: str, values: object) -> Iterator[tuple[str, Any]]:
    """Yield `optimizer.sgd.lr` and its like, however they are nested in tables."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(path, f"{prefix}.{key}", value)
    elif isinstance(values, str | int | float) and prefix != "set":
        yield prefix.removeprefix("set."), values
    else:
        raise UsageError(f'{path}: {prefix} = {values!r} pins nothing; write "optimizer.sgd.lr" = 0.05 below [set].')


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Read texts of the form `path=value`; a value is a JSON scalar, or else a string."""
    import json

    found: dict[str, Any] = {}
    for text in texts:
        path, sign, raw = text.partition("=")
        if not sign or not path.strip():
            raise UsageError(f"--set {text!r} assigns nothing; write PATH=VALUE, as in optimizer.sgd.lr=0.05.")
        try:
            value = json.loads(raw)
        except ValueError:
            value = raw
        found[path.strip()] = value if isinstance(value, str | int | float | bool) else raw
    return found


_OF_BACKENDS = {
    "ray_address": ("ray", "address"),
    "rehearse": ("sagemaker", "rehearse"),
    "remote": ("sagemaker", "remote"),
}
"""Options of the command line that are those of a backend: which one, and which of its options."""


def of_backend(options: dict[str, Any]) -> dict[str, Any]:
    """Take out what belongs to one backend alone, and return it as `--set` would have it."""
    found: dict[str, Any] = {}
    for name, (backend, option) in _OF_BACKENDS.items():
        value = options.pop(name)
        if not value:
            continue
        if options["backend"] != backend:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} is for --backend {backend}, but the backend is {options['backend']}.")
        found[f"backend.{backend}.{option}"] = value
    return found


def began(ctx: click.Context) -> float:
    """Return the moment from which the time budget counts, as `time.time()` tells it."""
    now = time.time()
    if not ctx.find_root().obj:
        return now
    import psutil

    created = float(psutil.Process().create_time())
    return created if 0 <= now - created < _START_SECONDS else now  # the clock may have been set meanwhile


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first SIGINT or SIGTERM, and leave at once at the second."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def on_signal(*_: object) -> None:
        nonlocal count
        count += 1
        if count > 1:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a live view hides the cursor
            os._exit(ExitCode.INTERRUPTED)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, on_signal) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)
