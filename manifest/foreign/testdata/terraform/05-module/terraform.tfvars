name = "orders-production"
env = {
  log_level = "warn"
}
size   = { cpu = "1024", memory = "3072" }
unused = true
