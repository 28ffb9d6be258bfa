output "identifier" {
  description = "Identifier of the instance, for alarms."
  value       = aws_db_instance.this.identifier
}

output "address" {
  description = "Host name of the instance."
  value       = aws_db_instance.this.address
}

output "master_username" {
  description = "Master user; on RDS it may create roles and databases, and is no superuser."
  value       = aws_db_instance.this.username
}

output "master_secret_arn" {
  description = "Secret in which RDS keeps the master password; only the task that makes databases and roles reads it."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "key_secret_arns" {
  description = "Secrets of the service's callers, by name."
  value       = { for name, secret in aws_secretsmanager_secret.key : name => secret.arn }
}

output "secret_arns" {
  description = "Secrets of the URLs: store-url, store-url-api, dagster-url, mlflow-url."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}
