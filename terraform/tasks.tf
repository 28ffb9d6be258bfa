# What runs, and with what: five services, and four tasks that others start.

locals {
  metrics_namespace = "Demand"
  mlflow_host       = "mlflow.${local.namespace}"
  code_host         = "code.${local.namespace}"

  # Every part of the pipeline is the same image with the same settings.
  pipeline_environment = merge({ DEMAND_AUTOMATION = "running" }, var.settings, {
    AWS_REGION = var.region
    # boto3 reads this one only.
    AWS_DEFAULT_REGION = var.region
    # Of the clients that Dagster makes itself: RunTask, StopTask, its logs on S3. Eight attempts last half a minute and
    # more; five, the default, are gone in seconds, and a run that could not be launched is a failed one.
    AWS_MAX_ATTEMPTS               = "8"
    AWS_RETRY_MODE                 = "standard"
    DAGSTER_HOME                   = "/opt/dagster"
    DAGSTER_LOGS_BUCKET            = module.storage.bucket_name
    DEMAND_ALERT_SNS_TOPIC         = module.monitoring.topic_arn
    DEMAND_BUCKET                  = "s3://${module.storage.bucket_name}"
    DEMAND_DEPLOYMENT              = "aws"
    DEMAND_FORECAST_DEADLINE_HOURS = tostring(var.forecast_deadline_hours)
    DEMAND_HOME                    = "/tmp/demand"
    DEMAND_METRICS_NAMESPACE       = local.metrics_namespace
    DEMAND_MLFLOW_TRACKING_URI     = "http://${local.mlflow_host}:5000"
    DEMAND_PUBLIC_URL              = "https://${var.api_domain}"
  })

  # Of those that open Dagster's instance to launch, stop or look at runs. Deployments put the newest revision of `run`.
  launcher_environment = {
    DAGSTER_CODE_HOST           = local.code_host
    DAGSTER_CODE_PORT           = "4000"
    DAGSTER_ECS_CLUSTER         = module.cluster.name
    DAGSTER_ECS_SECURITY_GROUP  = module.network.security_group_ids["run"]
    DAGSTER_ECS_SUBNETS         = join(",", module.network.private_subnet_ids)
    DAGSTER_ECS_TASK_DEFINITION = module.run.task_definition_arn
  }

  # Of runs, where there is a cluster.
  dask_services = "${local.name}/dask"
  dask_environment = var.dask_workers_max == 0 ? {} : {
    DEMAND_ENGINE         = "dask"
    DEMAND_DASK_SCHEDULER = module.dask[0].scheduler
    DEMAND_DASK_SERVICES  = local.dask_services
    DEMAND_DASK_WORKERS   = tostring(var.dask_workers_max)
  }

  pipeline_secrets = merge(var.setting_secrets, {
    DAGSTER_POSTGRES_URL = module.database.secret_arns["dagster-url"]
    DEMAND_STORE_URL     = module.database.secret_arns["store-url"]
  })

  # Whose identities the service takes from the load balancer.
  sign_in_environment = var.sign_in == null ? {} : {
    DEMAND_API_ALB_ARN        = module.cluster.api_alb_arn
    DEMAND_API_OIDC_CLIENT_ID = var.sign_in.client_id
    DEMAND_API_OIDC_ISSUER    = var.sign_in.issuer
    DEMAND_API_OIDC_ROLES     = var.sign_in.roles
  }

  services = {
    webserver = {
      image        = "pipeline"
      command      = ["dagster-webserver", "-h", "0.0.0.0", "-p", "3000", "-w", "/opt/dagster/workspace.yaml"]
      health       = ["python", "/opt/dagster/healthcheck.py", "webserver"]
      port         = 3000
      discoverable = false
      environment  = merge(local.pipeline_environment, local.launcher_environment)
      secrets      = local.pipeline_secrets
      policies = {
        data     = data.aws_iam_policy_document.data["webserver"].json
        launcher = data.aws_iam_policy_document.launcher.json
        stop     = data.aws_iam_policy_document.stop.json
      }
      target_groups = [module.cluster.webserver_target_group_arn]
    }
    daemon = {
      image        = "pipeline"
      command      = ["dagster-daemon", "run", "-w", "/opt/dagster/workspace.yaml"]
      health       = ["python", "/opt/dagster/healthcheck.py", "daemon"]
      port         = 0
      discoverable = false
      environment  = merge(local.pipeline_environment, local.launcher_environment)
      secrets      = local.pipeline_secrets
      policies = {
        launch   = data.aws_iam_policy_document.launch.json
        launcher = data.aws_iam_policy_document.launcher.json
        stop     = data.aws_iam_policy_document.stop.json
      }
      target_groups = []
    }
    code = {
      image        = "pipeline"
      command      = ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", "4000", "-m", "demand_assets.definitions"]
      health       = ["python", "/opt/dagster/healthcheck.py", "code"]
      port         = 4000
      discoverable = true
      environment  = merge(local.pipeline_environment, local.launcher_environment)
      secrets      = local.pipeline_secrets
      policies = {
        data = data.aws_iam_policy_document.data["code"].json
        tell = data.aws_iam_policy_document.tell.json
      }
      target_groups = []
    }
    mlflow = {
      image        = "mlflow"
      command      = ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", "--serve-artifacts"]
      health       = ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 5000, timeout=10); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
      port         = 5000
      discoverable = true
      environment = {
        AWS_REGION                          = var.region
        AWS_DEFAULT_REGION                  = var.region
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION = "false"
        MLFLOW_ARTIFACTS_DESTINATION        = "s3://${module.storage.bucket_name}/models"
        MLFLOW_SERVER_ALLOWED_HOSTS         = "${local.mlflow_host},${local.mlflow_host}:5000"
      }
      secrets       = { MLFLOW_BACKEND_STORE_URI = module.database.secret_arns["mlflow-url"] }
      policies      = { data = data.aws_iam_policy_document.data["mlflow"].json }
      target_groups = []
    }
    api = {
      image        = "api"
      command      = ["python", "-m", "api"]
      health       = ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=10); c.request('GET', '/health', headers={'Host': os.environ['DEMAND_API_ALLOWED_HOSTS']}); sys.exit(c.getresponse().status != 200)"]
      port         = 8000
      discoverable = false
      # Each task counts a key's requests by itself; while more than `tasks` run, a key has more than its rate.
      environment = merge({ DEMAND_API_PROCESSES = tostring(var.sizes["api"].tasks) }, var.api_settings, local.sign_in_environment, {
        DEMAND_API_ALLOWED_HOSTS       = var.api_domain
        DEMAND_API_HOST                = "0.0.0.0"
        DEMAND_API_PORT                = "8000"
        DEMAND_FORECAST_DEADLINE_HOURS = tostring(var.forecast_deadline_hours)
        DEMAND_PUBLIC_URL              = "https://${var.api_domain}"
      })
      secrets       = merge(var.api_setting_secrets, { DEMAND_STORE_URL = module.database.secret_arns["store-url-api"] })
      policies      = {}
      target_groups = [module.cluster.api_target_group_arn]
    }
  }
}

module "service" {
  source   = "./modules/service"
  for_each = local.services

  name               = each.key
  prefix             = local.name
  cluster_arn        = module.cluster.arn
  repository_url     = module.registry.repository_urls[each.value.image]
  repository_arn     = module.registry.repository_arns[each.value.image]
  bootstrap          = var.bootstrap
  asleep             = var.asleep
  command            = each.value.command
  cpu                = var.sizes[each.key].cpu
  memory             = var.sizes[each.key].memory
  environment        = each.value.environment
  secrets            = each.value.secrets
  health_command     = each.value.health
  port               = each.value.port
  tasks              = var.sizes[each.key].tasks
  tasks_max          = var.sizes[each.key].tasks_max
  singleton          = each.key == "daemon"
  spot               = var.spot
  subnet_ids         = module.network.private_subnet_ids
  security_group_id  = module.network.security_group_ids[each.key]
  target_group_arns  = each.value.target_groups
  discoverable       = each.value.discoverable
  namespace_id       = module.cluster.namespace_id
  policies           = each.value.policies
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
}

# A run of the pipeline: the daemon starts one with another command, and by its tags another size.
module "run" {
  source = "./modules/service"

  name              = "run"
  prefix            = local.name
  cluster_arn       = module.cluster.arn
  repository_url    = module.registry.repository_urls["pipeline"]
  repository_arn    = module.registry.repository_arns["pipeline"]
  bootstrap         = var.bootstrap
  asleep            = var.asleep
  command           = ["dagster", "--version"]
  cpu               = var.sizes["run"].cpu
  memory            = var.sizes["run"].memory
  environment       = merge(local.pipeline_environment, local.dask_environment)
  secrets           = local.pipeline_secrets
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["run"]
  policies = merge(
    {
      data = data.aws_iam_policy_document.data["run"].json
      tell = data.aws_iam_policy_document.tell.json
    },
    var.dask_workers_max == 0 ? {} : { dask = data.aws_iam_policy_document.dask.json },
  )
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
}

# Where a run's heavy work goes when one machine does not hold it.
module "dask" {
  source = "./modules/dask"
  count  = var.dask_workers_max == 0 ? 0 : 1

  prefix                      = local.name
  services                    = local.dask_services
  cluster_arn                 = module.cluster.arn
  vpc_id                      = module.network.vpc_id
  subnet_ids                  = module.network.private_subnet_ids
  run_security_group_id       = module.network.security_group_ids["run"]
  endpoints_security_group_id = module.network.security_group_ids["endpoints"]
  s3_prefix_list_id           = module.network.s3_prefix_list_id
  nat                         = module.network.outbound
  namespace_id                = module.cluster.namespace_id
  namespace                   = local.namespace
  repository_url              = module.registry.repository_urls["pipeline"]
  repository_arn              = module.registry.repository_arns["pipeline"]
  bootstrap                   = var.bootstrap
  asleep                      = var.asleep
  spot                        = var.dask_worker.spot
  size                        = { cpu = var.dask_worker.cpu, memory = var.dask_worker.memory }
  environment                 = { AWS_REGION = var.region, AWS_DEFAULT_REGION = var.region }
  data_policy                 = data.aws_iam_policy_document.data["dask"].json
  stop_policy                 = data.aws_iam_policy_document.dask.json
  kms_key_arn                 = module.storage.kms_key_arn
  log_retention_days          = var.log_retention_days
}

# Started by deployments, between the daemon's stop and its start.
module "migrate" {
  source = "./modules/service"

  name              = "migrate"
  prefix            = local.name
  cluster_arn       = module.cluster.arn
  repository_url    = module.registry.repository_urls["pipeline"]
  repository_arn    = module.registry.repository_arns["pipeline"]
  bootstrap         = var.bootstrap
  asleep            = var.asleep
  command           = ["sh", "-c", "demand migrate && dagster instance migrate"]
  cpu               = var.sizes["migrate"].cpu
  memory            = var.sizes["migrate"].memory
  environment       = merge(local.pipeline_environment, local.launcher_environment)
  secrets           = local.pipeline_secrets
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["run"]
  policies = merge(
    { launcher = data.aws_iam_policy_document.launcher.json },
    length(var.api_key_names) == 0 ? {} : { keys = data.aws_iam_policy_document.keys.json },
  )
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
}

# Makes databases and roles as the secrets name them: before the first migration, and again after a password is changed.
# Nobody else has the master user's password.
module "database_task" {
  source = "./modules/service"

  name           = "database"
  prefix         = local.name
  cluster_arn    = module.cluster.arn
  repository_url = module.registry.repository_urls["pipeline"]
  repository_arn = module.registry.repository_arns["pipeline"]
  bootstrap      = var.bootstrap
  asleep         = var.asleep
  image_of       = "run"
  command        = ["demand", "bootstrap-database"]
  cpu            = var.sizes["migrate"].cpu
  memory         = var.sizes["migrate"].memory
  environment = {
    PGHOST    = module.database.address
    PGPORT    = "5432"
    PGUSER    = module.database.master_username
    PGSSLMODE = "verify-full"
  }
  secrets = merge(local.pipeline_secrets, {
    DEMAND_API_STORE_URL     = module.database.secret_arns["store-url-api"]
    MLFLOW_BACKEND_STORE_URI = module.database.secret_arns["mlflow-url"]
    PGPASSWORD               = "${module.database.master_secret_arn}:password::"
  })
  subnet_ids         = module.network.private_subnet_ids
  security_group_id  = module.network.security_group_ids["run"]
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
}

# Looks hourly for what does not happen; needs neither daemon nor code server.
module "watch" {
  source = "./modules/service"

  name              = "watch"
  prefix            = local.name
  cluster_arn       = module.cluster.arn
  repository_url    = module.registry.repository_urls["pipeline"]
  repository_arn    = module.registry.repository_arns["pipeline"]
  bootstrap         = var.bootstrap
  asleep            = var.asleep
  command           = ["demand", "watch", "--daemon"]
  cpu               = var.sizes["watch"].cpu
  memory            = var.sizes["watch"].memory
  environment       = merge(local.pipeline_environment, local.launcher_environment)
  secrets           = local.pipeline_secrets
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["run"]
  policies = {
    tell = data.aws_iam_policy_document.tell.json
  }
  schedule           = "rate(1 hour)"
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
}
