"""Every route, for those that are no hot path and for the OpenAPI document (FastAPI).

``GET /v1/forecasts/{product}``, ``/v1/customers/{customer}``, ``/livez`` and ``/readyz`` are here
for the document only: the application answers them before.
"""

import json
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from toolkit.installed import own_version
from toolkit.service.answers import MOST_IDS, MOST_ROWS, Answers
from toolkit.service.forecasts import LONGEST_CODE
from toolkit.service.replies import ProblemError, Reply, problem
from toolkit.service.schemas import (
    Alive,
    AtRiskAnswer,
    BatchAnswer,
    CustomerAnswer,
    ForecastAnswer,
    Problem,
    Release,
)

Code = Annotated[str, Field(min_length=1, max_length=LONGEST_CODE)]
Integer = Annotated[int, Field(strict=True)]


class Batch(BaseModel):
    """Which products; an id may be a number or text, a code is text."""

    model_config = ConfigDict(extra="forbid")

    products: Annotated[list[Integer | Code], Field(min_length=1, max_length=MOST_IDS)]


def api(answers: Answers | None) -> FastAPI:
    """The routes over ``answers``; without, for the document only."""
    app = FastAPI(
        title="Forecasts",
        version=own_version(),
        description="Who orders which product next, when, how much, and how sure are we.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            RequestValidationError: _invalid,
            HTTPException: _refused,
            ProblemError: _problem,
        },
    )
    checked = {"dependencies": [Depends(HTTPBearer(auto_error=False))]}
    _add_forecasts(app, answers, checked)
    _add_release(app, answers, checked)
    for path, said in (("/livez", "The process runs."), ("/readyz", "It serves what it should.")):
        app.get(path, summary=said, response_model=Alive, responses=_problems(503))(_elsewhere)
    return app


def _add_forecasts(app: FastAPI, answers: Answers | None, checked: dict[str, Any]) -> None:
    @app.get(
        "/v1/forecasts/{product}",
        summary="The forecast of a product, by id or code",
        responses={304: {"description": "It has not changed"}, **_problems(401, 404, 429, 503)},
        response_model=ForecastAnswer,
        **checked,
    )
    async def forecast(product: Annotated[str, Path(max_length=LONGEST_CODE)]) -> Response:
        raise ProblemError(404, "There is nothing at this path.")

    @app.post(
        "/v1/forecasts:batch",
        summary="The forecasts of some products, all of one release",
        responses=_problems(401, 408, 413, 422, 429, 503),
        response_model=BatchAnswer,
        **checked,
    )
    async def batch(asked: Batch, request: Request) -> Response:
        assert answers is not None
        who = request.scope["state"].get("who", "")
        return _response(await answers.batch([str(one) for one in asked.products], who))


def _add_release(app: FastAPI, answers: Answers | None, checked: dict[str, Any]) -> None:
    @app.get(
        "/v1/customers/{customer}",
        summary="What a customer orders next, by id or code",
        responses={304: {"description": "It has not changed"}, **_problems(401, 404, 429, 503)},
        response_model=CustomerAnswer,
        **checked,
    )
    async def customer(customer: Annotated[str, Path(max_length=LONGEST_CODE)]) -> Response:
        raise ProblemError(404, "There is nothing at this path.")

    @app.get(
        "/v1/at-risk",
        summary="Customers at risk of all products, the gravest first",
        responses=_problems(401, 422, 429, 503),
        response_model=AtRiskAnswer,
        **checked,
    )
    async def at_risk(
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    ) -> Response:
        assert answers is not None
        return _response(await answers.customers.at_risk(offset, limit))

    @app.get(
        "/v1/releases/current",
        summary="The release that is current",
        responses=_problems(401, 429, 503),
        response_model=Release,
        **checked,
    )
    async def current() -> Response:
        assert answers is not None
        return _response(answers.current())


async def _elsewhere() -> Response:
    raise ProblemError(404, "There is nothing at this path.")


def document() -> str:
    """The OpenAPI document, as it is committed."""
    return json.dumps(api(None).openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": "A problem", "content": content} for status in statuses}


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    response.raw_headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    """All that is wrong with a request, in one sentence."""
    assert isinstance(error, RequestValidationError)
    said = dict.fromkeys(
        f"{'.'.join(str(part) for part in one['loc'][:2])}: {one['msg']}" for one in error.errors()
    )
    listed = "; ".join(list(said)[:3]) + ("; …" if len(said) > 3 else "")
    return _response(problem(422, f"The request is not what is allowed ({listed})."))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        400: "The body is not JSON.",
        404: "There is nothing at this path.",
        405: f"{request.method} is not what this path takes.",
    }
    headers = [
        (name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()
    ]
    said = sentences.get(error.status_code, f"{error.detail}.")
    return _response(problem(error.status_code, said, headers))


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _response(error.reply())
