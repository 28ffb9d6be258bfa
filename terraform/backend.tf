# The state's bucket is made once, by hand, before anything else; docs/deploy.md has the command. Its name differs
# between accounts, so it is given when a folder is initialised:
#   terraform init -backend-config=bucket=NAME -backend-config=key=demand.tfstate -backend-config=region=REGION
# Each stage is a workspace of its name: `terraform workspace select -or-create dev`.
terraform {
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
