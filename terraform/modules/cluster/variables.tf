variable "name" {
  description = "Name of the cluster and prefix of every name, such as demand-dev."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "public_subnet_ids" {
  description = "Subnets of the public load balancer."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Subnets of the internal load balancer."
  type        = list(string)
}

variable "alb_security_group_id" {
  description = "Security group of the public load balancer."
  type        = string
}

variable "alb_internal_security_group_id" {
  description = "Security group of the internal load balancer."
  type        = string
}

variable "namespace" {
  description = "Private DNS name under which tasks find each other."
  type        = string
}

variable "api_domain" {
  description = "Public name of the service."
  type        = string
}

variable "dagster_domain" {
  description = "Name of Dagster's webserver, for operators."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate (ACM) of api_domain."
  type        = string

  validation {
    condition     = startswith(var.certificate_arn, "arn:aws:acm:")
    error_message = "Expected the ARN of a certificate in ACM."
  }
}

variable "internal_certificate_arn" {
  description = "Certificate (ACM) of dagster_domain; may be the same one."
  type        = string

  validation {
    condition     = startswith(var.internal_certificate_arn, "arn:aws:acm:")
    error_message = "Expected the ARN of a certificate in ACM."
  }
}

variable "zone_id" {
  description = "Route 53 zone in which both names are made; empty: they are made elsewhere."
  type        = string
}

variable "sign_in" {
  description = "OpenID provider at which the load balancer signs people in; null: it signs nobody in."
  type = object({
    issuer                 = string
    authorization_endpoint = string
    token_endpoint         = string
    user_info_endpoint     = string
    client_id              = string
    secret_arn             = string
    scope                  = string
    session_hours          = number
  })
}

variable "waf" {
  description = "Whether a web application firewall stands before the service."
  type        = bool
}

variable "waf_requests_per_5_minutes" {
  description = "Requests of one address in five minutes, above which it is blocked."
  type        = number

  validation {
    condition     = var.waf_requests_per_5_minutes >= 10
    error_message = "AWS counts from 10."
  }
}

variable "logs_bucket_name" {
  description = "Bucket of the load balancers' access logs."
  type        = string
}

variable "log_retention_days" {
  description = "Days that the firewall's log is kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that the firewall's log is encrypted with."
  type        = string
}

variable "deletable" {
  description = "Whether the load balancers may be deleted."
  type        = bool
}
