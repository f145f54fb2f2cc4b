from __future__ import annotations

import socket
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from seedbed.doctor import (
    REPAIR_TORCH,
    Diagnosis,
    TorchProbe,
    cache_health,
    document,
    gpu_health,
    hub,
    packages,
    plugin_health,
    probe_torch,
    text,
    torch_health,
    worst,
)

NMS = "Traceback (most recent call last):\nRuntimeError: operator torchvision::nms does not exist"


def health(**probe):
    return {each.check: each for each in torch_health(TorchProbe(**probe))}


def test_a_torchvision_that_does_not_fit_its_torch_is_explained_with_the_command_that_repairs_it():
    found = health(torch="2.13.0+cpu", error=NMS)
    assert found["torch"].status == "ok"
    assert found["torchvision"].status == "failure"
    assert "CPU-only wheel" in found["torchvision"].detail
    assert found["torchvision"].remedy == REPAIR_TORCH


def test_the_mismatch_is_recognised_by_its_message_under_any_version():
    assert health(torch="2.14.0", error=NMS)["torchvision"].remedy == REPAIR_TORCH


def test_the_bad_torch_is_a_warning_even_while_it_works():
    found = health(torch="2.13.0", torchvision="0.28.0")
    assert (found["torchvision"].status, found["torchvision"].remedy) == ("warning", REPAIR_TORCH)


def test_a_torch_that_cannot_be_imported_is_a_failure_with_its_last_line():
    found = health(error="Traceback\nImportError: libcudart.so.12: cannot open shared object file")
    assert found["torch"].status == "failure"
    assert "libcudart" in found["torch"].detail
    assert "torchvision" not in found


def test_a_gpu_is_named():
    assert gpu_health(TorchProbe(torch="2.15.0", cuda=("NVIDIA H200",)), ["NVIDIA H200"]).detail == "NVIDIA H200"
    assert "mps" in gpu_health(TorchProbe(torch="2.15.0", mps=True), []).detail
    assert gpu_health(TorchProbe(torch="2.15.0"), []).status == "ok"


@pytest.mark.parametrize(
    ("built", "said", "remedy"), [("", "built without CUDA", "torch with CUDA"), ("13.2", "finds none", "the driver")]
)
def test_a_gpu_that_torch_does_not_use_is_told_with_the_reason(built, said, remedy):
    found = gpu_health(TorchProbe(torch="2.15.0", built=built), ["NVIDIA H200"])
    assert found.status == "warning"
    assert "NVIDIA H200" in found.detail
    assert said in found.detail
    assert remedy in found.remedy


def test_a_probe_that_crashes_half_way_keeps_what_it_learnt():
    found = probe_torch('print(\'{"torch": "9.9"}\', flush=True)\nraise RuntimeError("boom")')
    assert found.torch == "9.9"
    assert found.torchvision == ""
    assert found.error.endswith("RuntimeError: boom")


def test_a_probe_that_hangs_is_given_up():
    found = probe_torch('print(\'{"torch": "9.9"}\', flush=True)\nimport time; time.sleep(60)', timeout=0.5)
    assert found.torch == "9.9"
    assert "did not end" in found.error


def test_a_probe_that_dies_without_a_word_says_with_which_status():
    assert probe_torch("import os; os._exit(7)").error == "the process ended with status 7"


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    found = packages(lambda name: None if name == "timm" else "1.0")
    assert (found.status, found.remedy) == ("failure", "pip install timm")


def test_all_packages_are_listed_with_their_versions():
    found = packages(lambda name: "1.0")
    assert found.status == "ok"
    assert "torch 1.0" in found.detail


def test_a_cache_folder_that_does_not_exist_yet_is_not_made(tmp_path):
    assert cache_health(tmp_path / "new" / "cache").status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_cache_folder_that_is_a_file_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("")
    found = cache_health(tmp_path / "file")
    assert found.status == "failure"
    assert "SEEDBED_HOME" in found.remedy


def test_a_cache_folder_without_the_right_to_write_is_a_failure(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # root may write everywhere, so the system will not refuse
    found = cache_health(tmp_path / "cache")
    assert (found.status, "Permission denied" in found.detail) == ("failure", True)


def test_a_broken_plugin_is_a_warning_that_names_it(tmp_path):
    (tmp_path / "rogue.py").write_text("raise ValueError('no luck')")
    found = [each for each in plugin_health([str(tmp_path / "rogue.py")]) if "rogue" in each.detail]
    assert [each.status for each in found] == ["warning"]
    assert "no luck" in found[0].detail


def test_a_plugin_that_does_not_exist_is_a_failure(tmp_path):
    (found,) = plugin_health([str(tmp_path / "nowhere.py")])
    assert found.status == "failure"


def test_offline_means_that_the_hub_is_not_tried(monkeypatch):
    def refuse(*_):
        pytest.fail("the network was tried")

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert "not tried" in hub(offline=True).detail


class Refusing(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_error(403)

    def log_message(self, *_):
        pass


def test_a_hub_that_answers_is_reachable_even_if_it_refuses(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.handle_request, daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    assert hub(offline=False).status == "ok"
    server.server_close()


def test_a_hub_that_cannot_be_reached_is_a_warning(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    found = hub(offline=False)
    assert found.status == "warning"
    assert "--offline" in found.remedy


FOUND = (Diagnosis("python", "ok", sys.version), Diagnosis("hub", "warning", "gone", "Go offline."))


def test_the_gravest_status_decides():
    assert worst(FOUND) == "warning"
    assert worst((*FOUND, Diagnosis("torch", "failure", "broken"))) == "failure"
    assert worst(()) == "ok"


def test_the_text_shows_each_remedy_below_its_check():
    lines = text(FOUND).splitlines()
    assert lines[1].startswith("warning  hub")
    assert lines[2].strip() == "Go offline."


def test_the_document_holds_every_check():
    found = document(FOUND)
    assert found["status"] == "warning"
    assert found["checks"][1] == {"check": "hub", "status": "warning", "detail": "gone", "remedy": "Go offline."}
