locals {
  services = {
    web = { port = 3000, cpu = "256", memory = "512", public = true }
    api = { port = 8080, cpu = "1024", memory = "2048", public = false }
  }
}

resource "aws_ecr_repository" "this" {
  for_each = local.services
  name     = "portal/${each.key}"
}

resource "aws_apprunner_service" "this" {
  for_each     = local.services
  service_name = format("portal-%s", each.key)

  source_configuration {
    image_repository {
      image_identifier      = "${aws_ecr_repository.this[each.key].repository_url}:latest"
      image_repository_type = "ECR"
      image_configuration {
        port = each.value.port
        runtime_environment_variables = {
          NAME = upper(each.key)
          PEER = each.key == "web" ? "api" : "web"
        }
      }
    }
  }

  instance_configuration {
    cpu    = each.value.cpu
    memory = each.value.memory
  }

  network_configuration {
    ingress_configuration {
      is_publicly_accessible = each.value.public
    }
  }
}
