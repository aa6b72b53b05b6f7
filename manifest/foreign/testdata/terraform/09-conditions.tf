variable "env" { default = "dev" }
variable "certificate" {}

locals {
  prod  = var.env == "prod"
  sizes = { dev = ["256", "512"], prod = ["2048", "4096"] }
}

resource "aws_apprunner_service" "app" {
  service_name = join("-", ["quotes", var.env])
  source_configuration {
    image_repository {
      image_identifier      = var.image == "" ? "public.ecr.aws/nginx/nginx:latest" : var.image
      image_repository_type = "ECR_PUBLIC"
      image_configuration {
        port = local.prod ? 80 : 8080
        runtime_environment_variables = {
          TLS   = var.certificate != "" ? "on" : "off"
          NAMES = join(",", ["a", var.certificate, "c"])
          CODE  = format("%s/%d", var.certificate, 7)
          DEEP  = lookup({ a = "b" }, "a", "c")
          FIRST = element(["x", "y"], 1)
          PAD   = format("%03d", 7)
        }
      }
    }
    auto_deployments_enabled = !local.prod
  }
  instance_configuration {
    cpu    = local.sizes[var.env][0]
    memory = local.sizes[var.env][1]
  }
  health_check_configuration {
    protocol = "HTTP"
    path     = try(var.paths["health"], "/")
  }
}
