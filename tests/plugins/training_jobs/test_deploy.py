"""Bundles deployed to the service on this machine: real calls of the SDK, and a real container that answers."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import small_bundles
from click.testing import CliRunner
from quick_runs import surroundings

import seedbed
from seedbed.cli import main
from seedbed.core.errors import DeploymentError, UsageError
from seedbed.plugins.deployers import SagemakerOptions
from seedbed.plugins.deployers.sagemaker import SagemakerDeployer

pytest.importorskip("sagemaker")
pytest.importorskip("moto")

ROOT = Path(__file__).parents[3]
ROLE = "arn:aws:iam::123456789012:role/test"
HEALTHY = """
import http.server, os
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Healthy).serve_forever()
"""
IMAGES = {
    "good": [sys.executable, "-m", "seedbed.container"],
    "healthy": [sys.executable, "-c", HEALTHY],  # where nothing is asked of a model
    "broken": [sys.executable, "-c", "print('the disk is on fire', flush=True); raise SystemExit(1)"],
}
OPTIONS = SagemakerOptions(role=ROLE, image="good", bucket="archives", poll_seconds=0.1)


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return small_bundles.texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    return small_bundles.series(tmp_path_factory.mktemp("series"))


@dataclass
class Place:
    """The service, and what a deployer told."""

    service: object
    lines: list[str]

    def deployer(self, **options):
        from dataclasses import replace

        return SagemakerDeployer(replace(OPTIONS, **options), self.lines.append)

    def left(self):
        """What the account holds of endpoints."""
        client, store = self.service.client("sagemaker"), self.service.client("s3")
        return {
            "endpoints": [each["EndpointName"] for each in client.list_endpoints()["Endpoints"]],
            "configs": [each["EndpointConfigName"] for each in client.list_endpoint_configs()["EndpointConfigs"]],
            "models": [each["ModelName"] for each in client.list_models()["Models"]],
            "archives": [each["Key"] for each in store.list_objects_v2(Bucket="archives").get("Contents", [])],
        }

    def ask(self, name, document, **more):
        runtime = self.service.client("sagemaker-runtime")
        body = json.dumps(document)
        return runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json", **more)[
            "Body"
        ].read()


EMPTY = {"endpoints": [], "configs": [], "models": [], "archives": []}


@contextmanager
def _opened(root):
    from seedbed.plugins.amazon.rehearsal import Rehearsal

    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (
        Rehearsal(root, image=lambda uri: IMAGES[uri], environment=environment) as service,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in service.env.items():
            patch.setenv(name, value)
        service.client("s3").create_bucket(Bucket="archives")
        yield Place(service, [])


@pytest.fixture
def place(tmp_path):
    with _opened(tmp_path / "service") as opened:
        yield opened


def test_an_endpoint_answers_as_predict_does_and_leaves_nothing_behind(place, texts):
    deployer = place.deployer()
    found = deployer.deploy(texts / "best", "moods")
    assert found.is_ready
    assert "billed" in found.cost
    assert "undeploy moods" in found.cost
    model, table = seedbed.load(texts), texts.parent / "texts.csv"
    rows = [{"title": row["title"], "text": row["text"]} for row in csv.DictReader(table.open())]
    told = json.loads(place.ask("moods", {"instances": rows}))["predictions"]
    wanted = model.predict_frame(str(table))
    assert [each["prediction"] for each in told] == wanted.predictions
    for one, outputs in zip(told, wanted.outputs, strict=True):
        assert list(one["probabilities"].values()) == pytest.approx(outputs.tolist(), abs=1e-6)
    as_csv = place.ask("moods", {"instances": rows[:2]}, Accept="text/csv").decode()
    assert [row["prediction"] for row in csv.DictReader(as_csv.splitlines())] == wanted.predictions[:2]
    with pytest.raises(DeploymentError, match="Row 0 is a number"):
        deployer.ask("moods", b"[3]", "application/json")
    deployer.remove("moods")
    assert place.left() == EMPTY
    assert deployer.status("moods") is None
    with pytest.raises(UsageError, match="no endpoint 'moods'"):
        deployer.remove("moods")


def test_the_same_once_more_changes_nothing_and_another_bundle_takes_its_place(place, texts, series):
    deployer = place.deployer()
    first = deployer.deploy(texts / "best", "served")
    calls = len(place.service.calls)
    assert deployer.deploy(texts / "best", "served") == first
    assert not [each for each in place.service.calls[calls:] if each.startswith(("Create", "Update", "Put", "Delete"))]
    second = deployer.deploy(series / "best", "served")
    assert second.bundle != first.bundle
    assert place.service.calls.count("CreateEndpoint") == 1
    wave = small_bundles.wave(0.2, 3)
    (told,) = json.loads(place.ask("served", {"instances": [wave]}))["predictions"]
    assert told["prediction"] == "slow"
    left = place.left()
    assert left["configs"] == left["models"] == [f"served-{second.bundle}"]
    assert len(left["archives"]) == 1
    deployer.remove("served")
    assert place.left() == EMPTY


def test_a_container_that_fails_is_told_with_its_last_words_and_taken_back(place, texts):
    with pytest.raises(DeploymentError, match="did not pass the ping health check") as failed:
        place.deployer(image="broken").deploy(texts / "best", "moods")
    assert "the disk is on fire" in str(failed.value)
    assert place.left() == EMPTY


def test_what_served_before_goes_on_where_its_successor_fails(place, texts, series):
    first = place.deployer().deploy(texts / "best", "moods")
    with pytest.raises(DeploymentError, match="the disk is on fire"):
        place.deployer(image="broken").deploy(series / "best", "moods")
    assert place.deployer().status("moods").bundle == first.bundle
    (told,) = json.loads(place.ask("moods", ["it was lovely"]))["predictions"]
    assert told["prediction"] == "good"
    assert place.left()["models"] == [f"moods-{first.bundle}"]


def test_serverless_is_asked_for_by_memory(place, texts):
    deployer = place.deployer(image="healthy", memory_mb=2048, concurrency=3)
    found = deployer.deploy(texts / "best", "moods")
    config = place.service.client("sagemaker").describe_endpoint_config(EndpointConfigName=f"moods-{found.bundle}")
    (variant,) = config["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 3}
    assert "InstanceType" not in variant
    assert "by the seconds that requests take" in found.cost


def test_what_the_service_refuses_is_told_and_nothing_is_left(place, texts):
    place.service.fail_next("CreateEndpoint", "ResourceLimitExceeded", "The account may have 0 of ml.m5.large.")
    with pytest.raises(DeploymentError, match=r"ResourceLimitExceeded: The account may have 0 of ml\.m5\.large"):
        place.deployer().deploy(texts / "best", "moods")
    assert place.left() == EMPTY


def test_an_interrupted_deployment_is_taken_back(place, texts):
    deployer = place.deployer(image="healthy")

    def interrupt(line):
        place.lines.append(line)
        if "is Creating" in line and not any("That failed" in each for each in place.lines):
            raise KeyboardInterrupt

    deployer.report = interrupt
    with pytest.raises(KeyboardInterrupt):
        deployer.deploy(texts / "best", "moods")
    assert place.left() == EMPTY


def test_an_interrupted_update_never_takes_away_what_serves(place, texts, series):
    first = place.deployer(image="healthy").deploy(texts / "best", "moods")
    deployer = place.deployer(image="healthy")

    def interrupt(line):
        place.lines.append(line)
        if "is Updating" in line and not any("That failed" in each for each in place.lines):
            raise KeyboardInterrupt

    deployer.report = interrupt
    with pytest.raises(KeyboardInterrupt):
        deployer.deploy(series / "best", "moods")
    served = deployer.status("moods").bundle  # the service goes on with an update that nobody waits for
    assert served != first.bundle
    assert "goes on with it" in place.lines[-1]
    assert {f"moods-{served}"} <= set(place.left()["configs"]) & set(place.left()["models"])
    deployer.remove("moods")
    assert place.left() == EMPTY


def test_an_endpoint_that_stays_keeps_its_configuration_and_a_second_try_removes_both(place, texts):
    deployer = place.deployer(image="healthy")
    found = deployer.deploy(texts / "best", "moods")
    place.service.fail_next("DeleteEndpoint", "AccessDeniedException", "not allowed to", times=2)
    with pytest.raises(DeploymentError, match=r"Left behind.*the endpoint moods, which goes on being billed.*allowed"):
        deployer.remove("moods")
    assert place.left()["configs"] == place.left()["models"] == [f"moods-{found.bundle}"]
    deployer.remove("moods")
    assert place.left() == EMPTY


def test_where_the_service_falls_silent_while_something_is_taken_back_what_is_left_is_named(place, texts):
    deployer = place.deployer(image="healthy")

    def fall_silent(line):
        place.lines.append(line)
        if "is Creating" in line and not any("That failed" in each for each in place.lines):
            place.service.fail_next("DescribeEndpoint", "AccessDeniedException", "expired by now", times=2)
            raise KeyboardInterrupt

    deployer.report = fall_silent
    with pytest.raises(KeyboardInterrupt):
        deployer.deploy(texts / "best", "moods")
    assert "Left behind" in place.lines[-1]
    assert "the endpoint moods, which goes on being billed" in place.lines[-1]
    assert "expired by now" in place.lines[-1]


def test_what_cannot_be_removed_is_named_and_a_second_try_removes_it(place, texts):
    deployer = place.deployer(image="healthy")
    found = deployer.deploy(texts / "best", "moods")
    place.service.fail_next("DeleteModel", "AccessDeniedException", "not allowed to")
    with pytest.raises(DeploymentError, match=f"Left behind.*the model moods-{found.bundle}.*not allowed to"):
        deployer.remove("moods")
    assert place.left() == EMPTY | {"models": [f"moods-{found.bundle}"]}
    deployer.remove("moods")
    assert place.left() == EMPTY


def test_endpoints_of_others_are_left_alone(place, texts):
    place.deployer(image="healthy").deploy(texts / "best", "mine")
    client = place.service.client("sagemaker")
    (model,) = [each["ModelName"] for each in client.list_models()["Models"]]
    variant = {"VariantName": "a", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName="theirs-config", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="theirs", EndpointConfigName="theirs-config")
    with pytest.raises(UsageError, match="did not make"):
        place.deployer(image="healthy").deploy(texts / "best", "theirs")
    with pytest.raises(UsageError, match="not made by Seedbed"):
        place.deployer(image="healthy").remove("theirs")
    assert "theirs" in place.left()["endpoints"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"role": ""}, "needs a role"),
        ({"image": ""}, "needs an image"),
        ({"memory_mb": 1000}, "1024, 2048"),
        ({"instances": 0}, "the least is 1"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_asked_of_the_service(place, texts, options, told):
    with pytest.raises(UsageError, match=told):
        place.deployer(**options).deploy(texts / "best", "moods")
    assert "CreateModel" not in place.service.calls


def test_no_credential_is_told_or_logged(place, texts, caplog):
    caplog.set_level("DEBUG", "seedbed")
    place.service.fail_next("CreateModel", "AccessDeniedException", "no")
    with pytest.raises(DeploymentError) as failed:
        place.deployer().deploy(texts / "best", "moods")
    secret = place.service.env["AWS_SECRET_ACCESS_KEY"]
    said = [
        str(failed.value),
        *place.lines,
        *(each.getMessage() for each in caplog.records if each.name.startswith("seedbed")),
    ]
    assert not [line for line in said if secret in line]


def test_the_command_rehearses_a_deployment_and_says_that_nothing_was_paid(series, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    answer = CliRunner().invoke(
        main, ["deploy", str(series), "--to", "sagemaker", "--rehearse"], catch_exceptions=False
    )
    assert answer.exit_code == 0, answer.output
    (told,) = json.loads(answer.stdout)["predictions"]
    assert set(told["probabilities"]) == {"fast", "slow"}
    assert "Nothing was paid" in answer.stderr


def test_the_commands_deploy_and_remove(place, texts):
    options = [
        f"--set={key}={value}"
        for key, value in (("role", ROLE), ("image", "good"), ("bucket", "archives"), ("poll_seconds", 0.1))
    ]
    deployed = CliRunner().invoke(
        main, ["deploy", str(texts), "--to", "sagemaker", "--json", *options], catch_exceptions=False
    )
    assert deployed.exit_code == 0, deployed.output
    name = json.loads(deployed.stdout)["name"]
    assert name == "seedbed-texts"
    removed = CliRunner().invoke(main, ["undeploy", name, "--from", "sagemaker", *options], catch_exceptions=False)
    assert (removed.exit_code, removed.stdout) == (0, "")
    assert place.left() == EMPTY
    again = CliRunner().invoke(main, ["undeploy", name, "--from", "sagemaker", *options], catch_exceptions=False)
    assert again.exit_code == 2


@pytest.mark.parametrize(
    ("option", "told"),
    [("instnaces=2", "instances"), ("instances=two", "expected is int"), ("instances=2.5", "expected is int")],
)
def test_a_wrong_option_is_told_with_what_was_expected(texts, option, told):
    answer = CliRunner().invoke(main, ["deploy", str(texts), "--to", "sagemaker", "--set", option])
    assert answer.exit_code == 2
    assert told in answer.stderr
