output "instance_id" {
  description = "Target of `aws ssm start-session`."
  value       = aws_instance.this.id
}
