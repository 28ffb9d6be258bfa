"""Environment -> settings of the service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """Field `x` is read from `DEMAND_X`; the pipeline's own variables may be set beside them."""

    # The store's address may hold a password, so errors do not repeat inputs.
    model_config = SettingsConfigDict(env_prefix="DEMAND_", frozen=True, hide_input_in_errors=True)

    store_url: Annotated[
        str, Field(min_length=1, repr=False, description="SQL store: sqlite:///FILE or postgresql://USER@HOST/DB.")
    ]
    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port to listen on.")] = 8000
