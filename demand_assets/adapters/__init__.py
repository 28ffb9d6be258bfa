"""Where the pipeline meets the outside: Parquet on folders and S3, the landing zone, the model registry."""
