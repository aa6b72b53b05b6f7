module "vpc" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "5.0.0"
}

resource "aws_apprunner_vpc_connector" "main" {
  vpc_connector_name = var.name
  subnets            = module.vpc.private_subnets
  security_groups    = [aws_security_group.this[0].id, var.extra_group]
}

resource "aws_apprunner_service" "main" {
  service_name = var.name
  source_configuration {
    image_repository {
      image_identifier      = "${data.aws_ecr_repository.main.repository_url}@${var.digest}"
      image_repository_type = "ECR"
      image_configuration {
        port = var.port
        runtime_environment_variables = {
          for k, v in var.env : upper(k) => v
        }
      }
    }
  }
  instance_configuration {
    cpu    = var.size.cpu
    memory = var.size.memory
  }
  network_configuration {
    egress_configuration {
      egress_type       = "VPC"
      vpc_connector_arn = aws_apprunner_vpc_connector.main.arn
    }
  }
  tags = var.tags
}

data "aws_ecr_repository" "main" {
  name = var.repository
}
