# What each container may do. The service (api) may do nothing on AWS: its one secret is read for it before it starts.

data "aws_caller_identity" "current" {}

locals {
  task_arns = "arn:aws:ecs:${var.region}:${data.aws_caller_identity.current.account_id}:task/${local.name}/*"
  # By name, whether or not there is a cluster: who asks ECS about a service that does not exist must be allowed to.
  dask_service_arns = [
    for part in ["scheduler", "worker"] :
    "arn:aws:ecs:${var.region}:${data.aws_caller_identity.current.account_id}:service/${local.name}/dask-${part}"
  ]

  # Prefixes of the bucket. Nothing written by a run can be deleted by one, nor by anyone else here.
  data_access = {
    run = {
      read  = ["raw", "processed", "forecasts", "reports", "logs"]
      write = ["processed", "forecasts", "reports", "logs"]
    }
    # Sensors list what landed and tell what is wrong.
    code = {
      read  = ["raw", "processed", "forecasts", "reports", "logs"]
      write = ["logs"]
    }
    # Workers read what was landed as tables and write features.
    dask = {
      read  = ["processed"]
      write = ["processed"]
    }
    webserver = {
      read  = ["logs"]
      write = []
    }
    mlflow = {
      read  = ["models"]
      write = ["models"]
    }
  }
}

data "aws_iam_policy_document" "data" {
  for_each = local.data_access

  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [module.storage.bucket_arn]

    # IfExists: a question for one object names no prefix, and S3 answers 404 for a missing one only to those who may
    # list, else 403. So names of objects can be seen by all of these, contents cannot. Empty: s3fs lists the folder
    # above one that has no files, and above raw/ is the bucket.
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = concat([""], flatten([for prefix in each.value.read : [prefix, "${prefix}/*"]]))
    }
  }

  statement {
    sid       = "Read"
    actions   = ["s3:GetObject"]
    resources = [for prefix in each.value.read : "${module.storage.bucket_arn}/${prefix}/*"]
  }

  dynamic "statement" {
    for_each = length(each.value.write) > 0 ? [each.value.write] : []

    content {
      sid       = "Write"
      actions   = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      resources = [for prefix in statement.value : "${module.storage.bucket_arn}/${prefix}/*"]
    }
  }

  statement {
    sid       = "Key"
    actions   = length(each.value.write) > 0 ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
    resources = [module.storage.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
}

# Alerts and events, and measures of one namespace.
data "aws_iam_policy_document" "tell" {
  # cloudwatch:PutMetricData knows no resource; the condition names the namespace.
  statement {
    sid       = "Alerts"
    actions   = ["sns:Publish"]
    resources = compact([module.monitoring.topic_arn, lookup(var.settings, "DEMAND_EVENT_SNS_TOPIC", "")])
  }

  statement {
    sid       = "AlertsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [module.storage.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["sns.${var.region}.amazonaws.com"]
    }
  }

  statement {
    sid       = "Measures"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [local.metrics_namespace]
    }
  }
}

# A run gives the cluster tasks and takes them away; the idle scheduler takes them away.
data "aws_iam_policy_document" "dask" {
  statement {
    sid       = "Tasks"
    actions   = ["ecs:UpdateService"]
    resources = local.dask_service_arns

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [module.cluster.arn]
    }
  }
}

# The daemon hands runs out.
data "aws_iam_policy_document" "launch" {
  statement {
    sid       = "Start"
    actions   = ["ecs:RunTask"]
    resources = [module.run.task_definition_arn_any_revision]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [module.cluster.arn]
    }
  }

  statement {
    sid       = "Tag"
    actions   = ["ecs:TagResource"]
    resources = [local.task_arns]

    condition {
      test     = "StringEquals"
      variable = "ecs:CreateAction"
      values   = ["RunTask"]
    }
  }

  statement {
    sid       = "RolesOfRuns"
    actions   = ["iam:PassRole"]
    resources = module.run.role_arns

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  # The last lines of a run that died are put into its event log.
  statement {
    sid       = "LogsOfRuns"
    actions   = ["logs:GetLogEvents"]
    resources = ["${module.run.log_group_arn}:*"]
  }
}

# The daemon ends runs that hang, the webserver those that an operator ends. The webserver starts none: it queues them.
data "aws_iam_policy_document" "stop" {
  statement {
    sid       = "StopAndLook"
    actions   = ["ecs:StopTask", "ecs:DescribeTasks"]
    resources = [local.task_arns]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [module.cluster.arn]
    }
  }
}

# Keys of the service are made by the task migrate, and must not end in its log. It may write them and read none.
data "aws_iam_policy_document" "keys" {
  statement {
    sid       = "Keys"
    actions   = ["secretsmanager:PutSecretValue"]
    resources = values(module.database.key_secret_arns)
  }

  statement {
    sid       = "SecretsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [module.storage.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${var.region}.amazonaws.com"]
    }
  }
}

# Whoever builds Dagster's run launcher asks once for the name of the container: the daemon, the webserver, and migrate,
# since `dagster instance migrate` prints the instance. The action knows no resource.
data "aws_iam_policy_document" "launcher" {
  statement {
    sid       = "TaskDefinition"
    actions   = ["ecs:DescribeTaskDefinition"]
    resources = ["*"]
  }
}
