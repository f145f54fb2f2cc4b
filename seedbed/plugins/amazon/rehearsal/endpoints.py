"""Models, endpoint configurations and endpoints: a container that serves, asked over HTTP."""

from __future__ import annotations

import logging
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from seedbed.plugins.amazon.rehearsal.container import Container, Place
from seedbed.plugins.amazon.rehearsal.job import Fleet
from seedbed.plugins.amazon.rehearsal.logs import Pump
from seedbed.plugins.amazon.rehearsal.storage import download_packed, has_objects
from seedbed.plugins.amazon.rehearsal.training import ACCOUNT, Tags, chosen
from seedbed.plugins.amazon.rehearsal.wire import Json, Refused, Reply

log = logging.getLogger(__name__)

MOST_BYTES = 6_291_456  # of a request to an endpoint, by the service's model
ANSWER_SECONDS = 60.0
START_SECONDS = 600.0
_TICK = 0.05
# The words in the service's messages, and the part of the ARN, by the kind in the operations' names.
_WORDS = {
    "Model": ("model", "model"),
    "EndpointConfig": ("endpoint configuration", "endpoint-config"),
    "Endpoint": ("endpoint", "endpoint"),
}


class Unhealthy(Exception):
    """A container did not answer its ping in time."""


@dataclass
class Served:
    """A container that answers for an endpoint."""

    container: Container
    pump: Pump
    place: Place
    port: int
    variant: str

    def close(self, grace: float) -> None:
        """Ask it to stop, then kill it, and put its folder away."""
        self.container.terminate()
        self.container.wait(grace)
        self.container.close()
        self.pump.finish()
        shutil.rmtree(self.place.folder, ignore_errors=True)


@dataclass
class Endpoint:
    """An endpoint's description, and what serves it at the moment."""

    said: Json
    served: Served | None = None
    works: list[threading.Thread] = field(default_factory=list)


def _ask(request: urllib.request.Request, seconds: float) -> Any:  # noqa: ANN401 (urllib's answers)
    """Open a request to a container without the proxies of this machine.

    Raises: OSError, of which HTTPError is one.
    """
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=seconds)


class Endpoints:
    """All models, endpoint configurations and endpoints of a rehearsal."""

    def __init__(self, fleet: Fleet, tags: Tags, check: Callable[[str, Json], None]) -> None:
        self._fleet = fleet
        self._tags = tags
        self._check = check
        self._known: dict[str, dict[str, Json]] = {"Model": {}, "EndpointConfig": {}}
        self._endpoints: dict[str, Endpoint] = {}
        self._started = 0

    def operations(self) -> Mapping[str, Callable[[Json], Json]]:
        """What clients may call."""
        found: dict[str, Callable[[Json], Json]] = {
            "CreateEndpoint": self._create_endpoint,
            "DescribeEndpoint": lambda request: dict(self._find_endpoint(request).said),
            "ListEndpoints": partial(self._list, "Endpoint"),
            "UpdateEndpoint": self._update_endpoint,
            "DeleteEndpoint": self._delete_endpoint,
        }
        for kind in self._known:
            found[f"Create{kind}"] = partial(self._create, kind)
            found[f"Describe{kind}"] = partial(self._describe, kind)
            found[f"List{kind}s"] = partial(self._list, kind)
            found[f"Delete{kind}"] = partial(self._delete, kind)
        return found

    def close(self) -> None:
        """End every container."""
        with self._fleet.lock:
            endpoints = list(self._endpoints.values())
        for endpoint in endpoints:
            for work in endpoint.works:
                work.join()
            if endpoint.served is not None:
                endpoint.served.close(0.0)

    def invoke(self, name: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Ask an endpoint's container for its /invocations.

        Raises: Refused; ModelError when the container answers 4xx or 5xx, or not at all.
        """
        with self._fleet.lock:
            endpoint = self._endpoints.get(name)
            served = endpoint.served if endpoint is not None else None
        if served is None:
            raise Refused("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        if len(body) > MOST_BYTES:
            raise Refused("ValidationError", f"The body has {len(body)} bytes; {MOST_BYTES} are the most.")
        address = f"http://127.0.0.1:{served.port}/invocations"
        request = urllib.request.Request(address, data=body, headers=dict(headers), method="POST")
        try:
            with _ask(request, ANSWER_SECONDS) as answer:
                variant = ("x-Amzn-Invoked-Production-Variant", served.variant)
                return Reply(answer.read(), answer.headers.get("Content-Type", ""), (variant,))
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            kind = "client" if error.code < 500 else "server"
            raise Refused(
                "ModelError",
                f'Received {kind} error ({error.code}) from primary with message "{said[:1024]}".',
                OriginalStatusCode=error.code,
                OriginalMessage=said[:1024],
            ) from error
        except OSError as error:
            raise Refused(
                "ModelError",
                f"Received server error (0) from primary with message {str(error)!r}.",
                OriginalStatusCode=0,
                OriginalMessage=str(error),
            ) from error

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self._fleet.region}:{ACCOUNT}:{_WORDS[kind][1]}/{name}"

    def _new(self, kind: str, request: Json, known: Mapping[str, object]) -> str:
        """The ARN of a new one.

        Raises: Refused, when the request is wrong or its name taken.
        """
        self._check(f"Create{kind}", request)
        arn = self._arn(kind, request[f"{kind}Name"])
        if request[f"{kind}Name"] in known:
            raise Refused("ValidationException", f'Cannot create already existing {_WORDS[kind][0]} "{arn}".')
        self._tags.put(arn, request.get("Tags"))
        return arn

    def _create(self, kind: str, request: Json) -> Json:
        with self._fleet.lock:
            arn = self._new(kind, request, self._known[kind])
            (self._check_model if kind == "Model" else self._check_variants)(request)
            said = {name: value for name, value in request.items() if name != "Tags"}
            said.setdefault("EnableNetworkIsolation", False)
            self._known[kind][request[f"{kind}Name"]] = said | {f"{kind}Arn": arn, "CreationTime": time.time()}
        return {f"{kind}Arn": arn}

    def _check_model(self, request: Json) -> None:
        container = self._container_of(request)
        if not container.get("Image"):
            raise Refused("ValidationException", "The rehearsal needs the Image of a model's container.")
        data = container.get("ModelDataUrl")
        if data and not has_objects(self._fleet.clients["s3"], data):
            raise Refused("ValidationException", f"Could not find model data at {data}.")

    def _check_variants(self, request: Json) -> None:
        if len(request["ProductionVariants"]) != 1:
            raise Refused("ValidationException", "The rehearsal serves one production variant an endpoint.")
        self._find("Model", request["ProductionVariants"][0].get("ModelName", ""))

    def _container_of(self, model: Json) -> Json:
        containers = [model["PrimaryContainer"]] if model.get("PrimaryContainer") else model.get("Containers") or []
        if len(containers) != 1:
            raise Refused(
                "ValidationException", f"The rehearsal serves models of one container, not {len(containers)}."
            )
        return dict(containers[0])

    def _find(self, kind: str, name: str) -> Json:
        with self._fleet.lock:
            found = self._known[kind].get(name)
        if found is None:
            raise Refused("ValidationException", f'Could not find {_WORDS[kind][0]} "{self._arn(kind, name)}".')
        return dict(found)

    def _describe(self, kind: str, request: Json) -> Json:
        return self._find(kind, request[f"{kind}Name"])

    def _list(self, kind: str, request: Json) -> Json:
        with self._fleet.lock:
            known = self._known.get(kind) or {name: each.said for name, each in self._endpoints.items()}
            found = [dict(each) for each in known.values()]
        members = (f"{kind}Name", f"{kind}Arn", "CreationTime", "LastModifiedTime", "EndpointStatus")
        found = [{name: each[name] for name in members if name in each} for each in found]
        return chosen(found, request, key=f"{kind}s", name=f"{kind}Name", status="EndpointStatus")

    def _delete(self, kind: str, request: Json) -> Json:
        with self._fleet.lock:
            self._find(kind, request[f"{kind}Name"])
            del self._known[kind][request[f"{kind}Name"]]
        return {}

    def _find_endpoint(self, request: Json) -> Endpoint:
        with self._fleet.lock:
            found = self._endpoints.get(request["EndpointName"])
        if found is None:
            arn = self._arn("Endpoint", request["EndpointName"])
            raise Refused("ValidationException", f'Could not find endpoint "{arn}".')
        return found

    def _create_endpoint(self, request: Json) -> Json:
        with self._fleet.lock:
            arn = self._new("Endpoint", request, self._endpoints)
            config = self._find("EndpointConfig", request["EndpointConfigName"])
            now = time.time()
            said = {"EndpointName": request["EndpointName"], "EndpointArn": arn, "EndpointStatus": "Creating"}
            said |= {"EndpointConfigName": request["EndpointConfigName"], "CreationTime": now, "LastModifiedTime": now}
            endpoint = self._endpoints[request["EndpointName"]] = Endpoint(said)
            self._work(endpoint, self._bring_up, endpoint, config)
        return {"EndpointArn": arn}

    def _update_endpoint(self, request: Json) -> Json:
        self._check("UpdateEndpoint", request)
        with self._fleet.lock:
            endpoint = self._find_endpoint(request)
            config = self._find("EndpointConfig", request["EndpointConfigName"])
            self._must_rest(endpoint, "update")
            self._say(endpoint, "Updating")
            self._work(endpoint, self._bring_up, endpoint, config)
        return {"EndpointArn": endpoint.said["EndpointArn"]}

    def _delete_endpoint(self, request: Json) -> Json:
        with self._fleet.lock:
            endpoint = self._find_endpoint(request)
            self._must_rest(endpoint, "delete")
            self._say(endpoint, "Deleting")
            self._work(endpoint, self._take_down, endpoint)
        return {}

    def _must_rest(self, endpoint: Endpoint, verb: str) -> None:
        arn, status = endpoint.said["EndpointArn"], endpoint.said["EndpointStatus"]
        if status in ("Creating", "Updating", "Deleting"):
            raise Refused("ValidationException", f'Cannot {verb} endpoint "{arn}" while it is {status}.')

    def _say(self, endpoint: Endpoint, status: str, **more: object) -> None:
        endpoint.said |= {"EndpointStatus": status, "LastModifiedTime": time.time(), **more}

    def _work(self, endpoint: Endpoint, do: Callable[..., None], *arguments: object) -> None:
        work = threading.Thread(target=do, args=arguments, name=endpoint.said["EndpointName"], daemon=True)
        endpoint.works.append(work)
        work.start()

    def _bring_up(self, endpoint: Endpoint, config: Json) -> None:
        """Start what serves; the old goes once the new answers, or stays where the new never does."""
        old = endpoint.served
        try:
            new = self._serve(endpoint.said["EndpointName"], config)
        except Exception as error:  # the border of the thread: the endpoint tells
            if not isinstance(error, Unhealthy):
                log.exception("the rehearsal could not serve %s", endpoint.said["EndpointName"])
            with self._fleet.lock:
                self._say(endpoint, "InService" if old is not None else "Failed", FailureReason=str(error)[:1024])
            return
        variant = config["ProductionVariants"][0]
        count = variant.get("InitialInstanceCount", 1)
        told = {"VariantName": new.variant, "CurrentInstanceCount": count, "DesiredInstanceCount": count}
        told |= {"CurrentWeight": 1.0, "DesiredWeight": 1.0}
        with self._fleet.lock:
            endpoint.served = new
            name = config["EndpointConfigName"]
            endpoint.said.pop("FailureReason", None)
            self._say(endpoint, "InService", EndpointConfigName=name, ProductionVariants=[told])
        if old is not None:
            old.close(self._fleet.grace)

    def _take_down(self, endpoint: Endpoint) -> None:
        if endpoint.served is not None:
            endpoint.served.close(self._fleet.grace)
        with self._fleet.lock:
            endpoint.served = None
            del self._endpoints[endpoint.said["EndpointName"]]

    def _serve(self, name: str, config: Json) -> Served:
        variant = config["ProductionVariants"][0]
        container = self._container_of(self._find("Model", variant["ModelName"]))
        with self._fleet.lock:
            self._started += 1
            place = Place(self._fleet.root / f"endpoint-{name}-{self._started}")
        place.prepare("model")
        if container.get("ModelDataUrl"):
            download_packed(self._fleet.clients["s3"], container["ModelDataUrl"], place.ml / "model")
        argv = [*self._fleet.image(container["Image"]), "serve"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = dict(self._fleet.environment) | (container.get("Environment") or {})
        environment["SAGEMAKER_BIND_TO_PORT"] = str(port)
        stream = f"{variant['VariantName']}/i-{self._started:017x}"
        copy = self._fleet.root / f"endpoint-{name}.log"
        pump = Pump(self._fleet.clients, f"/aws/sagemaker/Endpoints/{name}", stream, copy)
        running = Container(argv, place, environment, self._fleet.watchdog)
        pump.start(running.output)
        served = Served(running, pump, place, port, variant["VariantName"])
        try:
            self._wait_healthy(served, variant.get("ContainerStartupHealthCheckTimeoutInSeconds", START_SECONDS))
        except Unhealthy:
            served.close(0.0)
            raise
        pump.flush()
        return served

    def _wait_healthy(self, served: Served, seconds: float) -> None:
        until = time.monotonic() + seconds
        last: object = "no answer"
        while time.monotonic() < until and not self._fleet.closing.is_set():
            try:
                with _ask(urllib.request.Request(f"http://127.0.0.1:{served.port}/ping"), 2.0):
                    return
            except OSError as error:
                last = error
            if served.container.wait(_TICK):
                last = f"the container ended: {served.pump.last}"
                break
        raise Unhealthy(
            f"The primary container for production variant {served.variant} did not pass the ping health check. Please "
            f"check CloudWatch logs for this endpoint. ({last})"
        )
