output "vpc_id" {
  description = "The VPC."
  value       = local.vpc_id
}

output "public_subnet_ids" {
  description = "Subnets of the public load balancer, one per zone."
  value       = local.public_subnet_ids
}

output "private_subnet_ids" {
  description = "Subnets of tasks and the database, one per zone."
  value       = local.private_subnet_ids
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets, for a peering or a VPN; empty where the VPC was there already."
  value       = aws_route_table.private[*].id
}

output "outbound" {
  description = "Whether AWS's services are reached by their public addresses."
  value       = local.outbound
}

output "s3_prefix_list_id" {
  description = "Addresses of S3 that the gateway leads to."
  value       = local.s3_prefix_list_id
}

output "security_group_ids" {
  description = "Security group of each part: alb, alb_internal, database, endpoints and every task."
  value       = { for name, group in aws_security_group.this : name => group.id }
}
