"""Bundles as archives: equal for equal bundles, and whole."""

from __future__ import annotations

import json
import os
import shutil
import tarfile

import pytest

from seedbed.core.errors import DataError, UsageError
from seedbed.plugins.deployers.archive import pack
from seedbed.registry.conformance.bundles import untrained_bundle
from seedbed.registry.registry import open_registry


@pytest.fixture
def bundle(tmp_path):
    return untrained_bundle(tmp_path / "run", open_registry(installed=False))


def test_a_copy_made_later_by_another_gives_the_same_archive(bundle, tmp_path):
    digest = pack(bundle, tmp_path / "one.tar.gz")
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in sorted(bundle.iterdir(), reverse=True):
        shutil.copyfile(file, copy / file.name)
        os.utime(copy / file.name, (1, 1))
        (copy / file.name).chmod(0o600)
    (copy / "notes.txt").write_text("of no use to a model")
    assert pack(copy, tmp_path / "other.tar.gz") == digest
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "other.tar.gz").read_bytes()


def test_an_archive_holds_the_bundle_and_nothing_of_this_machine(bundle, tmp_path):
    pack(bundle, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        entries = archive.getmembers()
        assert sorted(each.name for each in entries) == sorted(file.name for file in bundle.iterdir())
        assert {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in entries} == {(0, 0, "", "", 0)}
        for each in entries:
            assert archive.extractfile(each).read() == (bundle / each.name).read_bytes()


def test_a_component_of_a_local_file_is_refused_with_the_way_out(bundle, tmp_path):
    told = json.loads((bundle / "bundle.json").read_text())
    told["parts"][0]["member"]["components"][0]["owner"] = "file:mine.py"
    (bundle / "bundle.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match=r"mine\.py.*make a package of it"):
        pack(bundle, tmp_path / "model.tar.gz")


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no bundle"):
        pack(tmp_path, tmp_path / "model.tar.gz")
