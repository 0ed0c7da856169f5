"""The instance metadata service as a conversation: versions 1 and 2, tokens, hop limit.

EC2 User Guide, "Use the Instance Metadata Service to access instance metadata".
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from testbed.net.served.endpoints import Page
from testbed.net.served.metadata import TOKEN_PATH, TOKEN_TTL, InstanceMetadata
from testbed.probes.servers.http_server import Http, Request, Response

LATEST = "latest"
# What `GET /` lists; each is a way to the same data (EC2 User Guide, "Access instance metadata")
VERSIONS = (
    *("1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01"),
    *("2008-09-01", "2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25"),
    *("2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28"),
    *("2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23"),
    *("2021-07-15", "2022-09-24", "2024-04-11", LATEST),
)
TOKEN_TTL_SHOWN = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
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

    def seconds_left(self, instance: str, token: str) -> int:
        """How long the token of this instance lives; 0 for one that is over, or another's."""
        end, _, signature = token.partition(".")
        given, genuine = signature.encode(), self._signature(instance, end).encode()
        return max(0, int(end) - int(time.time())) if hmac.compare_digest(given, genuine) else 0

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
    left = 0 if token is None else tokens.seconds_left(instance.instance, token)
    if not left and (token is not None or instance.tokens_required):
        return _refusal(401)
    text = _found(instance, request.path.partition("?")[0])
    return _refusal(404) if text is None else Response(_page(text, left))


def _token(instance: InstanceMetadata, request: Request, tokens: Tokens) -> Response:
    """The only answer that the hop limit is about."""
    if request.path != TOKEN_PATH or "x-forwarded-for" in request.fields:
        return _refusal(403, instance.hop_limit)
    seconds = request.fields.get(TOKEN_TTL, "")
    if not re.fullmatch("[0-9]{1,5}", seconds) or not 1 <= int(seconds) <= LONGEST_TTL_S:
        return _refusal(400, instance.hop_limit)
    token = tokens.issue(instance.instance, int(seconds))
    return Response(_page(token, int(seconds)), ttl=instance.hop_limit)


def _page(text: str, left_s: int) -> Page:
    """What was asked for, and how long the token lives: without it aws-sdk-go takes no token."""
    told = ((TOKEN_TTL_SHOWN, str(left_s)),) if left_s else ()
    return Page("200 OK", text, TEXT + told)


def _found(instance: InstanceMetadata, path: str) -> str | None:
    """A text, or what is in a directory; None where there is neither."""
    version, *steps = [step for step in path.split("/") if step] or [""]
    if not version:
        return "\n".join(VERSIONS)
    if version not in VERSIONS:
        return None
    key, texts = "/".join(steps), dict(instance.paths)
    if key in texts:
        return texts[key]
    entries = _directory(texts, f"{key}/" if key else "")
    if not key:  # here alone EC2 puts no slash behind directories
        entries = [entry.rstrip("/") for entry in entries]
    return "\n".join(entries) if entries else None


def _directory(paths: Iterable[str], prefix: str) -> list[str]:
    """The names below, directories with a slash behind."""
    below = (path.removeprefix(prefix).partition("/") for path in paths if path.startswith(prefix))
    return list(dict.fromkeys(name + slash for name, slash, _ in below))


def _refusal(code: int, ttl: int = 0) -> Response:
    return Response(Page(STATUS[code], "", TEXT), ttl)
