"""The smallest FastAPI application: what the server and the framework cost by themselves."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """One constant."""
    return {"hello": "world"}
