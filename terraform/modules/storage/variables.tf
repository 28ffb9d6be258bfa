variable "name" {
  description = "Prefix of every name, such as demand-dev."
  type        = string
}

variable "bucket_name" {
  description = "Name of the data's bucket, unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,51}[a-z0-9]$", var.bucket_name))
    error_message = "Expected 3 to 53 lower-case letters, digits and hyphens."
  }
}

variable "noncurrent_days" {
  description = "Days that replaced or deleted objects can be brought back."
  type        = number

  validation {
    condition     = var.noncurrent_days >= 7
    error_message = "Expected a week at least: an overwritten delivery is noticed on the next Monday."
  }
}

variable "log_days" {
  description = "Days that access logs and Dagster's compute logs are kept."
  type        = number
}

variable "deletable" {
  description = "Whether `terraform destroy` may empty the buckets."
  type        = bool
}
