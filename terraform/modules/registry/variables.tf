variable "name" {
  description = "Prefix of every name, such as demand-dev."
  type        = string
}

variable "images" {
  description = "Names of the images."
  type        = set(string)
}

variable "kept_images" {
  description = "Images of each repository that are kept. A deployment pushes three: an index, the image and its provenance."
  type        = number

  validation {
    condition     = var.kept_images >= 15
    error_message = "Expected 15 at least: the image of a rollback must be there."
  }
}

variable "kms_key_arn" {
  description = "Key that layers are encrypted with."
  type        = string
}

variable "deletable" {
  description = "Whether `terraform destroy` may delete images."
  type        = bool
}
