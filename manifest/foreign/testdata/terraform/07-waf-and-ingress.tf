provider "aws" {
  region = "us-east-1"
}
provider "aws" {
  alias   = "tokyo"
  region  = "ap-northeast-1"
  profile = "tokyo"
}

resource "aws_apprunner_service" "private" {
  provider     = aws.tokyo
  service_name = "intranet"
  source_configuration {
    image_repository {
      image_identifier      = "${aws_ecr_repository.intranet.repository_url}:v2.1.0"
      image_repository_type = "ECR"
    }
  }
  encryption_configuration {
    kms_key = aws_kms_key.app.arn
  }
  network_configuration {
    ip_address_type = "IPV4"
    ingress_configuration {
      is_publicly_accessible = false
    }
    egress_configuration {
      egress_type = "DEFAULT"
    }
  }
}

resource "aws_ecr_repository" "intranet" {
  name                 = "intranet"
  image_tag_mutability = "IMMUTABLE"
  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.app.arn
  }
  tags = { team = "it" }
}

resource "aws_kms_key" "app" {}

resource "aws_apprunner_vpc_ingress_connection" "private" {
  name        = "intranet"
  service_arn = aws_apprunner_service.private.arn
  ingress_vpc_configuration {
    vpc_id          = "vpc-0123456789abcdef0"
    vpc_endpoint_id = aws_vpc_endpoint.apprunner.id
  }
  tags = { team = "it" }
}

resource "aws_wafv2_web_acl_association" "private" {
  resource_arn = aws_apprunner_service.private.arn
  web_acl_arn  = aws_wafv2_web_acl.main.arn
}
