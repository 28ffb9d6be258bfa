variable "name" {
  description = "Name of the part, such as api: of its container, and of its service in the cluster."
  type        = string
}

variable "prefix" {
  description = "Prefix of names that the account shares, such as demand-dev."
  type        = string
}

variable "cluster_arn" {
  description = "Cluster it runs in."
  type        = string
}

variable "repository_url" {
  description = "Repository of its image."
  type        = string
}

variable "repository_arn" {
  description = "ARN of that repository."
  type        = string
}

variable "bootstrap" {
  description = "Whether nothing was ever deployed: no task runs, and the image's name is a placeholder. Else the image is that of the newest revision, which deployments make."
  type        = bool
}

variable "image_of" {
  description = "Part whose newest image it starts with, for a part that is added after the first deployment; empty: its own."
  type        = string
  default     = ""
}

variable "asleep" {
  description = "Whether no task runs for now."
  type        = bool
}

variable "command" {
  description = "Command of the container."
  type        = list(string)
}

variable "cpu" {
  description = "CPU units, 1024 to a core."
  type        = number

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "Fargate has 256, 512, 1024, 2048, 4096, 8192 and 16384."
  }
}

variable "memory" {
  description = "Memory in MiB."
  type        = number

  validation {
    condition     = var.memory >= 512 && var.memory <= 122880
    error_message = "Fargate has 512 to 122880, by the CPU."
  }
}

variable "tmp_mib" {
  description = "MiB of memory for /tmp; 0: a folder of the task's encrypted disk (20 GiB), with the owner and mode that the image's VOLUME has. The root is read-only, and nothing else can be written."
  type        = number
  default     = 0

  validation {
    condition     = var.tmp_mib >= 0
    error_message = "Expected 0 or more."
  }
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Environment variables that come from Secrets Manager: name to the secret's ARN, with `:FIELD::` behind it for one field of JSON."
  type        = map(string)
  default     = {}
}

variable "health_command" {
  description = "Command that exits 0 while the container does its work; empty: none, for tasks that end."
  type        = list(string)
  default     = []
}

variable "start_seconds" {
  description = "Seconds in which a failing health check does not count yet."
  type        = number
  default     = 120

  validation {
    condition     = var.start_seconds >= 0 && var.start_seconds <= 300
    error_message = "ECS takes 0 to 300."
  }
}

variable "port" {
  description = "Port it listens on; 0: none."
  type        = number
  default     = 0
}

variable "tasks" {
  description = "Tasks of its service; -1: a task definition alone, started by others."
  type        = number
  default     = -1
}

variable "tasks_max" {
  description = "As many tasks as are started while they are busy; null: always `tasks`."
  type        = number
  default     = null
}

variable "singleton" {
  description = "Whether two at once do harm, so that the old one is stopped before a new one starts."
  type        = bool
  default     = false
}

variable "spot" {
  description = "Whether the service runs on Fargate Spot: a third of the price, stopped at two minutes' notice."
  type        = bool
  default     = false
}

variable "subnet_ids" {
  description = "Subnets of the tasks."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the tasks."
  type        = string
}

variable "target_group_arns" {
  description = "Load balancers' target groups the tasks are put into: at most one."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.target_group_arns) <= 1
    error_message = "Expected at most one."
  }
}

variable "discoverable" {
  description = "Whether the tasks are found by the part's name in namespace_id."
  type        = bool
  default     = false
}

variable "namespace_id" {
  description = "Cloud Map namespace, for what is discoverable."
  type        = string
  default     = ""
}

variable "policies" {
  description = "What the container may do: policy documents by a name of your choice; none: nothing."
  type        = map(string)
  default     = {}
}

variable "schedule" {
  description = "When a task is started, such as rate(1 hour); empty: never."
  type        = string
  default     = ""
}

variable "kms_key_arn" {
  description = "Key of secrets, logs and the queue of failed starts."
  type        = string
}

variable "log_retention_days" {
  description = "Days that its log is kept."
  type        = number
}
