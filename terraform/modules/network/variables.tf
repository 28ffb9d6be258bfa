variable "name" {
  description = "Prefix of every name, such as demand-dev."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC, /16 to /22; a sixteenth of it goes to each subnet."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && tonumber(split("/", var.cidr)[1]) <= 22
    error_message = "Expected a CIDR of /22 or larger, such as 10.20.0.0/16."
  }
}

variable "zones" {
  description = "Letters of the availability zones to spread over; a load balancer and RDS ask for two at least."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 4 && alltrue([for zone in var.zones : can(regex("^[a-z]$", zone))])
    error_message = "Expected 2 to 4 letters, such as a and b."
  }
}

variable "existing" {
  description = "VPC that is there already, with its subnets; null: one is made."
  type = object({
    vpc_id             = string
    public_subnet_ids  = list(string)
    private_subnet_ids = list(string)
  })
}

variable "nat_gateways" {
  description = "NAT gateways: 0 keeps the tasks from the internet, which then need interface_endpoints."
  type        = number

  validation {
    condition     = var.nat_gateways >= 0 && var.nat_gateways <= 4
    error_message = "Expected 0 to 4."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached inside the VPC, by the last part of their endpoint's name. S3's gateway is always made: it is free."
  type        = set(string)
}

variable "s3_bucket_names" {
  description = "Buckets the tasks may reach through S3's gateway, besides the one that ECR keeps layers in."
  type        = list(string)
}

variable "api_cidrs" {
  description = "Who may reach the service's load balancer."
  type        = list(string)
}

variable "operator_cidrs" {
  description = "Who may reach Dagster's internal load balancer: the VPN's or a peered network's addresses."
  type        = list(string)
}

variable "sign_in" {
  description = "Whether the service's load balancer signs people in, for which it asks their provider."
  type        = bool
}

variable "log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that flow logs are encrypted with."
  type        = string
}
