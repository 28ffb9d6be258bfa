# People sign in at an OpenID provider, by the load balancer. Without `sign_in` none of this is made.

locals {
  # Machines never see the provider: a request with a key is forwarded as it is.
  key_rules = {
    Authorization = { priority = 6, value = "Bearer *" }
    X-API-Key     = { priority = 7, value = "*" }
  }
  # The page leads to /sign-in. Elsewhere who is not signed in passes without an identity, so that health checks and
  # /sign-out go on, and the service answers 401 where it asks for one.
  sign_in_rules = {
    "/sign-in" = { priority = 8, nobody = "authenticate" }
    "/*"       = { priority = 9, nobody = "allow" }
  }
}

data "aws_secretsmanager_secret_version" "client" {
  count = var.sign_in == null ? 0 : 1

  secret_id = var.sign_in.secret_arn
}

resource "aws_lb_listener_rule" "key" {
  for_each = var.sign_in == null ? {} : local.key_rules

  listener_arn = aws_lb_listener.api.arn
  priority     = each.value.priority

  condition {
    host_header {
      values = [var.api_domain]
    }
  }

  condition {
    http_header {
      http_header_name = each.key
      values           = [each.value.value]
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}

resource "aws_lb_listener_rule" "sign_in" {
  for_each = var.sign_in == null ? {} : local.sign_in_rules

  listener_arn = aws_lb_listener.api.arn
  priority     = each.value.priority

  condition {
    host_header {
      values = [var.api_domain]
    }
  }

  condition {
    path_pattern {
      values = [each.key]
    }
  }

  action {
    type = "authenticate-oidc"

    authenticate_oidc {
      issuer                     = var.sign_in.issuer
      authorization_endpoint     = var.sign_in.authorization_endpoint
      token_endpoint             = var.sign_in.token_endpoint
      user_info_endpoint         = var.sign_in.user_info_endpoint
      client_id                  = var.sign_in.client_id
      client_secret              = data.aws_secretsmanager_secret_version.client[0].secret_string
      scope                      = var.sign_in.scope
      session_timeout            = var.sign_in.session_hours * 3600
      on_unauthenticated_request = each.value.nobody
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}
