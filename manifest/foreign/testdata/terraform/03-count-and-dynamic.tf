variable "enabled" {
  type    = bool
  default = true
}
variable "use_vpc" { default = false }
variable "subnet_ids" { type = list(string) }
variable "env" {
  type    = map(string)
  default = {}
}
variable "secrets" {
  type = map(string)
}
variable "health_path" {
  default = null
}

resource "aws_apprunner_vpc_connector" "this" {
  count              = var.use_vpc ? 1 : 0
  vpc_connector_name = "api"
  subnets            = var.subnet_ids
  security_groups    = ["sg-0123456789abcdef0"]
}

resource "aws_apprunner_service" "this" {
  count        = var.enabled ? 1 : 0
  service_name = "ledger-api"

  source_configuration {
    image_repository {
      image_identifier      = "123456789012.dkr.ecr.us-east-1.amazonaws.com/ledger:latest"
      image_repository_type = "ECR"
      image_configuration {
        port                          = tostring(8080)
        runtime_environment_variables = merge(var.env, { A = "1" }, var.undeclared)
        runtime_environment_secrets   = var.secrets
      }
    }
  }

  dynamic "network_configuration" {
    for_each = var.use_vpc ? [1] : []
    content {
      egress_configuration {
        egress_type       = "VPC"
        vpc_connector_arn = aws_apprunner_vpc_connector.this[0].arn
      }
    }
  }

  dynamic "health_check_configuration" {
    for_each = var.health_path == null ? [] : [var.health_path]
    content {
      protocol = "HTTP"
      path     = health_check_configuration.value
    }
  }

  dynamic "instance_configuration" {
    for_each = [{ cpu = 256, memory = 512 }]
    iterator = size
    content {
      cpu    = size.value.cpu
      memory = size.value["memory"]
    }
  }
}

resource "aws_apprunner_custom_domain_association" "this" {
  count       = 1
  domain_name = "ledger.example.com"
  service_arn = aws_apprunner_service.this[count.index].arn
}
