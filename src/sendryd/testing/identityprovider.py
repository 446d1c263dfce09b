"""An identity provider on loopback: real HTTP, real RS256. It gives what a test tells it to, also what no provider should."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sendryd.runtime.clock import SystemClock

CLIENT_ID, CLIENT_SECRET = "relay", "a secret, of the client"


def text(octets: bytes) -> str:
    """Octets as base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class IdentityProvider:
    """A provider with one person signed in. A context manager."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.kid = "first"
        self.reset()
        self.asked: list[str] = []  # paths
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._serve(self, b"")

            def do_POST(self) -> None:
                provider._serve(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """Says again what it should."""
        self.person: dict[str, Any] = {"sub": "1001", "email": "ann@acme.example", "email_verified": True, "name": "Ann Ames"}
        self.change_claims: Callable[[dict[str, Any]], object] = lambda _claims: None
        self.sign: Callable[[dict[str, Any]], str] = self.rs256
        self.userinfo: dict[str, Any] = {}
        self.description: dict[str, Any] = {}  # what it says of itself besides
        self.answers: dict[str, tuple[int, bytes]] = {}  # by path, instead of the right one

    def authorize(self, url: str) -> str:
        """What the person does in the browser: agrees at a URL of ours. Gives where the browser is sent."""
        query = dict(parse_qsl(urlsplit(url).query))
        assert url.startswith(f"{self.issuer}/authorize?")
        assert (query["response_type"], query["client_id"], query["code_challenge_method"]) == ("code", CLIENT_ID, "S256")
        assert {"openid", "email"} <= set(query["scope"].split())
        code = f"code{len(self._codes)}"
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def rs256(self, claims: dict[str, Any], **header: str) -> str:
        """A signed token."""
        signed = self.unsigned({"alg": "RS256", "kid": self.kid, **header}, claims)
        return f"{signed}.{text(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    @staticmethod
    def unsigned(header: dict[str, str], claims: dict[str, Any]) -> str:
        """Header and claims of a token."""
        return f"{text(json.dumps(header).encode())}.{text(json.dumps(claims).encode())}"

    def _serve(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        path = urlsplit(request.path).path
        self.asked.append(path)
        if path == "/authorize":
            request.send_response(302)
            request.send_header("Location", self.authorize(self.issuer + request.path))
            request.end_headers()
            return
        status, content = self.answers.get(path) or self._answer(path, request, body)
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _answer(self, path: str, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        match path:
            case "/.well-known/openid-configuration":
                names = {
                    "authorization_endpoint": "authorize",
                    "token_endpoint": "token",
                    "jwks_uri": "keys",
                    "userinfo_endpoint": "userinfo",
                }
                found: dict[str, Any] = {
                    "issuer": self.issuer,
                    **{name: f"{self.issuer}/{each}" for name, each in names.items()},
                    **self.description,
                }
            case "/keys":
                numbers = self.key.public_key().public_numbers()
                n, e = (text(each.to_bytes((each.bit_length() + 7) // 8, "big")) for each in (numbers.n, numbers.e))
                found = {"keys": [{"kty": "XYZ"}, {"kty": "RSA", "kid": self.kid, "use": "sig", "n": n, "e": e}]}
            case "/token":
                return self._token(request, dict(parse_qsl(body.decode())))
            case "/userinfo" if request.headers["Authorization"] == "Bearer access":
                found = self.userinfo
            case _:
                return 404, b"{}"
        return 200, json.dumps(found).encode()

    def _token(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> tuple[int, bytes]:
        pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().split(":")
        client = [parse_qs(f"x={each}")["x"][0] for each in pair]
        asked = self._codes.pop(form.get("code", ""), None)  # a code works once
        if client != [CLIENT_ID, CLIENT_SECRET]:
            return 401, b'{"error": "invalid_client"}'
        challenge = text(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form.get("redirect_uri"):
            return 400, b'{"error": "invalid_grant"}'
        now = int(SystemClock().now().timestamp())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.person}
        if "max_age" in asked:
            claims["auth_time"] = now
        self.change_claims(claims)
        return 200, json.dumps({"access_token": "access", "token_type": "Bearer", "id_token": self.sign(claims)}).encode()
