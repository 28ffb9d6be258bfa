"""Values that only their readers may see, kept in AWS Secrets Manager."""

from demand_assets.errors import ApiKeyError


def put_secret(secret: str, value: str) -> None:
    """Make `value` the newest version of an existing secret; ApiKeyError when AWS refuses or cannot be reached."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        boto3.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=value)
    except (BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())
        raise ApiKeyError(f"secret {secret} cannot be written, so no key was made: {reason}") from error
