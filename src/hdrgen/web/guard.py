"""Who may speak to the server, and how much they may say.

Without a token the server listens on loopback alone, and answers to loopback's names alone: a page elsewhere whose name
was made to point here (DNS rebinding) is refused by its Host header. With a token, the cookie that holds it belongs to
one host name, so that name is as good as any.
"""

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "hdrgen_token"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = ("/login", "/static/")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Middleware that refuses strangers, posts from other sites, and bodies that are too large.

    Parameters
    ----------
    app
        The application it protects.
    token
        Asked of every request but those for the way in; None asks for none.
    body_bytes
        Largest body.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, body_bytes: int) -> None:
        self._app, self._token, self._body_bytes = app, token, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the request through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                response_headers = MutableHeaders(scope=message)
                response_headers.update(_HEADERS)
                response_headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal:
            await refusal(scope, receive, send_guarded)
        else:
            await self._app(scope, self._measured(receive), send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | RedirectResponse | None:
        if scope["method"] not in _SAFE_METHODS and _from_another_site(headers):
            return JSONResponse({"error": "asked for by another site"}, 403)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._body_bytes:
            return JSONResponse({"error": self._too_large()}, 413)
        if self._token and not scope["path"].startswith(_OPEN_PATHS) and not self._knows_token(headers):
            if scope["path"] == "/":
                return RedirectResponse("/login", 303)
            return JSONResponse({"error": "the token is missing; open / and give it"}, 401)
        return None

    def _knows_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            try:
                cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            except CookieError:
                return False
            given = cookie.value if cookie else ""
        return same_token(given, self._token or "")

    def _measured(self, receive: Receive) -> Receive:
        """Return `receive` that ends a body without a stated length where it becomes too large."""
        read = 0

        async def measured() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._body_bytes:
                raise HTTPException(413, self._too_large())
            return message

        return measured

    def _too_large(self) -> str:
        return f"more than {self._body_bytes / 2**20:g} MiB at once"


def same_token(given: str, token: str) -> bool:
    """Compare in a time that tells nothing of how much was right."""
    return hmac.compare_digest(given.encode(), token.encode())


def _from_another_site(headers: Headers) -> bool:
    """Tell whether a browser says that another site's page sends this; programs say nothing, and may."""
    fetched_from = headers.get("sec-fetch-site")
    if fetched_from is not None:
        return fetched_from not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
