# Demand forecasting on AWS: one bucket, one PostgreSQL, one ECS cluster, two load balancers. docs/deploy.md has the way
# from an empty account to the first forecast.

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Project     = "demand"
      Environment = var.environment
    }
  }
}

locals {
  name      = "demand-${var.environment}"
  namespace = "demand.internal"
}

module "network" {
  source = "./modules/network"

  name                = local.name
  existing            = var.network
  cidr                = var.vpc_cidr
  zones               = var.zones
  nat_gateways        = var.nat_gateways
  interface_endpoints = var.interface_endpoints
  s3_bucket_names     = [var.bucket_name]
  api_cidrs           = var.api_cidrs
  operator_cidrs      = var.operator_cidrs
  sign_in             = var.sign_in != null
  log_retention_days  = var.log_retention_days
  kms_key_arn         = module.storage.kms_key_arn
}

module "door" {
  source = "./modules/door"
  count  = var.door ? 1 : 0

  name                        = local.name
  vpc_id                      = module.network.vpc_id
  subnet_id                   = module.network.private_subnet_ids[0]
  alb_security_group_id       = module.network.security_group_ids["alb_internal"]
  endpoints_security_group_id = module.network.security_group_ids["endpoints"]
  outbound                    = module.network.outbound
}

module "storage" {
  source = "./modules/storage"

  name            = local.name
  bucket_name     = var.bucket_name
  noncurrent_days = var.noncurrent_days
  log_days        = var.access_log_days
  deletable       = var.deletable
}

module "database" {
  source = "./modules/database"

  name               = local.name
  secret_prefix      = "demand/${var.environment}"
  subnet_ids         = module.network.private_subnet_ids
  security_group_id  = module.network.security_group_ids["database"]
  kms_key_arn        = module.storage.kms_key_arn
  api_key_names      = var.api_key_names
  engine_version     = var.database.engine_version
  instance_class     = var.database.instance_class
  storage_gib        = var.database.storage_gib
  max_storage_gib    = var.database.max_storage_gib
  multi_az           = var.database.multi_az
  backup_days        = var.database.backup_days
  deletable          = var.deletable
  log_retention_days = var.log_retention_days
}

module "registry" {
  source = "./modules/registry"

  name        = local.name
  images      = ["api", "mlflow", "pipeline"]
  kept_images = var.kept_images
  kms_key_arn = module.storage.kms_key_arn
  deletable   = var.deletable
}

module "cluster" {
  source = "./modules/cluster"

  name                           = local.name
  vpc_id                         = module.network.vpc_id
  public_subnet_ids              = module.network.public_subnet_ids
  private_subnet_ids             = module.network.private_subnet_ids
  alb_security_group_id          = module.network.security_group_ids["alb"]
  alb_internal_security_group_id = module.network.security_group_ids["alb_internal"]
  namespace                      = local.namespace
  api_domain                     = var.api_domain
  dagster_domain                 = var.dagster_domain
  certificate_arn                = var.certificate_arn
  internal_certificate_arn       = var.internal_certificate_arn
  zone_id                        = var.zone_id
  sign_in                        = var.sign_in
  waf                            = var.waf
  waf_requests_per_5_minutes     = var.waf_requests_per_5_minutes
  logs_bucket_name               = module.storage.logs_bucket_name
  log_retention_days             = var.log_retention_days
  kms_key_arn                    = module.storage.kms_key_arn
  deletable                      = var.deletable
}

module "monitoring" {
  source = "./modules/monitoring"

  name                      = local.name
  emails                    = var.alert_emails
  kms_key_arn               = module.storage.kms_key_arn
  metrics_namespace         = local.metrics_namespace
  cluster_name              = module.cluster.name
  service_tasks             = { for service in keys(local.services) : service => var.sizes[service].tasks }
  api_alb_suffix            = module.cluster.api_alb_suffix
  api_target_group_suffix   = module.cluster.api_target_group_suffix
  api_p99_seconds           = var.api_p99_seconds
  database_identifier       = module.database.identifier
  database_connections      = var.database.alarm_connections
  database_free_gib         = floor(var.database.storage_gib / 5)
  database_free_memory_mib  = var.database.alarm_free_memory_mib
  database_burstable        = startswith(var.database.instance_class, "db.t")
  waf_blocked_per_5_minutes = var.waf ? var.waf_blocked_per_5_minutes : 0
  failed_starts_queue_name  = module.watch.failed_starts_queue_name
  # A week, its deadline, a day.
  forecast_age_hours = 168 + var.forecast_deadline_hours + 24
  realised_wmae      = var.realised_wmae
  armed              = !var.bootstrap && !var.asleep
  budget_usd         = var.budget_usd
  budget_tag         = var.environment
}

module "ci" {
  source = "./modules/ci"

  name                 = local.name
  environment          = var.environment
  github_owner         = var.github_owner
  github_repository    = var.github_repository
  repository_arns      = values(module.registry.repository_arns)
  cluster_arn          = module.cluster.arn
  service_arns         = concat([for service in module.service : service.service_arn], local.dask_service_arns)
  task_definition_arns = [module.database_task.task_definition_arn_any_revision, module.migrate.task_definition_arn_any_revision]
  log_group_arns       = [module.database_task.log_group_arn, module.migrate.log_group_arn]
  passed_role_arns = concat(
    module.run.role_arns, module.database_task.role_arns, module.migrate.role_arns, module.watch.role_arns,
    flatten([for service in module.service : service.role_arns]), flatten(module.dask[*].role_arns),
  )
}

# It belongs to the account, not to a stage: destroying one stage would lock the other's deployments out.
removed {
  from = module.ci.aws_iam_openid_connect_provider.github

  lifecycle {
    destroy = false
  }
}

# --- bootstrap is for once ---

data "aws_ecr_repositories" "all" {}

# On a stage that is live, bootstrap would take every task away and every image's name.
data "aws_ecr_images" "pushed" {
  count = var.bootstrap && contains(data.aws_ecr_repositories.all.names, "${local.name}/pipeline") ? 1 : 0

  repository_name = "${local.name}/pipeline"

  lifecycle {
    postcondition {
      condition     = length(self.image_ids) == 0
      error_message = "Images were pushed already, so this stage is past its bootstrap: leave bootstrap out. asleep=true pauses a stage."
    }
  }
}
