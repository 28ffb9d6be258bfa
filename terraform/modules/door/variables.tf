variable "name" {
  description = "Prefix of every name, such as demand-dev."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_id" {
  description = "Private subnet it stands in."
  type        = string
}

variable "alb_security_group_id" {
  description = "Security group of the load balancer that it leads to."
  type        = string
}

variable "endpoints_security_group_id" {
  description = "Security group of the interface endpoints, over which Systems Manager is reached where there is no other way."
  type        = string
}

variable "outbound" {
  description = "Whether Systems Manager is reached through a NAT gateway."
  type        = bool
}
