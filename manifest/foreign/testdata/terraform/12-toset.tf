variable "region" {}
variable "repository" {}

locals {
  stages = toset(["dev", "prod"])
  tags = {
    team      = "news"
    ManagedBy = "by hand"
    ManagedBy = "terraform"
  }
}

provider "aws" {
  region = var.region
}

resource "aws_ecr_repository" "news" {
  name = var.repository
}

resource "aws_iam_role" "access" {
  for_each = local.stages
  name     = "news-${each.value}-access"
}

resource "aws_apprunner_service" "news" {
  for_each     = local.stages
  service_name = "news-${each.key}"
  source_configuration {
    authentication_configuration {
      access_role_arn = aws_iam_role.access[each.key].arn
    }
    image_repository {
      image_identifier      = "${aws_ecr_repository.news.repository_url}:${each.key}"
      image_repository_type = "ECR"
      image_configuration {
        port = "8080"
        runtime_environment_variables = {
          ACCESS_TOKEN_EXPIRE_MINUTES = "30"
        }
      }
    }
  }
  tags = merge(local.tags, { stage = each.key })
}
