"""The options that commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

_DATA = (
    click.option("--target", metavar="COL", help="Column to predict, for tables."),
    click.option("--input", "inputs", metavar="COL", multiple=True, help="Column to learn from; repeatable."),
    click.option("--test", metavar="DATA", help="Data to score the winner on; it plays no part in training."),
    click.option("--task", metavar="KIND", help="classification, multilabel or regression; else inferred."),
    click.option("--modality", metavar="NAME", help="image, text or series; else inferred."),
    click.option("--group", metavar="COL", help="Rows with equal values stay on one side of every split."),
    click.option("--order", metavar="COL", help="Validate on the latest rows by this column."),
    click.option("--part", metavar="COL", help="Column that says train, valid or test."),
    click.option("--repair", metavar="none|safe|all", default="safe", help="Repairs of the data; safe by default."),
    click.option("--without", metavar="KIND:NAME", multiple=True, help="Leave a component out; repeatable."),
    click.option("--seed", type=int, default=0, metavar="N", help="Seed of every random choice."),
    click.option("--offline", is_flag=True, help="Fetch nothing from the network."),
)

_FIT = (
    *_DATA,
    click.option("--metric", metavar="NAME", help="Score that decides."),
    click.option("--time", metavar="DURATION", help="Time for everything, as 90s, 10m or 2h."),
    click.option("--trials", type=click.IntRange(1), metavar="N", help="Number of candidates to try."),
    click.option("--target-score", type=float, metavar="SCORE", help="End once a candidate scores so well."),
    click.option("--patience", type=click.IntRange(1), metavar="N", help="End after N trials without a better one."),
    click.option("--max-latency", metavar="DURATION", help="Time one row may take in use, as 10ms."),
    click.option("--experience/--no-experience", default=True, help="Learn from earlier runs on this machine."),
    click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder for the run."),
    click.option("--strategy", metavar="NAME", default="auto", help="What decides what to try next."),
    click.option("--backend", metavar="NAME", default="local", help="Where trials run."),
    click.option("--remote", is_flag=True, help="With --backend sagemaker: the whole study as one job."),
    click.option("--rehearse", is_flag=True, help="With --backend sagemaker: on this machine, and nothing is paid."),
    click.option("--ray-address", metavar="ADDRESS", help="Cluster of --backend ray: auto, or HOST:PORT."),
    click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1, mps or xla."),
    click.option("--workers", type=click.IntRange(0), default=0, metavar="N", help="Trials at a time; 0: chosen."),
    click.option("--threads", type=click.IntRange(0), default=0, metavar="N", help="Threads a trial; 0: chosen."),
    click.option("--use", metavar="KIND:NAME", multiple=True, help="Try only these of a kind; repeatable."),
    click.option("--set", "fixed", metavar="PATH=VALUE", multiple=True, help="Pin a parameter; repeatable."),
    click.option("--resume", is_flag=True, help="Go on with the run in --out."),
    click.option("--overwrite", is_flag=True, help="Replace the run in --out."),
)


Decorate = Callable[[Callable[..., None]], Callable[..., None]]


def _all(options: Sequence[Decorate]) -> Decorate:
    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


data_options = _all(_DATA)
"""How data is read: what `fit` and `inspect` share."""

fit_options = _all(_FIT)
"""Everything that `fit` takes but the data."""

abstain_option = click.option(
    "--abstain",
    metavar="SHARE",
    type=float,
    help="Answer only where one class remains possible, wrong for at most this share of the rows, as 0.05.",
)

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
