# Two of what answers, a standby of the database, no way to the internet; refuses to be destroyed.
environment  = "prod"
deletable    = false
nat_gateways = 0
waf          = true
budget_usd   = 1000
door         = true

interface_endpoints = ["ec2messages", "ecr.api", "ecr.dkr", "ecs", "logs", "monitoring", "secretsmanager", "sns", "ssm", "ssmmessages"]

database = {
  instance_class  = "db.m7g.large"
  storage_gib     = 100
  max_storage_gib = 500
  multi_az        = true
  backup_days     = 35
  # Of about 830.
  alarm_connections     = 660
  alarm_free_memory_mib = 400
}

sizes = {
  api       = { cpu = 1024, memory = 2048, tasks = 2, tasks_max = 6 }
  code      = { cpu = 1024, memory = 4096 }
  daemon    = { cpu = 512, memory = 2048 }
  mlflow    = { cpu = 1024, memory = 4096 }
  webserver = { cpu = 512, memory = 2048 }
  run       = { cpu = 4096, memory = 16384 }
  migrate   = { cpu = 512, memory = 2048 }
  watch     = { cpu = 512, memory = 2048 }
}
