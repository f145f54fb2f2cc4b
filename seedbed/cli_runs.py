"""The commands that take a run: show it, use its model, do it again, compare it with another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from seedbed.core.errors import ExitCode, UsageError
from seedbed.options import abstain_option, as_json_option
from seedbed.shell import emit, interruptible, plugins_named


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Show every trial, of however many.")
@as_json_option
@click.pass_context
def leaderboard(ctx: click.Context, run: Path, *, everything: bool, as_json: bool) -> None:
    """Show the trials of RUN in their honest order: who leads, who is tied, and what failed."""
    from seedbed import show, show_board, show_forecast
    from seedbed.api import open_run

    found = open_run(run, plugins=plugins_named(ctx))
    if as_json:
        emit(show.to_json(found.summary()))
        return
    emit(show_board.leaderboard(found.leaderboard, most=None if everything else show_board.MOST))
    if found.history.profile is not None and (lines := show_forecast.lines(found.forecast())):
        emit("\n" + "\n".join(lines))


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.argument("data")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--proba", is_flag=True, help="Add a column p_<class> for each class.")
@abstain_option
@as_json_option
@click.pass_context
def predict(
    ctx: click.Context,
    /,
    run: Path,
    data: str,
    output: Path | None,
    *,
    proba: bool,
    abstain: float | None,
    as_json: bool,
) -> None:
    """Predict every row of DATA, in order, with the model of RUN.

    Writes CSV to stdout, or to FILE in the format of its suffix (.csv, .json, .jsonl).
    """
    from seedbed import prediction_files as files

    form = files.form_of(output) if output else "json" if as_json else "csv"
    from seedbed.api import load

    model = load(run, plugins=plugins_named(ctx))
    found = model.predict_frame(data, abstain=abstain)
    rows = files.prediction_rows(
        found.inputs,
        found.predictions,
        found.outputs if proba else None,
        model.classes,
        candidates=found.candidates,
        bounds=found.bounds,
    )
    if found.unreadable:
        row, reason = next(iter(found.unreadable.items()))
        click.echo(
            f"{len(found.unreadable):,} of {len(rows):,} inputs cannot be read and have no prediction; "
            f"the first is {found.inputs[row]}: {reason}",
            err=True,
        )
    if abstain is not None:
        is_number = found.bounds is not None
        click.echo(files.promise(found.predictions, abstain, len(found.unreadable), is_number=is_number), err=True)
    encoded = files.encode(rows, form)
    if output is None:
        emit(encoded)
        return
    try:
        output.write_bytes(encoded)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error}; give another -o FILE.") from error
    if as_json:
        from seedbed.show import to_json

        emit(to_json({"output": output, "examples": len(rows)}))


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.argument("data")
@abstain_option
@as_json_option
@click.pass_context
def evaluate(ctx: click.Context, run: Path, data: str, *, abstain: float | None, as_json: bool) -> None:
    """Score the model of RUN on labelled DATA."""
    from seedbed import show
    from seedbed.api import load
    from seedbed.prediction_files import covered

    model = load(run, plugins=plugins_named(ctx))
    found = model.evaluate(data, abstain=abstain)
    emit(show.to_json(found) if as_json else show.evaluation(found, model.task.metric))
    if abstain is not None and not as_json:
        emit(covered(found["abstain"]))


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder of the new run.")
@click.option("--workers", type=click.IntRange(0), default=0, metavar="N", help="Trials at a time; 0: chosen.")
@click.option("--backend", metavar="NAME", help="Where trials run; as the first time.")
@as_json_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def replay(ctx: click.Context, /, run: Path, *, as_json: bool, quiet: bool, **options: Any) -> None:  # noqa: ANN401
    """Do RUN again from its journal, and say whether it comes to the same leaderboard.

    Exits with 1 where it does not.
    """
    from seedbed import show_replay as show
    from seedbed.api import replay as do_again
    from seedbed.show import to_json

    with interruptible():
        found = do_again(run, plugins=plugins_named(ctx), monitors=[] if quiet else ["console"], **options)
    emit(to_json(found.summary()) if as_json else show.replayed(found))
    ctx.exit(ExitCode.NOTHING_BEATS_THE_BASELINE if found.differences else ExitCode.DONE)


@click.command()
@click.argument("one", type=click.Path(exists=True, path_type=Path))
@click.argument("other", type=click.Path(exists=True, path_type=Path))
@as_json_option
@click.pass_context
def diff(ctx: click.Context, one: Path, other: Path, *, as_json: bool) -> None:
    """Say why two runs differ: what was asked, with what, on which data, and where their ways part."""
    from seedbed import show_replay as show
    from seedbed.replays import compare_runs
    from seedbed.show import to_json

    found = compare_runs(one, other, plugins=plugins_named(ctx))
    emit(to_json(show.difference_rows(found)) if as_json else show.differences(found, str(one), str(other)))
