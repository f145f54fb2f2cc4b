"""Thousands of malformed inputs of every form: each ends in values or in a sentence, and nothing else happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from malformed import Case, all_cases, inputs_in, snapshot

PROCESSES = 2
HOMES = [f"home-{number}" for number in range(PROCESSES)]
MOST_BYTES = 1.5e9
MOST_SECONDS = 15.0  # of one processor, for the slowest: a table of 10,000 columns
NO_FEATURES = ["--without", "check:label_errors", "--without", "check:cropped_copies"]
SENTENCES = {"DataError", "UsageError", "UnknownName"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="other names and files are odd there"),
]


@dataclass(frozen=True, kw_only=True)
class Examined:
    """All cases after they were read, and what lay around before and after."""

    cases: tuple[Case, ...]
    outcomes: list[dict]
    inputs: int
    folder: Path
    before: dict
    after: dict
    exit_codes: list[int]
    errors: str

    def where(self, holds) -> list[dict]:
        return [each for each in self.outcomes if holds(each)]


@pytest.fixture(scope="module")
def examined(tmp_path_factory) -> Iterator[Examined]:
    folder = tmp_path_factory.mktemp("malformed")
    for name in ("inputs", "cwd", "user", "tmp", *HOMES):
        (folder / name).mkdir()
    cases, written, inputs = all_cases(), [], set()
    for number, case in enumerate(cases):
        place = folder / "inputs" / f"{number:04}"
        place.mkdir()
        written.append({"name": case.name, "source": case.write(place), "settings": case.settings})
        inputs |= inputs_in(place)
    (folder / "cases.json").write_text(json.dumps(written))
    before = snapshot(folder / "inputs")
    with ThreadPoolExecutor(PROCESSES) as pool:
        processes = list(pool.map(partial(read_some, folder), range(PROCESSES)))
    outcomes = [
        json.loads(line)
        for number in range(PROCESSES)
        for line in (folder / f"outcomes-{number}.jsonl").read_text("utf-8").splitlines()
    ]
    yield Examined(
        cases=cases,
        outcomes=sorted(outcomes, key=lambda each: each["number"]),
        inputs=len(inputs),
        folder=folder,
        before=before,
        after=snapshot(folder / "inputs"),
        exit_codes=[each.returncode for each in processes],
        errors="".join((folder / f"stderr-{number}").read_text("utf-8", "replace") for number in range(PROCESSES)),
    )
    for place in (folder / "inputs").glob("*/b"):
        place.chmod(0o700)  # without rights it could not be cleared away


def read_some(folder: Path, first: int) -> subprocess.CompletedProcess:
    """Read every so many cases in a process apart from the user's home, temporary folder and working directory."""
    here = {"HOME": "user", "TMPDIR": "tmp", "SEEDBED_HOME": HOMES[first]}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    environment = {
        **kept,
        **{name: str(folder / place) for name, place in here.items()},
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
    }
    with (folder / f"stdout-{first}").open("wb") as out, (folder / f"stderr-{first}").open("wb") as err:
        return subprocess.run(
            [sys.executable, Path(__file__).with_name("malformed_run.py"), folder, str(first), str(PROCESSES)],
            cwd=folder / "cwd",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            timeout=900,
            check=False,
        )


def test_there_are_thousands_of_inputs_of_every_form(examined):
    assert examined.inputs >= 3000
    forms = {case.name.partition("/")[0] for case in examined.cases}
    assert forms >= {"csv", "csv.gz", "tsv", "jsonl", "json", "ts", "parquet", "npz", "saved", "folder", "address"}
    assert forms >= {"png", "jpg", "gif", "webp", "bmp", "tif", "ppm", "images"}


def test_all_of_them_are_read_to_the_end(examined):
    names = [each["name"] for each in examined.outcomes]
    assert names == [case.name for case in examined.cases], examined.errors[-2000:]
    assert examined.exit_codes == [0] * PROCESSES


def test_each_ends_in_values_or_in_a_sentence(examined):
    assert not examined.where(lambda each: each["outcome"] not in {"values", *SENTENCES})
    assert not examined.where(
        lambda each: each["code"] != (0 if each["outcome"] == "values" else EXIT[each["outcome"]])
    )
    assert not examined.where(lambda each: each["outcome"] in SENTENCES and not each["told"].strip())


EXIT = {"DataError": 3, "UsageError": 2, "UnknownName": 2}


def test_many_of_them_are_still_of_use(examined):
    """Else a reader that refuses everything would pass."""
    assert len(examined.where(lambda each: each["outcome"] == "values")) > len(examined.cases) / 4


def test_no_check_breaks(examined):
    assert not examined.where(lambda each: each["outcome"] == "values" and each["told"])


def test_nothing_is_printed(examined):
    """Libtiff alone writes its opinion of a file to standard error itself, and cannot be told not to."""
    tiff = ("tif/", "lzw.tif/", "images/chunks", "images/huge")
    assert not examined.where(lambda each: each["printed"] and not each["name"].startswith(tiff))
    assert "Traceback" not in examined.errors
    assert "Warning" not in examined.errors


def test_memory_stays_bounded(examined):
    assert not examined.where(lambda each: each["peak_bytes"] > MOST_BYTES)


def test_none_takes_long(examined):
    assert not examined.where(lambda each: each["seconds"] > MOST_SECONDS)


def test_nothing_is_touched_but_the_cache(examined):
    assert not examined.where(lambda each: each["touched"])
    assert examined.after == examined.before
    assert {each.name for each in examined.folder.iterdir()} == {
        *("inputs", "cwd", "user", "tmp", "cases.json", *HOMES),
        *(f"{name}-{number}" for name in ("stdout", "stderr") for number in range(PROCESSES)),
        *(f"outcomes-{number}.jsonl" for number in range(PROCESSES)),
    }
    for name in ("cwd", "user", "tmp"):
        assert not list((examined.folder / name).iterdir())


@pytest.mark.parametrize("home", HOMES)
def test_nothing_half_done_is_left_in_the_cache(examined, home):
    assert {each.name for each in (examined.folder / home).iterdir()} <= {"tables", "prepared"}
    assert not list((examined.folder / home).rglob(".partial-*"))


def by_name(name: str) -> Case:
    return next(case for case in all_cases() if case.name == name)


REFUSED_OR_READ = [
    "csv/truncated/60",
    "csv/encoding/noise",
    "csv/odd/a cell of 5 MB",
    "csv.gz/flipped/3",
    "jsonl/odd/lists 100,000 deep",
    "ts/odd/no header",
    "parquet/odd/text that is not utf-8",
    "parquet/truncated/63",
    "npz/odd/pickled objects",
    "saved/odd state.json/open brackets",
    "folder/names of the folder/bytes that are not utf-8",
    "folder/names of classes/bytes that are not utf-8",
    "folder/names of images/a line end",
    "folder/links/all to all",
    "folder/special/pipes",
    "folder/tables/a pipe named a.csv",
    "folder/tables/images that are pipes",
    "folder/odd/nothing",
    *(f"address/{text!r}" for text in ("", "\n", "~nobody-at-all/x", "\udcff\udcfe", "hub:../../etc", "x" * 20)),
]
WHOLE = ["images/huge/0", "csv/odd/pages", "ts/odd/a length without end"]


@pytest.fixture(scope="module")
def answers(shell, tmp_path_factory) -> dict[str, tuple[int, str, str]]:
    """What the command line says of each of these, a few of them at a time."""

    def answer(name: str) -> tuple[int, str, str]:
        arguments = () if name in WHOLE else NO_FEATURES
        return inspected(shell, tmp_path_factory.mktemp("case"), by_name(name), *arguments)

    with ThreadPoolExecutor(PROCESSES) as pool:
        names = [*WHOLE, *REFUSED_OR_READ]
        return dict(zip(names, pool.map(answer, names), strict=True))


@pytest.mark.parametrize("name", REFUSED_OR_READ)
def test_the_command_line_says_what_is_wrong_in_one_sentence(answers, name):
    check_answer(*answers[name])


@pytest.mark.parametrize("name", WHOLE)
def test_the_command_line_finds_features_of_what_is_whole(answers, name):
    code, out, err = answers[name]
    check_answer(code, out, err)
    assert code == 0


def inspected(shell, folder, case, *arguments):
    source = case.write(folder)
    return shell.run("inspect", "--json", "-q", "--offline", *arguments, "--", source, plugins=())


def check_answer(code, out, err):
    assert code in (0, 2, 3)
    assert "Traceback" not in err
    if code == 0:
        assert json.loads(out)["rows"]
        assert not err
    else:
        assert not out
        assert [line.startswith("Error: ") for line in err.splitlines()].count(True) == 1
        assert err.startswith("Error: ")
