"""The command line: parse, call, show. Heavy imports stay inside the commands, so that help comes at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seedbed import __version__
from seedbed.cli_deploy import deploy, undeploy
from seedbed.cli_runs import diff, evaluate, leaderboard, predict, replay
from seedbed.core.errors import ExitCode, UsageError
from seedbed.options import as_json_option, data_options, fit_options
from seedbed.shell import (
    Commands,
    Group,
    assignments,
    began,
    emit,
    fixed_in_config,
    interruptible,
    of_backend,
    plugins_named,
    read_config,
    registry,
)

if TYPE_CHECKING:
    from seedbed.api import Handle, Run


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="seedbed")
@click.option(
    "--plugin",
    metavar="FILE",
    multiple=True,
    is_eager=True,
    type=click.Path(exists=True, dir_okay=False),
    help="Load a plugin from a local .py file; repeatable.",
)
def main(plugin: tuple[str, ...]) -> None:
    """Train, rank and use deep models of your data."""


def _finish(handle: Handle) -> tuple[Run, bool]:
    """Wait for the run; return it, and whether it was interrupted."""
    try:
        return handle.result(), False
    except KeyboardInterrupt:
        sys.stderr.write("Stopping, keeping the best so far (Ctrl-C again to leave at once).\n")
        handle.cancel()
        return handle.result(), True


def _train(ctx: click.Context, source: str, *, monitors: Sequence[str], **options: Any) -> tuple[Run, int]:  # noqa: ANN401
    """Start a run and see it through; `options` are those of `seedbed.api.start`, named alike."""
    if options.get("time") is not None:
        from seedbed.core.settings import parse_duration

        options["time"] = parse_duration(options["time"])
    start_of_run = began(ctx)
    if monitors:
        click.echo(f"seedbed {__version__}  {source}", err=True)  # at once: what follows imports torch
    with interruptible():
        from seedbed.api import start

        handle = start(source, plugins=plugins_named(ctx), monitors=monitors, began=start_of_run, **options)
        run, interrupted = _finish(handle)
    return run, int(ExitCode.INTERRUPTED if interrupted else run.exit_code)


@main.command()
@click.argument("data")
@fit_options
@click.option(
    "--config",
    metavar="FILE.toml",
    is_eager=True,
    expose_value=False,
    callback=read_config,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read options from a file; the command line wins.",
)
@as_json_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Log every event instead of the live view.")
@click.pass_context
def fit(
    ctx: click.Context,
    /,
    data: str,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,  # noqa: ANN401 - handed on as they are to `start`, which names them all
) -> None:
    """Train and rank models of DATA; keep the best.

    DATA is a folder with one sub-folder of images for each class, below train/, valid/ and test/ or not; a table
    (CSV, TSV, Parquet, JSON lines) with texts, paths of images or series; a .npz or .ts file; a saved data set;
    hub:OWNER/NAME; or demo:NAME for data that comes with the installation.
    """
    if quiet and verbose:
        raise UsageError("-q shows nothing and -v shows everything; give one of them.")
    if options["resume"] and options["overwrite"]:
        raise UsageError("--resume keeps the run and --overwrite replaces it; give one of them.")
    options["fixed"] = {**fixed_in_config(ctx), **assignments(options["fixed"]), **of_backend(options)}
    watching = [each.partition(":")[2] for each in options["use"] if each.startswith("monitor:")]
    options["use"] = tuple(each for each in options["use"] if not each.startswith("monitor:"))
    if verbose:
        import logging

        logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("seedbed").setLevel(logging.DEBUG)
    shown = [] if quiet else ["log"] if verbose else ["console"]
    run, code = _train(ctx, data, monitors=[*shown, *watching], **options)
    from seedbed import show

    emit(show.to_json(run.summary()) if as_json else _summary(run))
    ctx.exit(code)


def _summary(run: Run) -> str:
    from seedbed import show, show_forecast

    return show.run_summary(run.summary(), run.leaderboard, show_forecast.lines(run.forecast()))


@main.command()
@click.argument("data")
@data_options
@click.option(
    "--time", metavar="DURATION", default="60s", show_default=True, help="Time for the finer checks' features."
)
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a page too.")
@as_json_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def inspect(
    ctx: click.Context,
    /,
    data: str,
    *,
    html: Path | None,
    as_json: bool,
    quiet: bool,
    **options: Any,  # noqa: ANN401 - handed on as they are to `inspect` of the Python face, which names them all
) -> None:
    """Check DATA and say what is wrong with it, without training anything.

    DATA is whatever `fit` takes.
    """
    from seedbed import show
    from seedbed.api import inspect as examine
    from seedbed.show_inspection import inspection

    with interruptible():
        found = examine(data, plugins=plugins_named(ctx), report=_quiet if quiet else _told, **options)
    if html is not None:
        try:
            html.write_text(found.to_html(), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise UsageError(f"{html} cannot be written: {error}; give another --html FILE.") from error
    if as_json:
        emit(show.to_json(found.summary()))
    else:
        dataset = found.examined.dataset
        emit(inspection(dataset.source, dataset.schema, found.profile, found.findings, found.seconds))


def _told(stage: str, detail: str) -> None:
    click.echo(f"{stage}  {detail}".rstrip(), err=True)


def _quiet(stage: str, detail: str) -> None:
    """Tell nothing."""


@main.command()
@click.argument("name", default="digits")
@click.option("--time", metavar="DURATION", default="30s", show_default=True)
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path))
@click.pass_context
def demo(ctx: click.Context, name: str, time: str, out: Path | None) -> None:
    """Train on data that comes with the installation, and say what to try next."""
    run, code = _train(ctx, f"demo:{name}", monitors=["console"], time=time, out=out)
    from seedbed import show

    emit(_summary(run))
    emit(show.demo_next(run.folder, name))
    ctx.exit(code)


for _command in (leaderboard, predict, evaluate, deploy, undeploy, replay, diff):
    main.add_command(_command)


@main.group(cls=Group)
def plugins() -> None:
    """Look at the components that are installed."""


@plugins.command("list")
@click.argument("kind", required=False)
@as_json_option
@click.option("-v", "--verbose", is_flag=True, help="Show why broken plugins are broken.")
@click.pass_context
def list_plugins(ctx: click.Context, kind: str | None, *, as_json: bool, verbose: bool) -> None:
    """List the components of KIND, or of all kinds, with who brought them."""
    from seedbed import show

    found = registry(ctx)
    rows = found.listing(kind)
    emit(show.to_json(show.plugin_rows(rows)) if as_json else show.plugin_table(rows))
    if verbose:
        for each in found.broken:
            click.echo(f"\n{each.name} ({each.owner.name} {each.owner.version}):\n{each.traceback}", err=True)


@plugins.command("show")
@click.argument("component", metavar="KIND:NAME")
@click.pass_context
def show_plugin(ctx: click.Context, component: str) -> None:
    """Show one component: what it does, its owner, its options with their domains and defaults."""
    from seedbed import show

    kind, sign, name = component.partition(":")
    if not (sign and name):
        raise UsageError(f"{component!r} names no component; write KIND:NAME, as in optimizer:sgd.")
    found = registry(ctx)
    emit(show.component(found.get(kind, name), found.owner(kind, name)))


@main.command()
@click.option("--offline", is_flag=True, help="Do not try the network.")
@as_json_option
@click.pass_context
def doctor(ctx: click.Context, *, offline: bool, as_json: bool) -> None:
    """Check this installation, and say what to repair and how."""
    from seedbed import doctor as doctors
    from seedbed.show import to_json

    found = tuple(doctors.examine(offline=offline, plugins=plugins_named(ctx)))
    emit(to_json(doctors.document(found)) if as_json else doctors.text(found))
    ctx.exit(ExitCode.PLUGIN if doctors.worst(found) == "failure" else ExitCode.DONE)
