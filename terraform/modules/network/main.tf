# Tasks and the database have no public address. Who may speak to whom is the table `flows` below, and nothing else.

data "aws_region" "current" {}

locals {
  region = data.aws_region.current.region
  # By name: a zone that AWS adds must not move the subnets.
  zones = [for letter in var.zones : "${local.region}${letter}"]
  tasks = ["webserver", "daemon", "code", "mlflow", "api", "run"]

  groups = merge({
    alb          = "Load balancer of the service, public"
    alb_internal = "Load balancer of Dagster's webserver, internal"
    database     = "PostgreSQL"
    endpoints    = "Interface endpoints of AWS services"
  }, { for task in local.tasks : task => "Tasks of ${task}" })

  # Each one is an outgoing rule of the first and an incoming rule of the second.
  flows = merge(
    {
      "alb-api"                = { from = "alb", to = "api", port = 8000 }
      "alb_internal-webserver" = { from = "alb_internal", to = "webserver", port = 3000 }
      "webserver-code"         = { from = "webserver", to = "code", port = 4000 }
      "daemon-code"            = { from = "daemon", to = "code", port = 4000 }
      "code-mlflow"            = { from = "code", to = "mlflow", port = 5000 }
      "run-mlflow"             = { from = "run", to = "mlflow", port = 5000 }
    },
    { for task in local.tasks : "${task}-database" => { from = task, to = "database", port = 5432 } },
    { for task in local.tasks : "${task}-endpoints" => { from = task, to = "endpoints", port = 443 } },
  )
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }

  lifecycle {
    precondition {
      condition     = var.nat_gateways <= length(var.zones)
      error_message = "Expected one NAT gateway per zone at most."
    }

    precondition {
      condition     = var.nat_gateways > 0 || length(setsubtract(["ecr.api", "ecr.dkr", "ecs", "logs", "monitoring", "secretsmanager", "sns"], var.interface_endpoints)) == 0
      error_message = "Without a NAT gateway the tasks need the interface endpoints ecr.api, ecr.dkr, ecs, logs, monitoring, secretsmanager and sns."
    }
  }
}

# The VPC's own group would let its members speak to each other; nothing uses it, and it is left without rules.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_subnet" "public" {
  count = length(var.zones)

  vpc_id                  = aws_vpc.this.id
  availability_zone       = local.zones[count.index]
  cidr_block              = cidrsubnet(var.cidr, 4, count.index)
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-public-${local.zones[count.index]}" }
}

resource "aws_subnet" "private" {
  count = length(var.zones)

  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.cidr, 4, count.index + 8)

  tags = { Name = "${var.name}-private-${local.zones[count.index]}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  count = length(var.zones)

  route_table_id = aws_route_table.public.id
  subnet_id      = aws_subnet.public[count.index].id
}

resource "aws_eip" "nat" {
  count = var.nat_gateways

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${count.index}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  count = var.nat_gateways

  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id

  tags = { Name = "${var.name}-${count.index}" }
}

resource "aws_route_table" "private" {
  count = length(var.zones)

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-private-${local.zones[count.index]}" }
}

# Fewer gateways than zones: the last one serves the rest, and the loss of its zone takes them along.
resource "aws_route" "nat" {
  count = var.nat_gateways > 0 ? length(var.zones) : 0

  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[min(count.index, var.nat_gateways - 1)].id
}

resource "aws_route_table_association" "private" {
  count = length(var.zones)

  route_table_id = aws_route_table.private[count.index].id
  subnet_id      = aws_subnet.private[count.index].id
}

# --- AWS services without the internet ---

# Data cannot be carried to a bucket of someone else's.
data "aws_iam_policy_document" "s3_gateway" {
  statement {
    sid     = "OwnBuckets"
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketLocation", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    resources = flatten([
      for name in var.s3_bucket_names : ["arn:aws:s3:::${name}", "arn:aws:s3:::${name}/*"]
    ])

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }

  statement {
    sid       = "ImageLayers"
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::prod-${local.region}-starport-layer-bucket/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = aws_route_table.private[*].id
  policy            = data.aws_iam_policy_document.s3_gateway.json

  tags = { Name = "${var.name}-s3" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${local.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.this["endpoints"].id]

  tags = { Name = "${var.name}-${each.value}" }
}

# --- who may speak to whom ---

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:attached by the modules that take security_group_ids; the scan does not follow for_each
  for_each = local.groups

  name        = "${var.name}-${replace(each.key, "_", "-")}"
  description = each.value
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-${replace(each.key, "_", "-")}" }
}

resource "aws_vpc_security_group_egress_rule" "flow" {
  for_each = local.flows

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  description                  = "To ${each.value.to}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "flow" {
  for_each = local.flows

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  description                  = "From ${each.value.from}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  for_each = toset(local.tasks)

  security_group_id = aws_security_group.this[each.value].id
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  description       = "To S3 through its gateway"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# AWS's own services have no fixed addresses, so through a NAT gateway it is all of them or none.
resource "aws_vpc_security_group_egress_rule" "nat" {
  for_each = var.nat_gateways > 0 ? toset(local.tasks) : toset([])

  security_group_id = aws_security_group.this[each.value].id
  cidr_ipv4         = "0.0.0.0/0"
  description       = "To AWS services through the NAT gateway"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "api_https" {
  for_each = toset(var.api_cidrs)

  security_group_id = aws_security_group.this["alb"].id
  cidr_ipv4         = each.value
  description       = "Callers of the service"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "api_http" {
  #checkov:skip=CKV_AWS_260:port 80 answers with a redirect to 443 and nothing else
  for_each = toset(var.api_cidrs)

  security_group_id = aws_security_group.this["alb"].id
  cidr_ipv4         = each.value
  description       = "Redirected to HTTPS"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
}

resource "aws_vpc_security_group_ingress_rule" "operators" {
  for_each = toset(var.operator_cidrs)

  security_group_id = aws_security_group.this["alb_internal"].id
  cidr_ipv4         = each.value
  description       = "Operators"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# --- flow logs ---

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/demand/${var.name}/flow"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

data "aws_iam_policy_document" "flow_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "flow" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${aws_cloudwatch_log_group.flow.arn}:*"]
  }
}

resource "aws_iam_role" "flow" {
  name               = "${var.name}-flow-logs"
  assume_role_policy = data.aws_iam_policy_document.flow_trust.json
}

resource "aws_iam_role_policy" "flow" {
  name   = "write"
  role   = aws_iam_role.flow.id
  policy = data.aws_iam_policy_document.flow.json
}

resource "aws_flow_log" "this" {
  vpc_id          = aws_vpc.this.id
  traffic_type    = "ALL"
  log_destination = aws_cloudwatch_log_group.flow.arn
  iam_role_arn    = aws_iam_role.flow.arn

  tags = { Name = var.name }
}
