from __future__ import annotations

import json
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from core.training.helpers import CLASSES, bars, fake_lookup, make_data, run_job, tiny, trial_job
from PIL import Image

from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.feeding.images import Images
from seedbed.core.data.preparing.decode import ImageForm
from seedbed.core.data.preparing.prepare_again import InputForm
from seedbed.core.errors import DataError, ExitCode, PluginError, TrialError
from seedbed.core.results.bundle import save_bundle
from seedbed.core.results.calibration import Calibration
from seedbed.core.results.predict import Model
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.specs import ReaderSpec, Requires
from seedbed.core.training.member import load_member
from seedbed.core.training.predictions import load_predictions, softened

FORM = InputForm(image=ImageForm(height=12, width=12, channels=1))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.fixture(scope="module")
def trials(made, tmp_path_factory):
    """Two trained trials, the second one with test-time views if they helped."""
    folder, found = tmp_path_factory.mktemp("trials"), []
    for number, values in enumerate(({}, {"augmenter__mirror": True, "architecture__tiny__width": 4})):
        job = trial_job(made, folder / str(number), trial=number, seed=number, fidelity=Fidelity(epochs=20), **values)
        assert isinstance(run_job(job)[-1], TrialFinished)
        found.append(folder / str(number))
    return found


def _bundle(folder, made, trials, weights=(1.0,), form=FORM, calibration=None):
    pairs = list(zip(trials, weights, strict=False))
    save_bundle(folder, pairs, made.profile, form, score=0.9, source="here", calibration=calibration)
    return folder


@pytest.fixture(scope="module")
def folder(made, trials, tmp_path_factory):
    return _bundle(tmp_path_factory.mktemp("bundle"), made, trials)


@pytest.fixture(scope="module")
def model(folder):
    return Model(folder, fake_lookup(), "cpu")


@pytest.fixture
def pictures(tmp_path):
    """A flat folder of nine pictures, `0.png` to `8.png`."""
    pixels, _ = bars(9, seed=5)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for row, image in enumerate(pixels):
        Image.fromarray(image[:, :, 0]).save(folder / f"{row}.png")
    return folder


def test_it_predicts_what_the_trial_stored(made, trials, model):
    stored = load_predictions(trials[0] / "predictions.npz")
    found = model.predict_rows(Images(made.data, torch.device("cpu")), stored.rows)
    assert found.dtype == np.float32
    assert np.allclose(found, stored.outputs, atol=1e-6)


def test_test_time_views_are_part_of_the_model(made, trials, tmp_path):
    for views in (True, False):  # whichever the trial itself found better
        replace(load_member(trials[1]), test_time_views=views).save(trials[1])
        model = Model(_bundle(tmp_path / str(views), made, trials[1:]), fake_lookup(), "cpu")
        pixels = made.pixels[made.splits.test]
        plain, mirrored = model.predict_proba(pixels), model.predict_proba(pixels[:, :, ::-1])
        assert np.allclose(np.log(plain), np.log(mirrored), atol=1e-3) == views


def test_members_are_averaged_by_their_weights(made, trials, tmp_path):
    pixels = made.pixels[made.splits.test]
    one, two = (
        Model(_bundle(tmp_path / t.name, made, [t]), fake_lookup(), "cpu").predict_proba(pixels) for t in trials
    )
    both = Model(_bundle(tmp_path / "both", made, trials, weights=(3.0, 1.0)), fake_lookup(), "cpu")
    assert np.allclose(both.predict_proba(pixels), 0.75 * one + 0.25 * two, atol=1e-6)


def test_classes_come_by_their_names(made, model):
    pixels, targets = bars(30, seed=9)
    found = model.predict(pixels)
    assert set(found) <= set(CLASSES)
    assert np.mean([CLASSES[target] == name for target, name in zip(targets, found, strict=True)]) > 0.8
    probabilities = model.predict_proba(pixels)
    assert probabilities.shape == (30, 3)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)


def test_arrays_files_bytes_and_pictures_are_the_same_to_it(model, pictures):
    files = [pictures / f"{row}.png" for row in range(9)]
    expected = model.predict_proba(files)
    images = [Image.open(file) for file in files]
    arrays = np.stack([np.asarray(each) for each in images])
    for inputs in (
        [str(each) for each in files],
        [each.read_bytes() for each in files],
        images,
        arrays,
        arrays[..., None],
        arrays / 255,
        list(arrays),
    ):
        assert np.allclose(model.predict_proba(inputs), expected, atol=1e-6)


def test_images_of_another_size_or_colour_are_brought_to_the_models_form(model):
    pixels, _ = bars(9, seed=5)
    large = np.repeat(np.repeat(pixels, 2, 1), 2, 2)
    expected = model.predict(pixels)
    assert model.predict(large) == expected
    assert model.predict(np.repeat(pixels, 3, axis=3)) == expected


def test_an_input_that_cannot_be_read_is_named(model, pictures):
    (pictures / "3.png").write_text("no picture")
    with pytest.raises(DataError, match=r"1 of 9 inputs cannot be read; input 3: "):
        model.predict([pictures / f"{row}.png" for row in range(9)])


def test_a_missing_file_is_an_input_that_cannot_be_read(model, pictures):
    with pytest.raises(DataError, match="input 1: cannot be read"):
        model.predict([pictures / "0.png", pictures / "none.png"])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ("cat.png", r"\[input\]"),
        (np.zeros((5, 144)), "reshape them to height and width"),
        (np.zeros((5, 4, 12, 12)), "an image is"),
        ([], "give at least one"),
    ],
)
def test_what_is_no_list_of_images_is_refused_with_a_way_out(model, inputs, words):
    with pytest.raises(DataError, match=words):
        model.predict(inputs)


def test_a_flat_folder_is_predicted_in_the_order_of_its_names(model, pictures):
    frame = model.predict_frame(str(pictures))
    assert frame.inputs == [str(pictures / f"{row}.png") for row in range(9)]
    assert frame.predictions == model.predict(frame.inputs)
    assert np.allclose(frame.outputs, model.predict_proba(frame.inputs), atol=1e-6)
    assert frame.unreadable == {}


def test_a_picture_that_cannot_be_read_leaves_its_row_empty(model, pictures):
    (pictures / "3.png").write_text("no picture")
    frame = model.predict_frame(str(pictures))
    assert list(frame.unreadable) == [3]
    assert frame.predictions[3] is None
    assert np.isnan(frame.outputs[3]).all()
    assert all(frame.predictions[:3] + frame.predictions[4:])
    assert np.isfinite(np.delete(frame.outputs, 3, axis=0)).all()


def test_an_address_without_pictures_is_refused(model, tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        model.predict_frame(str(tmp_path))


class _Memory:
    """A reader of labelled rows in memory."""

    def __init__(self, images, targets, parts):
        self.rows = image_rows(images, targets, parts)

    def read(self, source, context):
        return Dataset(rows=self.rows, modality="image", source=source, name="memory")


def _labelled(folder, targets, parts, files):
    spec = ReaderSpec(name="memory", summary="Rows in memory.", build="fakes:memory", schemes=("memory",))
    lookup = fake_lookup().with_((spec, lambda options: _Memory([str(each) for each in files], targets, parts)))
    return Model(folder, lookup, "cpu")


def _files(pictures):
    return [pictures / f"{row}.png" for row in range(9)]


def test_labelled_data_is_scored(folder, pictures):
    targets = [CLASSES[row % 3] for row in range(9)]
    found = _labelled(folder, targets, [""] * 9, _files(pictures)).evaluate("memory:rows")
    right = Model(folder, fake_lookup(), "cpu").predict(_files(pictures))
    assert found["metrics"] == {
        "accuracy": pytest.approx(np.mean([a == b for a, b in zip(targets, right, strict=True)]))
    }
    assert (found["examples"], found["skipped"]) == (9, 0)


def test_only_the_test_part_is_scored_where_there_is_one(folder, pictures):
    targets, parts = [CLASSES[row % 3] for row in range(9)], ["train"] * 5 + ["test"] * 4
    assert _labelled(folder, targets, parts, _files(pictures)).evaluate("memory:rows")["examples"] == 4


def test_unknown_classes_and_unreadable_pictures_are_counted_as_skipped(folder, pictures):
    targets = [CLASSES[row % 3] for row in range(9)]
    targets[0] = "zebra"
    (pictures / "4.png").write_text("no picture")
    found = _labelled(folder, targets, [""] * 9, _files(pictures)).evaluate("memory:rows")
    assert (found["examples"], found["skipped"]) == (7, 2)


def test_data_of_other_classes_alone_is_refused(folder, pictures):
    with pytest.raises(DataError, match="has no readable row of the classes bottom, middle, top"):
        _labelled(folder, ["zebra"] * 9, [""] * 9, _files(pictures)).evaluate("memory:rows")


def test_a_missing_component_says_what_to_install(folder):
    with pytest.raises(
        PluginError, match=r"needs the architecture 'tiny' of fakes 1\.0.*`pip install fakes` brings it"
    ):
        Model(folder, fake_lookup().without("architecture", "tiny"), "cpu")


def test_a_component_whose_meaning_has_changed_is_refused(folder):
    spec = replace(fake_lookup().get("architecture", "tiny"), version=2)
    with pytest.raises(PluginError, match=r"version 1 of the architecture 'tiny'.*`pip install fakes==1\.0`"):
        Model(folder, fake_lookup().with_((spec, tiny)), "cpu")


def _raising(error):
    def build(options, profile):
        raise error

    return build


def _refused(folder, kind, name, error, **changes):
    """Load a bundle where building one of its components raises, and return what is said of it."""
    spec = replace(fake_lookup().get(kind, name), **changes)
    with pytest.raises(PluginError) as refusal:
        Model(folder, fake_lookup().with_((spec, _raising(error))), "cpu")
    assert refusal.value.exit_code == ExitCode.PLUGIN
    assert refusal.value.__cause__ is error
    return str(refusal.value)


def test_a_module_that_its_net_cannot_be_built_without_is_named_with_what_to_install(folder):
    (weights,) = folder.glob("*.safetensors")
    said = _refused(folder, "architecture", "tiny", ModuleNotFoundError("No module named 'gone'", name="gone.inner"))
    assert said == (
        f"{weights.name}, of trial 0, needs the architecture 'tiny', which cannot be built here: "
        "No module named 'gone'. `pip install gone` brings what is missing."
    )


def test_a_net_that_refuses_to_be_built_lacks_what_it_requires(folder):
    said = _refused(
        folder, "architecture", "tiny", TrialError("It wants more."), requires=Requires(modules=("torch", "not_there"))
    )
    assert "'tiny', which cannot be built here: It wants more. `pip install not_there` brings" in said


def test_what_is_missing_comes_in_the_version_and_by_the_name_that_the_bundle_was_made_with(
    made, trials, tmp_path, monkeypatch
):
    folder = _bundle(tmp_path / "bundle", made, trials)
    monkeypatch.setattr("seedbed.core.results.predict.find_spec", lambda name: None)
    said = _refused(folder, "architecture", "tiny", ImportError("cannot import", name="sklearn.svm"))
    assert f"`pip install scikit-learn=={version('scikit-learn')}`" in said


def test_where_nothing_is_missing_the_versions_that_it_was_made_with_are_told(folder):
    said = _refused(folder, "architecture", "tiny", ImportError("cannot import name 'x' from 'torch'", name="torch"))
    assert f"the versions that the model was made with: python {platform.python_version()}, " in said
    assert f"torch {version('torch')}" in said


def test_an_augmenter_that_cannot_be_built_is_named_as_such(made, trials, tmp_path):
    replace(load_member(trials[1]), test_time_views=True).save(trials[1])
    folder = _bundle(tmp_path / "bundle", made, trials[1:])
    bundle = folder / "bundle.json"
    component = {"kind": "augmenter", "name": "mirror", "version": 1, "owner": "fakes", "owner_version": "1.0"}
    found = json.loads(bundle.read_text())
    found["parts"][0]["member"]["components"].append(component)  # the candidates of these fakes name only some
    bundle.write_text(json.dumps(found))
    said = _refused(folder, "augmenter", "mirror", ModuleNotFoundError("No module named 'gone'", name="gone"))
    assert "of trial 1, needs the augmenter 'mirror', which cannot be built here: No module named 'gone'." in said


def test_damaged_weights_are_refused_by_name(made, trials, tmp_path):
    folder = _bundle(tmp_path / "bundle", made, trials)
    (weights,) = folder.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(DataError, match=rf"{weights.name} cannot be read"):
        Model(folder, fake_lookup(), "cpu")


def test_weights_of_another_model_are_refused(made, trials, tmp_path):
    folder = _bundle(tmp_path / "bundle", made, trials)
    (weights,) = folder.glob("*.safetensors")
    weights.write_bytes((trials[1] / "checkpoint.safetensors").read_bytes())
    with pytest.raises(DataError, match="does not fit its model"):
        Model(folder, fake_lookup(), "cpu")


def test_loading_and_predicting_leave_the_random_state_alone(folder):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Model(folder, fake_lookup(), "cpu").predict(bars(3)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_bundle_can_be_moved(folder, tmp_path, model):
    import shutil

    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    pixels, _ = bars(6, seed=2)
    assert np.array_equal(Model(moved, fake_lookup(), "cpu").predict_proba(pixels), model.predict_proba(pixels))


def test_the_average_is_brought_to_the_temperature_of_the_bundle_and_the_answers_stay(made, trials, tmp_path):
    pixels, _ = bars(30, seed=9)
    plain = Model(_bundle(tmp_path / "plain", made, trials, weights=(3.0, 1.0)), fake_lookup(), "cpu")
    calibration = Calibration(rows=1, temperature=2.0)
    folder = _bundle(tmp_path / "calibrated", made, trials, weights=(3.0, 1.0), calibration=calibration)
    found = Model(folder, fake_lookup(), "cpu")
    assert np.array_equal(found.predict_proba(pixels), softened(plain.predict_proba(pixels), 2.0, "classification"))
    assert np.abs(np.log(found.predict_proba(pixels)) - np.log(plain.predict_proba(pixels))).max() > 1
    assert found.predict(pixels) == plain.predict(pixels)
