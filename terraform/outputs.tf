# What the deploy workflow and docs/deploy.md read: `terraform output -json`.

output "region" {
  description = "AWS region."
  value       = var.region
}

output "cluster" {
  description = "ECS cluster; families of task definitions are CLUSTER-PART."
  value       = module.cluster.name
}

output "service_names" {
  description = "Services in the cluster."
  value       = sort(keys(module.service))
}

output "repository_urls" {
  description = "Where each image is pushed to."
  value       = module.registry.repository_urls
}

output "run_task_definition" {
  description = "Family of runs."
  value       = module.run.family
}

output "migrate_task_definition" {
  description = "Family of the task that migrates the databases."
  value       = module.migrate.family
}

output "watch_task_definition" {
  description = "Family of the hourly watch."
  value       = module.watch.family
}

output "migrate_log_group" {
  description = "Log of the migration."
  value       = module.migrate.log_group_name
}

output "vpc_id" {
  description = "The VPC, for a peering or a VPN."
  value       = module.network.vpc_id
}

output "private_route_table_ids" {
  description = "Route tables that a peering or a VPN adds its routes to; empty where the VPC was there already."
  value       = module.network.private_route_table_ids
}

output "door_instance_id" {
  description = "Target of `aws ssm start-session`, by which operators reach Dagster's webserver; empty without a door."
  value       = join("", module.door[*].instance_id)
}

output "private_subnet_ids" {
  description = "Subnets of tasks."
  value       = module.network.private_subnet_ids
}

output "task_security_group_id" {
  description = "Security group of run, migrate and watch."
  value       = module.network.security_group_ids["run"]
}

output "deploy_role_arn" {
  description = "Role that the deploy workflow assumes."
  value       = module.ci.role_arn
}

output "api_url" {
  description = "Address of the service."
  value       = "https://${var.api_domain}"
}

output "dagster_url" {
  description = "Address of Dagster's webserver, from inside the network."
  value       = "https://${var.dagster_domain}"
}

output "load_balancer_names" {
  description = "What api_domain and dagster_domain must point to where zone_id is empty."
  value       = { api = module.cluster.api_alb_dns_name, dagster = module.cluster.internal_alb_dns_name }
}

output "bucket" {
  description = "Bucket of the data; files of sales, in any form, go to raw/."
  value       = module.storage.bucket_name
}

output "database_address" {
  description = "Host name for the URLs in the secrets."
  value       = module.database.address
}

output "secret_arns" {
  description = "Secrets that the operator puts URLs into, for the task `database` and the parts that read them."
  value       = module.database.secret_arns
}

output "alerts_topic_arn" {
  description = "Topic of alerts and alarms."
  value       = module.monitoring.topic_arn
}

output "dashboard" {
  description = "CloudWatch dashboard."
  value       = module.monitoring.dashboard_name
}

output "github_variables" {
  description = "Variables of the GitHub environment, which the deploy workflow reads."
  value = {
    API_URL         = "https://${var.api_domain}"
    AWS_DEPLOY_ROLE = module.ci.role_arn
    AWS_REGION      = var.region
    ECR_PREFIX      = "${local.name}/"
    ECS_CLUSTER     = module.cluster.name
  }
}
