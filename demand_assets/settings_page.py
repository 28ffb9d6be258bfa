"""What the docs hold of the settings."""

from pydantic.fields import FieldInfo

from demand_assets.settings import PREFIX, Settings


def settings_table() -> str:
    """The settings as a Markdown table for the docs."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default_text(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def _default_text(field: FieldInfo) -> str:
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["default_text"])
    return "none" if field.default == "" else f"`{field.default}`"
