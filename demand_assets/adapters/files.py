"""The file systems behind addresses: a folder, or S3 with retries."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# Exponential backoff with jitter, botocore's "standard" mode. A read that hangs is given up and tried again.
S3_CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 8},
    "connect_timeout": 5,
    "read_timeout": 20,
}


def filesystem_at(uri: str) -> tuple["AbstractFileSystem", str]:
    """(file system, path in it) of a folder or of s3://bucket/prefix.

    Encryption is the bucket's default: no header is sent that a policy could miss.
    """
    import fsspec

    options = {"config_kwargs": S3_CONFIG} if uri.startswith("s3://") else {}
    filesystem, root = fsspec.core.url_to_fs(uri, **options)
    return filesystem, str(root)
