"""An HTTP server around one model, on the standard library: `GET /ping` and `POST /invocations`; an edge."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from seedbed.core.errors import DataError, SeedbedError, UsageError
from seedbed.core.network import staying_offline
from seedbed.serving.answers import Reply, example, refusal, respond
from seedbed.serving.bodies import JSON, MOST_BYTES

if TYPE_CHECKING:
    from seedbed.core.results.predict import Model

log = logging.getLogger(__name__)

PORT = 8080
WAITING = 64
"""So many requests may be under way, the one that the model works on included; the next is told to come again."""

_GRACE = 25.0  # seconds for what is under way: containers are killed 30 s after they were asked to end
_IDLE = 60.0  # seconds that a client may be silent in the middle of a request
_DRAINED = 8 * MOST_BYTES  # of a body that is too large, so that its sender lives to read why


class Service:
    """A model, or none yet, that one request at a time may ask; safe to use from any thread.

    Torch spreads each request over all cores by itself: two at once would only fight for them.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._model: Model | None = None
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._under_way = 0

    @property
    def is_ready(self) -> bool:
        """Whether there is a model, and it has answered once."""
        return self._model is not None

    def open(self, model: Model) -> None:
        """Take a model once it has answered a row of our own.

        Raises:
            DataError: it could not.
        """
        found = respond(model, example(model), JSON)
        if found.status != HTTPStatus.OK:
            raise DataError(
                f"The model cannot answer an example: {found.body.decode()}. Try `seedbed predict` with it."
            )
        self._model = model

    def ask(self, body: bytes, content_type: str, accept: str) -> Reply:
        """Answer one request, after those that came before."""
        model = self._model
        if model is None:
            return refusal(503, "The model is still being loaded; try again in a few seconds.")
        with self._turn:
            return respond(model, body, content_type, accept, most_bytes=self.most_bytes)

    @contextmanager
    def request(self) -> Iterator[bool]:
        """Count a request that is under way; give whether there is room for it."""
        with self._changed:
            self._under_way += 1
            has_room = self._under_way <= WAITING
        try:
            yield has_room
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is under way; return whether it came to that in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._under_way == 0, seconds)


class Server(ThreadingHTTPServer):
    """Listens, with a thread for each connection; what it knows is in its service."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        super().__init__(address, Handler)
        self.service = service

    def handle_error(self, request: object, client_address: object) -> None:
        """Tell of an error of ours; that a client left in the middle of a request is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            log.exception("a connection ended by an error")  # noqa: LOG004 - called while the error is handled


class Handler(BaseHTTPRequestHandler):
    """One request of a connection, which is closed after it."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    server: Server
    allowed: ClassVar[dict[str, str]] = {"/ping": "GET", "/invocations": "POST"}

    def do_GET(self) -> None:
        """Say whether there is a model."""
        if self._is_misplaced("GET"):
            return
        is_ready = self.server.service.is_ready
        self._send(Reply(status=200, body=b"{}") if is_ready else refusal(503, "The model is still being loaded."))

    def do_POST(self) -> None:
        """Predict."""
        if self._is_misplaced("POST"):
            return
        with self.server.service.request() as has_room:
            began = time.monotonic()
            reply = self._answer(has_room)
            self._send(reply)
        facts = {"status": reply.status, "rows": reply.rows, "seconds": round(time.monotonic() - began, 4)}
        log.info("invocation", extra={"facts": facts})

    def _answer(self, has_room: bool) -> Reply:
        length, most = self.headers.get("Content-Length", ""), self.server.service.most_bytes
        if not length.isascii() or not length.isdigit():
            return refusal(411, "The request has no Content-Length; send the body whole, not in chunks.")
        if int(length) > most:
            self._drain(min(int(length), _DRAINED))
            return refusal(413, f"The body has {int(length):,} bytes; send at most {most:,} at a time.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return refusal(400, f"The body ended after {len(body):,} of {int(length):,} bytes.")
        if not has_room:
            return refusal(503, "Too many requests are waiting; try again in a second.")
        return self.server.service.ask(body, self.headers.get("Content-Type", ""), self.headers.get("Accept", ""))

    def _drain(self, count: int) -> None:
        while count > 0 and (piece := self.rfile.read(min(count, 2**16))):
            count -= len(piece)

    def _is_misplaced(self, method: str) -> bool:
        wanted = self.allowed.get(self.path.partition("?")[0])
        if wanted is None:
            self._send(refusal(404, "There are GET /ping and POST /invocations here."))
        elif wanted != method:
            self._send(refusal(405, f"Use {wanted} here."))
        return wanted != method

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no HTTP, or a method that nothing here has; the base class would answer in HTML."""
        self.close_connection = True
        self._send(refusal(code, HTTPStatus(code).description or HTTPStatus(code).phrase))

    def version_string(self) -> str:
        """Name no versions: nobody needs them who only asks."""
        return "seedbed"

    def log_message(self, format: str, *args: object) -> None:
        """Leave the log to `do_POST`."""
        log.debug(format, *args)


def serve(
    load: Callable[[], Model],
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    most_bytes: int = MOST_BYTES,
    stop: threading.Event | None = None,
    started: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve one model until `stop` is set; what is under way then is finished first.

    Args:
        load: gives the model; called once the port is open, so that who asks meanwhile is told to wait.
        host, port: where to listen; 0 is any free port.
        most_bytes: a larger body is refused.
        stop: ends it; for ever where it is None.
        started: called with the port.

    Raises:
        UsageError: the port is taken.
        SeedbedError: the model cannot be loaded, or cannot answer.
    """
    stop, service = stop or threading.Event(), Service(most_bytes)
    try:
        server = Server((host, port), service)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror}; give another port.") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        log.info("listening", extra={"facts": {"port": server.server_port}})
        started(server.server_port)
        began = time.monotonic()
        with staying_offline():
            service.open(load())
        log.info("ready", extra={"facts": {"seconds": round(time.monotonic() - began, 2)}})
        stop.wait()
    finally:
        server.shutdown()
        if not service.settle(_GRACE):
            log.warning("requests were still under way after %g seconds", _GRACE)
        server.server_close()
    log.info("ended")


class JsonLines(logging.Formatter):
    """A record as one line of JSON; the facts of `extra` are keys of their own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = {"time": round(record.created, 3), "level": record.levelname.lower(), "event": record.getMessage()}
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told | getattr(record, "facts", {}), default=str)


def serve_container(base: Path, environment: Mapping[str, str]) -> int:
    """Serve the bundle below `base`/model as the container of an endpoint, until SIGTERM; return the exit status.

    The port is SAGEMAKER_BIND_TO_PORT of the environment, else 8080. This owns its process: it sets its
    signal handlers and its log, a line of JSON on stderr for each thing that happens.
    """
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):  # process 1 of a container ends at no signal that has no handler
        # In a thread: the signal may come while this one is inside `wait`, with the lock that `set` takes.
        signal.signal(each, lambda *_: threading.Thread(target=stop.set).start())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    own = logging.getLogger("seedbed")
    own.handlers, own.propagate = [handler], False
    own.setLevel(logging.INFO)

    def load() -> Model:
        from seedbed.api import load as load_bundle
        from seedbed.core.training.startup import spare_dynamo

        spare_dynamo()
        return load_bundle(base / "model")

    try:
        port = int(environment.get("SAGEMAKER_BIND_TO_PORT") or PORT)
        serve(load, host="0.0.0.0", port=port, stop=stop)
    except SeedbedError as error:
        log.error("%s", error)
        return int(error.exit_code)
    except Exception:
        log.exception("the server ended by an error")
        return 1
    return 0
