data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  region = data.aws_region.current.region

  load_balancer = { LoadBalancer = var.api_alb_suffix }
  target_group  = { LoadBalancer = var.api_alb_suffix, TargetGroup = var.api_target_group_suffix }
  database      = { DBInstanceIdentifier = var.database_identifier }

  # `missing` says what no data means: breaching where silence is itself the fault.
  alarms = merge(
    {
      critical-alert = {
        why       = "The pipeline fired a critical alert; its message says what and where"
        namespace = var.metrics_namespace, metric = "Alerts", dimensions = { Severity = "critical" }
        statistic = "Sum", above = true, threshold = 0, period = 300, periods = 1, missing = "notBreaching"
      }
      # Nothing inside the system needs to be alive for it.
      forecast-age = {
        why       = "The newest forecast is too old, or nothing tells its age any more: sensors or the store are down"
        namespace = var.metrics_namespace, metric = "ForecastAgeHours", dimensions = {}
        statistic = "Maximum", above = true, threshold = var.forecast_age_hours, period = 3600, periods = 3, missing = "breaching"
      }
      # Silence is forecast-age's.
      forecast-rows = {
        why       = "The newest forecast is empty"
        namespace = var.metrics_namespace, metric = "ForecastRows", dimensions = {}
        statistic = "Minimum", above = false, threshold = 1, period = 3600, periods = 1, missing = "notBreaching"
      }
      severe-drift = {
        why       = "Groups with more than 5% of sales lie far from what the model was trained on"
        namespace = var.metrics_namespace, metric = "SevereDriftSalesShare", dimensions = {}
        statistic = "Maximum", above = true, threshold = 0.05, period = 3600, periods = 1, missing = "notBreaching"
      }
      watch-start = {
        why       = "The hourly watch could not be started"
        namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = var.failed_starts_queue_name }
        statistic = "Maximum", above = true, threshold = 0, period = 300, periods = 1, missing = "notBreaching"
      }
      api-5xx = {
        why       = "The service answers with errors of its own"
        namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", dimensions = local.load_balancer
        statistic = "Sum", above = true, threshold = 5, period = 300, periods = 2, missing = "notBreaching"
      }
      api-unreachable = {
        why       = "The load balancer found no task to answer"
        namespace = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", dimensions = local.load_balancer
        statistic = "Sum", above = true, threshold = 5, period = 300, periods = 2, missing = "notBreaching"
      }
      api-unhealthy = {
        why       = "A task of the service does not answer its health check"
        namespace = "AWS/ApplicationELB", metric = "UnHealthyHostCount", dimensions = local.target_group
        statistic = "Maximum", above = true, threshold = 0, period = 60, periods = 5, missing = "notBreaching"
      }
      api-p99 = {
        why       = "One answer in a hundred is slow"
        namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", dimensions = local.load_balancer
        statistic = "p99", above = true, threshold = var.api_p99_seconds, period = 300, periods = 3, missing = "notBreaching"
      }
      database-cpu = {
        why       = "The database is busy"
        namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = local.database
        statistic = "Average", above = true, threshold = 80, period = 300, periods = 3, missing = "breaching"
      }
      # Below it PostgreSQL swaps, and then it is slow for everyone.
      database-memory = {
        why       = "The database's memory runs out"
        namespace = "AWS/RDS", metric = "FreeableMemory", dimensions = local.database
        statistic = "Minimum", above = false, threshold = var.database_free_memory_mib * 1024 * 1024, period = 300, periods = 3, missing = "breaching"
      }
      database-storage = {
        why       = "The database's disk fills up"
        namespace = "AWS/RDS", metric = "FreeStorageSpace", dimensions = local.database
        statistic = "Minimum", above = false, threshold = var.database_free_gib * 1024 * 1024 * 1024, period = 300, periods = 1, missing = "breaching"
      }
      database-connections = {
        why       = "The database is about to refuse connections"
        namespace = "AWS/RDS", metric = "DatabaseConnections", dimensions = local.database
        statistic = "Maximum", above = true, threshold = var.database_connections, period = 300, periods = 2, missing = "breaching"
      }
    },
    # An instance that earns CPU credits is throttled to a fraction of a core when they are gone.
    !var.database_burstable ? {} : {
      database-credits = {
        why       = "The database has nearly used up its CPU credits"
        namespace = "AWS/RDS", metric = "CPUCreditBalance", dimensions = local.database
        statistic = "Minimum", above = false, threshold = 50, period = 300, periods = 3, missing = "breaching"
      }
    },
    var.waf_blocked_per_5_minutes == 0 ? {} : {
      waf-blocked = {
        why        = "The firewall blocks much: an attack, or a caller that it takes for one"
        namespace  = "AWS/WAFV2", metric = "BlockedRequests"
        dimensions = { WebACL = "${var.name}-api", Region = local.region, Rule = "ALL" }
        statistic  = "Sum", above = true, threshold = var.waf_blocked_per_5_minutes, period = 300, periods = 2, missing = "notBreaching"
      }
    },
    # The pipeline's own alert holds it to a band of its history; this is a limit that somebody has set.
    var.realised_wmae == 0 ? {} : {
      realised-wmae = {
        why       = "Published forecasts of the newest week missed by more than was agreed"
        namespace = var.metrics_namespace, metric = "RealisedWmae", dimensions = {}
        statistic = "Maximum", above = true, threshold = var.realised_wmae, period = 3600, periods = 1, missing = "notBreaching"
      }
    },
    {
      for service, tasks in var.service_tasks : "${service}-tasks" => {
        why        = "Fewer tasks of ${service} run than should"
        namespace  = "ECS/ContainerInsights", metric = "RunningTaskCount"
        dimensions = { ClusterName = var.cluster_name, ServiceName = service }
        # Longer than a deployment leaves the daemon away.
        statistic = "Minimum", above = false, threshold = tasks, period = 300, periods = 3, missing = "breaching"
      }
    },
  )
}

# --- who is told ---

resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

data "aws_iam_policy_document" "alerts" {
  statement {
    sid       = "Alarms"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:aws:cloudwatch:${local.region}:${data.aws_caller_identity.current.account_id}:alarm:${var.name}-*"]
    }
  }

  statement {
    sid       = "Events"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.deployment.arn]
    }
  }

  # Tasks of this account publish by their own roles.
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = data.aws_iam_policy_document.alerts.json
}

# --- alarms ---

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.why
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = each.value.above ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  # The 99th percentile of ten answers is the slowest of them: no reason to wake anybody.
  evaluate_low_sample_count_percentiles = startswith(each.value.statistic, "p") ? "ignore" : null
  actions_enabled                       = var.armed
  alarm_actions                         = [aws_sns_topic.alerts.arn]
  ok_actions                            = [aws_sns_topic.alerts.arn]
}

# A deployment that ECS gives up, whoever began it: the circuit breaker goes back by itself and tells nobody.
resource "aws_cloudwatch_event_rule" "deployment" {
  name        = "${var.name}-deployment-failed"
  description = "ECS gave up a deployment of ${var.name}"
  state       = var.armed ? "ENABLED" : "DISABLED"
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Deployment State Change"]
    detail      = { eventName = ["SERVICE_DEPLOYMENT_FAILED"] }
    resources   = [{ prefix = "arn:aws:ecs:${local.region}:${data.aws_caller_identity.current.account_id}:service/${var.cluster_name}/" }]
  })
}

resource "aws_cloudwatch_event_target" "deployment" {
  rule = aws_cloudwatch_event_rule.deployment.name
  arn  = aws_sns_topic.alerts.arn
}

# --- dashboard ---

locals {
  widgets = [
    { title = "Age of the newest forecast, hours", metrics = [[var.metrics_namespace, "ForecastAgeHours"]], stat = "Maximum" },
    { title = "Realised WMAE, USD", metrics = [[var.metrics_namespace, "RealisedWmae"]], stat = "Maximum" },
    { title = "Share of sales that drifted severely", metrics = [[var.metrics_namespace, "SevereDriftSalesShare"]], stat = "Maximum" },
    { title = "Rows of the newest forecast", metrics = [[var.metrics_namespace, "ForecastRows"]], stat = "Maximum" },
    { title = "Alerts", metrics = [for severity in ["critical", "warning"] : [var.metrics_namespace, "Alerts", "Severity", severity]], stat = "Sum" },
    {
      title   = "Running tasks"
      metrics = [for service in keys(var.service_tasks) : ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.cluster_name, "ServiceName", service]]
      stat    = "Minimum"
    },
    {
      title   = "Memory of services, MiB"
      metrics = [for service in keys(var.service_tasks) : ["ECS/ContainerInsights", "MemoryUtilized", "ClusterName", var.cluster_name, "ServiceName", service]]
      stat    = "Maximum"
    },
    { title = "Requests", metrics = [["AWS/ApplicationELB", "RequestCount", "LoadBalancer", var.api_alb_suffix]], stat = "Sum" },
    { title = "Answer time p99, s", metrics = [["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.api_alb_suffix]], stat = "p99" },
    {
      title   = "Errors"
      metrics = [for metric in ["HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_4XX_Count"] : ["AWS/ApplicationELB", metric, "LoadBalancer", var.api_alb_suffix]]
      stat    = "Sum"
    },
    { title = "Database CPU, %", metrics = [["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", var.database_identifier]], stat = "Average" },
    { title = "Database free storage, bytes", metrics = [["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", var.database_identifier]], stat = "Minimum" },
    { title = "Database connections", metrics = [["AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", var.database_identifier]], stat = "Maximum" },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for at, widget in local.widgets : {
        type   = "metric"
        x      = (at % 3) * 8
        y      = floor(at / 3) * 6
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          metrics = widget.metrics
          stat    = widget.stat
          region  = local.region
          period  = 300
          view    = "timeSeries"
        }
      }
    ]
  })
}

# --- money ---

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.budget_usd)
  limit_unit   = "USD"

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Environment$%s", var.budget_tag)]
  }

  dynamic "notification" {
    for_each = length(var.emails) > 0 ? { ACTUAL = 80, FORECASTED = 100 } : {}

    content {
      notification_type          = notification.key
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.emails
    }
  }
}
