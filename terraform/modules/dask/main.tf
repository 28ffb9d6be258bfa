# Scheduler and workers of a Dask cluster: two services without tasks. A run gives them tasks while it needs them and
# takes them away at its end; the scheduler does so when it has been idle. An apply takes them away too.

locals {
  scheduler = "dask-scheduler"
  worker    = "dask-worker"
  port      = 8786
  # Workers, and the trainings they do together, listen on ports that the kernel gives them.
  among = {
    scheduler = { from = local.port, to = local.port }
    workers   = { from = 32768, to = 65535 }
  }
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:attached by the two services below; the scan does not follow modules
  name        = "${var.prefix}-dask"
  description = "Tasks of dask"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.prefix}-dask" }
}

resource "aws_vpc_security_group_ingress_rule" "among" {
  for_each = local.among

  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = aws_security_group.this.id
  description                  = "From each other: ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.from
  to_port                      = each.value.to
}

resource "aws_vpc_security_group_egress_rule" "among" {
  for_each = local.among

  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = aws_security_group.this.id
  description                  = "To each other: ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.from
  to_port                      = each.value.to
}

resource "aws_vpc_security_group_ingress_rule" "run" {
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.run_security_group_id
  description                  = "From run"
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "run" {
  security_group_id            = var.run_security_group_id
  referenced_security_group_id = aws_security_group.this.id
  description                  = "To dask"
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id            = var.endpoints_security_group_id
  referenced_security_group_id = aws_security_group.this.id
  description                  = "From dask"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.endpoints_security_group_id
  description                  = "To endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.this.id
  prefix_list_id    = var.s3_prefix_list_id
  description       = "To S3 through its gateway"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "nat" {
  count = var.nat ? 1 : 0

  security_group_id = aws_security_group.this.id
  cidr_ipv4         = "0.0.0.0/0"
  description       = "To AWS services through the NAT gateway"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

module "scheduler" {
  source = "../service"

  name           = local.scheduler
  prefix         = var.prefix
  cluster_arn    = var.cluster_arn
  repository_url = var.repository_url
  repository_arn = var.repository_arn
  bootstrap      = var.bootstrap
  asleep         = var.asleep
  image_of       = "run"
  command        = ["python", "-m", "demand_assets.adapters.cluster_services", "scheduler"]
  cpu            = 1024
  memory         = 8192
  environment    = merge(var.environment, { DEMAND_DASK_SERVICES = var.services })
  port           = local.port
  tasks          = 0
  # Work is lost with its scheduler.
  singleton          = true
  subnet_ids         = var.subnet_ids
  security_group_id  = aws_security_group.this.id
  discoverable       = true
  namespace_id       = var.namespace_id
  policies           = { stop = var.stop_policy }
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

module "worker" {
  source = "../service"

  name           = local.worker
  prefix         = var.prefix
  cluster_arn    = var.cluster_arn
  repository_url = var.repository_url
  repository_arn = var.repository_arn
  bootstrap      = var.bootstrap
  asleep         = var.asleep
  image_of       = "run"
  # One piece of work at a time, with all cores and nine tenths of the memory.
  command = [
    "python", "-m", "distributed.cli.dask_worker", "tcp://${local.scheduler}.${var.namespace}:${local.port}",
    "--nthreads", "1", "--memory-limit", "0.9", "--no-dashboard", "--death-timeout", "300",
  ]
  cpu    = var.size.cpu
  memory = var.size.memory
  # Else a worker gives every freed piece of memory back at once, and takes twice as long (demand_assets/compute.py).
  environment = merge(var.environment, {
    MALLOC_MMAP_THRESHOLD_ = "33554432"
    MALLOC_TRIM_THRESHOLD_ = "67108864"
  })
  tasks              = 0
  spot               = var.spot
  subnet_ids         = var.subnet_ids
  security_group_id  = aws_security_group.this.id
  policies           = { data = var.data_policy }
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}
