# Small, on Spot, one NAT gateway, no standby; may be destroyed with all its data.
environment  = "dev"
deletable    = true
nat_gateways = 1
spot         = true
budget_usd   = 250
door         = true

database = {
  instance_class  = "db.t4g.small"
  storage_gib     = 20
  max_storage_gib = 100
  multi_az        = false
  backup_days     = 7
  # Of about 190.
  alarm_connections = 150
}

sizes = {
  api       = { cpu = 256, memory = 1024 }
  code      = { cpu = 512, memory = 2048 }
  daemon    = { cpu = 512, memory = 1024 }
  mlflow    = { cpu = 512, memory = 2048 }
  webserver = { cpu = 512, memory = 1024 }
  run       = { cpu = 2048, memory = 8192 }
  migrate   = { cpu = 512, memory = 1024 }
  watch     = { cpu = 512, memory = 2048 }
}

access_log_days = 30
noncurrent_days = 30
kept_images     = 30
