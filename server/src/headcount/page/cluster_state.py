"""The page of a cluster: its nodes, its partitions and what is missing, for who may manage."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException

from headcount.api.v1.cluster import ClusterBody
from headcount.page.visits import Visit, visit_of

__all__ = ["CLUSTER_PAGE_HANDLERS", "cluster_sentence"]

_CLUSTER = "/headcount/v1/cluster"


async def cluster_sentence(visit: Visit) -> str:
    """How the cluster does on the whole; empty for a single machine."""
    found = (await visit.ask(ClusterBody, _CLUSTER)).cluster
    return "" if found is None else found.message


@get("/page/cluster")
async def cluster_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = visit_of(request)
    found = (await visit.ask(ClusterBody, _CLUSTER)).cluster
    if found is None:
        raise NotFoundException("There is no cluster.")
    return await visit.parts.pages.send(
        request,
        "cluster",
        **visit.common(),
        asset=visit.parts.assets.address,
        cluster=found,
    )


CLUSTER_PAGE_HANDLERS = [cluster_page]
