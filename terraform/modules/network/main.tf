# Tasks and the database have no public address. Who may speak to whom is the table `flows` below, and nothing else.

data "aws_region" "current" {}

locals {
  region = data.aws_region.current.region
  # A VPC that is there already is used as it is: its subnets, routes, gateways and flow logs are its owner's.
  own                = var.existing == null
  vpc_id             = local.own ? aws_vpc.this[0].id : var.existing.vpc_id
  public_subnet_ids  = local.own ? aws_subnet.public[*].id : var.existing.public_subnet_ids
  private_subnet_ids = local.own ? aws_subnet.private[*].id : var.existing.private_subnet_ids
  s3_prefix_list_id  = local.own ? aws_vpc_endpoint.s3[0].prefix_list_id : data.aws_prefix_list.s3[0].id
  # Of a VPC that is there already it is not known how AWS's services are reached, unless it is by endpoints made here.
  outbound = local.own ? var.nat_gateways > 0 : length(var.interface_endpoints) == 0
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
  count = local.own ? 1 : 0

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
  count = local.own ? 1 : 0

  vpc_id = aws_vpc.this[0].id
}

resource "aws_internet_gateway" "this" {
  count = local.own ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = var.name }
}

resource "aws_subnet" "public" {
  count = local.own ? length(var.zones) : 0

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = local.zones[count.index]
  cidr_block              = cidrsubnet(var.cidr, 4, count.index)
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-public-${local.zones[count.index]}" }
}

resource "aws_subnet" "private" {
  count = local.own ? length(var.zones) : 0

  vpc_id            = aws_vpc.this[0].id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.cidr, 4, count.index + 8)

  tags = { Name = "${var.name}-private-${local.zones[count.index]}" }
}

resource "aws_route_table" "public" {
  count = local.own ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  count = local.own ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  count = local.own ? length(var.zones) : 0

  route_table_id = aws_route_table.public[0].id
  subnet_id      = aws_subnet.public[count.index].id
}

resource "aws_eip" "nat" {
  count = local.own ? var.nat_gateways : 0

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${count.index}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  count = local.own ? var.nat_gateways : 0

  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id

  tags = { Name = "${var.name}-${count.index}" }
}

resource "aws_route_table" "private" {
  count = local.own ? length(var.zones) : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-private-${local.zones[count.index]}" }
}

# Fewer gateways than zones: the last one serves the rest, and the loss of its zone takes them along.
resource "aws_route" "nat" {
  count = local.own && var.nat_gateways > 0 ? length(var.zones) : 0

  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[min(count.index, var.nat_gateways - 1)].id
}

resource "aws_route_table_association" "private" {
  count = local.own ? length(var.zones) : 0

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
  count = local.own ? 1 : 0

  vpc_id            = aws_vpc.this[0].id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = aws_route_table.private[*].id
  policy            = data.aws_iam_policy_document.s3_gateway.json

  tags = { Name = "${var.name}-s3" }
}

data "aws_prefix_list" "s3" {
  count = local.own ? 0 : 1

  name = "com.amazonaws.${local.region}.s3"
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = local.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = local.private_subnet_ids
  security_group_ids  = [aws_security_group.this["endpoints"].id]

  tags = { Name = "${var.name}-${each.value}" }
}

# --- who may speak to whom ---

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:attached by the modules that take security_group_ids; the scan does not follow for_each
  for_each = local.groups

  name        = "${var.name}-${replace(each.key, "_", "-")}"
  description = each.value
  vpc_id      = local.vpc_id

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
  prefix_list_id    = local.s3_prefix_list_id
  description       = "To S3 through its gateway"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# AWS's own services have no fixed addresses, so through a NAT gateway it is all of them or none.
resource "aws_vpc_security_group_egress_rule" "nat" {
  for_each = local.outbound ? toset(local.tasks) : toset([])

  security_group_id = aws_security_group.this[each.value].id
  cidr_ipv4         = "0.0.0.0/0"
  description       = "To AWS services through the NAT gateway"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Tokens and the user info; where the provider is, only its name says.
resource "aws_vpc_security_group_egress_rule" "provider" {
  count = var.sign_in ? 1 : 0

  security_group_id = aws_security_group.this["alb"].id
  cidr_ipv4         = "0.0.0.0/0"
  description       = "To the OpenID provider"
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
  count = local.own ? 1 : 0

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
  count = local.own ? 1 : 0

  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${aws_cloudwatch_log_group.flow[0].arn}:*"]
  }
}

resource "aws_iam_role" "flow" {
  count = local.own ? 1 : 0

  name               = "${var.name}-flow-logs"
  assume_role_policy = data.aws_iam_policy_document.flow_trust.json
}

resource "aws_iam_role_policy" "flow" {
  count = local.own ? 1 : 0

  name   = "write"
  role   = aws_iam_role.flow[0].id
  policy = data.aws_iam_policy_document.flow[0].json
}

resource "aws_flow_log" "this" {
  count = local.own ? 1 : 0

  vpc_id          = aws_vpc.this[0].id
  traffic_type    = "ALL"
  log_destination = aws_cloudwatch_log_group.flow[0].arn
  iam_role_arn    = aws_iam_role.flow[0].arn

  tags = { Name = var.name }
}
