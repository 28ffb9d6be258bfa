# One PostgreSQL instance with three databases, each with roles of its own:
#   demand   the forecast store       demand_pipeline reads and writes; demand_api reads, and inserts overrides
#   dagster  Dagster's storage        dagster
#   mlflow   MLflow's backend         mlflow
#
# Terraform makes neither databases nor roles: it would need to reach into the private network, and their passwords
# would be in its state. The task `database` makes them as the URLs in the secrets name them, with the master password
# that RDS keeps in Secrets Manager; an operator puts the URLs there, and docs/deploy.md has every command. Until then the
# secrets are empty and no task that needs one can start, which is why the first apply is made with `bootstrap = true`.

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name        = "${var.name}-postgres${var.engine_version}"
  family      = "postgres${var.engine_version}"
  description = "TLS only; slow statements, connections and waits for locks are logged"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  # Not even changes of schema: the statement that makes a role holds its password.
  parameter {
    name  = "log_statement"
    value = "none"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  parameter {
    name  = "log_connections"
    value = "1"
  }

  parameter {
    name  = "log_lock_waits"
    value = "1"
  }

  # A client that dies in a transaction must not hold its locks for ever.
  parameter {
    name  = "idle_in_transaction_session_timeout"
    value = "900000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

data "aws_iam_policy_document" "monitoring_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name               = "${var.name}-rds-monitoring"
  assume_role_policy = data.aws_iam_policy_document.monitoring_trust.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_293:deletion_protection is a variable: on in prod, off in dev
  #checkov:skip=CKV_AWS_161:the tasks' drivers hold URLs with passwords; a token of 15 minutes would end their pools
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.engine_version
  instance_class = var.instance_class

  username                      = "postgres"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.kms_key_arn
  ca_cert_identifier            = "rds-ca-rsa2048-g1"

  storage_type          = "gp3"
  allocated_storage     = var.storage_gib
  max_allocated_storage = var.max_storage_gib
  storage_encrypted     = true
  kms_key_id            = var.kms_key_arn

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [var.security_group_id]
  publicly_accessible    = false
  multi_az               = var.multi_az

  parameter_group_name       = aws_db_parameter_group.this.name
  auto_minor_version_upgrade = true
  apply_immediately          = false

  # Away from the weekly run, which begins on Mondays at 06:00 UTC.
  backup_window             = "02:00-03:00"
  maintenance_window        = "wed:03:30-wed:04:30"
  backup_retention_period   = var.backup_days
  copy_tags_to_snapshot     = true
  delete_automated_backups  = var.deletable
  deletion_protection       = !var.deletable
  skip_final_snapshot       = var.deletable
  final_snapshot_identifier = var.deletable ? null : "${var.name}-last"

  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = var.kms_key_arn
  performance_insights_retention_period = 7

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy_attachment.monitoring]
}

# --- whole URLs, put in by the operator ---

resource "aws_secretsmanager_secret" "this" {
  for_each = {
    store-url     = "postgresql:// URL of the database demand for the role demand_pipeline"
    store-url-api = "postgresql:// URL of the database demand for the role demand_api"
    dagster-url   = "postgresql:// URL of the database dagster"
    mlflow-url    = "postgresql:// URL of the database mlflow"
  }

  #checkov:skip=CKV2_AWS_57:a new password is put here and set by the task database; docs/deploy.md has the steps
  name                    = "${var.secret_prefix}/${each.key}"
  description             = each.value
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.deletable ? 0 : 30
}

# --- keys of the service's callers, put in by `demand keys create --secret` ---

resource "aws_secretsmanager_secret" "key" {
  for_each = var.api_key_names

  #checkov:skip=CKV2_AWS_57:a caller has two keys at a time, so the next one is made, taken up and the old one revoked
  name                    = "${var.secret_prefix}/key-${each.value}"
  description             = "Key of ${each.value} for the service"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.deletable ? 0 : 30
}
