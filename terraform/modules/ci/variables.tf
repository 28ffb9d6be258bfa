variable "name" {
  description = "Name of the cluster and prefix of every name, such as demand-dev."
  type        = string
}

variable "environment" {
  description = "GitHub environment whose jobs may deploy; its rules say who approves."
  type        = string
}

variable "github_owner" {
  description = "Organisation or account on GitHub whose repository may deploy."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+$", var.github_owner))
    error_message = "Expected the part before the slash of OWNER/REPOSITORY."
  }
}

variable "github_repository" {
  description = "Name of that repository."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "Expected the part after the slash of OWNER/REPOSITORY."
  }
}

variable "repository_arns" {
  description = "Image repositories that deployments push to."
  type        = list(string)
}

variable "cluster_arn" {
  description = "The cluster."
  type        = string
}

variable "service_arns" {
  description = "Services that deployments update."
  type        = list(string)
}

variable "task_definition_arns" {
  description = "Every revision of the tasks that deployments run: database and migrate."
  type        = list(string)
}

variable "log_group_arns" {
  description = "Logs of these tasks, shown when one fails."
  type        = list(string)
}

variable "passed_role_arns" {
  description = "Roles that new revisions of task definitions carry on."
  type        = list(string)
}
