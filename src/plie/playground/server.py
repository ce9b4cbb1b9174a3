"""The server of the playground: its files, and one websocket for each page.

It answers only those who reach it by its own name, so that no other site's page can talk to it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from plie.playground.points import described
from plie.playground.pool import FullError, Pool
from plie.playground.presets import PRESETS
from plie.playground.settings import ATTACKS, BALLS, LIMITS, PENALTIES, Settings
from plie.playground.upload import UPLOAD
from plie.recipe import OPTIMIZERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST = 2 * UPLOAD  # bytes of a message: an uploaded file, as JSON writes it
WAITING = 64  # answers that a page may be behind with before it is given up
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
FAREWELL = 2.0  # seconds that a page has to take notice of the end
REFUSED = 4403  # the code that a websocket is closed with
OVERFULL = 4429
STATIC = resources.files("plie.playground") / "static"


def app(names: Sequence[str], pool: Pool | None = None) -> Starlette:
    """The application.

    Args:
        names: hosts by which it may be reached, as ``["127.0.0.1", "localhost"]``, any port.
        pool: what trains; one of its own when None.
    """
    workers = pool or Pool()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        workers.start()
        yield
        workers.close()

    async def live(socket: WebSocket) -> None:
        await _live(socket, workers)

    made = Starlette(
        routes=[
            Route("/", _index),
            Route("/zoo.json", _zoo),
            WebSocketRoute("/live", live),
            Mount("/static", StaticFiles(directory=str(STATIC))),
        ],
        middleware=[Middleware(Guard, names=names)],
        lifespan=lifespan,
    )
    made.state.pool = workers
    return made


class Guard:
    """Lets through what is asked of one of the names, by a page of that same name.

    A page elsewhere can make a browser send requests here, and can point a name of its own at
    this machine; the headers ``Origin`` and ``Host`` then say so.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app, self._names = app, {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request, or refuse it."""
        if scope["type"] not in ("http", "websocket") or self._is_allowed(scope):
            await self._app(scope, receive, _with_policy(send))
        elif scope["type"] == "http":
            refusal = PlainTextResponse("this playground serves its own page only", 403)
            await refusal(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).close(REFUSED)

    def _is_allowed(self, scope: Scope) -> bool:
        headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        origins = [value for name, value in headers if name == b"origin"]
        if len(hosts) != 1 or len(origins) > 1 or _name(f"//{hosts[0]}") not in self._names:
            return False
        if scope["type"] == "websocket" and not origins:
            return True  # no browser: browsers always say where a websocket comes from
        return all(_is_at(origin, hosts[0]) for origin in origins)


def _is_at(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _with_policy(send: Send) -> Send:
    """Headers that keep the page to its own files, added to every answer."""
    extra = [
        (b"content-security-policy", POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-cache"),
    ]

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return sending


async def _index(_: Request) -> Response:
    return Response((STATIC / "index.html").read_bytes(), media_type="text/html; charset=utf-8")


async def _zoo(_: Request) -> Response:
    return JSONResponse(await asyncio.to_thread(zoo))


@cache
def zoo() -> dict[str, Any]:
    """What the page can choose from.

    >>> zoo()["activations"][0]["name"], zoo()["limits"]["networks"]
    ('abs', 4)
    """
    from plie import get
    from plie import names as known
    from plie.display import formula_text

    acts = [get(name) for name in known(scalar=True)]
    return {
        "activations": [
            {
                "name": act.name,
                "title": act.title,
                "label": act.label,
                "family": act.family,
                "formula": formula_text(act),
                "aliases": list(act.aliases),
                "year": act.year,
            }
            for act in acts
        ],
        "data": described(),
        "optimizers": list(OPTIMIZERS),
        "regularisations": list(PENALTIES),
        "inits": ["torch", "gain"],
        "attacks": list(ATTACKS),
        "norms": list(BALLS),
        "limits": LIMITS,
        "presets": PRESETS,
        "default": Settings().as_json(),
    }


async def _live(socket: WebSocket, pool: Pool) -> None:
    """One page: what it says goes to its process, what that answers comes back."""
    await socket.accept()
    answers: deque[bytes | str] = deque()
    news, over = asyncio.Event(), asyncio.Event()

    def receive(answer: bytes | str) -> None:
        if len(answers) < WAITING:
            answers.append(answer)
            news.set()
        else:
            over.set()  # a page that does not read

    try:
        seat = pool.open(receive, over.set)
    except FullError:
        full = "as many pages are open as there may be; close one"
        await socket.send_text(json.dumps({"kind": "error", "message": full, "field": None}))
        await socket.close(OVERFULL)
        return

    async def answer() -> None:
        while True:
            await news.wait()
            news.clear()
            while answers:
                one = answers.popleft()
                await (socket.send_text(one) if isinstance(one, str) else socket.send_bytes(one))

    async def ask() -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            await seat.send(text if text is not None else "")

    tasks = [asyncio.create_task(work) for work in (answer(), ask(), over.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        seat.close()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    if not any(isinstance(each, WebSocketDisconnect) for each in results):
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):  # it has gone already
            await asyncio.wait_for(socket.close(), FAREWELL)
