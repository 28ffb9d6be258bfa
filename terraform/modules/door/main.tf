# A way for operators to Dagster's webserver where there is no VPN: a machine without any open port, through which Systems
# Manager forwards one. Who may is a matter of IAM (ssm:StartSession on it), and each session is in CloudTrail.

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-door"
  description        = "Lets Systems Manager forward ports through ${var.name}-door"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "this" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "this" {
  name = "${var.name}-door"
  role = aws_iam_role.this.name
}

resource "aws_security_group" "this" {
  name        = "${var.name}-door"
  description = "The door for operators; nothing may come in"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-door" }
}

locals {
  targets = { webserver = var.alb_security_group_id, endpoints = var.endpoints_security_group_id }
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = local.targets

  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = each.value
  description                  = "To ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = local.targets

  security_group_id            = each.value
  referenced_security_group_id = aws_security_group.this.id
  description                  = "From the door"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "outbound" {
  count = var.outbound ? 1 : 0

  security_group_id = aws_security_group.this.id
  cidr_ipv4         = "0.0.0.0/0"
  description       = "To Systems Manager through the NAT gateway"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_instance" "this" {
  ami                    = data.aws_ssm_parameter.image.value
  instance_type          = "t4g.nano"
  subnet_id              = var.subnet_id
  vpc_security_group_ids = [aws_security_group.this.id]
  iam_instance_profile   = aws_iam_instance_profile.this.name
  monitoring             = true
  ebs_optimized          = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  root_block_device {
    encrypted = true
  }

  tags = { Name = "${var.name}-door" }

  # A newer image is no reason to cut a session off; `terraform apply -replace` takes it.
  lifecycle {
    ignore_changes = [ami]
  }

  depends_on = [aws_iam_role_policy_attachment.this]
}
