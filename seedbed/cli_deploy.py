"""The commands that bring a model to where it is served, and take it away again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seedbed.options import as_json_option
from seedbed.shell import assignments, emit, interruptible, plugins_named

if TYPE_CHECKING:
    from seedbed.core.deployment import Deployment

_set_option = click.option(
    "--set", "fixed", metavar="OPTION=VALUE", multiple=True, help="An option of the place; repeatable."
)
_quiet_option = click.option("-q", "--quiet", is_flag=True, help="Do not tell what happens.")


def _told(line: str) -> None:
    click.echo(line, err=True)


def _quiet(line: str) -> None:
    """Tell nothing."""


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--to", metavar="PLACE", required=True, help="Where, as sagemaker.")
@click.option("--name", metavar="NAME", help="What it is called there; else after the folder of RUN.")
@_set_option
@click.option("--rehearse", is_flag=True, help="Go through it on this machine, without an account, for nothing.")
@as_json_option
@_quiet_option
@click.pass_context
def deploy(
    ctx: click.Context,
    /,
    run: Path,
    to: str,
    name: str | None,
    fixed: tuple[str, ...],
    *,
    rehearse: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Serve the model of RUN elsewhere, and wait until it answers.

    What is deployed may be billed until `seedbed undeploy` removes it.
    """
    import json

    from seedbed import deployments
    from seedbed.show import to_json

    options, plugins, report = assignments(fixed), plugins_named(ctx), _quiet if quiet else _told
    with interruptible():
        if rehearse:
            gone = deployments.rehearse(run, to, name=name, options=options, plugins=plugins, report=report)
            report("The rehearsal is over: it answered as the model does here, and all of it ran on this machine.")
            report("Nothing was paid, and nothing is left of it.")
            answer = json.loads(gone.answer)
            emit(to_json({"rehearsal": asdict(gone.deployment), "answer": answer}) if as_json else to_json(answer))
            return
        found = deployments.deploy(run, to, name=name, options=options, plugins=plugins, report=report)
    emit(to_json(asdict(found)) if as_json else _shown(found))


def _shown(found: Deployment) -> str:
    return f"{found.name}  {found.state}  {found.place}\n{found.cost}"


@click.command()
@click.argument("name")
@click.option("--from", "place", metavar="PLACE", required=True, help="From where, as sagemaker.")
@_set_option
@_quiet_option
@click.pass_context
def undeploy(ctx: click.Context, /, name: str, place: str, fixed: tuple[str, ...], *, quiet: bool) -> None:
    """Remove what `seedbed deploy` made under NAME: nothing of it is left, and nothing billed."""
    from seedbed import deployments

    with interruptible():
        deployments.undeploy(
            name,
            place,
            options=assignments(fixed),
            plugins=plugins_named(ctx),
            report=_quiet if quiet else _told,
        )
