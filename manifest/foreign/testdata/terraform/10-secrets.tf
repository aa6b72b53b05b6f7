data "aws_region" "current" {}
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

data "aws_secretsmanager_secret" "db" {
  name = "prod/db"
}

data "aws_secretsmanager_secret_version" "db" {
  secret_id = data.aws_secretsmanager_secret.db.id
}

data "aws_ssm_parameter" "flag" {
  name = "/prod/flag"
}

resource "random_password" "jwt" {
  length = 40
}

resource "aws_apprunner_service" "app" {
  service_name = "secretive"
  source_configuration {
    image_repository {
      image_identifier      = "${data.aws_caller_identity.current.account_id}.dkr.ecr.${data.aws_region.current.name}.amazonaws.com/secretive:${terraform.workspace}"
      image_repository_type = "ECR"
      image_configuration {
        port = "8080"
        runtime_environment_variables = {
          DB_PASS   = jsondecode(data.aws_secretsmanager_secret_version.db.secret_string)["password"]
          RAW       = data.aws_secretsmanager_secret_version.db.secret_string
          FLAG      = data.aws_ssm_parameter.flag.value
          JWT       = random_password.jwt.result
          HALF      = "prefix-${random_password.jwt.result}"
          WRAPPED   = sensitive("hush-hush")
          PARTITION = data.aws_partition.current.partition
          KEY       = "AKIAHUSHHUSHHUSH0000"
        }
        runtime_environment_secrets = {
          DB_HOST = "${data.aws_secretsmanager_secret.db.arn}:host::"
          DB_OLD  = "${data.aws_secretsmanager_secret.db.arn}:host:AWSPREVIOUS:"
          DB_ALL  = data.aws_secretsmanager_secret.db.arn
          FLAG_2  = data.aws_ssm_parameter.flag.arn
          MODULE  = module.secrets.arns["token"]
        }
      }
    }
  }
}
