# Of the service, in the file of each environment or installation.

variable "api_settings" {
  description = "Further settings of the service, such as DEMAND_API_CORS_ORIGINS; docs/api.md lists them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.api_settings) : startswith(name, "DEMAND_API_")])
    error_message = "Expected names that begin with DEMAND_API_."
  }
}

variable "api_setting_secrets" {
  description = "Settings of the service whose values are secrets, such as DEMAND_API_SESSION_SECRET, by the ARN of the secret that holds each."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, arn in var.api_setting_secrets : startswith(name, "DEMAND_API_") && startswith(arn, "arn:")])
    error_message = "Expected names that begin with DEMAND_API_, and ARNs of secrets."
  }
}

variable "sign_in" {
  description = "OpenID provider at which the load balancer signs people in: its endpoints, the client's id, the ARN of the secret that is the client's secret, and which group has which role (docs/api.md). Null: nobody signs in there."
  type = object({
    issuer                 = string
    authorization_endpoint = string
    token_endpoint         = string
    user_info_endpoint     = string
    client_id              = string
    secret_arn             = string
    roles                  = string
    scope                  = optional(string, "openid email profile")
    session_hours          = optional(number, 8)
  })
  default = null

  validation {
    condition = var.sign_in == null || try(alltrue([
      for address in [var.sign_in.issuer, var.sign_in.authorization_endpoint, var.sign_in.token_endpoint, var.sign_in.user_info_endpoint] :
      startswith(address, "https://")
    ]) && startswith(var.sign_in.secret_arn, "arn:aws:secretsmanager:") && var.sign_in.session_hours >= 1 && var.sign_in.session_hours <= 168, false)
    error_message = "Expected addresses that begin with https://, the ARN of a secret, and 1 to 168 hours."
  }

  # AWS has the load balancer's public keys on the internet only.
  validation {
    condition     = var.sign_in == null || var.network != null || var.nat_gateways > 0 || contains(keys(var.api_settings), "DEMAND_API_ALB_KEY_URL")
    error_message = "Without a NAT gateway the service does not reach the load balancer's public keys: set nat_gateways, or DEMAND_API_ALB_KEY_URL in api_settings."
  }
}

variable "api_key_names" {
  description = "Callers of the service whose keys are put into Secrets Manager, as demand/STAGE/key-NAME."
  type        = set(string)
  default     = ["smoke"]

  validation {
    condition     = alltrue([for name in var.api_key_names : can(regex("^[a-z][a-z0-9-]*$", name))])
    error_message = "Expected names of lower-case letters, digits and hyphens."
  }
}

variable "api_p99_seconds" {
  description = "99th percentile of the service's answers, above which it alarms."
  type        = number
  default     = 1
}
