variable "prefix" {
  description = "Prefix of names that the account shares, such as demand-dev."
  type        = string
}

variable "services" {
  description = "ECS cluster/prefix of both services, for whoever gives them tasks."
  type        = string
}

variable "cluster_arn" {
  description = "Cluster they run in."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the tasks."
  type        = list(string)
}

variable "run_security_group_id" {
  description = "Security group of runs, which speak to the scheduler."
  type        = string
}

variable "endpoints_security_group_id" {
  description = "Security group of the interface endpoints."
  type        = string
}

variable "s3_prefix_list_id" {
  description = "Addresses of S3."
  type        = string
}

variable "nat" {
  description = "Whether AWS services are reached through a NAT gateway."
  type        = bool
}

variable "namespace_id" {
  description = "Cloud Map namespace of the scheduler."
  type        = string
}

variable "namespace" {
  description = "Its name."
  type        = string
}

variable "repository_url" {
  description = "Repository of the pipeline's image."
  type        = string
}

variable "repository_arn" {
  description = "ARN of that repository."
  type        = string
}

variable "bootstrap" {
  description = "Whether nothing was ever deployed."
  type        = bool
}

variable "asleep" {
  description = "Whether no task runs for now."
  type        = bool
}

variable "spot" {
  description = "Whether workers run on Fargate Spot: work that is lost with one is done again."
  type        = bool
}

variable "size" {
  description = "CPU units and MiB of a worker."
  type        = object({ cpu = number, memory = number })
}

variable "environment" {
  description = "Environment variables of both."
  type        = map(string)
}

variable "data_policy" {
  description = "What workers may do with the data: a policy document."
  type        = string
}

variable "stop_policy" {
  description = "That the scheduler may take the tasks away: a policy document."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the logs."
  type        = string
}

variable "log_retention_days" {
  description = "Days that the logs are kept."
  type        = number
}
