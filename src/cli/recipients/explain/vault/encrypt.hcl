# Not "create": with it a misspelt name would make a new key.
path "transit/encrypt/sops" {
  capabilities = ["update"]
}
path "transit/decrypt/sops" {
  capabilities = ["update"]
}
