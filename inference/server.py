"""
FastAPI over one engine: POST /v1/score, POST /v1/answer (server-sent events), GET /v1/describe, /healthz, /metrics.

    python server.py --model Qwen/Qwen2.5-0.5B-Instruct --port 8000

Requests that arrive together run together: their windows share batches. When more windows wait than --queue-limit, the answer is 429 with
Retry-After. With SLUICE_TOKEN set, everything but /healthz and /metrics wants it as a bearer token.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import math
import os
import sys
import threading
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from handler import defaults, failure
from wire import RequestError, check_score

STATUS = {"invalid_request": 422, "question_too_long": 422, "unsupported": 422, "overloaded": 429}


class Batcher:
    """Collects requests for a moment and runs them as one; the engine itself runs one call at a time."""

    def __init__(self, engine: Any, queue_limit: int, wait_ms: float, merge_windows: int) -> None:
        self.engine, self.queue_limit, self.wait, self.merge = engine, queue_limit, wait_ms / 1000, merge_windows
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.waiting = 0
        self.rate = 100.0
        self.counts: Counter[str] = Counter()
        self.device = threading.Lock()

    def retry_after(self) -> int:
        return max(1, min(60, math.ceil(self.waiting / self.rate)))

    async def score(self, body: Any) -> dict[str, Any]:
        windows = len(check_score(body)["windows"])
        # an idle server takes any one request, however large
        if self.waiting + windows > self.queue_limit and (self.waiting or not self.queue_limit):
            self.counts["refused"] += 1
            raise RequestError("overloaded", "too many windows are waiting", True)
        self.waiting += windows
        done = asyncio.get_running_loop().create_future()
        await self.queue.put((body, windows, done))
        try:
            return await done
        finally:
            self.waiting -= windows

    def run(self, bodies: list[Any]) -> list[dict[str, Any]]:
        with self.device:
            return self.engine.score_many(bodies)

    async def loop(self) -> None:
        while True:
            jobs = [await self.queue.get()]
            until = time.monotonic() + self.wait
            while sum(j[1] for j in jobs) < self.merge:
                left = until - time.monotonic()
                try:
                    jobs.append(self.queue.get_nowait() if left <= 0 else await asyncio.wait_for(self.queue.get(), left))
                except (asyncio.QueueEmpty, asyncio.TimeoutError):
                    break
            # whoever went away meanwhile costs nothing
            jobs = [j for j in jobs if not j[2].done()]
            if not jobs:
                continue
            start = time.monotonic()
            try:
                results = await asyncio.to_thread(self.run, [j[0] for j in jobs])
            except Exception as error:  # noqa: BLE001
                results = [failure(error).body()] * len(jobs)
                self.counts["failed"] += len(jobs)
            took, windows = time.monotonic() - start, sum(j[1] for j in jobs)
            self.rate = 0.8 * self.rate + 0.2 * windows / max(took, 1e-4)
            self.counts.update(batches=1, requests=len(jobs), windows=windows)
            self.counts["busy_us"] += int(took * 1e6)
            for (_, _, done), result in zip(jobs, results):
                if not done.done():
                    done.set_result(result)


def refusal(error: RequestError, retry_after: int = 1) -> JSONResponse:
    headers = {"retry-after": str(retry_after)} if error.retryable else None
    return JSONResponse(error.body(), STATUS.get(error.code, 500), headers)


def create_app(
    engine: Any, token: str | None = None, queue_limit: int = 4096, wait_ms: float = 3, merge_windows: int = 512
) -> FastAPI:
    batcher = Batcher(engine, queue_limit, wait_ms, merge_windows)

    @asynccontextmanager
    async def life(_: FastAPI):
        task = asyncio.create_task(batcher.loop())
        yield
        task.cancel()

    app = FastAPI(title="Sluice attention", lifespan=life, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def authorize(request: Request, proceed: Any) -> Any:
        given = request.headers.get("authorization", "").encode()
        if token and request.url.path.startswith("/v1/") and not hmac.compare_digest(given, f"Bearer {token}".encode()):
            return JSONResponse(RequestError("unauthorized", "a bearer token is needed").body(), 401)
        return await proceed(request)

    async def parsed(request: Request) -> Any:
        try:
            return json.loads(await request.body())
        except ValueError as error:
            raise RequestError("invalid_request", "the body is not JSON") from error

    @app.post("/v1/score")
    async def score(request: Request) -> Any:
        try:
            result = await batcher.score(await parsed(request))
        except RequestError as error:
            return refusal(error, batcher.retry_after())
        if "error" in result:
            return refusal(RequestError(**result["error"]), batcher.retry_after())
        return JSONResponse(result)

    @app.post("/v1/answer")
    async def answer(request: Request) -> Any:
        from answer import stream

        try:
            pieces = stream(engine, await parsed(request))
        except RequestError as error:
            return refusal(error)

        def events() -> Any:
            try:
                for piece in pieces:
                    yield f"event: answer.delta\ndata: {json.dumps({'text': piece})}\n\n"
                yield "event: answer.completed\ndata: {}\n\n"
            except RequestError as error:
                yield f"event: run.failed\ndata: {json.dumps(error.body())}\n\n"

        batcher.counts["answers"] += 1
        return StreamingResponse(events(), media_type="text/event-stream")

    @app.get("/v1/describe")
    async def describe() -> Any:
        return engine.describe()

    @app.get("/healthz")
    async def health() -> Any:
        return {"status": "ok", "waiting_windows": batcher.waiting}

    @app.get("/metrics")
    async def metrics() -> Any:
        c = batcher.counts
        lines = [
            f"sluice_{name}_total {c[name]}" for name in ("requests", "windows", "batches", "refused", "failed", "answers")
        ]
        lines += [f"sluice_busy_seconds_total {c['busy_us'] / 1e6}", f"sluice_waiting_windows {batcher.waiting}"]
        return PlainTextResponse("\n".join(lines) + "\n")

    return app


def main() -> None:
    import uvicorn

    from engine import load

    parser = argparse.ArgumentParser(description="serve attention and answers over HTTP")
    parser.add_argument("--model", default=os.environ.get("SLUICE_MODEL"), required="SLUICE_MODEL" not in os.environ)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--prompt", default=os.environ.get("SLUICE_PROMPT", "paper"), choices=["paper", "chat"])
    parser.add_argument("--layer", default=os.environ.get("SLUICE_LAYER"), help="last, middle, heads (the model's list) or a number")
    parser.add_argument("--calibrate", action="store_true", help="minus the scores of the question N/A, unless a request says otherwise")
    parser.add_argument("--queue-limit", type=int, default=4096, help="windows that may wait before 429")
    parser.add_argument("--compile", action="store_true", help="compiled layers and CUDA graphs, warmed up before the port opens")
    parser.add_argument("--fp8", action="store_true", help="FP8 linear layers below the retrieval layer")
    options = parser.parse_args()
    engine = load(
        options.model, prompt=options.prompt, compiled=options.compile, graphs=options.compile, fp8=options.fp8,
        defaults=defaults(options.layer, options.calibrate),
    )
    if options.compile:
        engine.warm()
    token = os.environ.get("SLUICE_TOKEN")
    if not token and options.host not in ("127.0.0.1", "localhost", "::1"):
        print("warning: no SLUICE_TOKEN: anyone who reaches this port may use the model", file=sys.stderr)
    app = create_app(engine, token, options.queue_limit)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
