"""The folder of a run: what lies where, and how a new one is laid out."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from itertools import count
from pathlib import Path

from seedbed.core.data.dataset import short_name
from seedbed.core.data.profile import Finding, Profile
from seedbed.core.errors import DataError, UsageError
from seedbed.core.search.journal import writer
from seedbed.core.settings import Settings
from seedbed.core.space import Value


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths within a run's folder."""

    path: Path

    @property
    def journal(self) -> Path:
        """All events, a line each."""
        return self.path / "journal.jsonl"

    @property
    def splits(self) -> Path:
        """The part and target of every row."""
        return self.path / "data" / "splits.parquet"

    @property
    def vocabulary(self) -> Path:
        """What texts are cut into."""
        return self.path / "data" / "vocabulary.json"

    @property
    def trials(self) -> Path:
        """One folder a trial."""
        return self.path / "trials"

    @property
    def best(self) -> Path:
        """The bundle."""
        return self.path / "best"

    @property
    def leaderboard(self) -> Path:
        """The last leaderboard, as JSON."""
        return self.path / "leaderboard.json"

    @property
    def valid_predictions(self) -> Path:
        """What the winner says of the rows that it was chosen by."""
        return self.path / "valid_predictions.npz"

    @property
    def test_predictions(self) -> Path:
        """What the winner says of the test part."""
        return self.path / "test_predictions.npz"

    @property
    def scores(self) -> Path:
        """Of the winner every metric, each class and the confusion matrix, on both parts, as JSON."""
        return self.path / "scores.json"

    def trial(self, number: int) -> Path:
        """Return a trial's folder."""
        return self.trials / f"{number:04d}"

    @property
    def is_run(self) -> bool:
        """Whether a run has been here."""
        return self.journal.is_file()

    def save_facts(self, profile: Profile, findings: Iterable[Finding]) -> None:
        """Write what is known of the data: `data/profile.json` and `data/findings.jsonl`."""
        folder = self.path / "data"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "profile.json").write_text(json.dumps(asdict(profile), indent=2), encoding="utf-8")
        lines = [json.dumps(asdict(each), ensure_ascii=False) for each in findings]
        (folder / "findings.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def choose_folder(out: str | Path | None, name: str) -> Path:
    """Return the folder for a run: the one given, or the first free `runs/NAME-N`."""
    if out is not None:
        return Path(out).expanduser()
    stem = short_name(name, "run")
    return next(path for n in count(1) if not (path := Path("runs") / f"{stem}-{n}").exists())


def open_folder(path: Path, *, resume: bool, overwrite: bool) -> RunFolder:
    """Make a run's folder ready: empty for a new run, as it is for one that goes on.

    Raises:
        UsageError: the folder is in use and neither was asked for, or holds something that is no run.
        DataError: it cannot be written.
    """
    folder = RunFolder(path)
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            if not path.is_dir() or not folder.is_run:
                raise UsageError(f"{path} is not empty and holds no run; give another --out.")
            if overwrite:
                if (process := writer(folder.journal)) is not None:
                    raise UsageError(f"Process {process} is still writing to {path}; end it, or give another --out.")
                shutil.rmtree(path)
            elif not resume:
                raise UsageError(f"{path} holds a run; go on with it (--resume), or replace it (--overwrite).")
        elif resume:
            raise UsageError(f"There is no run in {path} to resume; leave --resume out to begin one.")
        folder.trials.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be used as the run's folder: {error}; give another --out.") from error
    return folder


def take_in(folder: RunFolder, brought: Path) -> None:
    """Put the files and folders of a run that was brought from elsewhere in place of those here, the journal last.

    What only this machine has stays. Cut short, it can be done again: until its journal is there, the run is as it was.
    """
    names = sorted((each.name for each in brought.iterdir()), key=lambda name: name == folder.journal.name)
    for name in names:
        target = folder.path / name
        if target.is_dir():
            shutil.rmtree(target)
        (brought / name).replace(target)


def save_provenance(folder: RunFolder, settings: Settings, version: str) -> None:
    """Write down what was asked, by which version, among which packages.

    `manifest.json`, `config.toml` (what `--config` takes) and `environment.txt` (what pip takes).
    """
    manifest = {
        "seedbed": version,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "settings": asdict(settings),
    }
    (folder.path / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    # A path may hold bytes that are no UTF-8; config.toml is then for reading only, but the run goes on.
    (folder.path / "config.toml").write_text(_as_toml(settings), encoding="utf-8", errors="backslashreplace")
    # Each time it is asked for, `metadata` is parsed anew, and so for `name` and `version`.
    packages = (each.metadata for each in distributions())
    installed = sorted({f"{each['Name']}=={each['Version']}" for each in packages if each["Name"]}, key=str.lower)
    (folder.path / "environment.txt").write_text("\n".join(installed) + "\n", encoding="utf-8")


def _as_toml(settings: Settings) -> str:
    """Return the options that were given, under the names of the command line."""
    given = asdict(settings)
    usual = {"repair": "safe", "experience": True}
    options = {
        "time": None if settings.seconds is None else f"{settings.seconds:.3f}s",
        "set": given.pop("fixed"),
    }
    given["input"] = given.pop("inputs")
    latency = given.pop("max_latency")
    given["max_latency"] = None if latency is None else f"{latency:g}s"
    options |= {key.replace("_", "-"): value for key, value in given.items() if key not in ("source", "seconds")}
    lines = [f"# seedbed fit {json.dumps(settings.source)} --config config.toml"]
    for key, value in sorted(options.items()):
        if key == "seed" or (value != usual[key] if key in usual else value not in (None, (), {}, 0, False)):
            # Strings, numbers, booleans and lists are written alike in TOML and JSON; tables are not.
            text = _toml(list(value) if isinstance(value, tuple) else value)
            if isinstance(value, dict):
                text = "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
            lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"


def _toml(value: Value | list[str]) -> str:
    # TOML knows no surrogate pairs, as JSON writes characters beyond 16 bits, and no bare DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
