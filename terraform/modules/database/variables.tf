variable "name" {
  description = "Prefix of every name, such as demand-dev."
  type        = string
}

variable "secret_prefix" {
  description = "Prefix of the secrets' names, such as demand/dev."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in two zones at least."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the instance."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of storage, snapshots, insights, logs and secrets."
  type        = string
}

variable "engine_version" {
  description = "Major version of PostgreSQL; minor ones are taken in the maintenance window."
  type        = string
}

variable "instance_class" {
  description = "Size of the instance."
  type        = string

  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "Expected a class such as db.t4g.small."
  }
}

variable "storage_gib" {
  description = "Storage at first, GiB."
  type        = number

  validation {
    condition     = var.storage_gib >= 20
    error_message = "Expected 20 GiB at least."
  }
}

variable "max_storage_gib" {
  description = "Storage it may grow to by itself, GiB."
  type        = number
}

variable "multi_az" {
  description = "Whether a standby in another zone takes over within a minute or two."
  type        = bool
}

variable "backup_days" {
  description = "Days to any second of which the database can be restored."
  type        = number

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "Expected 1 to 35 days."
  }
}

variable "deletable" {
  description = "Whether it may be deleted, without a last snapshot."
  type        = bool
}

variable "log_retention_days" {
  description = "Days that the server's log is kept."
  type        = number
}

variable "api_key_names" {
  description = "Callers of the service whose keys have a secret each."
  type        = set(string)
}
