# Starts a task by the clock.

data "aws_iam_policy_document" "scheduler_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "scheduler" {
  count = var.schedule == "" ? 0 : 1

  statement {
    sid       = "Start"
    actions   = ["ecs:RunTask"]
    resources = ["${aws_ecs_task_definition.this.arn_without_revision}:*", aws_ecs_task_definition.this.arn_without_revision]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [var.cluster_arn]
    }
  }

  statement {
    sid       = "Tag"
    actions   = ["ecs:TagResource"]
    resources = ["arn:aws:ecs:${local.region}:${local.account}:task/*"]

    condition {
      test     = "StringEquals"
      variable = "ecs:CreateAction"
      values   = ["RunTask"]
    }
  }

  statement {
    sid       = "OwnRoles"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.execution.arn, aws_iam_role.task.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  statement {
    sid       = "FailedStarts"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.failed_starts[0].arn]
  }

  statement {
    sid       = "QueueAndScheduleKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["sqs.${local.region}.amazonaws.com", "scheduler.${local.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "scheduler" {
  count = var.schedule == "" ? 0 : 1

  name               = "${local.family}-scheduler"
  description        = "Starts ${local.family} by the clock"
  assume_role_policy = data.aws_iam_policy_document.scheduler_trust.json
}

resource "aws_iam_role_policy" "scheduler" {
  count = var.schedule == "" ? 0 : 1

  name   = "start"
  role   = aws_iam_role.scheduler[0].id
  policy = data.aws_iam_policy_document.scheduler[0].json
}

# A start that failed leaves a message, and the message an alarm.
resource "aws_sqs_queue" "failed_starts" {
  count = var.schedule == "" ? 0 : 1

  name                      = "${local.family}-failed-starts"
  kms_master_key_id         = var.kms_key_arn
  message_retention_seconds = 1209600
}

resource "aws_scheduler_schedule" "this" {
  count = var.schedule == "" ? 0 : 1

  name                = local.family
  description         = "Starts ${local.family}"
  schedule_expression = var.schedule
  state               = local.runs ? "ENABLED" : "DISABLED"
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.cluster_arn
    role_arn = aws_iam_role.scheduler[0].arn

    ecs_parameters {
      # Without a revision: the newest, so that deployments need not know of schedules.
      task_definition_arn     = aws_ecs_task_definition.this.arn_without_revision
      launch_type             = "FARGATE"
      task_count              = 1
      propagate_tags          = "TASK_DEFINITION"
      enable_ecs_managed_tags = true

      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = [var.security_group_id]
        assign_public_ip = false
      }
    }

    retry_policy {
      maximum_retry_attempts       = 3
      maximum_event_age_in_seconds = 1800
    }

    dead_letter_config {
      arn = aws_sqs_queue.failed_starts[0].arn
    }
  }

  depends_on = [aws_iam_role_policy.scheduler]
}
