module spawn

go 1.24
