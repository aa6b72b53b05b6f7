# What people write that App Runner refuses, and what has no place.
resource "aws_apprunner_service" "bad" {
  service_name = "Bad Service!"
  colour       = "green"
  source_configuration {
    image_repository {
      image_identifier      = "public.ecr.aws/acme/thing:1"
      image_repository_type = "ECR_PUBLIC"
      image_configuration {
        port = "none"
        runtime_environment_variables = {
          PORT        = "3000"
          "with dash" = "x"
          LIST        = ["a", "b"]
          HEREDOC     = <<-EOT
            several
            lines
          EOT
          DOLLAR      = "$${literal} costs $5"
          NUMBER      = 1.5
          NOTHING     = null
          GITHUB_TOKEN = var.token
          PRIVATE_KEY  = file("key.pem")
          SIGNED       = "eyJhdXNoaHVzaGh1c2g.eyJodXNoaHVzaGh1c2g.hush"
        }
        runtime_environment_secrets = {
          PLAIN = "ghp_hush0123456789abcdefghij"
        }
      }
    }
  }
  instance_configuration {
    cpu = "512"
  }
  health_check_configuration {
    interval = 60
    timeout  = 5
    path     = "health"
  }
  timeouts {
    create = "40m"
  }
  tags = {
    "apron:owner" = "me"
    token         = "ghp_hush0123456789abcdefghij"
  }
}
