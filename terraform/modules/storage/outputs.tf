output "bucket_name" {
  description = "Name of the data's bucket."
  value       = aws_s3_bucket.data.id
}

output "bucket_arn" {
  description = "ARN of the data's bucket."
  value       = aws_s3_bucket.data.arn
}

output "logs_bucket_name" {
  description = "Bucket of access logs, once it takes a load balancer's."
  value       = aws_s3_bucket.logs.id
  depends_on  = [aws_s3_bucket_policy.logs]
}

output "kms_key_arn" {
  description = "Key of everything at rest."
  value       = aws_kms_key.this.arn
}
