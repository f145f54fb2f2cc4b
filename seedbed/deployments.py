"""Deploy the model of a run, rehearse that, and remove it again; what `seedbed deploy` and `undeploy` call."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from seedbed.core.deployment import Deployer, Deployment
from seedbed.core.errors import DeploymentError, UnknownName, UsageError
from seedbed.core.results.bundle import bundle_folder
from seedbed.core.specs import DeployerSpec
from seedbed.registry.registry import Registry, open_registry
from seedbed.serving.answers import example, respond
from seedbed.serving.bodies import JSON

Report = Callable[[str], None]

_NAME = 40  # characters of a name that is made of a folder's
_CLOSE = 1e-4  # other processors, and other versions of torch, round sums otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A deployment that was gone through on this machine: what was asked, and what it answered."""

    deployment: Deployment
    question: bytes
    answer: bytes


def deploy(
    run: str | Path,
    to: str,
    *,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | ModuleType] = (),
    report: Report = lambda line: None,
) -> Deployment:
    """Bring the model of a run, or a bundle, to a place where it answers over HTTP; wait until it does.

    Args:
        run: the folder of a run or of a bundle.
        to: the name of a deployer.
        name: what it is called there; `seedbed-` and the folder's name where it is None.
        options: the deployer's own, by their names.
        plugins: modules, module names or files beside those that are installed.
        report: takes what happens, a line at a time.

    Raises:
        DataError: there is no bundle.
        UsageError: an option is missing or has no sensible value.
        DeploymentError: it failed; what was made for it is removed.
    """
    deployer = _deployer(open_registry(plugins), to, options or {}, report)
    folder = Path(run).expanduser()
    return deployer.deploy(bundle_folder(folder), name or name_for(folder))


def rehearse(
    run: str | Path,
    to: str,
    *,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | ModuleType] = (),
    report: Report = lambda line: None,
) -> Rehearsed:
    """Deploy, ask a made-up row, compare the answer with the model's own, and remove: all on this machine, for nothing.

    Arguments and errors are those of `deploy`.
    """
    from seedbed.api import load

    deployer = _deployer(open_registry(plugins), to, options or {}, report)
    folder = Path(run).expanduser()
    bundle, name = bundle_folder(folder), name or name_for(folder)
    model = load(bundle, plugins)
    question = example(model)
    own = respond(model, question, JSON)
    if own.status != HTTPStatus.OK:  # else a refusal there would pass for the right answer
        raise DeploymentError(f"The model does not answer a made-up row even here: {own.body!r:.200}.")
    with deployer.rehearsing() as here:
        found = here.deploy(bundle, name)
        answer = here.ask(name, question, JSON)
        here.remove(name)
    if not _agree(answer, own.body):
        raise DeploymentError(f"What is deployed answers {answer!r:.200}, and that is not what the model says here.")
    return Rehearsed(deployment=found, question=question, answer=answer)


def undeploy(
    name: str,
    place: str,
    *,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | ModuleType] = (),
    report: Report = lambda line: None,
) -> None:
    """Remove everything that was made under this name by the deployer `place`.

    Raises:
        UsageError: there is nothing of this name.
        DeploymentError: something is left behind; it is named.
    """
    _deployer(open_registry(plugins), place, options or {}, report).remove(name)


def name_for(folder: Path) -> str:
    """Return a name for what is made of a folder: letters, digits and single hyphens."""
    own = folder.resolve()
    own = own.parent if own.name == "best" else own
    short = re.sub(r"[^a-zA-Z0-9]+", "-", own.name)[:_NAME].strip("-")
    return f"seedbed-{short}" if short else "seedbed"


def _deployer(registry: Registry, name: str, given: Mapping[str, Any], report: Report) -> Deployer:
    registry.require_named()
    spec = cast(DeployerSpec, registry.get("deployer", name))
    return cast(Deployer, registry.load(spec)(_options(spec, given), report))


def _options(spec: DeployerSpec, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an instance of the spec's options
    """Return a deployer's options; a bare name or `deployer.sagemaker.name` may stand for one."""
    known = {each.name: each for each in fields(spec.options)}
    values = {}
    for path, value in given.items():
        name = path.removeprefix(f"deployer.{spec.name}.")
        if name not in known:
            raise UnknownName("option", path, known, hint=f"`seedbed plugins show deployer:{spec.name}` shows them.")
        kind: type = type(known[name].default)
        is_number = kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool)
        if kind is str and not isinstance(value, bool):
            values[name] = str(value)
        elif (is_number and value == kind(value)) or type(value) is kind:
            values[name] = kind(value)
        else:
            raise UsageError(f"{path}={value!r}: expected is {kind.__name__}, as {known[name].default!r}.")
    return spec.options(**values)


def _agree(one: bytes, other: bytes) -> bool:
    try:
        return _is_close(json.loads(one), json.loads(other))
    except ValueError:
        return False


def _is_close(one: Any, other: Any) -> bool:  # noqa: ANN401 - the JSON edge
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _CLOSE * max(1.0, abs(other))
    return bool(one == other)
