variable "name" {}
variable "repository" { default = "team/orders" }
variable "digest" {}
variable "port" { default = 8080 }
variable "extra_group" {}
variable "env" { default = {} }
variable "size" {
  default = { cpu = "256", memory = "512" }
}
variable "tags" {
  type = map(string)
}
