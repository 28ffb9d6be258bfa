output "family" {
  description = "Family of the task definition."
  value       = aws_ecs_task_definition.this.family
}

output "task_definition_arn" {
  description = "The newest revision."
  value       = aws_ecs_task_definition.this.arn
}

output "task_definition_arn_any_revision" {
  description = "Every revision, for policies."
  value       = "${aws_ecs_task_definition.this.arn_without_revision}:*"
}

output "service_arn" {
  description = "ARN of the service; empty for a task definition alone."
  value       = one(aws_ecs_service.this[*].id)
}

output "role_arns" {
  description = "Execution role and task role, which whoever starts the task hands over."
  value       = [aws_iam_role.execution.arn, aws_iam_role.task.arn]
}

output "log_group_arn" {
  description = "Its log."
  value       = aws_cloudwatch_log_group.this.arn
}

output "log_group_name" {
  description = "Name of its log."
  value       = aws_cloudwatch_log_group.this.name
}

output "failed_starts_queue_name" {
  description = "Queue of starts that the schedule failed at; empty without a schedule."
  value       = one(aws_sqs_queue.failed_starts[*].name)
}
