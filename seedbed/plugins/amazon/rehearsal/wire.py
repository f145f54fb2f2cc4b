"""How requests come in over HTTP: SageMaker's own are answered here, those of other services by moto."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

Json = dict[str, Any]
Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

log = logging.getLogger(__name__)

OWN = "seedbed-rehearsal"  # in the user agent of the rehearsal's own calls, which `calls` leaves out
_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations$")
_STATUS = {
    "InternalServerError": "500 INTERNAL SERVER ERROR",
    "InternalFailure": "500 INTERNAL SERVER ERROR",
    "ServiceUnavailable": "503 SERVICE UNAVAILABLE",
    "SlowDown": "503 SERVICE UNAVAILABLE",
    "ModelError": "424 FAILED DEPENDENCY",
}


class Refused(Exception):
    """An error answer of the service: its code and what it says."""

    def __init__(self, code: str, message: str, **more: Any) -> None:  # noqa: ANN401 (members of the answer)
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.more = more


@dataclass(frozen=True)
class Reply:
    """The answer of an endpoint's container: its body and content type."""

    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Call:
    """A request as far as its headers, path and form tell: which service, which operation, how errors are written."""

    service: str
    operation: str
    style: str  # json, rest-json, query or xml


@dataclass
class Faults:
    """What the next calls shall be refused with; used by several threads."""

    waiting: list[tuple[str, str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, operation: str, code: str, message: str, times: int) -> None:
        """Refuse the next `times` calls of `operation`."""
        with self.lock:
            self.waiting += [(operation, code, message)] * times

    def take(self, operation: str, *codes: str) -> tuple[str, str] | None:
        """The code and message for this call, taken off the list; of `codes` alone, or of all others than these."""
        with self.lock:
            for number, (name, code, message) in enumerate(self.waiting):
                if name == operation and (code in codes if codes else code not in LATER):
                    del self.waiting[number]
                    return code, message
        return None


LATER = ("CapacityError",)  # the request is taken; the job fails with it when it asks for machines


class Front:
    """The WSGI application: counts calls, refuses what it was told to, answers for SageMaker, hands on to moto."""

    def __init__(
        self,
        moto: Wsgi,
        operations: Callable[[str], Callable[[Json], Json] | None],
        invoke: Callable[[str, bytes, Mapping[str, str]], Reply],
        calls: list[str],
        faults: Faults,
    ) -> None:
        self._moto = moto
        self._operations = operations
        self._invoke = invoke
        self._calls = calls
        self._faults = faults

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        call = read_call(environ)
        try:
            if OWN not in environ.get("HTTP_USER_AGENT", ""):
                self._calls.append(call.operation)  # a list's append is one step for all threads
                fault = self._faults.take(call.operation)
                if fault is not None:
                    raise Refused(*fault)
            if call.operation == "InvokeEndpoint":
                return self._invocation(environ, start)
            if call.service == "sagemaker":
                return _answer(start, "200 OK", json.dumps(self._sagemaker(call, environ)).encode(), JSON)
            if call.operation == "SimulatePrincipalPolicy":
                return _answer(start, "200 OK", _allowed(_form(environ)), XML)
            return self._others(call, environ, start)
        except Refused as refused:
            return _refusal(call, refused, start)
        except Exception as error:  # the border to the client, which would else see a closed connection
            log.exception("the rehearsal failed to answer %s", call.operation)
            return _refusal(call, Refused("InternalServerError", f"the rehearsal failed: {error!r}"), start)

    def _sagemaker(self, call: Call, environ: Environ) -> Json:
        known = self._operations(call.operation)
        if known is None:
            raise Refused("UnknownOperationException", f"The rehearsal has no operation {call.operation}.")
        return known(json.loads(_body(environ) or b"{}"))

    def _invocation(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        found = _INVOCATION.search(environ["PATH_INFO"])
        assert found is not None  # `read_call` named the operation by it
        headers = {"Content-Type": environ.get("CONTENT_TYPE", ""), "Accept": environ.get("HTTP_ACCEPT", "")}
        for name in environ:
            if name.startswith("HTTP_X_AMZN_SAGEMAKER_"):
                headers[name[5:].replace("_", "-").title()] = environ[name]
        reply = self._invoke(unquote(found[1]), _body(environ), headers)
        return _answer(start, "200 OK", reply.body, reply.content_type, *reply.headers)

    def _others(self, call: Call, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Moto's answer; its 5xx (an operation it lacks), which botocore would repeat ten times, becomes a 400."""
        told: list[Any] = []

        def note(status: str, headers: list[tuple[str, str]], info: object = None) -> Callable[[bytes], None]:
            told[:] = [status, headers]
            return lambda chunk: None

        missing = Refused("UnknownOperationException", f"The rehearsal cannot do {call.service} {call.operation}.")
        try:
            answer = b"".join(self._moto(environ, note))
        except NotImplementedError as error:
            raise missing from error
        if told[0].startswith("5"):
            raise missing
        start(told[0], told[1])
        return [answer]


JSON = "application/x-amz-json-1.1"
XML = "text/xml"


def read_call(environ: Environ) -> Call:
    """Tell service and operation of a request; of S3 and the like the HTTP method stands for the operation."""
    scope = re.search(r"Credential=[^/]*/[^/]*/[^/]*/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    service = scope[1] if scope else "s3"
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if service == "sagemaker" and _INVOCATION.search(environ.get("PATH_INFO", "")):
        return Call("sagemaker-runtime", "InvokeEndpoint", "rest-json")
    if target:
        return Call("sagemaker" if target.startswith("SageMaker.") else service, target.rpartition(".")[2], "json")
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return Call(service, _form(environ).get("Action", ["?"])[0], "query")
    return Call(service, f"{service}:{environ['REQUEST_METHOD']}", "xml")


def _body(environ: Environ) -> bytes:
    """The request's body, kept for whoever reads it next."""
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body = environ["wsgi.input"].read()
    else:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return bytes(body)


def _form(environ: Environ) -> dict[str, list[str]]:
    return parse_qs(_body(environ).decode())


def _answer(
    start: Callable[..., Any], status: str, body: bytes, content_type: str, *headers: tuple[str, str]
) -> list[bytes]:
    start(status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers])
    return [body]


def _refusal(call: Call, refused: Refused, start: Callable[..., Any]) -> list[bytes]:
    status = _STATUS.get(refused.code, "400 BAD REQUEST")
    if call.style in ("json", "rest-json"):
        key = "message" if call.style == "json" else "Message"
        body = json.dumps({"__type": refused.code, key: refused.message, **refused.more}).encode()
        return _answer(start, status, body, JSON, ("x-amzn-errortype", refused.code))
    inner = f"<Code>{escape(refused.code)}</Code><Message>{escape(refused.message)}</Message>"
    if call.style == "query":
        text = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>0</RequestId></ErrorResponse>"
    else:
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error>{inner}</Error>"
    return _answer(start, status, text.encode(), XML)


def _allowed(form: dict[str, list[str]]) -> bytes:
    """IAM's answer that a role may do all that it was asked about: the rehearsal has no policies."""
    actions = [value[0] for name, value in form.items() if name.startswith("ActionNames.member.")]
    results = "".join(
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>*</EvalResourceName>"
        "<EvalDecision>allowed</EvalDecision></member>"
        for action in actions
    )
    return (
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated>"
        f"<EvaluationResults>{results}</EvaluationResults></SimulatePrincipalPolicyResult>"
        "</SimulatePrincipalPolicyResponse>"
    ).encode()
