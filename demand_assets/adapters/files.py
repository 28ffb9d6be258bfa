"""The file systems behind addresses: a folder, or S3 with retries."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# So many calls are under way at once.
AT_ONCE = 16
# Exponential backoff with jitter, botocore's "standard" mode: eight attempts all fail once in 400,000 calls where every
# fifth attempt does. S3 answers within a second, so a read that is silent for ten is given up and tried again.
S3_CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 8},
    "connect_timeout": 5,
    "read_timeout": 10,
    "max_pool_connections": AT_ONCE,
}


def filesystem_at(uri: str) -> tuple["AbstractFileSystem", str]:
    """(file system, path in it) of a folder or of s3://bucket/prefix.

    Encryption is the bucket's default: no header is sent that a policy could miss.
    """
    import fsspec

    # Others write to the same place, so a listing is never taken from memory.
    options = {"config_kwargs": S3_CONFIG, "use_listings_cache": False} if uri.startswith("s3://") else {}
    filesystem, root = fsspec.core.url_to_fs(uri, **options)
    return filesystem, str(root)
