# Of each environment: dev.tfvars and prod.tfvars.

variable "environment" {
  description = "Name of the environment: part of every name, and the GitHub environment that may deploy to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "Expected 2 to 10 lower-case letters and digits."
  }

  # The state of one stage and the file of another would turn the one into the other.
  validation {
    condition     = var.environment == terraform.workspace
    error_message = "The variable file is not that of this state; first: terraform workspace select, with the name of the stage."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "bootstrap" {
  description = "True for the first apply, before secrets hold URLs and images are pushed: everything is made, nothing runs, and images have a placeholder's name. Refused once images are pushed."
  type        = bool
  default     = false
}

variable "asleep" {
  description = "Whether nothing runs for now: no tasks, no schedule, no alarms. Everything stays."
  type        = bool
  default     = false
}

variable "deletable" {
  description = "Whether `terraform destroy` may take data with it. False in prod: buckets, database and load balancers refuse."
  type        = bool
  default     = false
}

variable "vpc_cidr" {
  description = "Addresses of the VPC."
  type        = string
  default     = "10.20.0.0/16"
}

variable "network" {
  description = "VPC that is there already, such as one with a VPN: its subnets in two zones at least. Its private subnets must reach S3 and AWS's services. Null: a VPC is made."
  type = object({
    vpc_id             = string
    public_subnet_ids  = list(string)
    private_subnet_ids = list(string)
  })
  default = null

  validation {
    condition     = var.network == null || try(length(var.network.public_subnet_ids) >= 2 && length(var.network.private_subnet_ids) >= 2, false)
    error_message = "Expected public and private subnets in two zones at least."
  }
}

variable "zones" {
  description = "Letters of the availability zones, such as a and b."
  type        = list(string)
  default     = ["a", "b"]
}

variable "nat_gateways" {
  description = "NAT gateways: 1 is the cheap way out for dev, 0 with interface_endpoints keeps prod off the internet."
  type        = number
}

variable "interface_endpoints" {
  description = "AWS services reached inside the VPC; needed where there is no NAT gateway."
  type        = set(string)
  default     = []
}

variable "database" {
  description = "PostgreSQL: instance class, storage, standby, days of backups, and connections above which it alarms."
  type = object({
    instance_class    = string
    engine_version    = optional(string, "17")
    storage_gib       = number
    max_storage_gib   = number
    multi_az          = bool
    backup_days       = number
    alarm_connections = number
    # A twentieth of the smallest instance.
    alarm_free_memory_mib = optional(number, 100)
  })

  validation {
    condition     = var.database.max_storage_gib > var.database.storage_gib
    error_message = "Expected max_storage_gib above storage_gib."
  }
}

variable "sizes" {
  description = "CPU units, MiB and tasks of each part; run, migrate and watch are started by others and have no tasks. Tags ecs/cpu and ecs/memory, which every job sets, override those of run."
  type = map(object({
    cpu    = number
    memory = number
    tasks  = optional(number, 1)
    # Of api: as many as are started while the CPU of its tasks is busy.
    tasks_max = optional(number)
  }))

  validation {
    condition     = toset(keys(var.sizes)) == toset(["api", "code", "daemon", "migrate", "mlflow", "run", "watch", "webserver"])
    error_message = "Expected api, code, daemon, migrate, mlflow, run, watch and webserver."
  }

  validation {
    condition     = var.sizes["daemon"].tasks == 1
    error_message = "Two daemons would start every run twice."
  }

  validation {
    condition     = alltrue([for name, size in var.sizes : size.tasks_max == null || (name == "api" && try(size.tasks_max >= size.tasks, false))])
    error_message = "Only api has tasks_max, no smaller than its tasks."
  }
}

variable "dask_workers_max" {
  description = "Workers of Dask that a run has while it trains (docs/scaling.md says how many); 0: none, and no cluster is made."
  type        = number
  default     = 0

  validation {
    condition     = var.dask_workers_max >= 0 && var.dask_workers_max <= 1000 && floor(var.dask_workers_max) == var.dask_workers_max
    error_message = "Expected a whole number of 0 to 1000."
  }
}

variable "dask_worker" {
  description = "CPU units and MiB of each of them, and whether they are Fargate Spot's: a third of the price, and what is lost is done again."
  type = object({
    cpu    = number
    memory = number
    spot   = optional(bool, false)
  })
  default = { cpu = 4096, memory = 30720 }
}

variable "spot" {
  description = "Whether services run on Fargate Spot. Runs never do: a training that is stopped begins anew."
  type        = bool
  default     = false
}

variable "waf" {
  description = "Whether a web application firewall stands before the service."
  type        = bool
  default     = false
}

variable "waf_requests_per_5_minutes" {
  description = "Requests of one address in five minutes, above which the firewall blocks it."
  type        = number
  default     = 20000
}

variable "waf_blocked_per_5_minutes" {
  description = "Blocked requests in five minutes, above which the firewall alarms."
  type        = number
  default     = 1000

  validation {
    condition     = var.waf_blocked_per_5_minutes >= 1
    error_message = "Expected 1 or more."
  }
}

variable "log_retention_days" {
  description = "Days that logs in CloudWatch are kept; one of the numbers it knows."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 and more days."
  }
}

variable "access_log_days" {
  description = "Days that access logs and Dagster's compute logs are kept in S3."
  type        = number
  default     = 365
}

variable "noncurrent_days" {
  description = "Days that replaced or deleted objects can be brought back."
  type        = number
  default     = 90
}

variable "kept_images" {
  description = "Images kept of each repository. A deployment pushes three: an index, the image and its provenance."
  type        = number
  default     = 90
}

variable "realised_wmae" {
  description = "Realised WMAE of the newest scored week in USD, above which it alarms; 0: no alarm but the pipeline's own, which holds it to a band of its history."
  type        = number
  default     = 0

  validation {
    condition     = var.realised_wmae >= 0
    error_message = "Expected 0 or more."
  }
}

variable "budget_usd" {
  description = "Monthly budget; docs/cost.md has the sums."
  type        = number
}

variable "settings" {
  description = "Further settings of the pipeline, such as DEMAND_HORIZON_WEEKS; docs/operations.md lists them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "DEMAND_")])
    error_message = "Expected names that begin with DEMAND_."
  }
}

variable "setting_secrets" {
  description = "Settings of the pipeline whose values are secrets, such as DEMAND_ALERT_URLS and DEMAND_EVENT_SECRET, by the ARN of the secret that holds each."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, arn in var.setting_secrets : startswith(name, "DEMAND_") && startswith(arn, "arn:")])
    error_message = "Expected names that begin with DEMAND_, and ARNs of secrets."
  }
}

variable "forecast_deadline_hours" {
  description = "Hours after a week's end by which it is to be forecast."
  type        = number
  default     = 72

  validation {
    condition     = var.forecast_deadline_hours >= 1 && var.forecast_deadline_hours <= 168
    error_message = "Expected 1 to 168."
  }
}

# Of each installation: in a file of its own or as TF_VAR_name; none of it belongs into this repository.

variable "bucket_name" {
  description = "Name of the data's bucket, unique in the world; a second one gets the suffix -access-logs."
  type        = string
}

variable "api_domain" {
  description = "Public name of the service, such as demand.example.com."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.api_domain))
    error_message = "Expected a host name in lower case."
  }
}

variable "dagster_domain" {
  description = "Name of Dagster's webserver inside the network, such as dagster.example.com."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.dagster_domain))
    error_message = "Expected a host name in lower case."
  }
}

variable "certificate_arn" {
  description = "Certificate (ACM, this region) of api_domain."
  type        = string
}

variable "internal_certificate_arn" {
  description = "Certificate (ACM, this region) of dagster_domain; may be the same one."
  type        = string
}

variable "zone_id" {
  description = "Route 53 zone in which both names are made; empty: make them where your names are."
  type        = string
  default     = ""
}

variable "api_cidrs" {
  description = "Who may reach the service."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for cidr in var.api_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Expected CIDRs such as 203.0.113.0/24."
  }
}

variable "operator_cidrs" {
  description = "Who may reach Dagster's webserver, which knows no users: addresses of the VPN or of a peered network."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.operator_cidrs : can(cidrhost(cidr, 0)) && cidr != "0.0.0.0/0"])
    error_message = "Expected CIDRs such as 10.0.0.0/16, and not everyone."
  }

  validation {
    condition     = length(var.operator_cidrs) > 0 || var.door
    error_message = "Nobody could reach Dagster's webserver: name operator_cidrs, or set door."
  }
}

variable "door" {
  description = "Whether operators reach Dagster's webserver by port forwarding of Systems Manager, through a machine without open ports."
  type        = bool
  default     = false

  validation {
    condition     = !var.door || var.network != null || var.nat_gateways > 0 || length(setsubtract(["ec2messages", "ssm", "ssmmessages"], var.interface_endpoints)) == 0
    error_message = "Without a NAT gateway the door needs the interface endpoints ec2messages, ssm and ssmmessages."
  }
}

variable "alert_emails" {
  description = "Who is told of alerts, alarms and the budget."
  type        = set(string)
}

variable "github_owner" {
  description = "Organisation or account on GitHub whose repository may deploy."
  type        = string
}

variable "github_repository" {
  description = "Name of that repository, without its owner."
  type        = string
}
