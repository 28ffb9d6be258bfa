output "name" {
  description = "Name of the cluster."
  value       = aws_ecs_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster, once it has its capacity providers."
  value       = aws_ecs_cluster.this.arn
  depends_on  = [aws_ecs_cluster_capacity_providers.this]
}

output "namespace_id" {
  description = "Cloud Map namespace of the tasks."
  value       = aws_service_discovery_private_dns_namespace.this.id
}

output "api_target_group_arn" {
  description = "Target group of the service, once a listener forwards to it."
  value       = aws_lb_target_group.api.arn
  depends_on  = [aws_lb_listener_rule.api]
}

output "webserver_target_group_arn" {
  description = "Target group of Dagster's webserver, once a listener forwards to it."
  value       = aws_lb_target_group.webserver.arn
  depends_on  = [aws_lb_listener.internal]
}

output "api_alb_arn" {
  description = "The public load balancer, whose signature the service checks."
  value       = aws_lb.api.arn
}

output "api_alb_suffix" {
  description = "The public load balancer's name in CloudWatch."
  value       = aws_lb.api.arn_suffix
}

output "api_target_group_suffix" {
  description = "The service's target group's name in CloudWatch."
  value       = aws_lb_target_group.api.arn_suffix
}

output "api_alb_dns_name" {
  description = "What api_domain must point to where zone_id is empty."
  value       = aws_lb.api.dns_name
}

output "internal_alb_dns_name" {
  description = "What dagster_domain must point to where zone_id is empty."
  value       = aws_lb.internal.dns_name
}
