path "transit/decrypt/sops" {
  capabilities = ["update"]
}
