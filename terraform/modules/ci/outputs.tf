output "role_arn" {
  description = "Role that the deploy workflow assumes."
  value       = aws_iam_role.deploy.arn
}
