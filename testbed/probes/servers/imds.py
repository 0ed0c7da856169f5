"""The instance metadata service as a conversation: versions 1 and 2, tokens, hop limit.

EC2 User Guide, "Use the Instance Metadata Service to access instance metadata".
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from testbed.net.endpoints import Page
from testbed.net.metadata import TOKEN_PATH, TOKEN_TTL, InstanceMetadata
from testbed.probes.servers.http_server import Http, Request, Response

ROOT = "/latest/meta-data"
TOKEN = "x-aws-ec2-metadata-token"
LONGEST_TTL_S = 21600
KEY_BYTES = 32
TEXT = (("Content-Type", "text/plain"),)

STATUS = {
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
}


class Tokens:
    """Tokens that carry their own end, signed: nothing is remembered of them (state: the key)."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)

    def issue(self, instance: str, ttl_s: int) -> str:
        """A token of one instance for so long."""
        end = str(int(time.time()) + ttl_s)
        return f"{end}.{self._signature(instance, end)}"

    def is_valid(self, instance: str, token: str) -> bool:
        """Whether this instance was given the token, and its time is not over."""
        end, _, signature = token.partition(".")
        genuine = hmac.compare_digest(signature, self._signature(instance, end))
        return genuine and int(end) > time.time()

    def _signature(self, instance: str, end: str) -> str:
        message = f"{instance} {end}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def conversation(instances: Sequence[InstanceMetadata], client: str, tokens: Tokens) -> Http:
    """A connection of a client, by its address; nobody's address is told nothing."""
    asking = ip_address(client)
    instance = next((one for one in instances if asking in one.addresses), None)

    def answer(request: Request) -> Response:
        return _answer(instance, request, tokens) if instance else _refusal(404)

    return Http(answer, lambda status: Response(Page(status, "", TEXT)))


def _answer(instance: InstanceMetadata, request: Request, tokens: Tokens) -> Response:
    if not instance.enabled:
        return _refusal(403)
    if request.method == "PUT":
        return _token(instance, request, tokens)
    if request.method not in ("GET", "HEAD"):
        return _refusal(405)
    token = request.fields.get(TOKEN)
    if token is None and instance.tokens_required:
        return _refusal(401)
    if token is not None and not tokens.is_valid(instance.instance, token):
        return _refusal(401)
    text = _found(instance, request.path.partition("?")[0])
    return _refusal(404) if text is None else Response(Page("200 OK", text, TEXT))


def _token(instance: InstanceMetadata, request: Request, tokens: Tokens) -> Response:
    """The only answer that the hop limit is about."""
    if request.path != TOKEN_PATH or "x-forwarded-for" in request.fields:
        return _refusal(403, instance.hop_limit)
    seconds = request.fields.get(TOKEN_TTL, "")
    if not seconds.isascii() or not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST_TTL_S:
        return _refusal(400, instance.hop_limit)
    token = tokens.issue(instance.instance, int(seconds))
    return Response(Page("200 OK", token, TEXT), ttl=instance.hop_limit)


def _found(instance: InstanceMetadata, path: str) -> str | None:
    """A text, or what is in a directory; None where there is neither."""
    asked = path.rstrip("/")
    if asked in ("", "/latest"):
        return "latest" if not asked else "meta-data"
    if asked != ROOT and not asked.startswith(f"{ROOT}/"):
        return None
    key = asked.removeprefix(ROOT).removeprefix("/")
    texts = dict(instance.paths)
    if key in texts:
        return texts[key]
    entries = _directory(texts, f"{key}/" if key else "")
    return "\n".join(entries) if entries else None


def _directory(paths: Iterable[str], prefix: str) -> list[str]:
    """The names below, directories with a slash behind."""
    below = (path.removeprefix(prefix).partition("/") for path in paths if path.startswith(prefix))
    return list(dict.fromkeys(name + slash for name, slash, _ in below))


def _refusal(code: int, ttl: int = 0) -> Response:
    return Response(Page(STATUS[code], "", TEXT), ttl)
