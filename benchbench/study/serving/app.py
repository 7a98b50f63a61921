"""The study over HTTP: a page, four files, and three things that it may ask.

    GET  /                    the page                GET  /images/<id>.png   an image
    GET  /page.css, …         what it is made of      POST /api/start         a token, for consent
    GET  /api/next            what is shown now       POST /api/answer        an answer; the next screen comes back

Everything else is refused before it is read: other names of the host (`hosts.py`), long bodies, other methods, other
types.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchbench.core.paths import printable
from benchbench.study.serving.hosts import Hosts
from benchbench.study.serving.reception import Reception, Refused
from benchbench.study.template import part

MOST_BODY = 4096
"""Bytes of a request; an answer has about a hundred."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_OTHER_NAME = (
    "The study does not answer to the name in this link. Please tell whoever gave it to you: benchbench study serve "
    "takes that name as --name."
)
_FILES = {
    "icon.svg": "image/svg+xml",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "over_http.js": "text/javascript",
}


def application(reception: Reception, hosts: Hosts) -> ASGIApp:
    """The ASGI application.

    Args:
        reception: Of the study.
        hosts: By which names it may be called.

    Returns:
        An application that answers every request, also one that fails, with `HEADERS`.
    """
    texts = {name: part(name) for name in _FILES}

    async def page(request: Request) -> Response:
        return Response(await run_in_threadpool(reception.page), media_type="text/html")

    def text(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return Response(texts[name], media_type=_FILES[name])

        return answer

    async def image(request: Request) -> Response:
        content = await run_in_threadpool(reception.image, request.path_params["own"])
        return Response(content, media_type="image/png")

    async def start(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(reception.admit, await _body(request)))

    async def following(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(reception.next, _rater(reception, request)))

    async def answer(request: Request) -> Response:
        rater = _rater(reception, request)  # before a byte of the body is read
        return JSONResponse(await run_in_threadpool(reception.take, rater, await _body(request)))

    app = Starlette(
        routes=[
            Route("/", page),
            *(Route(f"/{name}", text(name)) for name in _FILES),
            Route("/images/{own}.png", image),
            Route("/api/start", start, methods=["POST"]),
            Route("/api/next", following),
            Route("/api/answer", answer, methods=["POST"]),
        ],
        exception_handlers={Refused: _refused, HTTPException: _http},
    )
    app.router.redirect_slashes = False
    return Guard(app, hosts)


def _rater(reception: Reception, request: Request) -> str:
    return reception.rater(request.headers.get("authorization", ""))


async def _body(request: Request) -> bytes:
    """The body of a request that says it is JSON. One without a stated length is left off as soon as it is too long."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "The study takes application/json.")
    content = b""
    try:
        async for piece in request.stream():
            content += piece
            if len(content) > MOST_BODY:
                raise Refused(413, "That is longer than any answer.")
    except ClientDisconnect as gone:  # nobody reads the refusal, and the owner need not know
        raise Refused(400, "The rest of that did not come.") from gone
    return content


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    if error.cause is not None:
        print(f"benchbench: {printable(error.cause)}", file=sys.stderr, flush=True)
    return _closing(error.status, error.words, reader=_reads(request.headers.get("accept", "")))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reader = _reads(request.headers.get("accept", ""))
    return _closing(error.status_code, error.detail, error.headers, reader=reader)


class Guard:
    """Before the application: which requests it sees; behind it: what stands on every response.

    Args:
        app: What is guarded.
        hosts: By which names it may be called.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the study speaks HTTP and no {scope['type']}")

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        refusal = self._refusal({name.lower(): value.decode("latin-1") for name, value in scope["headers"]})
        await (self._app if refusal is None else refusal)(scope, receive, sealed)

    def _refusal(self, headers: dict[bytes, str]) -> Response | None:
        if not self._hosts.allow(headers.get(b"host", "")):
            return _closing(421, _OTHER_NAME, reader=_reads(headers.get(b"accept", "")))
        length = headers.get(b"content-length", "0")
        if len(length) > 9 or int(length) > MOST_BODY:  # HTTP has digits here, or the server has refused it
            return _closing(413, "That is longer than any answer.")
        return None


def _reads(accept: str) -> bool:
    """Whether a person reads the answer: a browser that opens a link asks for HTML, the page's own script does not."""
    return "text/html" in accept.lower()


def _closing(
    status: int, words: str, headers: Mapping[str, str] | None = None, *, reader: bool = False
) -> Response:
    """A refusal, as text for a `reader`; it ends the connection, on which an unread body may still be coming."""
    own = {**(headers or {}), "Connection": "close"}
    return PlainTextResponse(words, status, own) if reader else JSONResponse({"error": words}, status, own)
