"""Ray itself: join a cluster or start a private one, and leave nothing of it behind."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from seedbed.core.errors import PluginError, UsageError

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a private cluster is started: on a busy machine its node gives up where a helper takes over 15 s."""

_STORE_BYTES = 200 * 2**20
_HELP = (
    "a busy machine may be too slow for it: try again, or use --backend local, which does as much on one machine; "
    "`ray start` and --ray-address join a cluster that runs already"
)


@contextlib.contextmanager
def connected(address: str, *, gpus: float = 0.0) -> Iterator[Any]:
    """Give the module `ray`, connected; a process that is connected already stays so.

    `address` is "" for a cluster of this machine alone, which ends with us; "auto" or host:port for one that runs.

    Raises:
        PluginError: there is no such cluster, or none could be started.
        UsageError: Ray is connected to another one already.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before the import: it counts by default
    import ray

    if ray.is_initialized():
        if address and address not in ("auto", ray.get_runtime_context().gcs_address):
            raise UsageError(
                f"Ray is connected to {ray.get_runtime_context().gcs_address} in this process; "
                f"disconnect it (ray.shutdown()) before joining {address}, or leave the address out."
            )
        yield ray
        return
    if address:
        with _joined(ray, address):
            yield ray
        return
    with _temporary() as folder:
        _start(ray, folder, gpus)
        try:
            yield ray
        finally:
            _end(ray)


@contextlib.contextmanager
def _joined(ray: Any, address: str) -> Iterator[None]:  # noqa: ANN401 - a module
    if address.startswith("ray://"):
        raise UsageError(
            f"{address} is an address for Ray's client, over which nothing can be streamed; "
            "give the cluster's own (host:6379), or run this on one of its machines with --ray-address auto."
        )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise PluginError(
            f"No Ray cluster answers at {address}: {error}. Start one with `ray start --head`."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _start(ray: Any, folder: Path, gpus: float) -> None:  # noqa: ANN401
    more = {"num_gpus": gpus} if gpus else {}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            ray.init(
                address="local",  # else what a killed run left would be joined
                _node_ip_address="127.0.0.1",  # else a name server is asked which address is ours
                include_dashboard=False,
                _temp_dir=str(folder / str(attempt)),
                object_store_memory=_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **more,
            )
            return
        except Exception as error:  # it raises what it likes, plain Exception among it
            log.warning("Ray did not start (%d of %d): %s", attempt, ATTEMPTS, error)
            _end(ray)
            if attempt == ATTEMPTS:
                raise PluginError(f"Ray cannot start on this machine: {error}; {_HELP}.") from error


def _end(ray: Any) -> None:  # noqa: ANN401
    """Leave, and see to it that no process of the private cluster outlives it."""
    children = psutil.Process().children(recursive=True)
    ray.shutdown()
    own = [each for each in children if _is_rays(each)]
    _, alive = psutil.wait_procs(own, timeout=1.0)
    for each in alive:
        with contextlib.suppress(psutil.Error):
            each.kill()


def _is_rays(process: psutil.Process) -> bool:
    """Whether a process belongs to Ray: its servers by their command, its workers by the name they give themselves."""
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return words.startswith("ray::") or "/ray/" in words or "\\ray\\" in words


@contextlib.contextmanager
def _temporary() -> Iterator[Path]:
    # Short: the paths of sockets within may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="sbr"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def on_node(ray: Any, node: str) -> Any:  # noqa: ANN401
    """Return what places an actor or a task on one node and nowhere else."""
    strategies = ray.util.scheduling_strategies
    return strategies.NodeAffinitySchedulingStrategy(node_id=node, soft=False)


def fitting(nodes: list[dict[str, Any]], cpus: float, gpus: float) -> int:
    """Return how many jobs with so many processors and GPUs fit onto the nodes that are alive."""
    count: Callable[[dict[str, Any]], int] = lambda node: _fit(node.get("Resources", {}), cpus, gpus)  # noqa: E731
    return sum(count(node) for node in nodes if node.get("Alive"))


def _fit(resources: dict[str, float], cpus: float, gpus: float) -> int:
    wanted = [("CPU", cpus), ("GPU", gpus)]
    return min((int(resources.get(name, 0.0) / each + 1e-9) for name, each in wanted if each > 0), default=1)
