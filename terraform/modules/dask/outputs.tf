output "scheduler" {
  description = "Address of the scheduler, while it has a task."
  value       = "tcp://${local.scheduler}.${var.namespace}:${local.port}"
}

output "role_arns" {
  description = "Execution and task roles of both."
  value       = concat(module.scheduler.role_arns, module.worker.role_arns)
}
