# One part of the system: a task definition with two roles of its own, its log, and where asked for a service of tasks
# that are kept running, a name that others find it by, or a schedule.
#
# Deployments register revisions with another image and touch nothing else. Terraform takes the newest revision's image
# as it is (`track_latest`, and the data source below), so neither undoes the other's work.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.region
  family     = "${var.prefix}-${var.name}"
  is_service = var.tasks >= 0
  runs       = !var.bootstrap && !var.asleep
  image      = var.bootstrap ? "${var.repository_url}:none" : data.aws_ecs_container_definition.deployed[0].image
}

data "aws_ecs_container_definition" "deployed" {
  count = var.bootstrap ? 0 : 1

  task_definition = var.image_of == "" ? local.family : "${var.prefix}-${var.image_of}"
  container_name  = var.image_of == "" ? var.name : var.image_of
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/demand/${var.prefix}/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# --- the execution role: what ECS does before the container starts ---

data "aws_iam_policy_document" "task_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    # ECS of another account cannot be talked into using it.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:aws:ecs:${local.region}:${local.account}:*"]
    }
  }
}

data "aws_iam_policy_document" "execution" {
  # ecr:GetAuthorizationToken knows no resource.
  statement {
    sid       = "RegistryLogin"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [var.repository_arn]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }

  dynamic "statement" {
    for_each = length(var.secrets) > 0 ? ["secrets"] : []

    content {
      sid     = "Secrets"
      actions = ["secretsmanager:GetSecretValue"]
      # A reference may go on with the key of a field, which the secret's name has not.
      resources = distinct([for secret in values(var.secrets) : join(":", slice(split(":", secret), 0, 7))])
    }
  }

  dynamic "statement" {
    for_each = length(var.secrets) > 0 ? ["secrets"] : []

    content {
      sid       = "SecretsKey"
      actions   = ["kms:Decrypt"]
      resources = [var.kms_key_arn]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["secretsmanager.${local.region}.amazonaws.com"]
      }
    }
  }
}

resource "aws_iam_role" "execution" {
  name               = "${local.family}-execution"
  description        = "Starts ${local.family}: pulls its image, writes its log, reads its secrets"
  assume_role_policy = data.aws_iam_policy_document.task_trust.json
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

# --- the task role: what the container does ---

resource "aws_iam_role" "task" {
  name               = "${local.family}-task"
  description        = "What ${local.family} does while it runs"
  assume_role_policy = data.aws_iam_policy_document.task_trust.json
}

resource "aws_iam_role_policy" "task" {
  for_each = var.policies

  name   = each.key
  role   = aws_iam_role.task.id
  policy = each.value
}

# --- the task ---

resource "aws_ecs_task_definition" "this" {
  family                   = local.family
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  track_latest             = true
  # The revision before stays active for whoever goes back to it.
  skip_destroy = true

  runtime_platform {
    operating_system_family = "LINUX"
    # What .github/workflows/deploy.yml builds.
    cpu_architecture = "X86_64"
  }

  dynamic "volume" {
    for_each = var.tmp_mib > 0 ? [] : ["tmp"]

    content {
      name = "tmp"
    }
  }

  container_definitions = jsonencode([merge(
    {
      name                   = var.name
      image                  = local.image
      essential              = true
      command                = var.command
      user                   = "10001:10001"
      readonlyRootFilesystem = true
      # The longest that Fargate waits between SIGTERM and SIGKILL.
      stopTimeout    = 120
      environment    = [for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }]
      secrets        = [for name in sort(keys(var.secrets)) : { name = name, valueFrom = var.secrets[name] }]
      portMappings   = var.port > 0 ? [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }] : []
      mountPoints    = var.tmp_mib > 0 ? [] : [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
      volumesFrom    = []
      systemControls = []
      linuxParameters = merge(
        {
          initProcessEnabled = true
          capabilities       = { add = [], drop = ["ALL"] }
        },
        var.tmp_mib > 0 ? {
          tmpfs = [{ containerPath = "/tmp", size = var.tmp_mib, mountOptions = ["rw", "nosuid", "nodev"] }]
        } : {},
      )
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.this.name
          awslogs-region        = local.region
          awslogs-stream-prefix = var.name
          # A log that does not keep up must not stop the work.
          mode            = "non-blocking"
          max-buffer-size = "25m"
        }
      }
    },
    length(var.health_command) == 0 ? {} : {
      healthCheck = {
        command = concat(["CMD"], var.health_command)
        # Dagster's own checks start a Python each time; more often would take a tenth of a small task.
        interval    = 60
        timeout     = 30
        retries     = 3
        startPeriod = var.start_seconds
      }
    },
  )])

  # A task that cannot pull, log or read its secrets fails in words that name none of it.
  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task]
}

# --- the service ---

resource "aws_service_discovery_service" "this" {
  count = local.is_service && var.discoverable ? 1 : 0

  name = var.name

  dns_config {
    namespace_id   = var.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }

  # ECS says who is healthy.
  health_check_custom_config {
    failure_threshold = 1
  }
}

resource "aws_ecs_service" "this" {
  count = local.is_service ? 1 : 0

  name                   = var.name
  cluster                = var.cluster_arn
  task_definition        = aws_ecs_task_definition.this.arn
  desired_count          = local.runs ? var.tasks : 0
  platform_version       = "LATEST"
  scheduling_strategy    = "REPLICA"
  propagate_tags         = "SERVICE"
  enable_execute_command = false

  enable_ecs_managed_tags            = true
  deployment_maximum_percent         = var.singleton ? 100 : 200
  deployment_minimum_healthy_percent = var.singleton ? 0 : 100
  # Rebalancing starts the new task before it stops the old one.
  availability_zone_rebalancing     = var.singleton ? "DISABLED" : "ENABLED"
  health_check_grace_period_seconds = length(var.target_group_arns) > 0 ? var.start_seconds : null

  capacity_provider_strategy {
    capacity_provider = var.spot ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = var.target_group_arns

    content {
      target_group_arn = load_balancer.value
      container_name   = var.name
      container_port   = var.port
    }
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this

    content {
      registry_arn = service_registries.value.arn
    }
  }
}
