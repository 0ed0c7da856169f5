"""HTTP with a page for each path, and with the time where a page tells it."""

import time
from dataclasses import replace

from testbed.net.served.endpoints import NOW, Page, Site
from testbed.probes.servers.http_server import Http, Request, Response

STARTED_NS = time.monotonic_ns()


def http_site(site: Site) -> Http:
    """HTTP: each path has a page of its own."""

    def answer(request: Request) -> Response:
        page = site.page(request.path.partition("?")[0])
        told = page.content.replace(NOW, _now()) if NOW in page.content else page.content
        return Response(replace(page, content=told))

    return Http(answer, lambda status: Response(Page(status, "")))


def _now() -> str:
    """`2026-05-01 12:00:00.123456789 +0000 UTC m=+1234.567890123`: Go's Time.String."""
    seconds, fraction = divmod(time.time_ns(), 10**9)
    there = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    parts = f"{there}.{fraction:09}".rstrip("0").rstrip(".")
    since = time.monotonic_ns() - STARTED_NS
    return f"{parts} +0000 UTC m=+{since // 10**9}.{since % 10**9:09}"
