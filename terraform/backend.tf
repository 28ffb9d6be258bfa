# The state's bucket is made once, by hand, before anything else; docs/deploy.md has the command. Its name differs
# between accounts, so it is given when a folder is initialised:
#   terraform init -backend-config=bucket=NAME -backend-config=key=demand/ENV.tfstate -backend-config=region=REGION
terraform {
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
