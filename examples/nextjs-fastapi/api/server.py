"""The consultation app: serves the exported front end, and writes up visits for it."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi_clerk_auth import ClerkConfig, ClerkHTTPBearer, HTTPAuthorizationCredentials
from openai import AsyncOpenAI, OpenAIError
from pydantic import BaseModel, Field

MODEL = "gpt-5-nano"
STATIC = Path(__file__).parent / "static"
INSTRUCTIONS = """You are given the notes that a doctor took during a visit. Answer with three sections:
a summary for the doctor's records, the next steps for the doctor, and a letter to the patient in plain words."""

log = logging.getLogger("uvicorn.error")
signed_in = ClerkHTTPBearer(ClerkConfig(jwks_url=os.environ["CLERK_JWKS_URL"]))


class State(TypedDict):
    openai: AsyncOpenAI


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    # One client, and so one pool of connections, for all requests. Without OPENAI_API_KEY
    # it refuses here: the deployment fails, not the first visit.
    async with AsyncOpenAI() as client:
        yield {"openai": client}


app = FastAPI(title="Consultation notes", lifespan=lifespan)


class Visit(BaseModel):
    patient_name: str = Field(min_length=1, max_length=200)
    date_of_visit: date
    notes: str = Field(min_length=1, max_length=20_000)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.post("/api/consultation")
async def consultation(
    visit: Visit,
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(signed_in)],
) -> StreamingResponse:
    """Streams the write-up as plain text, while the model produces it."""
    log.info("consultation for user %s", credentials.decoded["sub"])
    try:
        chunks = await request.state.openai.chat.completions.create(
            model=MODEL,
            messages=[
                {"role": "system", "content": INSTRUCTIONS},
                {
                    "role": "user",
                    "content": f"Patient: {visit.patient_name}\nDate of visit: {visit.date_of_visit}\n\n{visit.notes}",
                },
            ],
            stream=True,
        )
    except OpenAIError as error:
        log.error("openai: %s", type(error).__name__)
        raise HTTPException(502, "the model did not answer") from error

    async def text() -> AsyncIterator[str]:
        async for chunk in chunks:
            if chunk.choices and (part := chunk.choices[0].delta.content):
                yield part

    return StreamingResponse(text(), media_type="text/plain; charset=utf-8")


# Last, because it answers every path that nothing above does.
app.mount("/", StaticFiles(directory=STATIC, html=True), name="front end")
