output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Subnets of the public load balancer, one per zone."
  value       = aws_subnet.public[*].id
}

output "private_subnet_ids" {
  description = "Subnets of tasks and the database, one per zone."
  value       = aws_subnet.private[*].id
}

output "s3_prefix_list_id" {
  description = "Addresses of S3 that the gateway leads to."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}

output "security_group_ids" {
  description = "Security group of each part: alb, alb_internal, database, endpoints and every task."
  value       = { for name, group in aws_security_group.this : name => group.id }
}
