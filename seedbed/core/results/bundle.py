"""The folder that holds the winner: everything needed to use it, as JSON and safetensors; imports no torch."""

from __future__ import annotations

import filecmp
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, count
from pathlib import Path

import msgspec

from seedbed.core.data.preparing.prepare_again import InputForm
from seedbed.core.data.profile import Profile
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError, UsageError
from seedbed.core.results.calibration import Calibration
from seedbed.core.training.member import CHECKPOINT, Component, Member, load_member

FILE = "bundle.json"
FORMAT = 1
_PACKAGES = (
    "seedbed", "torch", "torchvision", "timm", "transformers", "tokenizers",
    "numpy", "scipy", "scikit-learn", "safetensors",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One member of a bundle: its weights file, and its share in the averaged probabilities."""

    member: Member
    file: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """What `bundle.json` says: `form` is what inputs are brought to, `score` the metric on the validation part.

    `schema` names the columns of the table it was trained on, so that one of the same form can be predicted.
    `calibration` is of the whole, the averaged predictions; bundles of before it have none.
    """

    format: int = FORMAT
    profile: Profile
    form: InputForm
    parts: tuple[Part, ...]
    score: float
    source: str = ""
    schema: Schema = field(default_factory=Schema)
    calibration: Calibration | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def components(self) -> tuple[Component, ...]:
        """Every component used, with its owner, without repetition."""
        found = {(c.kind, c.name): c for part in self.parts for c in part.member.components}
        return tuple(found[key] for key in sorted(found))

    @property
    def temperature(self) -> float:
        """What the averaged probabilities are brought to, 1 where nothing is known of them."""
        return 1.0 if self.calibration is None else self.calibration.temperature

    def threshold(self, level: float) -> float:
        """Return `Calibration.threshold` of a level.

        Raises:
            UsageError: there is no calibration, or none that serves the level.
        """
        if self.calibration is None:
            raise UsageError(
                "This model was saved without a calibration, so that it cannot abstain; "
                "train it again with this version of Seedbed, or leave abstain out."
            )
        return self.calibration.threshold(level)


@dataclass(frozen=True, slots=True)
class _Format:
    format: int = 0


def save_bundle(
    folder: Path,
    trials: Sequence[tuple[Path, float]],
    profile: Profile,
    form: InputForm,
    *,
    score: float,
    source: str,
    schema: Schema | None = None,
    calibration: Calibration | None = None,
) -> Bundle:
    """Make or replace the bundle in `folder` from the folders of trials and their weights.

    The weights come first, under names of their own; then `bundle.json`, which names them, is replaced
    in one step; then what it no longer names is removed. At every instant the folder holds a whole
    bundle: the old one or the new one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = {each.name for each in folder.glob("weights*.safetensors")}
    parts = []
    for trial, weight in trials:
        member = load_member(trial)
        name = _free_name(f"weights-{member.trial:04d}", before)
        shutil.copyfile(trial / CHECKPOINT, folder / name)
        parts.append(Part(member=member, file=name, weight=weight))
    bundle = Bundle(
        profile=profile,
        form=form,
        parts=tuple(parts),
        score=score,
        source=source,
        schema=schema or Schema(),
        calibration=calibration,
        versions=dict(_versions()),
    )
    partial = folder / f"{FILE}.partial"
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(bundle)))
    partial.replace(folder / FILE)
    for name in before - {part.file for part in parts}:
        (folder / name).unlink(missing_ok=True)
    return bundle


def _free_name(stem: str, taken: set[str]) -> str:
    names = chain([f"{stem}.safetensors"], (f"{stem}-{number}.safetensors" for number in count(2)))
    return next(name for name in names if name not in taken)


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    yield "platform", sys.platform
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:  # an extra, or Seedbed itself where it runs from a checkout
            continue


def read_bundle(folder: Path) -> Bundle:
    """Read what a bundle says of itself.

    Raises:
        DataError: there is no bundle, it is damaged, or a newer version wrote it.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataError(f"{folder} holds no bundle ({FILE} is missing); give the folder of a run, or its best/.")
    try:
        content = path.read_bytes()
        made = msgspec.json.decode(content, type=_Format).format  # first: a newer one may have other fields
        if made > FORMAT:
            raise DataError(f"{path} has format {made}, this version reads up to {FORMAT}; upgrade seedbed.")
        bundle = msgspec.json.decode(content, type=Bundle)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); it is damaged or from another version.") from error
    outside = [part.file for part in bundle.parts if Path(part.file).name != part.file]
    missing = [part.file for part in bundle.parts if not (folder / part.file).is_file()]
    if outside or missing or not bundle.parts:
        raise DataError(f"{path} names weights that are not beside it: {', '.join(outside + missing) or 'none'}.")
    return bundle


def holds(folder: Path, trials: Sequence[Path], calibration: Calibration | None = None) -> bool:
    """Whether a bundle holds what these trials' folders hold now, in their order: weights, input forms and views.

    A calibration that is given must be its own, too.
    """
    try:
        bundle = read_bundle(folder)
        pairs = list(zip(bundle.parts, trials, strict=True))
        is_same = calibration in (None, bundle.calibration)
        is_same = is_same and all(part.member == load_member(trial) for part, trial in pairs)
        files = ((folder / part.file, trial / CHECKPOINT) for part, trial in pairs)
        return is_same and all(filecmp.cmp(kept, own, shallow=False) for kept, own in files)
    except (DataError, OSError, ValueError):
        return False


def bundle_folder(path: Path) -> Path:
    """Return the bundle's folder for a run or a bundle.

    Raises:
        DataError: neither is there.
    """
    for folder in (path / "best", path):
        if (folder / FILE).is_file():
            return folder
    if (path / "journal.jsonl").is_file():
        raise DataError(f"The run {path} has no model yet; let it go on with `seedbed fit … --out {path} --resume`.")
    raise DataError(f"{path} is no run and no bundle; give the folder that `seedbed fit` named.")
