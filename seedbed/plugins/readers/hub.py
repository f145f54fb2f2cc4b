"""Data sets of the Hugging Face hub, by name; from the library's own cache where there is no network; an edge.

What is downloaded lies where all programs of the `datasets` library keep it (`HF_HOME`), so that nobody has
it twice. Code that a data set brings along is never run.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed import Finding, NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.data.reading.datasetdict import table_of_splits
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import datasets

ENDPOINT = "https://huggingface.co"
SECONDS = 3.0
"""How long the hub may take to say that it is there."""

_ON = frozenset({"1", "true", "yes", "on"})
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "SEEDBED_OFFLINE")
_ADDRESS = re.compile(
    r"((hub|hf):(//)?(datasets/)?)?(?P<name>[\w.-]+/[\w.-]+)(:(?P<config>[^@:/\s]+))?(@(?P<revision>\S+))?",
    re.IGNORECASE,
)


def build(options: NoOptions) -> Hub:
    """Build the reader."""
    return Hub()


@dataclass(frozen=True, slots=True)
class Address:
    """A data set on the hub; an empty `config` or `revision` is the default one."""

    name: str
    config: str = ""
    revision: str = ""


class Hub:
    """Reads `hub:owner/name`, `hub:owner/name:config` and `hub:owner/name@revision`."""

    def read(self, source: str, context: ReadContext) -> Table:
        """Load the data set; without a network, what an earlier load left in the cache, or a refusal at once.

        Raises:
            DataError: it cannot be had, and why.
        """
        address = _parse(source)
        why = _why_offline(context)
        if why:
            splits, told = _cached(address, source, why)
        else:
            splits, told = _loaded(address, source), ()
        table = table_of_splits(splits, source, address.name.rpartition("/")[2])
        return replace(table, findings=(*told, *table.findings))


def _parse(source: str) -> Address:
    found = _ADDRESS.fullmatch(source)
    if found is None:
        raise DataError(
            f"{source!r} names no data set on the hub; write hub:owner/name, as in hub:stanfordnlp/imdb, "
            "hub:owner/name:config or hub:owner/name@revision."
        )
    return Address(found["name"], found["config"] or "", found["revision"] or "")


def _why_offline(context: ReadContext) -> str:
    """Return why the hub is not asked, worded as a clause; empty where it is."""
    if context.offline:
        return "this run is offline (--offline)"
    for name in _OFFLINE:
        if os.environ.get(name, "").lower() in _ON:
            return f"{name} is set"
    endpoint = os.environ.get("HF_ENDPOINT") or ENDPOINT
    return "" if _answers(endpoint) else f"{endpoint} does not answer within {SECONDS:.0f} s"


def _answers(endpoint: str) -> bool:
    """Whether an HTTP server is there, asked as the system's proxies say.

    In a thread of its own, as without a network the look-up of a name alone can hang for many seconds. A bare
    connection would not do: a server that accepts and stays silent costs minutes of retries later.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=SECONDS):
                answered.set()
        except urllib.error.HTTPError as error:
            if error.code < 500:
                answered.set()
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLError):  # it is there; certificates are the library's business
                answered.set()
        except (OSError, ValueError, http.client.HTTPException):
            return

    if not endpoint.lower().startswith(("http://", "https://")):
        return False
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS)
    return answered.is_set()


def _cached(address: Address, source: str, why: str) -> tuple[Mapping[str, datasets.Dataset], tuple[Finding, ...]]:
    """Return what an earlier load left on this machine."""
    from datasets.packaged_modules.cache.cache import Cache

    short = address.name.rpartition("/")[2]
    try:
        with _quiet():
            builder = Cache(
                repo_id=address.name,
                dataset_name=short,
                config_name=address.config or None,
                version="auto",
                hash="auto",
            )
            found = builder.as_dataset()
    except Exception as error:  # a cache may be damaged in any way
        raise DataError(
            f"{source} cannot be had: {why}, and it is not on this machine ({_first_line(error)}). Connect to the "
            "network and load it once, or download its files and give their path."
        ) from error
    held = Path(builder.cache_dir).name
    if address.revision and re.fullmatch(r"[0-9a-f]{7,40}", address.revision) and not held.startswith(address.revision):
        raise DataError(
            f"{source} cannot be had: {why}, and on this machine is the revision {held} alone. Leave @revision out, "
            "or connect to the network."
        )
    told = f"{why}: the copy of {address.name} on this machine is read, of the revision {held}."
    return found, (Finding(check="intake", severity="info", evidence=told[0].upper() + told[1:]),)


def _loaded(address: Address, source: str) -> Mapping[str, datasets.Dataset]:
    import datasets

    try:
        with _quiet():
            # The prefix keeps a folder of that name in the working directory from being taken for it.
            found: Mapping[str, datasets.Dataset] = datasets.load_dataset(
                f"hf://datasets/{address.name}",
                address.config or None,
                revision=address.revision or None,
                download_config=datasets.DownloadConfig(max_retries=1),
            )
        return found
    except Exception as error:  # whatever httpx, a parser or the hub's library stumbles over
        raise DataError(_refusal(error, address, source)) from error


def _refusal(error: Exception, address: Address, source: str) -> str:
    text = _first_line(error)
    page = f"{(os.environ.get('HF_ENDPOINT') or ENDPOINT).rstrip('/')}/datasets/{address.name}"
    if "script" in text:
        return f"{source} is loaded by code of its own, which is not run. Look for a copy in Parquet files on the hub."
    if "onfig" in text and ("missing" in text or "not found" in text):
        return f"{source}: {text.rstrip('.')}. Write hub:{address.name}:CONFIG."
    if "gated" in text:
        return f"{source}: {text.rstrip('.')}. Accept its terms at {page}, then log in: hf auth login, or set HF_TOKEN."
    if "NotFound" in type(error).__name__:
        return (
            f"{source}: {text.rstrip('.')}. Look at {page}; if it is private, log in: hf auth login, or set HF_TOKEN."
        )
    return f"{source} cannot be loaded ({type(error).__name__}: {text}). Look at {page}, or try again later."


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and log lines of the libraries to themselves, and give them back as they were."""
    import datasets
    from huggingface_hub import utils as hub

    bars = [each for each in (datasets.utils, hub) if not each.are_progress_bars_disabled()]
    logs = [(each.logging, each.logging.get_verbosity()) for each in (datasets.utils, hub)]
    for each in bars:
        each.disable_progress_bars()
    for log, _ in logs:
        log.set_verbosity_error()
    try:
        yield
    finally:
        for log, level in logs:
            log.set_verbosity(level)
        for each in bars:
            each.enable_progress_bars()
