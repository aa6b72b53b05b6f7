terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.0" }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = {
      project   = local.name
      ManagedBy = "terraform"
    }
  }
}

variable "region" {
  type    = string
  default = "eu-west-1"
}

variable "environment" {
  type    = string
  default = "staging"
}

variable "image_tag" {
  description = "What CI has pushed."
  type        = string
}

variable "db_password" {
  type      = string
  sensitive = true
}

locals {
  name   = "shop-${var.environment}"
  unused = "nobody asks"
  common_env = {
    LOG_LEVEL = "info"
    APP_ENV   = var.environment
  }
}

resource "aws_ecr_repository" "app" {
  name                 = "shop"
  image_tag_mutability = "MUTABLE"
  force_delete         = true
  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "app" {
  repository = aws_ecr_repository.app.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 10 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_iam_role" "access" {
  name               = "${local.name}-ecr-access"
  assume_role_policy = data.aws_iam_policy_document.build.json
}

resource "aws_iam_role_policy_attachment" "access" {
  role       = aws_iam_role.access.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess"
}

resource "aws_iam_role" "instance" {
  name_prefix        = "shop-instance-"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

data "aws_iam_policy_document" "build" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["build.apprunner.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["tasks.apprunner.amazonaws.com"]
    }
  }
}

data "aws_caller_identity" "current" {}

resource "aws_secretsmanager_secret" "stripe" {
  name = "${local.name}/stripe"
}

resource "aws_ssm_parameter" "session" {
  name  = "/shop/session-secret"
  type  = "SecureString"
  value = random_password.session.result
}

resource "random_password" "session" {
  length = 32
}

resource "aws_apprunner_auto_scaling_configuration_version" "app" {
  auto_scaling_configuration_name = local.name
  max_concurrency                 = 100
  max_size                        = 4
  min_size                        = 1
}

resource "aws_apprunner_vpc_connector" "app" {
  vpc_connector_name = local.name
  subnets            = [aws_subnet.private_a.id, aws_subnet.private_b.id]
  security_groups    = [aws_security_group.app.id]
}

resource "aws_subnet" "private_a" {
  vpc_id     = "vpc-0123456789abcdef0"
  cidr_block = "10.0.1.0/24"
}

resource "aws_subnet" "private_b" {
  vpc_id     = "vpc-0123456789abcdef0"
  cidr_block = "10.0.2.0/24"
}

resource "aws_security_group" "app" {
  vpc_id = "vpc-0123456789abcdef0"
}

resource "aws_apprunner_observability_configuration" "app" {
  observability_configuration_name = local.name
  trace_configuration {
    vendor = "AWSXRAY"
  }
}

resource "aws_apprunner_service" "app" {
  service_name                   = local.name
  auto_scaling_configuration_arn = aws_apprunner_auto_scaling_configuration_version.app.arn

  source_configuration {
    auto_deployments_enabled = true
    authentication_configuration {
      access_role_arn = aws_iam_role.access.arn
    }
    image_repository {
      image_identifier      = "${aws_ecr_repository.app.repository_url}:${var.image_tag}"
      image_repository_type = "ECR"
      image_configuration {
        port          = 8080
        start_command = "/app/server"
        runtime_environment_variables = merge(local.common_env, {
          DATABASE_URL = "postgres://shop:${var.db_password}@${aws_db_instance.main.address}/shop"
          BUCKET       = aws_s3_bucket.uploads.bucket
          ADMIN_TOKEN  = "hush-4711-hush"
          REGION       = var.region
        })
        runtime_environment_secrets = {
          STRIPE_KEY     = "${aws_secretsmanager_secret.stripe.arn}:key::"
          SESSION_SECRET = aws_ssm_parameter.session.arn
          OTHER          = "arn:aws:ssm:${var.region}:${data.aws_caller_identity.current.account_id}:parameter/shop/other"
        }
      }
    }
  }

  instance_configuration {
    cpu               = "1024"
    memory            = "2048"
    instance_role_arn = aws_iam_role.instance.arn
  }

  health_check_configuration {
    protocol            = "HTTP"
    path                = "/health"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 1
    unhealthy_threshold = 5
  }

  network_configuration {
    egress_configuration {
      egress_type       = "VPC"
      vpc_connector_arn = aws_apprunner_vpc_connector.app.arn
    }
    ingress_configuration {
      is_publicly_accessible = true
    }
  }

  observability_configuration {
    observability_enabled           = true
    observability_configuration_arn = aws_apprunner_observability_configuration.app.arn
  }

  tags = { environment = var.environment }

  lifecycle {
    ignore_changes = [source_configuration[0].image_repository[0].image_identifier]
  }
  depends_on = [aws_iam_role_policy_attachment.access]
}

resource "aws_db_instance" "main" {
  engine   = "postgres"
  password = var.db_password
}

resource "aws_s3_bucket" "uploads" {
  bucket = "shop-uploads"
}

resource "aws_apprunner_custom_domain_association" "app" {
  domain_name          = "shop.example.com"
  service_arn          = aws_apprunner_service.app.arn
  enable_www_subdomain = false
}

output "url" {
  value = aws_apprunner_service.app.service_url
}
