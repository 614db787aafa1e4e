module go_regexp

go 1.26
