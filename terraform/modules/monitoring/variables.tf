variable "name" {
  description = "Prefix of every name, such as demand-dev."
  type        = string
}

variable "emails" {
  description = "Who is told of alerts and of the budget; each confirms by a link in a first message."
  type        = set(string)
}

variable "kms_key_arn" {
  description = "Key of the topic."
  type        = string
}

variable "metrics_namespace" {
  description = "CloudWatch namespace that the pipeline's measures and alerts are in."
  type        = string
}

variable "cluster_name" {
  description = "The cluster."
  type        = string
}

variable "service_tasks" {
  description = "Tasks that each service should run."
  type        = map(number)
}

variable "api_alb_suffix" {
  description = "The public load balancer's name in CloudWatch."
  type        = string
}

variable "api_target_group_suffix" {
  description = "The service's target group's name in CloudWatch."
  type        = string
}

variable "api_p99_seconds" {
  description = "99th percentile of the service's answers, above which it alarms."
  type        = number
}

variable "database_identifier" {
  description = "The RDS instance."
  type        = string
}

variable "database_connections" {
  description = "Connections above which it alarms: four fifths of what the instance takes."
  type        = number
}

variable "database_free_memory_mib" {
  description = "Memory of the database in MiB, below which it alarms."
  type        = number
}

variable "database_burstable" {
  description = "Whether the database's instance earns CPU credits (db.t...)."
  type        = bool
}

variable "waf_blocked_per_5_minutes" {
  description = "Blocked requests in five minutes, above which the firewall alarms; 0: there is none."
  type        = number
}

variable "database_free_gib" {
  description = "Free storage in GiB below which it alarms."
  type        = number
}

variable "failed_starts_queue_name" {
  description = "Queue of scheduled tasks that did not start."
  type        = string
}

variable "forecast_age_hours" {
  description = "Age of the newest forecast, counted from its week's end, above which it alarms: a week, its deadline and a day."
  type        = number
}

variable "realised_wmae" {
  description = "Realised WMAE of the newest scored week, above which it alarms; 0: no alarm."
  type        = number
}

variable "armed" {
  description = "Whether alarms act: not before the first deployment, nor while nothing runs."
  type        = bool
}

variable "budget_usd" {
  description = "Monthly budget; told at 80% spent and when the month's forecast is above it."
  type        = number

  validation {
    condition     = var.budget_usd > 0
    error_message = "Expected more than 0."
  }
}

variable "budget_tag" {
  description = "Value of the tag Environment whose costs count; the tag must be activated for cost allocation once per account."
  type        = string
}
