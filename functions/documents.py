"""HTTP: the OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import azure.functions as func

from functions.boundary import SECURITY_HEADERS, public

bp = func.Blueprint()

DOCUMENT: Final = Path(__file__).with_name("openapi.json")


@bp.route(route="openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("open")
async def show_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """What a CRM's server may call and what it is told (OpenAPI 3.1)."""
    del req
    headers = {**SECURITY_HEADERS, "Content-Type": "application/json"}
    return func.HttpResponse(DOCUMENT.read_bytes(), headers=headers)
